# what: one kernel for several uses: what it has not is None, what it does is told by constants
# problem: nvidia/gemm-scale-leakyrelu-64x64x64
import triton
import triton.language as tl


STEEPNESS = tl.constexpr(0.1)


@triton.jit
def leaky(x, SLOPE: tl.constexpr):
    return tl.where(x > 0, x, SLOPE * x)


@triton.jit
def product(a, b, bias, gate, c, M, N, K, KIND: tl.constexpr, B: tl.constexpr):
    rows = tl.program_id(0) * B + tl.arange(0, B)
    columns = tl.program_id(1) * B + tl.arange(0, B)
    sums = tl.zeros((B, B), tl.float32)
    for first in range(0, K, B):
        inner = first + tl.arange(0, B)
        x = tl.load(a + rows[:, None] * K + inner[None, :], mask=(rows[:, None] < M) & (inner[None, :] < K), other=0.0)
        within = (inner[:, None] < K) & (columns[None, :] < N)
        sums += tl.dot(x, tl.load(b + inner[:, None] * N + columns[None, :], mask=within, other=0.0), input_precision="ieee")
    if bias is not None:
        sums += tl.load(bias + columns, mask=columns < N, other=0.0)[None, :]
    if gate is not None:
        sums *= tl.load(gate + columns, mask=columns < N, other=0.0)[None, :]
    sums *= 2.0
    if KIND == "leaky":
        sums = leaky(sums, STEEPNESS)
    elif KIND == "relu":
        sums = tl.maximum(sums, 0.0)
    tl.store(c + rows[:, None] * N + columns[None, :], sums, mask=(rows[:, None] < M) & (columns[None, :] < N))


def launch(a, b, bias, c):
    (M, K), N = a.shape, b.shape[1]
    product[triton.cdiv(M, 16), triton.cdiv(N, 16)](a, b, bias, None, c, M, N, K, KIND="leaky", B=16)
