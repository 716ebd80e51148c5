"""The operators of nki.language: passed to instructions as `op`, or called on tiles."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import fail
from .sealed import unbroken

Array = np.ndarray


class Op:
    """`unary` is computed by the Scalar engine, `binary` by the Vector engine; either may be missing."""

    __slots__ = ("_binary", "_integer", "_reduce", "_unary", "name")

    def __init__(
        self,
        name: str,
        unary: Callable[..., Array] | None = None,
        binary: Callable[..., Array] | None = None,
        reduce: Callable[..., Array] | None = None,
        integer: bool = False,
    ) -> None:
        for field, value in (
            ("name", name), ("_unary", unary), ("_binary", binary), ("_reduce", reduce), ("_integer", integer),
        ):  # fmt: skip
            object.__setattr__(self, field, value)

    def __setattr__(self, name: str, value: object) -> None:
        fail("forbidden", f"nl.{self.name} cannot be changed")

    def __repr__(self) -> str:
        return f"nl.{self.name}"

    @unbroken
    def __call__(self, *operands: Any, dtype: Any = None, **more: Any) -> Any:
        from .language import apply

        return apply(self, operands, dtype, more)


def _gelu_tanh(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh(np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x**3)))


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


_SLOPE = np.float32(np.sqrt(2 / np.pi))
_erf_of = np.frompyfunc(math.erf, 1, 1)


def _erf(x: Array) -> Array:
    return np.asarray(_erf_of(x), np.float32)


def _erf_dx(x: Array) -> Array:
    return 2 / np.float32(np.sqrt(np.pi)) * np.exp(-np.square(x))


def _gelu(x: Array) -> Array:
    return 0.5 * x * (1 + _erf(x / np.float32(np.sqrt(2))))


def _gelu_dx(x: Array) -> Array:
    """Of the exact function: its distribution plus x times its density."""
    return 0.5 * (1 + _erf(x / np.float32(np.sqrt(2)))) + x * np.exp(-np.square(x) / 2) * _SLOPE / 2


def _gelu_sigmoid(x: Array) -> Array:
    return x * _sigmoid(np.float32(1.702) * x)


def _gelu_sigmoid_dx(x: Array) -> Array:
    s = _sigmoid(np.float32(1.702) * x)
    return s + np.float32(1.702) * x * s * (1 - s)


def _silu_dx(x: Array) -> Array:
    s = _sigmoid(x)
    return s + x * s * (1 - s)


def _of_data(function: Callable[[Array], Array]) -> Callable[[Array, Array], Array]:
    """As the operator of tensor_scalar, which takes an operand that the function has no use for."""

    def compute(data: Array, operand: Array) -> Array:
        if np.any(operand != 0):
            fail("wrong_argument", f"an operator of one operand goes with operand 0.0, not {operand!r}")
        return function(data)

    return compute


def _flag(compare: Callable[..., Array]) -> Callable[..., Array]:
    return lambda a, b: compare(a, b).astype(np.float32)


_BINARY = {
    "add": (np.add, np.add.reduce),
    "subtract": (np.subtract, None),
    "multiply": (np.multiply, np.multiply.reduce),
    "divide": (np.divide, None),
    "maximum": (np.maximum, np.maximum.reduce),
    "minimum": (np.minimum, np.minimum.reduce),
    "power": (np.power, None),
    **{
        name: (_flag(getattr(np, name)), None)
        for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
    },
    "logical_and": (_flag(np.logical_and), np.logical_and.reduce),
    "logical_or": (_flag(np.logical_or), np.logical_or.reduce),
    "logical_xor": (_flag(np.logical_xor), np.logical_xor.reduce),
}
_BITS = ("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift")
_UNARY: dict[str, Callable[[Array], Array]] = {
    "copy": lambda x: x,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "reciprocal": lambda x: 1 / x,
    "square": np.square,
    "abs": np.abs,
    "negative": np.negative,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "relu": lambda x: np.maximum(x, 0),
    "gelu_apprx_tanh": _gelu_tanh,
    "softplus": lambda x: np.logaddexp(x, 0),
    "sin": np.sin,
    "cos": np.cos,
    "sign": np.sign,
    "arctan": np.arctan,
    "erf": _erf,
    "erf_dx": _erf_dx,
    "gelu": _gelu,
    "gelu_dx": _gelu_dx,
    "gelu_apprx_sigmoid": _gelu_sigmoid,
    "gelu_apprx_sigmoid_dx": _gelu_sigmoid_dx,
    "silu_dx": _silu_dx,
    "mish": lambda x: x * np.tanh(np.logaddexp(x, 0)),
}
OPS: dict[str, Op] = {
    **{name: Op(name, binary=binary, reduce=reduce) for name, (binary, reduce) in _BINARY.items()},
    **{
        name: Op(
            name,
            binary=getattr(np, name),
            integer=True,
            reduce=getattr(np, name).reduce if name.startswith("bitwise") else None,
        )
        for name in _BITS
    },
    **{
        name: Op(name, unary=unary, binary=_of_data(unary) if name in ("rsqrt", "reciprocal", "abs") else None)
        for name, unary in _UNARY.items()
    },
}
OPS["max"], OPS["min"] = OPS["maximum"], OPS["minimum"]
ASSOCIATIVE = ("add", "multiply", "maximum", "minimum", "logical_and", "logical_or", "logical_xor",
               "bitwise_and", "bitwise_or", "bitwise_xor")  # fmt: skip
_OF_NUMPY = {id(getattr(np, name)): op for name, op in OPS.items() if hasattr(np, name) and name not in ("max", "min")}


def as_op(value: Any, api: str, argument: str, kind: str) -> Op:
    """`kind`: unary, binary or reduce."""
    op = value if isinstance(value, Op) else _OF_NUMPY.get(id(value))
    if op is None or getattr(op, f"_{kind}") is None:
        known = sorted(name for name, op in OPS.items() if getattr(op, f"_{kind}") is not None)
        fail("wrong_argument", f"{api}: {argument}={value!r} is no {kind} operator; there are: {', '.join(known)}")
    return op
