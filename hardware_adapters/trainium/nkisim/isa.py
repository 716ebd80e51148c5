"""nki.isa: instructions. Each computes at once, in float32 as the engines do, and is logged with its cost."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import costs
from .checks import (
    api,
    both_floats,
    one_bank,
    operand,
    reals,
    same_shape,
    store,
    tile,
)
from .dtypes import DTYPES
from .errors import fail
from .machine import MOVING_MAX, PARTITIONS, STATIONARY_MAX, current
from .ops import as_op
from .tensor import Tensor, allocate

PERF_MODES = ("none", "double_row", "double_row_gen3", "double_column", "double_pixel", "double_row_sw_interleave")
BF16 = DTYPES["bfloat16"]


def issue(
    name: str, engine: str, cycles: float, dst: Tensor, *sources: Tensor, also: tuple[Tensor, ...] = (), **more: Any
) -> None:
    index = tuple(tile for view in (dst, *sources) for tile in view._index)
    if engine == "gpsimd" and any(view.buffer == "psum" for view in (dst, *also, *sources, *index)):
        fail("wrong_memory", f"{name}: GpSimd cannot reach PSUM; use another engine, or tiles in SBUF")
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
def tensor_copy(dst: Any, src: Any, engine: Any = None, dtype: Any = None, name: Any = None) -> None:
    """Copy on chip; the type is that of dst."""
    api = "nki.isa.tensor_copy"
    target, source = tile(dst, api, "dst"), tile(src, api, "src")
    _, n = same_shape(api, dst=target, src=source)
    where = on_engine(engine, api, ("vector", "scalar", "gpsimd"))
    store(target, source._read(api, "src"), api)
    issue(api, where, costs.elementwise(n), target, source, reduces="copy")


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
    target = tile(dst, api, "dst", ("psum",))
    left, right = tile(stationary, api, "stationary", ("sbuf",)), tile(moving, api, "moving", ("sbuf",))
    generation = current(api).limits.generation
    rows, columns, start = _part_of_the_array(api, tile_position, tile_size, generation)
    double = _perf_mode(api, perf_mode, left, right, columns, generation)
    (k, m), (k2, n) = left._flat(), right._flat()
    m, n = (m // 2, n // 2) if double else (m, n)
    if is_transpose:
        _as_transpose(api, target, left, right)
    else:
        both_floats(api, stationary=left, moving=right)
        if target.dtype.name not in ("float32", "bfloat16"):
            fail("wrong_dtype", f"{api}: dst={target!r}: results are float32 (or rounded to bfloat16)")
    if k != k2:
        fail(
            "shape_mismatch",
            f"{api}: stationary {list(left.shape)} and moving {list(right.shape)} contract over different partitions",
        )
    if k > rows:
        fail("tile_limit", f"{api}: stationary {list(left.shape)} has {k} partitions; tile_size has {rows} rows")
    if m > columns:
        fail("tile_limit", f"{api}: stationary {list(left.shape)} has {m} columns; at most {columns}")
    if start is not None and left._region.box[0][0] != right._region.box[0][0]:
        fail("wrong_argument", f"{api}: stationary and moving of a tile of the array start at the same partition")
    most = MOVING_MAX if generation < 4 else current(api).limits.psum // target.dtype.itemsize
    if n > most:
        fail("tile_limit", f"{api}: moving {list(right.shape)} has {n} columns; at most {most}")
    if target._flat() != (m, n):
        fail("shape_mismatch", f"{api}: dst {list(target.shape)} must be [{m}, {n}]")
    if generation < 4:
        one_bank(api, target)
    if is_transpose:
        store(target, left._read(api, "stationary").reshape(k, m).T, api)
        right._read(api, "moving")
        issue(api, "pe", costs.matmul(m, n, left.dtype.name), target, left, right)
        return
    a, b = reals(left, api, "stationary"), reals(right, api, "moving")
    if double:  # the two halves of the contraction lie beside each other
        a, b = np.concatenate(np.split(a, 2, axis=1)), np.concatenate(np.split(b, 2, axis=1))
    hinted = _one_zero(api, a, is_stationary_onezero, b, is_moving_onezero)
    product = a.T @ b
    adds = _accumulates(target, accumulate, api)
    if adds:
        product += reals(target, api, "dst")
    store(target, product, api)
    slow = left.dtype.name if left.dtype.name == "float32" else right.dtype.name
    cycles = costs.matmul(m, n, slow) / (2 if hinted and slow == "float32" else 1)
    issue(
        api, "pe", cycles, target, left, right, *((target,) if adds else ()),
        macs=k * m * n * (2 if double else 1), accumulates=adds, reduces="add" if adds else "",
    )  # fmt: skip


def _one_zero(api: str, left: np.ndarray, left_hint: Any, right: np.ndarray, right_hint: Any) -> bool:
    """Whether a hint says, truly, that an operand holds ones and zeros only; of float32 that halves the passes."""
    for argument, values, hint in (("stationary", left, left_hint), ("moving", right, right_hint)):
        if hint and not ((values == 0) | (values == 1)).all():
            fail("wrong_argument", f"{api}: is_{argument}_onezero: {argument} holds other numbers than ones and zeros")
    return bool(left_hint or right_hint)


def _part_of_the_array(api: str, position: Any, size: Any, generation: int) -> tuple[int, int, tuple[int, int] | None]:
    """Rows and columns of the systolic array that the product may use, and where they start (None: all of it)."""
    if position in (None, ()) and size in (None, ()):
        return PARTITIONS, STATIONARY_MAX, None
    smallest = 64 if generation < 3 else 32
    try:
        row, column = position  # type: ignore[misc]
        rows, columns = size  # type: ignore[misc]
    except (TypeError, ValueError):
        fail("wrong_argument", f"{api}: tile_position={position!r} and tile_size={size!r} are both pairs, or neither")
    for start, extent in ((row, rows), (column, columns)):
        if extent not in (32, 64, 128) or extent < smallest or start not in range(0, 128, extent):
            fail(
                "wrong_argument",
                f"{api}: tile_position={position!r}, tile_size={size!r}: sizes are {smallest}, 64 or 128, positions "
                "multiples of them below 128",
            )
    return rows, columns, (row, column)


def _perf_mode(api: str, mode: Any, left: Tensor, right: Tensor, columns: int, generation: int) -> bool:
    """Whether two rows of float8 go through at once."""
    if mode in (None, "none"):
        return False
    if mode != "double_row":
        fail("unsupported", f"unsupported API: {api}(perf_mode={mode!r})")
    if generation < 3:
        fail("wrong_argument", f"{api}: perf_mode=double_row needs NeuronCore-v3 or newer")
    for argument, tensor in (("stationary", left), ("moving", right)):
        if not tensor.dtype.name.startswith("float8"):
            fail("wrong_dtype", f"{api}: {argument}={tensor!r}: double_row takes float8")
        if tensor.ndim < 3 or tensor.shape[1] != 2:
            fail("shape_mismatch", f"{api}: {argument} {list(tensor.shape)}: with double_row dimension 1 must be 2")
    if columns != STATIONARY_MAX:
        fail("wrong_argument", f"{api}: double_row does not go with column tiling")
    return True


def _as_transpose(api: str, target: Tensor, left: Tensor, right: Tensor) -> None:
    """The moving operand has to be an identity matrix, and nothing is rounded."""
    values = right._read(api, "moving").reshape(right._flat()).astype(np.float32)
    if values.shape[0] != values.shape[1] or not np.array_equal(values, np.eye(values.shape[0], dtype=np.float32)):
        fail("wrong_argument", f"{api}: is_transpose=True: moving={right!r} must be an identity matrix")
    if target.dtype is not left.dtype and target.dtype.name != "float32":
        fail("wrong_dtype", f"{api}: is_transpose=True: dst is {target.dtype}, stationary {left.dtype}")


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
    engine = "vector" if engine is None and source.buffer == "psum" else engine
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
    if target.dtype is not source.dtype and not (where == "pe" and target.dtype.name == "float32"):
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
    where = on_engine(engine, api, ("vector", "scalar", "gpsimd"))
    issue(api, where, costs.vector_reciprocal(n) if where == "vector" else costs.elementwise(n), target, source)


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
