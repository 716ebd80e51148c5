"""nki.isa: means and variances, running reductions, and the exponential of the Vector engine."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import costs
from .checks import api, operand, reals, same_shape, store, tile
from .errors import fail
from .isa import issue
from .machine import current
from .ops import as_op
from .tensor import Tensor

BN_STATS_MAX = 512
STARTS = {"add": 0.0, "subtract": 0.0, "multiply": 1.0, "maximum": -np.inf, "minimum": np.inf}
COMMANDS = ("idle", "reset", "reduce", "reset_reduce", "load_reduce")


@api
def bn_stats(dst: Any, data: Any, name: Any = None) -> None:
    """Number, mean and number x variance of the elements at even places, then of those at odd ones."""
    api = "nki.isa.bn_stats"
    target, source = tile(dst, api, "dst"), tile(data, api, "data")
    p, n = source._flat()
    if n > BN_STATS_MAX:
        fail("tile_limit", f"{api}: data {list(source.shape)} has {n} elements per partition; at most {BN_STATS_MAX}")
    if target._flat() != (p, 6):
        fail("shape_mismatch", f"{api}: dst {list(target.shape)} must be [{p}, 6]")
    values = reals(source, api, "data")
    columns = []
    for part in (values[:, 0::2], values[:, 1::2]):
        count = part.shape[1]
        mean = part.mean(1, dtype=np.float32) if count else np.zeros(p, np.float32)
        columns += [np.full(p, count, np.float32), mean, ((part - mean[:, None]) ** 2).sum(1, dtype=np.float32)]
    store(target, np.stack(columns, axis=1), api)
    issue(api, "vector", costs.elementwise(n), target, source)


@api
def bn_aggr(dst: Any, data: Any, name: Any = None) -> None:
    """Mean and variance from what one or several bn_stats wrote."""
    api = "nki.isa.bn_aggr"
    target, source = tile(dst, api, "dst"), tile(data, api, "data")
    p, n = source._flat()
    if n % 3:
        fail("shape_mismatch", f"{api}: data {list(source.shape)} has {n} elements per partition; a multiple of 3")
    if target._flat() != (p, 2):
        fail("shape_mismatch", f"{api}: dst {list(target.shape)} must be [{p}, 2]")
    counts, means, spread = np.moveaxis(reals(source, api, "data").reshape(p, n // 3, 3), 2, 0)
    total = counts.sum(1)
    with np.errstate(all="ignore"):
        mean = (counts * means).sum(1) / total
        variance = (spread + counts * (means - mean[:, None]) ** 2).sum(1) / total
    store(target, np.stack([mean, variance], axis=1), api)
    issue(api, "vector", costs.statistics_aggregate(n), target, source)


def _registers(command: Any, start: float, initial: Any, p: int, api: str) -> tuple[np.ndarray, tuple[Tensor, ...]]:
    """What a reduction starts from."""
    machine = current(api)
    if command == "load_reduce":
        value, tiles = operand(initial, p, api, "the initial value")
        return np.broadcast_to(np.asarray(value, np.float32).reshape(-1), (p,)).copy(), tiles
    if command == "reset_reduce":
        return np.full(p, start, np.float32), ()
    if machine.vector_registers is None:
        fail("uninitialised_read", f"{api}: reduce_cmd=reduce, but nothing was accumulated before")
    return machine.vector_registers[:p].copy(), ()


def _keep(values: np.ndarray, api: str) -> None:
    machine = current(api)
    kept = machine.vector_registers if machine.vector_registers is not None else np.zeros(128, np.float32)
    kept[: values.size] = values
    machine.vector_registers = kept


@api
def tensor_scalar_cumulative(
    dst: Any,
    src: Any,
    op0: Any,
    op1: Any,
    imm0: Any,
    imm1: Any = None,
    reduce_cmd: Any = "reset_reduce",
    name: Any = None,
) -> None:
    """Element i of dst is op1 over op0(src, imm0) up to i."""
    api = "nki.isa.tensor_scalar_cumulative"
    first, over = as_op(op0, api, "op0", "binary"), as_op(op1, api, "op1", "binary")
    if over.name not in STARTS or first._integer:
        fail("wrong_argument", f"{api}: op0={op0!r} must be arithmetic, op1={op1!r} one of {', '.join(STARTS)}")
    if reduce_cmd not in ("reset_reduce", "reduce", "load_reduce"):
        fail("wrong_argument", f"{api}: reduce_cmd={reduce_cmd!r} must be reset_reduce, reduce or load_reduce")
    target, source = tile(dst, api, "dst"), tile(src, api, "src")
    p, n = same_shape(api, dst=target, src=source)
    for argument, tensor in (("dst", target), ("src", source)):
        if tensor.dtype.name in ("int32", "uint32"):
            fail("wrong_dtype", f"{api}: {argument}={tensor!r}: not 32-bit integers")
    value, tiles = operand(imm0, p, api, "imm0")
    state, more = _registers(reduce_cmd, STARTS[over.name], imm1, p, api)
    with np.errstate(all="ignore"):
        each = np.broadcast_to(first._binary(reals(source, api, "src"), value), (p, n))
        result = np.empty((p, n), np.float32)
        for i in range(n):
            state = over._binary(each[:, i], state).astype(np.float32)
            result[:, i] = state
    _keep(state, api)
    store(target, result, api)
    issue(api, "vector", costs.elementwise(n), target, source, *tiles, *more)


@api
def exponential(
    dst: Any, src: Any, max_value: Any = 0.0, reduce_res: Any = None, reduce_cmd: Any = "idle", reduce_init: Any = 0.0,
    name: Any = None,
) -> None:  # fmt: skip
    """dst = exp(src - max_value); reduce_cmd also sums each partition. From NeuronCore-v4 on."""
    api = "nki.isa.exponential"
    if current(api).limits.generation < 4:
        fail("wrong_argument", f"{api} needs NeuronCore-v4 or newer")
    target, source = tile(dst, api, "dst"), tile(src, api, "src")
    p, n = same_shape(api, dst=target, src=source)
    if reduce_cmd not in COMMANDS or reduce_cmd == "reset":
        fail("wrong_argument", f"{api}: reduce_cmd={reduce_cmd!r} must be idle, reset_reduce, reduce or load_reduce")
    value, tiles = operand(max_value, p, api, "max_value")
    with np.errstate(all="ignore"):
        result = np.exp(reals(source, api, "src") - value)
    store(target, result, api)
    also: tuple[Tensor, ...] = ()
    if reduce_cmd == "idle":
        current(api).vector_registers = None
        if reduce_res is not None:
            fail(
                "wrong_argument",
                f"{api}: reduce_res needs reduce_cmd=nisa.reduce_cmd.reset_reduce, .reduce or .load_reduce",
            )
    else:
        state, more = _registers(reduce_cmd, 0.0, reduce_init, p, api)
        state = state + result.sum(1, dtype=np.float32)
        _keep(state, api)
        tiles = (*tiles, *more)
        if reduce_res is not None:
            sums = tile(reduce_res, api, "reduce_res")
            if sums._flat() != (p, 1):
                fail("shape_mismatch", f"{api}: reduce_res {list(sums.shape)} must be [{p}, 1]")
            store(sums, state, api)
            also = (sums,)
    issue(api, "vector", costs.fast_exponential(n), target, source, *tiles, also=also)
