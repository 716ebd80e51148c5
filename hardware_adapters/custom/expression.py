"""References as text: assignments of NumPy expressions, checked when read and worked out by an interpreter of our own.

Nothing is ever handed to `eval`: what is not named here does not exist. The module stands alone (it is also run by
reference_runner.py, in a process of its own), so it imports nothing of the package.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

Parser = Callable[[str], ast.Module]

MAX_CHARS = 4_000
MAX_NODES = 800
MAX_DEPTH = 60
MAX_INTEGER = 1 << 64  # Python's own integers; arrays have NumPy's types
MAX_EXPONENT = 64
MAX_TEXT = 60  # of the one string that makes sense: einsum's subscripts, or the mode of pad
EXACT = 1 << 53  # integers up to which float64 has no gaps

_FUNCTIONS = """
abs absolute add subtract multiply divide true_divide floor_divide mod remainder negative power square sqrt cbrt exp
exp2 expm1 log log2 log10 log1p sin cos tan tanh sinh cosh arctan arctan2 hypot maximum minimum fmax fmin clip where
rint round floor ceil trunc sign sum prod mean var std max min amax amin argmax argmin cumsum cumprod diff all any
isfinite isnan logical_and logical_or logical_not logical_xor equal not_equal less less_equal greater greater_equal
matmul dot vdot inner outer einsum tensordot trace transpose swapaxes moveaxis reshape ravel expand_dims squeeze
broadcast_to concatenate stack pad flip roll repeat tile tril triu diag diagonal eye zeros ones full arange
zeros_like ones_like full_like left_shift right_shift bitwise_and bitwise_or bitwise_xor sort cross kron linspace
array
"""
FUNCTIONS = frozenset(_FUNCTIONS.split())
_TYPES = """
bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64
"""
TYPES = frozenset(_TYPES.split())
CONSTANTS = frozenset(("pi", "e", "inf", "newaxis"))
_METHODS = """
astype sum prod mean var std max min argmax argmin cumsum all any clip round dot reshape ravel transpose swapaxes
squeeze diagonal trace repeat
"""
METHODS = frozenset(_METHODS.split())
PROPERTIES = frozenset(("T", "shape", "size", "ndim"))
_KEYWORDS = """
axis axes keepdims dtype mode constant_values decimals k shift ddof shape offset initial n m num endpoint
"""
KEYWORDS = frozenset(_KEYWORDS.split())
_OF_INTEGERS = (ast.Constant, ast.Name, ast.BinOp, ast.UnaryOp)
_CONSTANTS = (bool, int, float, str, type(None), type(...))
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow, ast.LShift: operator.lshift,
    ast.RShift: operator.rshift, ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor,
    ast.MatMult: operator.matmul,
}  # fmt: skip
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Invert: operator.invert,
}  # fmt: skip
_COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}  # fmt: skip


class ExpressionError(ValueError):
    """What is wrong, with the line where that is known."""

    def __init__(self, what: str, line: int | None = None) -> None:
        super().__init__(f"line {line}: {what}" if line is not None else what)
        self.what = what


class Program:
    """One checked text: `results` are worked out from arrays and integers by their names."""

    def __init__(self, steps: list[tuple[str, ast.expr]], results: tuple[str, ...]) -> None:
        self._steps = steps
        self._results = results

    def nodes(self) -> Iterator[ast.AST]:
        """Of all expressions."""
        for _, expression in self._steps:
            yield from ast.walk(expression)

    def run(self, names: Mapping[str, Any]) -> dict[str, Any]:
        """Every result by its name. Raises ExpressionError for what NumPy refuses."""
        known = dict(names)
        for name, expression in self._steps:
            known[name] = _value(expression, known)
        return {name: known[name] for name in self._results}


def parse(text: str, names: Collection[str], results: tuple[str, ...], parser: Parser = ast.parse) -> Program:
    """`names` may be used, every one of `results` must be assigned; a single result may be one bare expression.

    `parser`: another one where several threads parse (kernel_source.syntax_tree). Raises ExpressionError.
    """
    if len(text) > MAX_CHARS:
        raise ExpressionError(f"{len(text)} characters; at most {MAX_CHARS}")
    try:
        tree = parser(text.strip())
    except SyntaxError as error:
        raise ExpressionError(f"not an expression: {error.msg}", error.lineno) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ExpressionError(f"not an expression: {error or 'nested too deeply'}") from error
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
        raise ExpressionError(f"more than {MAX_NODES} names, numbers and operations")
    steps: list[tuple[str, ast.expr]] = []
    known = {*names}
    for statement in tree.body:
        name, expression = _assigned(statement, len(tree.body), results, names)
        _check(expression, known, 0)
        steps.append((name, expression))
        known.add(name)
    if missing := [name for name in results if name not in {name for name, _ in steps}]:
        raise ExpressionError(f"nothing is assigned to {missing[0]}: write `{missing[0]} = …`")
    return Program(steps, results)


def parse_integer(text: str, names: Mapping[str, int], parser: Parser = ast.parse) -> int:
    """A whole number of integers by name, e.g. `M * N * K`; `parser` as of `parse`. Raises ExpressionError.

    It runs in the caller's own process, so nothing that makes arrays is known here.
    """
    program = parse(text, names, ("value",), parser)
    for node in program.nodes():
        if isinstance(node, ast.expr) and not isinstance(node, _OF_INTEGERS):
            raise ExpressionError(
                f"{type(node).__name__} is not known here: only names, numbers and operators", node.lineno
            )
    value = program.run(names)["value"]
    if isinstance(value, bool) or not isinstance(value, int):
        raise ExpressionError(f"{text.strip()!r} is no whole number, but {type(value).__name__}")
    return value


def _assigned(
    statement: ast.stmt, statements: int, results: tuple[str, ...], names: Collection[str]
) -> tuple[str, ast.expr]:
    if isinstance(statement, ast.Expr) and statements == 1 and len(results) == 1:
        return results[0], statement.value
    line = statement.lineno
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        raise ExpressionError("only `name = expression` is known here", line)
    target = statement.targets[0]
    if not isinstance(target, ast.Name):
        raise ExpressionError("only plain names can be assigned to", line)
    if target.id in names or target.id == "np" or target.id.startswith("_") or not target.id.isascii():
        raise ExpressionError(f"{target.id!r} cannot be assigned to: it has a meaning, or is no plain name", line)
    return target.id, statement.value


def _check(node: ast.AST | None, known: Collection[str], depth: int) -> None:
    """Raises ExpressionError for whatever `_value` would not work out."""
    if node is None:
        return
    line = getattr(node, "lineno", None)
    if depth > MAX_DEPTH:
        raise ExpressionError(f"nested more than {MAX_DEPTH} deep", line)
    match node:
        case ast.Constant(value=value):
            if not isinstance(value, _CONSTANTS):
                raise ExpressionError(f"{type(value).__name__} {value!r} is not known here", line)
            if isinstance(value, int) and abs(value) > MAX_INTEGER:
                raise ExpressionError("a number beyond 2^64", line)
            if isinstance(value, str) and len(value) > MAX_TEXT:
                raise ExpressionError(f"a text of more than {MAX_TEXT} characters", line)
        case ast.Name(id=name):
            if name not in known:
                raise ExpressionError(f"unknown name {name!r}; known: {', '.join(sorted(known))}, np", line)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            _check(left, known, depth + 1)
            _check(right, known, depth + 1)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            _check(operand, known, depth + 1)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARED:
            _check(left, known, depth + 1)
            _check(right, known, depth + 1)
        case ast.Subscript(value=value, slice=index):
            _check(value, known, depth + 1)
            _check(index, known, depth + 1)
        case ast.Slice(lower=lower, upper=upper, step=step):
            for part in (lower, upper, step):
                _check(part, known, depth + 1)
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            for part in parts:
                _check(part, known, depth + 1)
        case ast.Attribute(value=value, attr=name):
            _check_attribute(value, name, known, depth, line)
        case ast.Call(func=function, args=arguments, keywords=keywords):
            _check_function(function, known, depth)
            for keyword in keywords:
                if keyword.arg not in KEYWORDS:
                    raise ExpressionError(f"argument {keyword.arg or '**'!r} is not known here", line)
            for part in (*arguments, *(keyword.value for keyword in keywords)):
                _check(part, known, depth + 1)
        case _:
            raise ExpressionError(
                f"{type(node).__name__} is not known here: only operators, indices and np functions", line
            )


def _is_numpy(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("np", "numpy")


def _check_attribute(value: ast.expr, name: str, known: Collection[str], depth: int, line: int | None) -> None:
    if _is_numpy(value):
        if name not in TYPES | CONSTANTS:
            called = ", which must be called" if name in FUNCTIONS else " is not known here"
            raise ExpressionError(f"np.{name}{called}", line)
        return
    if name not in PROPERTIES:
        raise ExpressionError(
            f".{name} is not known here; known: .T, .shape, .astype(np.int32), .sum() and the like", line
        )
    _check(value, known, depth + 1)


def _check_function(function: ast.expr, known: Collection[str], depth: int) -> None:
    line = getattr(function, "lineno", None)
    if not isinstance(function, ast.Attribute):
        what = repr(function.id) if isinstance(function, ast.Name) else type(function).__name__
        raise ExpressionError(f"{what} cannot be called: only np functions, e.g. np.clip(…)", line)
    if _is_numpy(function.value):
        if function.attr not in FUNCTIONS | TYPES:
            raise ExpressionError(f"np.{function.attr} is not known here", line)
        return
    if function.attr not in METHODS:
        raise ExpressionError(f".{function.attr}(…) is not known here", line)
    _check(function.value, known, depth + 1)


# ---------------------------------------------------------------- working out


def _value(node: ast.expr, known: Mapping[str, Any]) -> Any:
    """Of a node that `_check` has passed."""
    line = getattr(node, "lineno", None)
    try:
        value = _worked_out(node, known)
    except ExpressionError:
        raise
    except MemoryError as error:
        raise ExpressionError("an array too large for memory", line) from error
    except Exception as error:  # whatever NumPy has against the operands
        raise ExpressionError(f"{type(error).__name__}: {str(error)[:300]}", line) from error
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise ExpressionError("a number beyond 2^64", line)
    return value


def _worked_out(node: ast.AST, known: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return known[name]
        case ast.BinOp(left=left, op=op, right=right):
            return _combined(op, _value(left, known), _value(right, known))
        case ast.UnaryOp(op=op, operand=operand):
            return _UNARY[type(op)](_value(operand, known))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _COMPARED[type(op)](_value(left, known), _value(right, known))
        case ast.Subscript(value=value, slice=index):
            return _value(value, known)[_index(index, known)]
        case ast.Tuple(elts=parts):
            return tuple(_value(part, known) for part in parts)
        case ast.List(elts=parts):
            return [_value(part, known) for part in parts]
        case ast.Attribute(value=value, attr=name):
            return _numpy(name) if _is_numpy(value) else _property(_value(value, known), name)
        case ast.Call(func=ast.Attribute(value=value, attr=name), args=arguments, keywords=keywords):
            given = [_value(part, known) for part in arguments]
            named = {str(keyword.arg): _value(keyword.value, known) for keyword in keywords}
            if _is_numpy(value):
                return _called(name, given, named)
            return _method(_value(value, known), name, given, named)
    raise ExpressionError(f"{type(node).__name__} is not known here")


def _index(node: ast.expr, known: Mapping[str, Any]) -> Any:
    match node:
        case ast.Slice(lower=lower, upper=upper, step=step):
            return slice(*(None if part is None else _value(part, known) for part in (lower, upper, step)))
        case ast.Tuple(elts=parts):
            return tuple(_index(part, known) for part in parts)
        case _:
            return _value(node, known)


def _combined(op: ast.operator, left: Any, right: Any) -> Any:
    if isinstance(op, ast.MatMult):
        return _product("matmul", [left, right], {})
    if any(isinstance(side, str | list | tuple) for side in (left, right)):
        raise ExpressionError("texts and lists are no numbers")
    if isinstance(op, ast.Pow | ast.LShift) and isinstance(right, int) and abs(right) > MAX_EXPONENT:
        raise ExpressionError(f"an exponent or shift beyond {MAX_EXPONENT}")
    return _BINARY[type(op)](left, right)


def _numpy(name: str) -> Any:
    import numpy as np

    return getattr(np, name)  # `_check` has passed the name: a type or a constant


def _property(value: Any, name: str) -> Any:
    import numpy as np

    return getattr(np.asarray(value), name)


def _method(value: Any, name: str, given: list[Any], named: dict[str, Any]) -> Any:
    import numpy as np

    array = np.asarray(value)
    if name == "dot":
        return _called("dot", [array, *given], named)
    if name == "astype" and (len(given) != 1 or not isinstance(given[0], type)):
        raise ExpressionError("astype takes one of NumPy's types, e.g. np.int32")
    _check_arguments(name, given, named)
    return getattr(array, name)(*given, **named)


def _called(name: str, given: list[Any], named: dict[str, Any]) -> Any:
    import numpy as np

    _check_arguments(name, given, named)
    if name in ("matmul", "dot"):
        return _product(name, given, named)
    return getattr(np, name)(*given, **named)


def _check_arguments(name: str, given: list[Any], named: dict[str, Any]) -> None:
    if any(isinstance(value, str) for value in (*given, *named.values())) and name not in ("einsum", "pad"):
        raise ExpressionError(f"{name} takes no text")


def _product(name: str, given: list[Any], named: dict[str, Any]) -> Any:
    """Of integers by way of float64, where that is exact: NumPy multiplies matrices of integers very slowly."""
    import numpy as np

    function = getattr(np, name)
    if len(given) != 2 or named:
        return function(*given, **named)
    one, other = (np.asarray(side) for side in given)
    if not all(np.issubdtype(side.dtype, np.integer) and side.ndim for side in (one, other)):
        return function(one, other)
    depth = one.shape[-1]
    largest = [max(abs(int(x)) for x in (side.min(initial=0), side.max(initial=0))) for side in (one, other)]
    if largest[0] * largest[1] * depth >= EXACT:
        return function(one, other)
    kind = np.result_type(one, other)
    return function(one.astype(np.float64), other.astype(np.float64)).astype(np.int64).astype(kind)
