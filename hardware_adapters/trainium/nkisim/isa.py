"""nki.isa: instructions. Each computes at once, in float32 as the engines do, and is logged with its cost."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import costs
from .checks import (
    api,
    both_floats,
    not_taken,
    one_bank,
    operand,
    reals,
    run_bytes,
    same_shape,
    store,
    tile,
)
from .dtypes import DTYPES
from .errors import fail
from .machine import MOVING_MAX, PARTITIONS, STATIONARY_MAX, current
from .ops import as_op
from .tensor import HBM, ON_CHIP, Tensor, allocate

ENGINES = ("pe", "vector", "scalar", "gpsimd")
BF16 = DTYPES["bfloat16"]


def issue(
    name: str, engine: str, cycles: float, dst: Tensor, *sources: Tensor, also: tuple[Tensor, ...] = (), **more: Any
) -> None:
    index = (tile for view in (dst, *sources) for tile in view._index)
    current(name).issue(
        name.rpartition(".")[2], engine, cycles, reads=tuple(source._access() for source in (*sources, *index)),
        writes=tuple(target._access() for target in (dst, *also)), shape=dst._flat(), dtype=dst.dtype.name, **more,
    )  # fmt: skip


def on_engine(engine: Any, name: str, allowed: tuple[str, ...]) -> str:
    """The first of the allowed ones where the kernel leaves the choice open."""
    if engine in (None, "unknown"):
        return allowed[0]
    if engine not in allowed:
        fail("wrong_argument", f"{name}: engine={engine!r} cannot do it; allowed: {', '.join(allowed)}")
    return engine


@api
def dma_copy(
    dst: Any,
    src: Any,
    dst_rmw_op: Any = None,
    oob_mode: Any = None,
    dge_mode: Any = None,
    unique_indices: Any = None,
    engine: Any = None,
    name: Any = None,
) -> None:
    """Copy between HBM and SBUF, or within either; types may differ, shapes up to dimensions of 1 may not."""
    api = "nki.isa.dma_copy"
    not_taken(api, dst_rmw_op=dst_rmw_op, oob_mode=oob_mode)
    target, source = tile(dst, api, "dst", (*HBM, "sbuf")), tile(src, api, "src", (*HBM, "sbuf"))
    if [n for n in target.shape if n != 1] != [n for n in source.shape if n != 1]:
        fail("shape_mismatch", f"{api}: dst {list(target.shape)} and src {list(source.shape)} differ")
    values = source._read(api, "src")
    target._write(api, values.reshape(target.shape))
    run = min(run_bytes(t._values, t.buffer in ON_CHIP) // t.dtype.itemsize for t in (target, source))
    issue(
        api, "dma", 0, target, source,
        bytes=target.size * max(target.dtype.itemsize, source.dtype.itemsize),
        run=run * max(target.dtype.itemsize, source.dtype.itemsize),
    )  # fmt: skip


@api
def tensor_copy(dst: Any, src: Any, engine: Any = None, dtype: Any = None, name: Any = None) -> None:
    """Copy on chip; the type is that of dst."""
    api = "nki.isa.tensor_copy"
    target, source = tile(dst, api, "dst"), tile(src, api, "src")
    _, n = same_shape(api, dst=target, src=source)
    where = on_engine(engine, api, ("vector", "scalar", "gpsimd"))
    if where == "gpsimd" and "psum" in (target.buffer, source.buffer):
        fail("wrong_memory", f"{api}: GpSimd cannot reach PSUM; use the Vector or Scalar engine")
    store(target, source._read(api, "src"), api)
    issue(api, where, costs.elementwise(n), target, source)


@api
def memset(dst: Any, value: Any, engine: Any = None, dtype: Any = None, name: Any = None) -> None:
    api = "nki.isa.memset"
    target = tile(dst, api, "dst")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        fail("wrong_argument", f"{api}: value={value!r} must be a number")
    store(target, np.full(target.shape, value, np.float64), api)
    where = on_engine(engine, api, ("vector", "gpsimd"))
    issue(api, where, costs.elementwise(target._flat()[1]), target)


@api
def nc_matmul(
    dst: Any,
    stationary: Any,
    moving: Any,
    is_stationary_onezero: Any = False,
    is_moving_onezero: Any = False,
    is_transpose: Any = False,
    accumulate: Any = None,
    tile_position: Any = (),
    tile_size: Any = (),
    perf_mode: Any = None,
    name: Any = None,
) -> None:
    """dst = stationary.T @ moving. accumulate=None: the first write to a part of PSUM overwrites, later ones add."""
    api = "nki.isa.nc_matmul"
    not_taken(api, is_transpose=is_transpose, tile_position=tile_position, tile_size=tile_size, perf_mode=perf_mode)
    target = tile(dst, api, "dst", ("psum",))
    left, right = tile(stationary, api, "stationary", ("sbuf",)), tile(moving, api, "moving", ("sbuf",))
    both_floats(api, stationary=left, moving=right)
    (k, m), (k2, n) = left._flat(), right._flat()
    if k != k2:
        fail(
            "shape_mismatch",
            f"{api}: stationary {list(left.shape)} and moving {list(right.shape)} contract over different partitions",
        )
    if m > STATIONARY_MAX:
        fail("tile_limit", f"{api}: stationary {list(left.shape)} has {m} columns; at most {STATIONARY_MAX}")
    if n > MOVING_MAX:
        fail("tile_limit", f"{api}: moving {list(right.shape)} has {n} columns; at most {MOVING_MAX}")
    if target._flat() != (m, n):
        fail("shape_mismatch", f"{api}: dst {list(target.shape)} must be [{m}, {n}]")
    if target.dtype.name not in ("float32", "bfloat16"):
        fail("wrong_dtype", f"{api}: dst={target!r}: results are float32 (or rounded to bfloat16)")
    one_bank(api, target)
    product = reals(left, api, "stationary").T @ reals(right, api, "moving")
    adds = _accumulates(target, accumulate, api)
    if adds:
        product += reals(target, api, "dst")
    store(target, product, api)
    slow = left.dtype.name if left.dtype.name == "float32" else right.dtype.name
    issue(
        api, "pe", costs.matmul(m, n, slow), target, left, right, *((target,) if adds else ()),
        macs=k * m * n, accumulates=adds,
    )  # fmt: skip


def _accumulates(target: Tensor, accumulate: Any, api: str) -> bool:
    if accumulate not in (None, True, False):
        fail("wrong_argument", f"{api}: accumulate={accumulate!r} must be True, False or None")
    if accumulate is not None:
        return accumulate
    written = target._written
    if written is None or target._memory.written is None or written.all():
        return True
    if written.any():
        fail(
            "psum_accumulation",
            f"{api}: a part of dst={target!r} was written before and a part was not: say accumulate=True or False",
        )
    return False


@api
def nc_transpose(dst: Any, data: Any, engine: Any = None, name: Any = None) -> None:
    """Partitions and elements exchanged: by the Tensor engine into PSUM, or blocks of 32x32 by the Vector engine."""
    api = "nki.isa.nc_transpose"
    target, source = tile(dst, api, "dst"), tile(data, api, "data")
    p, f = source._flat()
    small = p <= 32 and f <= 32
    where = on_engine(engine, api, ("vector", "pe") if small and target.buffer != "psum" else ("pe", "vector"))
    if where == "vector" and not small:
        fail("tile_limit", f"{api}: data {list(source.shape)}: the Vector engine transposes at most 32 x 32")
    if where == "pe":
        if f > PARTITIONS:
            fail("tile_limit", f"{api}: data {list(source.shape)} has {f} elements per partition; at most {PARTITIONS}")
        tile(source, api, "data", ("sbuf",))
        tile(target, api, "dst", ("psum",))
        both_floats(api, data=source)
        one_bank(api, target)
    if target._flat() != (f, p):
        fail("shape_mismatch", f"{api}: dst {list(target.shape)} must be [{f}, {p}]")
    if target.dtype is not source.dtype:
        fail("wrong_dtype", f"{api}: dst is {target.dtype}, data {source.dtype}: a transpose keeps the type")
    store(target, source._read(api, "data").reshape(p, f).T, api)
    cycles = costs.pe_transpose(p, f, source.dtype.name) if where == "pe" else costs.elementwise(f)
    issue(api, where, cycles, target, source)


@api
def activation(
    dst: Any,
    op: Any,
    data: Any,
    bias: Any = None,
    scale: Any = 1.0,
    reduce_op: Any = None,
    reduce_res: Any = None,
    reduce_cmd: Any = "idle",
    engine: Any = None,
    name: Any = None,
) -> None:
    """dst = op(data * scale + bias); reduce_cmd also sums the results into registers, reduce_res receives these."""
    api = "nki.isa.activation"
    function = as_op(op, api, "op", "unary")
    target, source = tile(dst, api, "dst"), tile(data, api, "data")
    p, n = same_shape(api, dst=target, data=source)
    on_engine(engine, api, ("scalar",))
    by, scale_tiles = operand(scale, p, api, "scale")
    plus, bias_tiles = operand(0.0 if bias is None else bias, p, api, "bias")
    with np.errstate(all="ignore"):
        result = function._unary(reals(source, api, "data") * by + plus).astype(np.float32, copy=False)
    store(target, result, api)
    sources = (source, *scale_tiles, *bias_tiles)
    also = _register_sums(result, reduce_op, reduce_res, reduce_cmd, p, api)
    reduces = reduce_cmd != "idle"
    issue(api, "scalar", costs.with_reduction(n) if reduces else costs.elementwise(n), target, *sources, also=also)


def _register_sums(
    result: np.ndarray, reduce_op: Any, reduce_res: Any, command: Any, p: int, api: str
) -> tuple[Tensor, ...]:
    if command not in ("idle", "reset", "reduce", "reset_reduce"):
        fail("wrong_argument", f"{api}: reduce_cmd={command!r} is none of nisa.reduce_cmd")
    if command == "idle":
        if reduce_res is not None:
            fail("wrong_argument", f"{api}: reduce_res needs reduce_cmd=nisa.reduce_cmd.reset_reduce or .reduce")
        return ()
    if command != "reset" and as_op(reduce_op, api, "reduce_op", "reduce").name != "add":
        fail("wrong_argument", f"{api}: reduce_op={reduce_op!r}: the Scalar engine sums only (nl.add)")
    machine = current(api)
    if command != "reduce" or machine.scalar_registers is None:
        machine.scalar_registers = np.zeros(PARTITIONS, np.float32)
    if command != "reset":
        machine.scalar_registers[:p] += result.sum(axis=1, dtype=np.float32)
    if reduce_res is None:
        return ()
    sums = tile(reduce_res, api, "reduce_res")
    if sums._flat() != (p, 1):
        fail("shape_mismatch", f"{api}: reduce_res {list(sums.shape)} must be [{p}, 1]")
    store(sums, machine.scalar_registers[:p], api)
    return (sums,)


@api
def activation_reduce(
    dst: Any, op: Any, data: Any, reduce_op: Any, reduce_res: Any, bias: Any = None, scale: Any = 1.0, name: Any = None
) -> None:
    """As activation; reduce_res = the sum of each partition's results."""
    activation(dst, op, data, bias, scale, reduce_op, reduce_res, "reset_reduce")


@api
def reciprocal(dst: Any, data: Any, engine: Any = None, name: Any = None) -> None:
    api = "nki.isa.reciprocal"
    target, source = tile(dst, api, "dst"), tile(data, api, "data")
    _, n = same_shape(api, dst=target, data=source)
    with np.errstate(all="ignore"):
        store(target, 1 / reals(source, api, "data"), api)
    issue(api, on_engine(engine, api, ("vector", "scalar", "gpsimd")), costs.elementwise(n), target, source)


def partition_broadcast(source: Tensor, shape: tuple[int, ...]) -> Tensor:
    """One partition repeated on others: a product with a column of ones. A new tile in SBUF."""
    api = "nki.language.broadcast_to"
    if source.shape[0] != 1:
        fail("shape_mismatch", f"{api}: {source!r} has {source.shape[0]} partitions; only one can be repeated")
    target = allocate(api, shape, source.dtype, "sbuf", "broadcast")
    store(target, np.broadcast_to(source._read(api, "data"), shape), api)
    n = target._flat()[1]
    cycles = sum(costs.matmul(PARTITIONS, min(MOVING_MAX, n - at), source.dtype.name) for at in range(0, n, MOVING_MAX))
    issue(api, "pe", cycles, target, source)
    return target
