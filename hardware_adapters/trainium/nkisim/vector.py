"""nki.isa, the instructions of the Vector engine and of GpSimd."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import costs
from .checks import api, bits, not_both_in_psum, operand, reals, same_shape, store, tile
from .errors import fail
from .isa import BF16, issue, on_engine
from .ops import ASSOCIATIVE, Op, as_op
from .tensor import Tensor


def _computed(op: Op, left: Any, right: Any, reverse: bool) -> Any:
    with np.errstate(all="ignore"):
        return op._binary(right, left) if reverse else op._binary(left, right)


@api
def tensor_tensor(dst: Any, data1: Any, data2: Any, op: Any, engine: Any = None, name: Any = None) -> None:
    """dst = data1 op data2, element by element."""
    api = "nki.isa.tensor_tensor"
    function = as_op(op, api, "op", "binary")
    target, left, right = tile(dst, api, "dst"), tile(data1, api, "data1"), tile(data2, api, "data2")
    _, n = same_shape(api, dst=target, data1=left, data2=right)
    allowed = ("gpsimd",) if function.name == "power" else ("vector", "gpsimd")
    where = on_engine(engine, api, allowed)
    not_both_in_psum(api, data1=left, data2=right)
    values = bits if function._integer else reals
    store(target, _computed(function, values(left, api, "data1"), values(right, api, "data2"), False), api)
    psum = (left.buffer == "psum") != (right.buffer == "psum")
    narrow = all(t.dtype is BF16 and t.buffer == "sbuf" for t in (target, left, right))
    reduces = function.name if function.name in ASSOCIATIVE else ""
    issue(api, where, costs.two_operands(n, psum or narrow), target, left, right, reduces=reduces)


@api
def tensor_scalar(
    dst: Any,
    data: Any,
    op0: Any,
    operand0: Any,
    reverse0: bool = False,
    op1: Any = None,
    operand1: Any = None,
    reverse1: bool = False,
    engine: Any = None,
    name: Any = None,
) -> None:
    """dst = (data op0 operand0) op1 operand1; operands are numbers or tiles of one element per partition."""
    api = "nki.isa.tensor_scalar"
    first = as_op(op0, api, "op0", "binary")
    second = as_op(op1, api, "op1", "binary") if op1 is not None else None
    target, source = tile(dst, api, "dst"), tile(data, api, "data")
    p, n = same_shape(api, dst=target, data=source)
    where = on_engine(engine, api, ("vector", "scalar", "gpsimd"))
    if second is not None and operand1 is None:
        fail("wrong_argument", f"{api}: op1 needs operand1")
    if first._integer:
        if isinstance(operand0, Tensor) or (second is not None and not second._integer):
            fail("wrong_argument", f"{api}: a bit operator takes a number, and goes with bit operators only")
        result, tiles = first._binary(bits(source, api, "data"), operand0), ()
        if second is not None:
            result = second._binary(result, operand1)
    else:
        value, tiles = operand(operand0, p, api, "operand0")
        result = _computed(first, reals(source, api, "data"), value, reverse0)
        if second is not None:
            value, more = operand(operand1, p, api, "operand1")
            result, tiles = _computed(second, result, value, reverse1), (*tiles, *more)
    store(target, result, api)
    reduces = first.name if second is None and first.name in ASSOCIATIVE else ""
    issue(api, where, costs.elementwise(n), target, source, *tiles, reduces=reduces)


@api
def tensor_scalar_reduce(
    dst: Any,
    data: Any,
    op0: Any,
    operand0: Any,
    reduce_op: Any,
    reduce_res: Any,
    reverse0: bool = False,
    name: Any = None,
) -> None:
    """As tensor_scalar with one operator; reduce_res = each partition's results reduced."""
    api = "nki.isa.tensor_scalar_reduce"
    function, over = as_op(op0, api, "op0", "binary"), as_op(reduce_op, api, "reduce_op", "reduce")
    target, source, sums = tile(dst, api, "dst"), tile(data, api, "data"), tile(reduce_res, api, "reduce_res")
    p, n = same_shape(api, dst=target, data=source)
    if sums._flat() != (p, 1):
        fail("shape_mismatch", f"{api}: reduce_res {list(sums.shape)} must be [{p}, 1]")
    value, tiles = operand(operand0, p, api, "operand0")
    result = _computed(function, reals(source, api, "data"), value, reverse0)
    store(target, result, api)
    store(sums, over._reduce(result, axis=1), api)
    issue(api, "vector", costs.with_reduction(n), target, source, *tiles, also=(sums,))


@api
def scalar_tensor_tensor(
    dst: Any,
    data: Any,
    op0: Any,
    operand0: Any,
    op1: Any,
    operand1: Any,
    reverse0: bool = False,
    reverse1: bool = False,
    name: Any = None,
) -> None:
    """dst = (data op0 operand0) op1 operand1; operand0 as in tensor_scalar, operand1 a tile of data's shape."""
    api = "nki.isa.scalar_tensor_tensor"
    first, second = as_op(op0, api, "op0", "binary"), as_op(op1, api, "op1", "binary")
    target, source, other = tile(dst, api, "dst"), tile(data, api, "data"), tile(operand1, api, "operand1")
    not_both_in_psum(api, data=source, operand1=other)
    p, n = same_shape(api, dst=target, data=source, operand1=other)
    value, tiles = operand(operand0, p, api, "operand0")
    middle = _computed(first, reals(source, api, "data"), value, reverse0)
    store(target, _computed(second, middle, reals(other, api, "operand1"), reverse1), api)
    psum = (source.buffer == "psum") != (other.buffer == "psum")
    reduces = second.name if second.name in ASSOCIATIVE else ""
    issue(api, "vector", costs.two_operands(n, psum), target, source, other, *tiles, reduces=reduces)


@api
def tensor_tensor_scan(
    dst: Any,
    data0: Any,
    data1: Any,
    initial: Any,
    op0: Any,
    op1: Any,
    reverse0: bool = False,
    reverse1: bool = False,
    name: Any = None,
) -> None:
    """Per partition: dst[i] = op1(op0(data0[i], dst[i-1]), data1[i]), dst[-1] being `initial`."""
    api = "nki.isa.tensor_tensor_scan"
    first, second = as_op(op0, api, "op0", "binary"), as_op(op1, api, "op1", "binary")
    target, left, right = tile(dst, api, "dst"), tile(data0, api, "data0"), tile(data1, api, "data1")
    not_both_in_psum(api, data0=left, data1=right)
    p, n = same_shape(api, dst=target, data0=left, data1=right)
    state, tiles = operand(initial, p, api, "initial")
    state = np.broadcast_to(np.asarray(state, np.float32).reshape(-1), (p,))
    a, b = reals(left, api, "data0").T.copy(), reals(right, api, "data1").T.copy()
    result = np.empty((n, p), np.float32)
    for i in range(n):
        state = _computed(second, _computed(first, a[i], state, reverse0), b[i], reverse1)
        result[i] = state
    store(target, result.T, api)
    issue(api, "vector", costs.scan(n), target, left, right, *tiles)


@api
def tensor_reduce(
    dst: Any,
    op: Any,
    data: Any,
    axis: Any,
    negate: bool = False,
    keepdims: bool = False,
    engine: Any = None,
    name: Any = None,
) -> None:
    """Reduce the last free dimensions, those that `axis` names."""
    api = "nki.isa.tensor_reduce"
    function = as_op(op, api, "op", "reduce")
    target, source = tile(dst, api, "dst"), tile(data, api, "data")
    axes = sorted((axis,) if isinstance(axis, int) else tuple(axis))
    axes = [a + source.ndim if a < 0 else a for a in axes]
    if 0 in axes or axes != list(range(source.ndim - len(axes), source.ndim)):
        fail("wrong_argument", f"{api}: axis={axis!r} of data {list(source.shape)} must be the last free dimensions")
    left = source.size // int(np.prod([source.shape[a] for a in axes]))
    p, n = source._flat()
    if target._flat() != (p, left // p):
        fail("shape_mismatch", f"{api}: dst {list(target.shape)} must have {p} partitions of {left // p} elements")
    wide = bits if function._integer else reals
    values = wide(source, api, "data").reshape(source.shape)
    result = (
        function._reduce(values, axis=tuple(axes)) if not function._integer else _bitwise(function, values, len(axes))
    )
    store(target, -result if negate else result, api)
    fast = source.dtype is BF16 and function.name in ("add", "maximum")
    issue(api, on_engine(engine, api, ("vector", "gpsimd")), costs.reduction(n, fast), target, source)


def _bitwise(function: Op, values: np.ndarray, axes: int) -> np.ndarray:
    assert function._reduce is not None
    return function._reduce(values.reshape(*values.shape[: values.ndim - axes], -1), axis=-1)


def _affine(shape: tuple[int, ...], pattern: Any, offset: int, multiplier: int, api: str) -> np.ndarray:
    """offset + partition * multiplier + the pattern's steps, for each element."""
    try:
        steps = [(int(step), int(count)) for step, count in pattern]
    except (TypeError, ValueError):
        fail("wrong_argument", f"{api}: pattern={pattern!r} must be a list of [step, count]")
    counts = [count for _, count in steps]
    if int(np.prod(counts)) != int(np.prod(shape[1:])):
        fail("shape_mismatch", f"{api}: pattern {pattern!r} has {int(np.prod(counts))} elements, dst {list(shape)}")
    values = np.int64(offset) + np.arange(shape[0])[:, None] * multiplier
    free = np.zeros(1, np.int64)
    for step, count in steps:
        free = (free[:, None] + np.arange(count) * step).reshape(-1)
    return values + free


@api
def iota(dst: Any, pattern: Any, offset: int = 0, channel_multiplier: int = 0, name: Any = None) -> None:
    """dst = offset + partition * channel_multiplier + steps of the pattern."""
    api = "nki.isa.iota"
    target = tile(dst, api, "dst")
    store(target, _affine(target.shape, pattern, offset, channel_multiplier, api), api)
    issue(api, "gpsimd", costs.select(target._flat()[1]), target)


@api
def affine_select(
    dst: Any,
    pattern: Any,
    offset: int = 0,
    channel_multiplier: int = 0,
    on_true_tile: Any = None,
    on_false_value: Any = 0.0,
    cmp_op: Any = None,
    name: Any = None,
) -> None:
    """on_true_tile where cmp_op(affine value, 0) holds, else on_false_value."""
    api = "nki.isa.affine_select"
    compare = as_op(np.equal if cmp_op is None else cmp_op, api, "cmp_op", "binary")
    target, source = tile(dst, api, "dst"), tile(on_true_tile, api, "on_true_tile", ("sbuf",))
    p, n = same_shape(api, dst=target, on_true_tile=source)
    if isinstance(on_false_value, bool) or not isinstance(on_false_value, (int, float)):
        fail("wrong_argument", f"{api}: on_false_value={on_false_value!r} must be a number")
    holds = compare._binary(_affine(target.shape, pattern, offset, channel_multiplier, api), 0).reshape(p, n)
    store(target, np.where(holds != 0, reals(source, api, "on_true_tile"), np.float32(on_false_value)), api)
    issue(api, "gpsimd", costs.select(n), target, source)
