"""neuronxcc.nki.isa: the instructions, which return their result as a new tile."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import costs, vector
from .. import isa as core
from ..checks import api, not_taken
from ..errors import fail
from ..machine import MOVING_MAX, PARTITIONS
from ..ops import as_op
from ..tensor import ON_CHIP
from .indexing import Mask, Where, where_holds
from .results import came_from_last, chosen_type, least_loaded, promoted, result_of, squeezed, tile, to_sbuf
from .tensor import ALL, Tile, fresh
from .views import narrow

VSG = ("vector", "scalar", "gpsimd")


def _engine(engine: Any, name: str, allowed: tuple[str, ...], target: Any) -> str:
    return core.on_engine(engine, name, allowed) if engine not in (None, "unknown") else least_loaded(allowed, target)


@api
def nc_matmul(
    stationary: Any, moving: Any, *, is_stationary_onezero: Any = False, is_moving_onezero: Any = False,
    is_transpose: Any = False, tile_position: Any = (), tile_size: Any = (), mask: Any = None, perf_mode: Any = None,
) -> Tile:  # fmt: skip
    """stationary.T @ moving, in PSUM as float32. `is_transpose` only hints that moving is an identity."""
    name = "nki.isa.nc_matmul"
    not_taken(name, tile_position=tile_position, tile_size=tile_size, perf_mode=perf_mode)
    left, right = tile(stationary, name, "stationary", ("sbuf",)), tile(moving, name, "moving", ("sbuf",))
    (_, m), (_, n) = left._flat(), right._flat()
    if m > core.STATIONARY_MAX or n > MOVING_MAX:
        limit, what = (core.STATIONARY_MAX, "stationary") if m > core.STATIONARY_MAX else (MOVING_MAX, "moving")
        columns = m if what == "stationary" else n
        fail("tile_limit", f"{name}: {what} has {columns} columns; at most {limit}")
    if isinstance(mask, Mask) and mask._array().size > 1:
        fail("unsupported", f"unsupported API: {name}(mask=...) of index tiles; mask the operands: tile[mask]")
    scalar = bool(mask._array().all()) if isinstance(mask, Mask) else mask
    rows, columns = where_holds(left._mask, left.shape, name), where_holds(right._mask, right.shape, name)
    shape = (m, *right.shape[1:]) if right.ndim > 2 else (m, n)
    if scalar is False or rows is None or columns is None:
        return fresh(shape, core.DTYPES["float32"], "psum", name, None)
    whole = (left._mask is None and right._mask is None) or (_is_whole(rows, left) and _is_whole(columns, right))
    if whole:
        result = fresh(shape, core.DTYPES["float32"], "psum", name)
        core.nc_matmul(result, left, right, accumulate=False)
        return came_from_last(result)
    if rows.dense is not None or columns.dense is not None or left.ndim != 2:
        fail("unsupported", f"unsupported API: {name} of operands under a mask that is not a box")
    box = (rows.box[1], *columns.box[1:])
    result = fresh(shape, core.DTYPES["float32"], "psum", name, Where(box, None))
    depth = slice(max(rows.box[0].start, columns.box[0].start), min(rows.box[0].stop, columns.box[0].stop))
    left, right = narrow(left, (depth, rows.box[1])), narrow(right, (depth, *columns.box[1:]))
    core.nc_matmul(narrow(result, box), left, right, accumulate=False)
    return came_from_last(result)


def _is_whole(where: Where, value: Tile) -> bool:
    return where.dense is None and all(p.stop - p.start == n for p, n in zip(where.box, value.shape, strict=True))


@api
def nc_transpose(data: Any, *, mask: Any = None, dtype: Any = None, engine: Any = None) -> Tile:
    """Partitions and elements exchanged: into PSUM by the Tensor engine, 32 x 32 in SBUF by the Vector engine.

    Asked of the Vector engine, what is larger goes to the Tensor engine: kernels that were measured rely on it.
    """
    name = "nki.isa.nc_transpose"
    source = tile(data, name, "data")
    p, f = source._flat()
    small = p <= 32 and f <= 32
    if engine in (None, "unknown", "vector"):
        engine = "vector" if small else "pe"
    if engine == "pe":
        if f > PARTITIONS:
            fail(
                "tile_limit", f"{name}: data {list(source.shape)} has {f} elements per partition; at most {PARTITIONS}"
            )
        source = tile(source, name, "data", ("sbuf",))
    where = where_holds(mask, source.shape, name)
    space = "psum" if engine == "pe" else "sbuf"
    kind = chosen_type(dtype, name, source)
    if where is None:
        return fresh((f, p), kind, space, name, None)
    if where.dense is not None or (source.ndim > 2 and not _is_whole(where, source)):
        fail("unsupported", f"unsupported API: {name} under a mask that is not a box")
    whole = _is_whole(where, source)
    result = fresh((f, p), source.dtype, space, name, ALL if whole else Where((where.box[1], where.box[0]), None))
    target = result if whole else narrow(result, (where.box[1], where.box[0]))
    core.nc_transpose(target, source if whole else narrow(source, where.box), engine=engine)
    came_from_last(result)
    return result if kind is source.dtype or (space == "psum" and _retyped(result, kind)) else to_sbuf(result, kind)


def _retyped(result: Tile, kind: Any) -> bool:
    """The Tensor engine writes the type that is asked for."""
    values = result._values.astype(kind._np)
    memory = result._memory
    memory.values = values
    result._values, result._dtype = values, kind
    return True


@api
def activation(
    op: Any, data: Any, *, bias: Any = None, scale: Any = 1.0, reduce_op: Any = None, reduce_res: Any = None,
    reduce_cmd: Any = "idle", mask: Any = None, dtype: Any = None,
) -> Tile:  # fmt: skip
    """op(data * scale + bias) on the Scalar engine."""
    name = "nki.isa.activation"
    source = tile(data, name, "data")
    bias = 0.0 if bias is None else bias

    def run(dst: Any, x: Any, plus: Any, by: Any, sums: Any) -> None:
        core.activation(dst, op, x, plus, by, reduce_op, sums, reduce_cmd)

    kind = chosen_type(dtype, name, source)
    return result_of(name, source.shape, kind, mask, (source, bias, scale, reduce_res), run)


@api
def activation_reduce(
    op: Any, data: Any, *, reduce_op: Any, reduce_res: Any, bias: Any = None, scale: Any = 1.0, mask: Any = None,
    dtype: Any = None,
) -> Tile:  # fmt: skip
    """As activation; reduce_res is given the sum of each partition's results."""
    tile(reduce_res, "nki.isa.activation_reduce", "reduce_res")
    return activation(
        op, data, bias=bias, scale=scale, reduce_op=reduce_op, reduce_res=reduce_res, reduce_cmd="reset_reduce",
        mask=mask, dtype=dtype,
    )  # fmt: skip


@api
def tensor_copy(src: Any, *, mask: Any = None, dtype: Any = None, engine: Any = None) -> Tile:
    name = "nki.isa.tensor_copy"
    source = tile(src, name, "src")
    automatic = engine in (None, "unknown") and source.buffer == "psum"
    where = _engine(engine, name, ("vector", "scalar") if automatic else VSG, source)
    kind = chosen_type(dtype, name, source)
    return result_of(name, source.shape, kind, mask, (source,), lambda dst, x: core.tensor_copy(dst, x, engine=where))


@api
def memset(shape: Any, value: Any, dtype: Any, *, mask: Any = None, engine: Any = None) -> Tile:
    name = "nki.isa.memset"
    extents = tuple(int(n) for n in shape) if isinstance(shape, (tuple, list)) else (shape,)
    where = _engine(engine, name, ("vector", "gpsimd"), None)
    kind = chosen_type(dtype, name)
    return result_of(name, extents, kind, mask, (), lambda dst: core.memset(dst, value, engine=where))


@api
def reciprocal(data: Any, *, dtype: Any = None, mask: Any = None) -> Tile:
    name = "nki.isa.reciprocal"
    source = tile(data, name, "data")
    kind = chosen_type(dtype, name, source)
    return result_of(name, source.shape, kind, mask, (source,), core.reciprocal)


@api
def tensor_tensor(data1: Any, data2: Any, op: Any, *, dtype: Any = None, mask: Any = None, engine: Any = None) -> Tile:
    """data1 op data2 on the Vector engine, unless GpSimd is asked for."""
    name = "nki.isa.tensor_tensor"
    left, right = tile(data1, name, "data1"), tile(data2, name, "data2")
    kind = chosen_type(dtype, name, left, right)
    where = core.on_engine(engine, name, ("vector", "gpsimd"))
    if left.shape != right.shape and left._flat() == right._flat():
        from .assign import shaped

        right = shaped(right, left.shape, name)
    return result_of(
        name, left.shape, kind, mask, (left, right), lambda dst, a, b: vector.tensor_tensor(dst, a, b, op, engine=where)
    )


@api
def tensor_scalar(
    data: Any, op0: Any, operand0: Any, reverse0: bool = False, op1: Any = None, operand1: Any = None,
    reverse1: bool = False, *, dtype: Any = None, mask: Any = None, engine: Any = None,
) -> Tile:  # fmt: skip
    name = "nki.isa.tensor_scalar"
    source = tile(data, name, "data")
    where = _engine(engine, name, ("vector", "scalar"), source) if engine != "gpsimd" else "gpsimd"

    def run(dst: Any, x: Any, first: Any, second: Any) -> None:
        vector.tensor_scalar(dst, x, op0, first, reverse0, op1, second, reverse1, engine=where)

    return result_of(name, source.shape, chosen_type(dtype, name, source), mask, (source, operand0, operand1), run)


@api
def tensor_scalar_reduce(
    *, data: Any, op0: Any, operand0: Any, reduce_op: Any, reduce_res: Any, reverse0: bool = False, dtype: Any = None,
    mask: Any = None,
) -> Tile:  # fmt: skip
    name = "nki.isa.tensor_scalar_reduce"
    source, sums = tile(data, name, "data"), tile(reduce_res, name, "reduce_res")

    def run(dst: Any, x: Any, operand: Any, into: Any) -> None:
        vector.tensor_scalar_reduce(dst, x, op0, operand, reduce_op, into, reverse0)

    return result_of(name, source.shape, chosen_type(dtype, name, source), mask, (source, operand0, sums), run)


@api
def scalar_tensor_tensor(
    *, data: Any, op0: Any, operand0: Any, op1: Any, operand1: Any, reverse0: bool = False, reverse1: bool = False,
    dtype: Any = None, mask: Any = None,
) -> Tile:  # fmt: skip
    name = "nki.isa.scalar_tensor_tensor"
    source, other = tile(data, name, "data"), tile(operand1, name, "operand1")

    def run(dst: Any, x: Any, first: Any, second: Any) -> None:
        vector.scalar_tensor_tensor(dst, x, op0, first, op1, second, reverse0, reverse1)

    kind = chosen_type(dtype, name, source, other)
    return result_of(name, source.shape, kind, mask, (source, operand0, other), run)


@api
def tensor_tensor_scan(
    data0: Any, data1: Any, initial: Any, op0: Any, op1: Any, reverse0: bool = False, reverse1: bool = False, *,
    dtype: Any = None, mask: Any = None,
) -> Tile:  # fmt: skip
    """Per partition a running op1(op0(data0[i], before), data1[i])."""
    name = "nki.isa.tensor_tensor_scan"
    left, right = tile(data0, name, "data0"), tile(data1, name, "data1")

    def run(dst: Any, a: Any, b: Any, before: Any) -> None:
        vector.tensor_tensor_scan(dst, a, b, before, op0, op1, reverse0, reverse1)

    kind = chosen_type(dtype, name, left, right)
    return result_of(name, left.shape, kind, mask, (left, right, initial), run)


@api
def tensor_reduce(
    op: Any, data: Any, axis: Any, *, mask: Any = None, dtype: Any = None, negate: bool = False, keepdims: bool = False
) -> Tile:
    """The free axes `axis` reduced; a result keeps two dimensions."""
    return reduced("nki.isa.tensor_reduce", op, data, axis, mask, dtype, negate, keepdims)


def reduced(
    name: str, op: Any, data: Any, axis: Any, mask: Any, dtype: Any, negate: bool, keepdims: bool, fold: Any = None
) -> Tile:
    function = as_op(op, name, "op", "reduce")
    source = tile(data, name, "data")
    axes = sorted((axis,) if isinstance(axis, int) else tuple(axis))
    axes = [a + source.ndim if a < 0 else a for a in axes]
    if not axes or 0 in axes or axes[-1] >= source.ndim:
        fail(
            "wrong_argument", f"{name}: axis={axis!r} of data {list(source.shape)}: free axes only; 0 is the partitions"
        )
    kind = chosen_type(dtype, name, source)
    shape = squeezed(source.shape, axes, keepdims)
    mask = mask if source._mask is None else source._mask if mask is None else mask & source._mask
    where = where_holds(mask, source.shape, name)
    if where is None:
        return fresh(shape, kind, "sbuf", name, None)
    if where.dense is not None:
        fail("unsupported", f"unsupported API: {name} under a mask that is not a box")
    whole = _is_whole(where, source)
    box = tuple(slice(0, 1) if a in axes else part for a, part in enumerate(where.box))
    region = box if keepdims else tuple(part for a, part in enumerate(box) if a not in axes)
    region = region if len(region) > 1 else (*region, slice(0, 1))
    kept = all(part.stop - part.start == n for part, n in zip(region, shape, strict=True))
    result = fresh(shape, kind, "sbuf", name, ALL if kept else Where(region, None))
    source = source if whole else narrow(source, where.box)
    order = [a for a in range(source.ndim) if a not in axes] + axes
    if order != sorted(order):
        source._inside(name, "data")
        from .tensor import adopt

        source = adopt(source.permute(order))
    last = list(range(source.ndim - len(axes), source.ndim))
    vector.tensor_reduce(result if kept else narrow(result, region), function, source, last, negate)
    return came_from_last(result)


@api
def iota(expr: Any, dtype: Any, *, mask: Any = None) -> Tile:
    """The values of an expression of index tiles."""
    from .indexing import Index

    name = "nki.isa.iota"
    if not isinstance(expr, Index) or len(expr.shape) < 2:
        fail("wrong_argument", f"{name}: expr must be an index tile of two or more dimensions")

    def run(dst: Tile, values: Any = None) -> None:
        dst._write(name, np.broadcast_to(expr._values(), expr.shape)[: dst.shape[0]])
        core.issue(name, "gpsimd", costs.select(dst._flat()[1]), dst)

    return result_of(name, expr.shape, chosen_type(dtype, name), None if mask is None else mask, (), run)


@api
def affine_select(pred: Any, on_true_tile: Any, on_false_value: Any, *, mask: Any = None, dtype: Any = None) -> Tile:
    """on_true_tile where the predicate on index tiles holds, else the number; on GpSimd."""
    name = "nki.isa.affine_select"
    source = tile(on_true_tile, name, "on_true_tile", ("sbuf",))
    if not isinstance(pred, (Mask, bool)):
        fail("wrong_argument", f"{name}: pred must compare index tiles, not {type(pred).__name__}")
    if isinstance(on_false_value, bool) or not isinstance(on_false_value, (int, float)):
        fail("wrong_argument", f"{name}: on_false_value={on_false_value!r} must be a number")
    held = np.full(source.shape, pred) if isinstance(pred, bool) else pred._array()
    try:
        held = np.broadcast_to(held, source.shape)
    except ValueError:
        fail("shape_mismatch", f"{name}: pred of shape {list(held.shape)} and on_true_tile {list(source.shape)} differ")
    kind = chosen_type(dtype, name, source)
    where = where_holds(mask, source.shape, name)
    inside = held if where is None else held[where.box]

    def run(dst: Tile, x: Tile) -> None:
        values = x._read(name, "on_true_tile").astype(np.float32)
        dst._write(name, np.where(inside, values, np.float32(on_false_value)))
        core.issue(name, "gpsimd", costs.select(dst._flat()[1]), dst, x)

    return result_of(name, source.shape, kind, mask, (source,), run)


def broadcast_tile(source: Tile, shape: tuple[int, ...], name: str) -> Tile:
    """Free dimensions of one repeated without a copy; one partition by products with ones, and a copy out of PSUM."""
    if source.buffer not in ON_CHIP:
        fail("wrong_memory", f"{name}: {source!r} is in {source.buffer}: nl.load it first")
    if source.ndim != len(shape) or any(n not in (1, m) for n, m in zip(source.shape, shape, strict=True)):
        fail("shape_mismatch", f"{name}: {source!r} does not fit {list(shape)}; only dimensions of 1 are repeated")
    if shape[0] > PARTITIONS:
        fail("partition_limit", f"{name}: shape={list(shape)} has {shape[0]} partitions; at most {PARTITIONS}")
    if shape[0] == source.shape[0]:
        from .assign import shaped

        return shaped(source, shape, name)
    return to_sbuf(spread(source, shape, name)) if source._flat()[1] * 4 <= 16384 else _spread_in_sbuf(source, shape)


def spread(source: Tile, shape: tuple[int, ...], name: str) -> Tile:
    """One partition on many, in PSUM: float32 products with a column of ones, 512 elements at a time."""
    values = np.broadcast_to(source._read(name, "src"), shape)
    result = fresh(shape, promoted(source.dtype, source.dtype), "psum", name)
    result._write(name, values)
    n = source._flat()[1]
    for at in range(0, n, MOVING_MAX):
        wide = min(MOVING_MAX, n - at)
        core.issue("nki.isa.broadcast", "pe", costs.matmul(PARTITIONS, wide, source.dtype.name), result, source)
    return result


def _spread_in_sbuf(source: Tile, shape: tuple[int, ...]) -> Tile:
    name = "nki.language.broadcast_to"
    rows = shape[0]
    result = fresh(shape, source.dtype, "sbuf", name)
    flat = source.reshape((1, source.size))
    target = result.reshape((rows, source.size))
    step = 4096
    for at in range(0, source.size, step):
        wide = min(step, source.size - at)
        part = spread(flat[:, at : at + wide], (rows, wide), name)
        core.tensor_copy(target[:, at : at + wide], part, engine=least_loaded(("vector", "scalar"), part))
    return result
