"""The operators of neuronxcc.nki.language: instructions when called on tiles, and the `op` of instructions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..ops import OPS, Array, Op
from ..sealed import unbroken

_erf = np.vectorize(math.erf, otypes=[np.float32])


class Op1(Op):
    """Called on tiles it is an instruction."""

    __slots__ = ()

    @unbroken
    def __call__(self, *operands: Any, dtype: Any = None, mask: Any = None, **more: Any) -> Any:
        from .language import apply

        return apply(self, operands, dtype, mask, more)


class Reduction(Op1):
    """nl.sum, nl.max and the like: called with a tile and its free axes."""

    __slots__ = ()

    @unbroken
    def __call__(self, *operands: Any, dtype: Any = None, mask: Any = None, **more: Any) -> Any:
        from .language import reduce

        return reduce(self, *operands, dtype=dtype, mask=mask, **more)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _gelu(x: Array) -> Array:
    return x * 0.5 * (1 + _erf(x * np.float32(math.sqrt(0.5))))


def _normal(x: Array) -> Array:
    return np.exp(-x * x / 2) * np.float32(1 / math.sqrt(2 * math.pi))


_UNARY: dict[str, Callable[[Array], Array]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "tan": np.tan,
    "arctan": np.arctan,
    "erf": _erf,
    "erf_dx": lambda x: np.exp(-x * x) * np.float32(2 / math.sqrt(math.pi)),
    "gelu": _gelu,
    "gelu_apprx_sigmoid": lambda x: x * _sigmoid(np.float32(1.702) * x),
    "gelu_dx": lambda x: 0.5 * (1 + _erf(x * np.float32(math.sqrt(0.5)))) + x * _normal(x),
    "silu_dx": lambda x: _sigmoid(x) * (1 + x * (1 - _sigmoid(x))),
    "mish": lambda x: x * np.tanh(np.logaddexp(x, 0)),
    "logical_not": lambda x: (x == 0).astype(np.float32),
}
_BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "mod": np.mod,
    "fmod": np.fmod,
    "logical_xor": lambda a, b: ((a != 0) ^ (b != 0)).astype(np.float32),
}
COMPARING = (
    "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and", "logical_or", "logical_xor",
    "logical_not",
)  # fmt: skip


def _of(op: Op, kind: type[Op1] = Op1) -> Op1:
    return kind(op.name, op._unary, op._binary, op._reduce, op._integer)


_REDUCTIONS = {"max": "maximum", "min": "minimum", "sum": "add", "prod": "multiply"}
OPS1: dict[str, Op1] = {
    **{name: _of(op) for name, op in OPS.items() if name not in _REDUCTIONS},
    **{name: Op1(name, unary=unary) for name, unary in _UNARY.items() if name not in OPS},
    **{name: Op1(name, binary=binary) for name, binary in _BINARY.items() if name not in OPS},
    **{name: _of(OPS[op], Reduction) for name, op in _REDUCTIONS.items()},
}
OPS1["abs"] = OPS1["absolute"] = _of(OPS["abs"])
