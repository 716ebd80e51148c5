"""What public kernels compute, in float64, and inputs that are not merely random; ours, from the mathematics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

Array = np.ndarray
REFERENCES: dict[str, Callable[..., Any]] = {}
MAKERS: dict[str, Callable[..., Array]] = {}


def reference(function: Callable[..., Any]) -> Callable[..., Any]:
    REFERENCES[function.__name__] = function
    return function


def maker(function: Callable[..., Array]) -> Callable[..., Array]:
    MAKERS[function.__name__] = function
    return function


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@maker
def uniform(rng: np.random.Generator, shape: list[int]) -> Array:
    return rng.random(shape)


@maker
def signed(rng: np.random.Generator, shape: list[int]) -> Array:
    return rng.random(shape) * 2 - 1


@maker
def normal(rng: np.random.Generator, shape: list[int], scale: float = 1.0) -> Array:
    return rng.standard_normal(shape) * scale


@maker
def negative(rng: np.random.Generator, shape: list[int]) -> Array:
    return -rng.random(shape)


@maker
def zeros(rng: np.random.Generator, shape: list[int]) -> Array:
    return np.zeros(shape)


@maker
def constant(rng: np.random.Generator, shape: list[int], value: float) -> Array:
    return np.full(shape, value)


@maker
def integers(rng: np.random.Generator, shape: list[int], low: int, high: int) -> Array:
    return rng.integers(low, high, shape)


@maker
def counted(rng: np.random.Generator, shape: list[int], step: int = 1) -> Array:
    return np.arange(np.prod(shape)).reshape(shape) * step


@maker
def causal(rng: np.random.Generator, shape: list[int], first: int = 0) -> Array:
    """1 where column <= first + row."""
    return (np.arange(shape[1])[None] <= first + np.arange(shape[0])[:, None]).astype(np.float64)


@maker
def repeated_rows(rng: np.random.Generator, shape: list[int], times: int) -> Array:
    """Along the second dimension each row `times` times."""
    return np.repeat(rng.random((shape[0], shape[1] // times, *shape[2:])), times, axis=1)


@maker
def per_row(rng: np.random.Generator, shape: list[int], low: float, high: float) -> Array:
    """A random number a row."""
    return np.broadcast_to(rng.uniform(low, high, (shape[0], 1)), shape).copy()


@maker
def dft(rng: np.random.Generator, shape: list[int], part: str) -> Array:
    w = np.exp(-2j * np.pi * np.outer(np.arange(shape[0]), np.arange(shape[1])) / shape[0])
    return getattr(w, part)


@maker
def twiddles(rng: np.random.Generator, shape: list[int], part: str) -> Array:
    w = np.exp(-2j * np.pi * np.arange(shape[1]) / (2 * shape[1]))
    return np.broadcast_to(getattr(w, part), shape).copy()


@maker
def padded_rows(rng: np.random.Generator, shape: list[int], rows: int) -> Array:
    x = np.zeros(shape)
    x[:rows] = rng.standard_normal((rows, *shape[1:]))
    return x


@maker
def rotation(rng: np.random.Generator, shape: list[int], part: str, angle: float) -> Array:
    """R_x(angle) on each bit of the partition number, transposed: block `part` (rr, ri, ir, ii) of the real form."""
    n = shape[0]
    m = np.eye(n, dtype=complex)
    for bit in range(n.bit_length() - 1):
        flip = np.eye(n)[np.arange(n) ^ (1 << bit)]
        m = (np.cos(angle) * np.eye(n) + 1j * np.sin(angle) * flip) @ m
    return {"rr": m.real, "ri": -m.imag, "ir": m.imag, "ii": m.real}[part].T.copy()


@maker
def xor_table(rng: np.random.Generator, shape: list[int]) -> Array:
    """For each bit, highest first, the columns with that bit flipped."""
    return np.stack([np.broadcast_to(np.arange(shape[2]) ^ (shape[2] >> (i + 1)), shape[1:]) for i in range(shape[0])])


@maker
def phase(rng: np.random.Generator, shape: list[int], part: str, seed: int = 5) -> Array:
    angles = np.random.default_rng(seed).uniform(-1, 1, shape)
    return getattr(np, part)(angles)


@reference
def copy(x: Array, **more: Any) -> Array:
    return x


@reference
def add(a_input: Array, b_input: Array) -> Array:
    return a_input + b_input


@reference
def gemm(lhsT: Array, rhs: Array, **more: Any) -> Array:
    return lhsT.T @ rhs


@reference
def rmsnorm(a_tensor: Array, g_tensor: Array, eps: float = 0.0) -> Array:
    return a_tensor / np.sqrt((a_tensor**2).mean(-1, keepdims=True) + eps) * g_tensor


@reference
def layernorm(input_tensor: Array, epsilon: float, gamma_vector: Array, beta_vector: Array, **more: Any) -> Array:
    x = input_tensor
    centred = x - x.mean(1, keepdims=True)
    return centred / np.sqrt(x.var(1, keepdims=True) + epsilon) * gamma_vector + beta_vector


@reference
def mamba(delta: Array, u: Array, A: Array, B_exp: Array, C_exp: Array) -> Array:
    """B and C come with each row 128 times."""
    b, c = B_exp[:, ::128], C_exp[:, ::128]
    state = np.zeros((delta.shape[0], delta.shape[1], A.shape[1]))
    out = np.empty_like(delta)
    for t in range(delta.shape[2]):
        step = delta[:, :, t, None]
        state = np.exp(step * A) * state + step * u[:, :, t, None] * b[:, None, :, t]
        out[:, :, t] = (state * c[:, None, :, t]).sum(-1)
    return out


@reference
def attention(q: Array, k: Array, v: Array) -> Array:
    """Operands (d, s), not scaled."""
    return softmax(q.T @ k) @ v.T


@reference
def attention_of_rounded_scores(q: Array, k: Array, v: Array) -> Array:
    """For a kernel that keeps its scores in bfloat16."""
    return softmax((q.T @ k).astype(ml_dtypes.bfloat16).astype(np.float64)) @ v.T


@reference
def scaled_attention(q: Array, k: Array, v: Array, **more: Any) -> Array:
    return softmax(q @ k.T / np.sqrt(q.shape[1])) @ v


@reference
def cumsum(x: Array, **more: Any) -> Array:
    return np.cumsum(x, axis=-1)


@reference
def transpose_middle(ref: Array, dim: int) -> Array:
    return np.swapaxes(ref, 1, 2)


@reference
def maxpool(in_tensor: Array, pool_size: int) -> Array:
    windows = np.lib.stride_tricks.sliding_window_view(in_tensor, (pool_size, pool_size))
    return windows.max((-1, -2))


@reference
def rope(x_in: Array, cos: Array, sin: Array, **more: Any) -> Array:
    upper, lower = np.split(x_in, 2, axis=0)
    return np.concatenate([upper * cos - lower * sin, lower * cos + upper * sin])


@reference
def conv1d(img_ref: Array, filter_ref: Array, padding: Any, **more: Any) -> Array:
    x = np.pad(img_ref, ((0, 0), (0, 0), (0, 0), tuple(padding[1])))
    taps = filter_ref.shape[3]
    width = x.shape[3] - taps + 1
    return sum(x[:, :, :, i : i + width] * filter_ref[None, :, 0, :, i : i + 1] for i in range(taps))


@reference
def conv2d(img_ref: Array, filter_T_ref: Array, padding: Any, **more: Any) -> Array:
    x = np.pad(img_ref, ((0, 0), (0, 0), tuple(padding[0]), tuple(padding[1])))
    _, fh, fw, _ = filter_T_ref.shape
    h, w = x.shape[2] - fh + 1, x.shape[3] - fw + 1
    parts = (
        np.einsum("nchw,co->nohw", x[:, :, i : i + h, j : j + w], filter_T_ref[:, i, j], optimize=True)
        for i in range(fh)
        for j in range(fw)
    )
    return sum(parts)


def _masked(q: Array, k: Array, v: Array, mask: Array) -> tuple[Array, Array, Array]:
    """Attention's output, logarithms of the sums, and maxima."""
    scores = np.where(mask != 0, q @ k, -9984.0)
    highest = scores.max(-1, keepdims=True)
    e = np.exp(scores - highest)
    total = e.sum(-1, keepdims=True)
    return e @ v, np.log(total) + highest, highest


@reference
def causal_parts(q: Array, k: Array, v: Array, causal_mask: Array, **more: Any) -> tuple[Array, Array, Array]:
    return _masked(q, k, v, causal_mask)


@reference
def causal_tile(q: Array, k: Array, v: Array, olm_prev: Array, tile_mask: Array, q_tile_idx: int, **more: Any) -> Array:
    """One tile of queries merged with what was found before: output, sum and maximum beside each other."""
    here = q[:, q_tile_idx * 128 : (q_tile_idx + 1) * 128]
    scores = np.where(tile_mask != 0, here.T @ k, -9984.0)
    o, total, highest = olm_prev[:, :-2], olm_prev[:, -2:-1], olm_prev[:, -1:]
    best = np.maximum(scores.max(-1, keepdims=True), highest)
    e = np.exp(scores - best)
    decay = np.exp(highest - best)
    flat = v.transpose(1, 0, 2).reshape(-1, v.shape[2])
    return np.concatenate([o * decay + e @ flat, total * decay + e.sum(-1, keepdims=True), best], axis=1)


@reference
def matmul_of_columns(a_ki: Array, b_kj: Array) -> Array:
    return a_ki.T @ b_kj


@reference
def batched_attention(q: Array, k: Array, v: Array, scale: float) -> Array:
    return softmax(q * scale @ k) @ v


@reference
def triangle_attention(q: Array, k: Array, v: Array, bias: Array, scale: float) -> Array:
    n, m, _ = q.shape
    heads = bias.shape[2]
    qs, ks, vs = (x.reshape(n, m, heads, -1).transpose(0, 2, 1, 3) for x in (q, k, v))
    scores = qs @ ks.transpose(0, 1, 3, 2) * scale + bias.transpose(2, 0, 1)[None]
    return (softmax(scores) @ vs).transpose(0, 2, 1, 3).reshape(q.shape)


@reference
def triangle_product(a: Array, b: Array) -> Array:
    return np.einsum("ikd,jkd->ijd", a, b, optimize=True)


@reference
def fft256(X_real_hbm: Array, X_imag_hbm: Array, **more: Any) -> tuple[Array, Array]:
    found = np.fft.fft(X_real_hbm + 1j * X_imag_hbm, axis=-1)
    return found.real, found.imag


@reference
def selective_scan(dA_exp_t: Array, dBx_t: Array, C_t: Array, Dx_t: Array, **more: Any) -> tuple[Array, Array]:
    heads, steps = dA_exp_t.shape
    size = C_t.shape[0] // heads
    inputs = dBx_t.reshape(-1, size, heads, steps)
    state = np.zeros(inputs.shape[:3])
    y = Dx_t.reshape(-1, heads, steps).copy()
    for t in range(steps):
        state = dA_exp_t[:, t] * state + inputs[..., t]
        y[..., t] += (C_t.reshape(size, heads, steps)[..., t] * state).sum(1)
    return y.reshape(Dx_t.shape), state.reshape(-1, 1)


@reference
def trotter(
    psi_real_in: Array, psi_imag_in: Array, zz_phase_real: Array, zz_phase_imag: Array, cos_val_in: Array,
    sin_val_in: Array, n_steps_dummy: Array, rx_mat_rr_T_in: Array, rx_mat_ir_T_in: Array,
    free_xor_indices_in: Array, **more: Any,
) -> tuple[Array, Array]:  # fmt: skip
    psi = psi_real_in + 1j * psi_imag_in
    turn = (rx_mat_rr_T_in + 1j * rx_mat_ir_T_in).T

    def half(psi: Array) -> Array:
        for table in free_xor_indices_in.astype(int):
            psi = cos_val_in * psi + 1j * sin_val_in * np.take_along_axis(psi, table, axis=1)
        return turn @ psi

    for _ in range(n_steps_dummy.shape[0]):
        psi = half(half(psi) * (zz_phase_real + 1j * zz_phase_imag))
    return psi.real, psi.imag


@reference
def deltanet(query: Array, key: Array, value: Array, g_in: Array, beta_in: Array) -> Array:
    state = np.zeros((key.shape[1], value.shape[1]))
    out = np.empty_like(value)
    for t in range(query.shape[0]):
        state = state * np.exp(g_in[t])[:, None]
        state = state + np.outer(key[t], (value[t] - state.T @ key[t]) * beta_in[t])
        out[t] = state.T @ query[t]
    return out


@reference
def rope_heads(x_in: Array, cos: Array, sin: Array, contiguous_layout: bool, **more: Any) -> Array:
    """(d, batch, heads, s); pairs are halves of d, or neighbours."""
    half = x_in.shape[0] // 2
    first, second = (slice(0, half), slice(half, None)) if contiguous_layout else (slice(0, None, 2), slice(1, None, 2))
    c, s = cos[:, :, None], sin[:, :, None]
    out = np.empty_like(x_in)
    out[first], out[second] = x_in[first] * c - x_in[second] * s, x_in[second] * c + x_in[first] * s
    return out


@reference
def largest(input_tensor: Array) -> tuple[Array, Array]:
    return input_tensor.max(-1, keepdims=True), input_tensor.argmax(-1)[..., None]


@reference
def nonzero_columns(input_tensor: Array) -> tuple[Array, Array]:
    """Of each column the rows that are not 0, then -1; and how many there are."""
    rows, columns = input_tensor.shape
    found = np.full((columns, rows), -1)
    counts = (input_tensor != 0).sum(0)
    for c in range(columns):
        found[c, : counts[c]] = np.flatnonzero(input_tensor[:, c])
    return found, counts


@reference
def output_projection(attention: Array, weight: Array, **more: Any) -> Array:
    b, n, d, s = attention.shape
    return attention.transpose(0, 3, 1, 2).reshape(b, s, n * d) @ weight
