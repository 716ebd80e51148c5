"""neuronxcc.nki.language on tiles: each function is one instruction or a few, on the engine of the reference."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import isa as core
from .. import vector
from ..checks import api, not_taken
from ..dtypes import DTYPES, FLOAT32
from ..errors import fail
from . import isa
from .assign import shaped
from .indexing import where_holds
from .ops import COMPARING, OPS1, Op1
from .results import chosen_type, result_of, tile, to_sbuf
from .tensor import Tile


def apply(op: Op1, operands: tuple[Any, ...], dtype: Any, mask: Any, more: dict[str, Any]) -> Any:
    """nl.exp(x), nl.add(x, y): on numbers a number, on tiles an instruction."""
    name = f"nki.language.{op.name}"
    not_taken(name, **more)
    unary = op._unary is not None and len(operands) == 1
    if not unary and (op._binary is None or len(operands) != 2):
        wanted = "one operand" if op._binary is None else "two operands"
        fail("wrong_argument", f"{name}: takes {wanted}, got {len(operands)}")
    if all(isinstance(value, (int, float)) for value in operands):
        function = op._unary if unary else op._binary
        assert function is not None
        with np.errstate(all="ignore"):
            return float(function(*(np.float64(value) for value in operands)))
    if unary:
        return _unary(op, operands[0], dtype, mask)
    return operate(op, *operands, dtype=dtype, mask=mask)


def _unary(op: Op1, x: Any, dtype: Any, mask: Any) -> Tile:
    """Functions on the Scalar engine; copies, reciprocals and signs elsewhere."""
    if op.name == "copy":
        return isa.tensor_copy(x, mask=mask, dtype=dtype)
    if op.name == "reciprocal":
        return isa.reciprocal(x, mask=mask, dtype=dtype)
    if op.name == "negative":
        return isa.tensor_scalar(x, OPS1["multiply"], -1.0, mask=mask, dtype=dtype)
    if op.name == "logical_not":
        return isa.tensor_scalar(x, OPS1["equal"], 0.0, mask=mask, dtype=dtype or DTYPES["bool_"])
    return isa.activation(op, x, mask=mask, dtype=dtype)


def copy(x: Any, *, dtype: Any = None, mask: Any = None) -> Tile:
    return isa.tensor_copy(x, dtype=dtype, mask=mask)


def operate(op: str | Op1, x: Any, y: Any, *, dtype: Any = None, mask: Any = None, into: Tile | None = None) -> Tile:
    """x op y: with a number or one element per partition tensor_scalar, else tensor_tensor. `into`: its destination."""
    function = op if isinstance(op, Op1) else OPS1[op]
    name = f"nki.language.{function.name}"
    values = []
    for argument, value in (("x", x), ("y", y)):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            value = tile(value, name, argument)
        values.append(value)
    if into is None and dtype is None and function.name in COMPARING:
        dtype = DTYPES["bool_"]
    tiles = [value for value in values if isinstance(value, Tile)]
    shape = _shape(name, tiles)
    values = [_spread(value, shape, name) if isinstance(value, Tile) else value for value in values]
    kind = into.dtype if into is not None else chosen_type(dtype, name, *values)
    narrow_ones = [not isinstance(value, Tile) or _is_vector(value, shape) for value in values]
    if narrow_ones == [True, True]:
        narrow_ones = [not isinstance(value, Tile) for value in values]

    if narrow_ones == [False, False] and all(value.buffer == "psum" for value in values):
        values[1] = to_sbuf(values[1])  # as the compiler does: the engine reads one tile of PSUM at a time

    def run(dst: Any, a: Any, b: Any) -> None:
        if narrow_ones[1]:
            vector.tensor_scalar(dst, a, function, b)
        elif narrow_ones[0]:
            vector.tensor_scalar(dst, b, function, a, reverse0=True)
        else:
            vector.tensor_tensor(dst, shaped(a, dst.shape, name), shaped(b, dst.shape, name), function)

    if into is not None:
        where = where_holds(mask, into.shape, name)
        if where is not None:
            run(into, *values)
        return into
    return result_of(name, shape, kind, mask, values, run)


def _shape(name: str, tiles: list[Tile]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*(t.shape for t in tiles))
    except ValueError:
        given = " and ".join(repr(t) for t in tiles)
        fail("shape_mismatch", f"{name}: {given} do not fit: dimensions agree or are 1")


def _is_vector(value: Tile, shape: tuple[int, ...]) -> bool:
    return value._flat() == (shape[0], 1) and math.prod(shape) != value.size


def _spread(value: Tile, shape: tuple[int, ...], name: str) -> Tile:
    """One partition for all of them: a product with ones, whose result stays in PSUM."""
    if value.shape[0] == shape[0] or value.ndim != len(shape):
        return value
    wide = (shape[0], *value.shape[1:])
    if value._flat()[1] * value.dtype.itemsize > 16384:
        return isa.broadcast_tile(value, wide, name)
    return isa.spread(value, wide, name)


def reduce(op: Op1, x: Any, axis: Any = None, *, dtype: Any = None, mask: Any = None, keepdims: bool = False) -> Tile:
    """nl.sum and the like over free axes."""
    if axis is None:
        fail("wrong_argument", f"nki.language.{op.name}: axis is needed: the free axes to reduce")
    return isa.reduced(f"nki.language.{op.name}", op, x, axis, mask, dtype, False, keepdims)


@api
def mean(x: Any, axis: Any, *, dtype: Any = None, mask: Any = None, keepdims: bool = False) -> Tile:
    total = reduce(OPS1["sum"], x, axis, dtype=dtype, mask=mask, keepdims=keepdims)
    return isa.tensor_scalar(total, OPS1["multiply"], 1.0 / _count(x, axis), dtype=dtype)


def _count(x: Any, axis: Any) -> int:
    axes = (axis,) if isinstance(axis, int) else axis
    return math.prod(x.shape[a] for a in axes)


@api
def var(x: Any, axis: Any, *, dtype: Any = None, mask: Any = None) -> Tile:
    centre = mean(x, axis, mask=mask)
    squares = operate("power", operate("subtract", x, centre, mask=mask), 2.0, mask=mask)
    return mean(squares, axis, dtype=dtype, mask=mask)


@api
def all_(x: Any, axis: Any, *, dtype: Any = None, mask: Any = None) -> Tile:
    return isa.reduced("nki.language.all", OPS1["min"], x, axis, mask, dtype or DTYPES["bool_"], False, False)


@api
def softmax(x: Any, axis: Any, *, dtype: Any = None, compute_dtype: Any = None, mask: Any = None) -> Tile:
    """exp(x - max) over its sum: five instructions."""
    source = tile(x, "nki.language.softmax", "x")
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    low = isa.reduced("nki.language.softmax", OPS1["max"], source, axes, mask, FLOAT32, True, False)
    raised = isa.activation(OPS1["exp"], source, bias=low, mask=mask, dtype=compute_dtype or dtype)
    total = isa.reduced("nki.language.softmax", OPS1["sum"], raised, axes, mask, FLOAT32, False, False)
    return operate("multiply", raised, isa.reciprocal(total), dtype=dtype, mask=mask)


@api
def rms_norm(
    x: Any, w: Any, axis: Any, n: Any, epsilon: float = 1e-6, *, dtype: Any = None, compute_dtype: Any = None,
    mask: Any = None,
) -> Tile:  # fmt: skip
    """x / sqrt(mean of squares + epsilon) * w."""
    squares = isa.activation(OPS1["square"], x, mask=mask, dtype=FLOAT32)
    total = reduce(OPS1["sum"], squares, axis, mask=mask)
    scaled = isa.tensor_scalar(total, OPS1["multiply"], 1.0 / n, op1=OPS1["add"], operand1=epsilon, dtype=FLOAT32)
    normal = operate("multiply", x, isa.activation(OPS1["rsqrt"], scaled), dtype=dtype or compute_dtype, mask=mask)
    return operate("multiply", normal, w, dtype=dtype or compute_dtype, mask=mask)


@api
def where(condition: Any, x: Any, y: Any, *, dtype: Any = None, mask: Any = None) -> Tile:
    """x where condition is not 0, else y: a copy of y, and one of x under the predicate."""
    name = "nki.language.where"
    chooser = tile(condition, name, "condition")
    values = [v if isinstance(v, (int, float)) else tile(v, name, argument) for argument, v in (("x", x), ("y", y))]
    known = [v for v in values if isinstance(v, Tile)]
    kind = chosen_type(dtype, name, *(known or [FLOAT32 and chooser]))
    shape = _shape(name, [chooser, *known])
    chooser = shaped(chooser, shape, name)
    values = [shaped(v, shape, name) if isinstance(v, Tile) else v for v in values]

    def run(dst: Tile, held: Tile, true: Any, false: Any) -> None:
        if isinstance(false, Tile):
            core.tensor_copy(dst, false)
        else:
            core.memset(dst, false)
        predicated(dst, true, held, name)

    return result_of(name, shape, kind, mask, (chooser, *values), run)


def predicated(dst: Tile, src: Any, predicate: Tile, name: str, reverse: bool = False) -> None:
    """src into dst where the predicate is not 0; dst keeps the rest."""
    held = predicate._read(name, "predicate").astype(np.float32) != 0
    held = ~held if reverse else held
    values = src._read(name, "src") if isinstance(src, Tile) else np.float32(src)
    before = dst._values
    dst._write(name, np.where(held, np.asarray(values, np.float32), before.astype(np.float32)))
    sources = (src,) if isinstance(src, Tile) else ()
    from .. import costs

    psum = isinstance(src, Tile) and (src.buffer == "psum") != (predicate.buffer == "psum")
    core.issue(name, "vector", costs.two_operands(dst._flat()[1], psum), dst, *sources, predicate, dst)


@api
def matmul(x: Any, y: Any, *, transpose_x: bool = False, mask: Any = None) -> Tile:
    """x @ y, or x.T @ y; x is transposed by the Tensor engine first where it is not yet."""
    left = tile(x, "nki.language.matmul", "x")
    if not transpose_x:
        left = isa.nc_transpose(left, engine="pe", mask=None)
        left = tile(left, "nki.language.matmul", "x", ("sbuf",))
    return isa.nc_matmul(left, y, mask=mask)


@api
def transpose(x: Any, *, dtype: Any = None, mask: Any = None) -> Tile:
    return isa.nc_transpose(x, dtype=dtype, mask=mask)


@api
def broadcast_to(src: Any, *, shape: Any) -> Tile:
    name = "nki.language.broadcast_to"
    return isa.broadcast_tile(tile(src, name, "src"), tuple(int(n) for n in shape), name)


@api
def expand_dims(data: Any, axis: int) -> Tile:
    if not isinstance(data, Tile):
        fail("wrong_argument", f"nki.language.expand_dims: data must be a tile, not {type(data).__name__}")
    return data.expand_dims(axis)


@api
def tensor_copy_predicated(
    *, src: Any, dst: Any, predicate: Any, reverse_pred: bool = False, mask: Any = None, dtype: Any = None
) -> None:
    """nisa.tensor_copy_predicated: src, a tile or a number, into dst where the predicate holds."""
    from .indexing import Mask
    from .results import part_of

    name = "nki.isa.tensor_copy_predicated"
    target = tile(dst, name, "dst")
    if isinstance(predicate, Mask):
        fail("wrong_argument", f"{name}: predicate must be a tile, not a mask of index tiles")
    chooser = shaped(tile(predicate, name, "predicate"), target.shape, name)
    source = src if isinstance(src, (int, float)) else shaped(tile(src, name, "src"), target.shape, name)
    held = where_holds(mask, target.shape, name)
    if held is not None:
        parts = (part_of(value, held, target.shape) for value in (target, source, chooser))
        into, what, by = parts
        predicated(into, what, by, name, reverse_pred)
