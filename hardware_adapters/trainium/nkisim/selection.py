"""nki.isa: selecting by predicates and ranges, and searching for values."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import costs
from .checks import api, not_both_in_psum, operand, reals, same_shape, store, tile
from .dtypes import is_float
from .errors import fail
from .isa import issue
from .machine import current
from .ops import as_op
from .tensor import Tensor

LOWEST = np.float32(np.finfo(np.float32).min)
UNSIGNED = ("uint8", "uint16", "uint32")
SMALL_INTEGERS = ("int8", "uint8", "int16", "uint16")
SEARCHED = range(8, 16385)


@api
def tensor_copy_predicated(dst: Any, src: Any, predicate: Any, reverse_pred: bool = False, name: Any = None) -> None:
    """dst = src where the predicate is not 0; elsewhere dst stays."""
    api = "nki.isa.tensor_copy_predicated"
    target, flags = tile(dst, api, "dst"), tile(predicate, api, "predicate")
    if flags.dtype.name not in UNSIGNED:
        fail("wrong_dtype", f"{api}: predicate={flags!r} must be one of {', '.join(UNSIGNED)}")
    p, n = same_shape(api, dst=target, predicate=flags)
    holds = (flags._read(api, "predicate").reshape(p, n) != 0) != bool(reverse_pred)
    sources: tuple[Tensor, ...] = (flags,)
    if isinstance(src, Tensor):
        source = tile(src, api, "src")
        same_shape(api, dst=target, src=source)
        if source.dtype is not target.dtype:
            fail("wrong_dtype", f"{api}: dst is {target.dtype}, src {source.dtype}: they must agree")
        not_both_in_psum(api, src=source, predicate=flags)
        values, sources = source._read(api, "src").reshape(p, n), (source, flags)
    else:
        values, _ = operand(src, p, api, "src")
    kept = target._values.reshape(p, n) if holds.all() else target._read(api, "dst").reshape(p, n)
    store(target, np.where(holds, np.asarray(values).astype(kept.dtype), kept), api)
    psum = any(source.buffer == "psum" for source in sources)
    issue(api, "vector", costs.predicated_copy(n, psum), target, *sources, target)


@api
def select_reduce(
    dst: Any,
    predicate: Any,
    on_true: Any,
    on_false: Any,
    reduce_res: Any = None,
    reduce_cmd: Any = "idle",
    reduce_op: Any = None,
    reverse_pred: bool = False,
    name: Any = None,
) -> None:
    """dst = on_true where the predicate is not 0, else on_false; reduce_cmd also takes each partition's maximum."""
    api = "nki.isa.select_reduce"
    target, flags, source = tile(dst, api, "dst"), tile(predicate, api, "predicate"), tile(on_true, api, "on_true")
    if flags.dtype.name not in SMALL_INTEGERS:
        fail("wrong_dtype", f"{api}: predicate={flags!r} must be one of {', '.join(SMALL_INTEGERS)}")
    if source.dtype.name in ("int32", "uint32"):
        fail("wrong_dtype", f"{api}: on_true={source!r}: not 32-bit integers")
    not_both_in_psum(api, on_true=source, predicate=flags)
    p, n = same_shape(api, dst=target, predicate=flags, on_true=source)
    other, tiles = operand(on_false, p, api, "on_false")
    holds = (flags._read(api, "predicate").reshape(p, n) != 0) != bool(reverse_pred)
    result = np.where(holds, reals(source, api, "on_true"), other)
    store(target, result, api)
    also: tuple[Tensor, ...] = ()
    if reduce_cmd not in ("idle", "reduce", "reset_reduce"):
        fail("wrong_argument", f"{api}: reduce_cmd={reduce_cmd!r} must be idle, reduce or reset_reduce")
    if reduce_cmd != "idle":
        _only_maximum(reduce_op, api)
        machine = current(api)
        if reduce_cmd == "reset_reduce" or machine.vector_registers is None:
            machine.vector_registers = np.full(128, -np.inf, np.float32)
        machine.vector_registers[:p] = np.maximum(machine.vector_registers[:p], result.max(1))
        also = _reduced(reduce_res, machine.vector_registers[:p], p, api)
    else:
        if reduce_res is not None:
            fail("wrong_argument", f"{api}: reduce_res needs reduce_cmd=nisa.reduce_cmd.reset_reduce or .reduce")
        current(api).vector_registers = None  # idle leaves them in a state that is not known
    one_port = "psum" in (source.buffer, flags.buffer)
    issue(api, "vector", costs.predicated_copy(n, one_port), target, source, flags, *tiles, also=also)


def _only_maximum(op: Any, api: str) -> None:
    if op is not None and as_op(op, api, "reduce_op", "reduce").name != "maximum":
        fail("wrong_argument", f"{api}: reduce_op={op!r}: only nl.maximum")


def _reduced(tensor: Any, values: np.ndarray, p: int, api: str) -> tuple[Tensor, ...]:
    if tensor is None:
        return ()
    target = tile(tensor, api, "reduce_res")
    if target._flat() != (p, 1) or not is_float(target.dtype):
        fail("shape_mismatch", f"{api}: reduce_res={target!r} must be floats of shape [{p}, 1]")
    store(target, values, api)
    return (target,)


@api
def range_select(
    dst: Any,
    on_true_tile: Any,
    comp_op0: Any,
    comp_op1: Any,
    bound0: Any,
    bound1: Any,
    reduce_cmd: Any = "reset_reduce",
    reduce_res: Any = None,
    reduce_op: Any = None,
    range_start: Any = 0,
    on_false_value: Any = LOWEST,
    name: Any = None,
) -> None:
    """on_true_tile where range_start + position passes both comparisons, else the lowest float32."""
    api = "nki.isa.range_select"
    if current(api).limits.generation < 3:
        fail("wrong_argument", f"{api} needs NeuronCore-v3 or newer")
    compare = [as_op(op, api, which, "binary") for op, which in ((comp_op0, "comp_op0"), (comp_op1, "comp_op1"))]
    if any(op.name not in ("equal", "less", "less_equal", "greater", "greater_equal") for op in compare):
        fail("wrong_argument", f"{api}: comp_op0={comp_op0!r}, comp_op1={comp_op1!r} must compare")
    target, source = tile(dst, api, "dst"), tile(on_true_tile, api, "on_true_tile")
    p, n = same_shape(api, dst=target, on_true_tile=source)
    if not is_float(source.dtype):
        fail("wrong_dtype", f"{api}: on_true_tile={source!r} must be floats")
    low, high = tile(bound0, api, "bound0"), tile(bound1, api, "bound1")
    for argument, tensor in (("bound0", low), ("bound1", high)):
        if tensor._flat() != (p, 1) or tensor.dtype.name != "float32":
            fail("wrong_argument", f"{api}: {argument}={tensor!r} must be float32 of shape [{p}, 1]")
    at = np.float32(range_start) + np.arange(n, dtype=np.float32)[None]
    _only_maximum(reduce_op, api)
    holds = compare[0]._binary(at, reals(low, api, "bound0")) != 0
    holds &= compare[1]._binary(at, reals(high, api, "bound1")) != 0
    result = np.where(holds, reals(source, api, "on_true_tile"), LOWEST)
    store(target, result, api)
    current(api).vector_registers = None
    also = _reduced(reduce_res, result.max(1), p, api)
    issue(api, "vector", costs.elementwise(n), target, source, low, high, also=also)


def _searched(data: Any, vals: Any, api: str) -> tuple[Tensor, Tensor]:
    source, wanted = tile(data, api, "data"), tile(vals, api, "vals")
    if source._flat()[1] not in SEARCHED:
        fail("tile_limit", f"{api}: data {list(source.shape)}: 8 to 16384 elements per partition")
    if wanted._flat() != (source.shape[0], 8):
        fail("shape_mismatch", f"{api}: vals {list(wanted.shape)} must be [{source.shape[0]}, 8]")
    return source, wanted


@api
def max8(dst: Any, src: Any, name: Any = None) -> None:
    """The 8 largest values of each partition, largest first."""
    api = "nki.isa.max8"
    target, source = tile(dst, api, "dst"), tile(src, api, "src")
    p, n = source._flat()
    if n not in SEARCHED:
        fail("tile_limit", f"{api}: src {list(source.shape)}: 8 to 16384 elements per partition")
    if target._flat() != (p, 8):
        fail("shape_mismatch", f"{api}: dst {list(target.shape)} must be [{p}, 8]")
    store(target, -np.sort(-reals(source, api, "src"), axis=1)[:, :8], api)
    issue(api, "vector", costs.search(n), target, source)


def _first_matches(values: np.ndarray, wanted: np.ndarray, api: str, replace: float | None) -> np.ndarray:
    """Positions of the first occurrence of each value; with `replace` what was found is not found again."""
    found = np.empty(wanted.shape, np.int64)
    for j in range(wanted.shape[1]):
        match = values == wanted[:, j : j + 1]
        if not match.any(1).all():
            p = int(np.argmin(match.any(1)))
            fail("undefined", f"{api}: {wanted[p, j]} of vals is not in partition {p} of data: the result is undefined")
        found[:, j] = match.argmax(1)
        if replace is not None:
            values[np.arange(values.shape[0]), found[:, j]] = replace
    return found


@api
def nc_find_index8(dst: Any, data: Any, vals: Any, name: Any = None) -> None:
    """Where each of 8 values first occurs in its partition."""
    api = "nki.isa.nc_find_index8"
    target = tile(dst, api, "dst")
    source, wanted = _searched(data, vals, api)
    p, n = source._flat()
    if target._flat() != (p, 8) or target.dtype.name not in ("uint16", "uint32"):
        fail("wrong_dtype", f"{api}: dst={target!r} must be uint16 or uint32 of shape [{p}, 8]")
    values = _first_matches(reals(source, api, "data"), reals(wanted, api, "vals"), api, None)
    store(target, values, api)
    issue(api, "vector", costs.search(n), target, source, wanted)


@api
def nc_match_replace8(dst: Any, data: Any, vals: Any, imm: Any, dst_idx: Any = None, name: Any = None) -> None:
    """dst = data with the first occurrence of each of 8 values replaced; dst_idx receives their positions."""
    api = "nki.isa.nc_match_replace8"
    target = tile(dst, api, "dst")
    source, wanted = _searched(data, vals, api)
    p, n = same_shape(api, dst=target, data=source)
    if isinstance(imm, bool) or not isinstance(imm, (int, float)):
        fail("wrong_argument", f"{api}: imm={imm!r} must be a number")
    values = reals(source, api, "data").copy()
    found = _first_matches(values, reals(wanted, api, "vals"), api, float(imm))
    store(target, values, api)
    also: tuple[Tensor, ...] = ()
    if dst_idx is not None:
        places = tile(dst_idx, api, "dst_idx")
        if places._flat() != (p, 8) or places.dtype.name not in ("uint16", "uint32"):
            fail("wrong_dtype", f"{api}: dst_idx={places!r} must be uint16 or uint32 of shape [{p}, 8]")
        store(places, found, api)
        also = (places,)
    issue(api, "vector", costs.search(n), target, source, wanted, also=also)


@api
def nonzero_with_count(dst: Any, src: Any, index_offset: Any = 0, padding_val: Any = -1) -> None:
    """In partitions 0, 16, 32 and so on: the positions of what is not 0, padding, and last how many there are."""
    api = "nki.isa.nonzero_with_count"
    target, source = tile(dst, api, "dst", ("sbuf",)), tile(src, api, "src", ("sbuf",))
    if current(api).limits.generation < 3:
        fail("wrong_argument", f"{api} needs NeuronCore-v3 or newer")
    if source.dtype.name not in ("float32", "int32") or target.dtype.name != "int32":
        fail("wrong_dtype", f"{api}: src={source!r} must be float32 or int32, dst={target!r} int32")
    p, n = source._flat()
    if target._flat() != (p, n + 1):
        fail("shape_mismatch", f"{api}: dst {list(target.shape)} must be [{p}, {n + 1}]")
    first = source._region.box[0][0]
    values = source._read(api, "src").reshape(p, n)
    for row in range(-first % 16, p, 16):
        found = np.flatnonzero(values[row]) + index_offset
        line = np.full(n + 1, padding_val, np.int64)
        line[: found.size], line[n] = found, found.size
        part = target[row : row + 1]
        part._write(api, line.reshape(part.shape))
    issue(api, "gpsimd", costs.select(n), target, source)
