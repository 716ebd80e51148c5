"""The modules that a kernel can import, and what of Python it has: everything else does not exist for it."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from . import access, dma, gather, isa, language, registers, selection, statistics, tiles, vector
from .dtypes import DTYPES
from .errors import fail
from .ops import OPS
from .sealed import Enum, Hint, IntEnum, Sealed


def _sealed(path: str, value: Any) -> Any:
    if isinstance(value, Sealed):
        return Sealed(value._function, path)
    return Sealed(value, path) if isinstance(value, types.FunctionType) else value


class Namespace:
    """Names that cannot be changed. What is not there is an unsupported API."""

    __slots__ = ("_names", "_path")

    def __init__(self, path: str, names: Mapping[str, Any]) -> None:
        object.__setattr__(self, "_path", path)
        object.__setattr__(self, "_names", {name: _sealed(f"{path}.{name}", value) for name, value in names.items()})

    def __getattr__(self, name: str) -> Any:
        if name in self._names:
            return self._names[name]
        if name.startswith("__"):
            raise AttributeError(name)
        fail("unsupported", f"unsupported API: {self._path}.{name}")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        fail("forbidden", f"{self._path}.{name} cannot be changed")

    __delattr__ = __setattr__  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<module {self._path}>"


def jit(function: Any = None, **options: Any) -> Any:
    """Marks a kernel; called with options it returns the decorator."""
    if function is None:
        return _JIT
    if not callable(function):
        fail("wrong_argument", f"nki.jit decorates functions, not {type(function).__name__}")
    kernels.append(function)
    return function


_JIT = Sealed(jit, "nki.jit")
LOADED = (access,)  # asked for by views while nothing can be imported any more
kernels: list[Any] = []  # those that `jit` marked since `forget_kernels`

_ISA = {
    name: getattr(module, name)
    for module, names in (
        (isa, ("tensor_copy", "memset", "nc_matmul", "nc_transpose", "activation", "activation_reduce", "reciprocal")),
        (dma, ("dma_copy", "dma_transpose", "dma_compute")),
        (vector, ("tensor_tensor", "tensor_scalar", "tensor_scalar_reduce", "scalar_tensor_tensor",
                  "tensor_tensor_scan", "tensor_reduce", "iota", "affine_select")),
        (gather, ("nc_n_gather", "local_gather", "nc_stream_shuffle", "tensor_partition_reduce")),
        (selection, ("tensor_copy_predicated", "select_reduce", "range_select", "max8", "nc_find_index8",
                     "nc_match_replace8", "nonzero_with_count")),
        (statistics, ("bn_stats", "bn_aggr", "tensor_scalar_cumulative", "exponential")),
        (registers, ("register_alloc", "register_move", "register_load", "register_store")),
        (language, ("get_nc_version", "core_barrier")),
    )
    for name in names
}  # fmt: skip
_ENGINES = {
    "tensor": "pe", "vector": "vector", "scalar": "scalar", "gpsimd": "gpsimd", "dma": "dma", "sync": "sync",
    "unknown": None,
}  # fmt: skip
_NUMPY_FUNCTIONS = ("ceil", "floor", "sqrt", "log2", "prod", "inf", "pi", "e")
_NUMPY_OPS = tuple(name for name in OPS if hasattr(np, name) and name not in ("max", "min", "abs", "copy"))
_TYPING = (
    "Any",
    "Callable",
    "Dict",
    "Iterable",
    "List",
    "Literal",
    "Mapping",
    "Optional",
    "Sequence",
    "Tuple",
    "Union",
)


def _number(function: Any, name: str) -> Any:
    """A NumPy function on numbers, which gives a plain number."""
    if not callable(function):
        return function

    def call(value: Any) -> Any:
        values = value if isinstance(value, (list, tuple)) else (value,)
        if not all(isinstance(each, (int, float)) for each in values):
            fail("wrong_argument", f"numpy.{name}: in a kernel it takes numbers only")
        return np.asarray(function(value)).item()

    return call


def _enum(path: str, names: tuple[str, ...]) -> Namespace:
    return Namespace(path, {name: name for name in names})


_ENUMS = {
    "reduce_cmd": _enum("nki.isa.reduce_cmd", statistics.COMMANDS),
    "dge_mode": _enum("nki.isa.dge_mode", dma.DGE_MODES),
    "oob_mode": _enum("nki.isa.oob_mode", ("error", "skip")),
    "matmul_perf_mode": _enum("nki.isa.matmul_perf_mode", isa.PERF_MODES),
    "nc_version": Namespace("nki.isa.nc_version", {f"gen{n}": n for n in (2, 3, 4)}),
}
_nki_isa = Namespace(
    "nki.isa",
    {
        **_ISA,
        "engine": Namespace("nki.isa.engine", _ENGINES),
        **{f"{name}_engine": engine for name, engine in _ENGINES.items() if engine},
        **_ENUMS,
        "constants": Namespace("nki.isa.constants", {**_ENUMS, "engine": Namespace("nki.isa.engine", _ENGINES)}),
    },
)
_nki_language = Namespace(
    "nki.language",
    {**language.NAMES, **OPS, **tiles.NAMES, "tile_size": Namespace("nki.language.tile_size", language.TILE_SIZES)},
)
MODULES: dict[str, Any] = {
    "nki": Namespace("nki", {"jit": jit, "isa": _nki_isa, "language": _nki_language, "dtype": language.Annotation}),
    "nki.isa": _nki_isa,
    "nki.language": _nki_language,
    "math": Namespace("math", {name: getattr(math, name) for name in dir(math) if not name.startswith("_")}),
    "itertools": Namespace(
        "itertools", {name: getattr(itertools, name) for name in dir(itertools) if not name.startswith("_")}
    ),
    # Not wraps and update_wrapper: they copy attributes by name.
    "functools": Namespace(
        "functools", {name: getattr(functools, name) for name in ("reduce", "partial", "lru_cache", "cache")}
    ),
    # Not get_type_hints: it evaluates texts.
    "typing": Namespace("typing", {name: Hint(getattr(typing, name)) for name in _TYPING}),
    "dataclasses": Namespace("dataclasses", {"dataclass": dataclasses.dataclass, "field": dataclasses.field}),
    "numpy": Namespace(
        "numpy",
        {
            **{name: dtype for name, dtype in DTYPES.items() if not name.startswith(("b", "float8"))},
            **{name: OPS[name] for name in _NUMPY_OPS},  # not NumPy's own: these make arrays and keep attributes
            **{name: _number(getattr(np, name), name) for name in _NUMPY_FUNCTIONS},
        },
    ),
    "enum": Namespace("enum", {"Enum": Enum, "IntEnum": IntEnum}),
    "__future__": Namespace("__future__", {"annotations": None}),
}
IMPORTABLE = tuple(name for name in MODULES if not name.startswith("_"))


def import_module(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    """The kernel's `import`."""
    if name.split(".")[0] == "neuronxcc":
        fail("wrong_argument", f"import of {name!r}: a kernel is written in NKI 1 or in NKI 2 (nki), not both")
    if level or name not in MODULES:
        fail("forbidden", f"import of {name!r}; a kernel can import {', '.join(IMPORTABLE)}")
    return MODULES[name] if fromlist else MODULES[name.split(".")[0]]


def _silent(*values: Any, **options: Any) -> None:
    """print: what a kernel says reaches nobody."""


BUILTINS = [
    "abs",
    "all",
    "any",
    "bool",
    "dict",
    "divmod",
    "enumerate",
    "filter",
    "float",
    "frozenset",
    "int",
    "isinstance",
    "len",
    "list",
    "map",
    "max",
    "min",
    "pow",
    "range",
    "repr",
    "reversed",
    "round",
    "set",
    "slice",
    "sorted",
    "str",
    "sum",
    "tuple",
    "zip",
    "True",
    "False",
    "None",
    "Exception",
    "ValueError",
    "TypeError",
    "AssertionError",
    "RuntimeError",
    "IndexError",
    "KeyError",
    "ZeroDivisionError",
    "ImportError",
    "NotImplementedError",
    "ArithmeticError",
    "AttributeError",
    "StopIteration",
    "OverflowError",
    "staticmethod",
    "classmethod",
    "callable",
    "iter",
    "next",
    "object",
    "property",
    "NotImplemented",
    "Ellipsis",
]


def plain_names(modules: Mapping[str, Any]) -> dict[str, list[str]]:
    """Of Python's own modules and NumPy, the names that a kernel has."""
    plain = {name: module for name, module in modules.items() if name.split(".")[0] not in ("nki", "neuronxcc")}
    return {name: sorted(module._names) for name, module in plain.items()}


def kernel_globals(importer: Any = import_module) -> dict[str, Any]:
    """A fresh name space for a kernel's module."""
    builtins = vars(__import__("builtins"))
    kept = {name: builtins[name] for name in BUILTINS}
    kept |= {"__import__": importer, "__build_class__": builtins["__build_class__"], "print": Sealed(_silent, "print")}
    return {"__builtins__": kept, "__name__": "kernel"}
