"""nki.language: functions on whole tiles, each of one or a few instructions, that give a new tile in SBUF."""

from __future__ import annotations

from typing import Any

from . import selection, vector
from .checks import api, tile
from .dtypes import DTYPES, as_dtype
from .errors import fail
from .isa import memset, tensor_copy
from .ops import OPS, Op
from .tensor import HBM, ON_CHIP, Tensor, allocate


def _reduced(where: str, op: Op, x: Any, axis: Any, dtype: Any, keepdims: Any) -> Tensor:
    source = tile(x, where, "x")
    axes = {a + source.ndim if a < 0 else a for a in ((axis,) if isinstance(axis, int) else tuple(axis))}
    shape = [1 if at in axes else n for at, n in enumerate(source.shape) if keepdims or at not in axes]
    kind = source.dtype if dtype is None else as_dtype(dtype, where)
    target = allocate(where, shape or [1], kind, "sbuf", op.name)
    vector.tensor_reduce(target, op, source, axis)
    return target


class Reduction(Op):
    """nl.max and the like: an operator where one is asked for, and a function of a tile and its axes."""

    __slots__ = ()

    def __call__(self, x: Any, axis: Any = None, dtype: Any = None, keepdims: Any = False, **more: Any) -> Any:
        where = f"nki.language.{ {'maximum': 'max', 'minimum': 'min', 'add': 'sum', 'multiply': 'prod'}[self.name] }"
        if more:
            fail("unsupported", f"unsupported API: {where}({', '.join(more)}=...)")
        return _reduced(where, self, x, axis, dtype, keepdims)


def _reduction(name: str) -> Reduction:
    op = OPS[name]
    return Reduction(name, op._unary, op._binary, op._reduce)


@api
def mean(x: Any, axis: Any, dtype: Any = None, keepdims: Any = False) -> Tensor:
    where = "nki.language.mean"
    source = tile(x, where, "x")
    sums = _reduced(where, OPS["add"], source, axis, "float32", keepdims)
    kind = source.dtype if dtype is None else as_dtype(dtype, where)
    target = allocate(where, sums.shape, kind, "sbuf", "mean")
    vector.tensor_scalar(target, sums, OPS["multiply"], sums.size / source.size)
    return target


@api
def where(condition: Any, x: Any, y: Any, dtype: Any = None) -> Tensor:
    """x where the condition is not 0, else y; both tiles, or numbers."""
    name = "nki.language.where"
    flags = tile(condition, name, "condition")
    given = [value for value in (x, y) if isinstance(value, Tensor)]
    kind = as_dtype(dtype, name) if dtype is not None else (given[0] if given else flags).dtype
    target = allocate(name, flags.shape, kind, "sbuf", "where")
    chosen = allocate(name, flags.shape, DTYPES["uint8"], "sbuf", "condition")
    vector.tensor_scalar(chosen, flags, OPS["not_equal"], 0.0)
    _filled(target, y)
    source = x
    if isinstance(x, Tensor) and x.dtype is not kind:
        source = allocate(name, flags.shape, kind, "sbuf", "x")
        tensor_copy(source, x)
    selection.tensor_copy_predicated(target, source, chosen)
    return target


def _filled(target: Tensor, value: Any) -> None:
    if isinstance(value, Tensor):
        tensor_copy(target, value)
    else:
        memset(target, value)


@api
def empty_like(x: Any, dtype: Any = None, buffer: Any = None, name: Any = None) -> Tensor:
    where_ = "nki.language.empty_like"
    if not isinstance(x, Tensor):
        fail("wrong_argument", f"{where_}: x must be a tensor, not {type(x).__name__}")
    space = buffer or "sbuf"
    if space not in (*ON_CHIP, *HBM):
        fail("wrong_argument", f"{where_}: buffer={buffer!r} is no memory")
    kind = x.dtype if dtype is None else as_dtype(dtype, where_)
    return allocate(where_, x.shape, kind, space, name or space)


@api
def zeros_like(x: Any, dtype: Any = None, buffer: Any = None, name: Any = None) -> Tensor:
    target = empty_like(x, dtype, buffer, name)
    memset(target, 0)
    return target


@api
def expand_dims(x: Any, axis: int) -> Tensor:
    source = tile(x, "nki.language.expand_dims", "x")
    return source.expand_dim(axis + source.ndim + 1 if axis < 0 else axis)


@api
def is_sbuf(buffer: Any) -> bool:
    return buffer == "sbuf"


@api
def is_psum(buffer: Any) -> bool:
    return buffer == "psum"


@api
def is_on_chip(buffer: Any) -> bool:
    return buffer in ON_CHIP


@api
def is_hbm(buffer: Any) -> bool:
    return buffer in HBM


NAMES: dict[str, Any] = {
    "max": _reduction("maximum"),
    "min": _reduction("minimum"),
    "sum": _reduction("add"),
    "prod": _reduction("multiply"),
    **{
        function.__name__: function
        for function in (mean, where, empty_like, zeros_like, expand_dims, is_sbuf, is_psum, is_on_chip, is_hbm)
    },
}
