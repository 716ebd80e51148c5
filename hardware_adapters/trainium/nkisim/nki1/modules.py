"""The modules of NKI 1 that a kernel can import."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from .. import modules as core
from ..dtypes import DTYPES, FLOAT32, as_dtype
from ..errors import fail
from ..language import BUFFERS, TILE_SIZES
from ..machine import current
from ..modules import Namespace
from ..sealed import Sealed
from . import constants, isa, language, loops, memory, programs, statistics
from .indexing import MeshGrid, arange
from .ops import OPS1
from .placing import COMPILER

ROOT = "neuronxcc"
RESERVED_SBUF_BYTES = 16384  # of each partition, for the compiler


def jit(function: Any = None, **options: Any) -> Any:
    """Marks a kernel; called with options (mode, platform_target, ...) it returns the decorator."""
    if function is None:
        return _JIT
    if not callable(function):
        fail("wrong_argument", f"nki.jit decorates functions, not {type(function).__name__}")
    kernel = programs.Kernel(function)
    core.kernels.append(kernel)
    return kernel


_JIT = Sealed(jit, "nki.jit")


class TensorType:
    """nki.tensor, as an annotation: nt.tensor, nt.tensor[128, 512]."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> TensorType:
        return self

    def __or__(self, other: Any) -> TensorType:
        return self

    __ror__ = __or__


def ds(start: Any, size: Any) -> Any:
    """The slice from `start` on of this size; from an index tile on, an index tile."""
    if isinstance(start, int) and isinstance(size, int):
        return slice(start, start + size)
    fail("wrong_argument", f"nki.language.ds: start={start!r} and size={size!r} must be integers")


class _TileSizes(Namespace):
    """total_available_sbuf_size depends on the machine."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name == "total_available_sbuf_size":
            return current("nki.language.tile_size").limits.sbuf - RESERVED_SBUF_BYTES
        return super().__getattr__(name)


_ENGINES = {"tensor": "pe", "vector": "vector", "scalar": "scalar", "gpsimd": "gpsimd", "unknown": "unknown"}
_ISA = (
    "nc_matmul", "nc_transpose", "activation", "activation_reduce", "tensor_copy", "memset", "reciprocal",
    "tensor_tensor", "tensor_scalar", "tensor_scalar_reduce", "scalar_tensor_tensor", "tensor_tensor_scan",
    "tensor_reduce", "iota", "affine_select",
)  # fmt: skip
_constants = {
    "engine": Namespace("neuronxcc.nki.isa.engine", _ENGINES),
    "oob_mode": Namespace("neuronxcc.nki.isa.oob_mode", {"error": "error", "skip": "skip"}),
    "dge_mode": Namespace("neuronxcc.nki.isa.dge_mode", {name: name for name in ("unknown", "none", "swdge", "hwdge")}),
    "reduce_cmd": Namespace(
        "neuronxcc.nki.isa.reduce_cmd", {name: name for name in ("idle", "reset", "reduce", "reset_reduce")}
    ),
}
_generations = Namespace("neuronxcc.nki.isa.nc_version", {"gen2": 2, "gen3": 3, "gen4": 4})


def get_nc_version() -> int:
    """The generation of the machine: nisa.nc_version.gen2 on trn1."""
    return current("nki.isa.get_nc_version").limits.generation


_nki_isa = Namespace(
    "neuronxcc.nki.isa",
    {
        **{name: getattr(isa, name) for name in _ISA},
        "dma_copy": memory.dma_copy,
        "bn_stats": statistics.bn_stats,
        "bn_aggr": statistics.bn_aggr,
        "get_nc_version": get_nc_version,
        "nc_version": _generations,
        "tensor_copy_predicated": language.tensor_copy_predicated,
        **_constants,
        **{f"{name}_engine": engine for name, engine in _ENGINES.items()},
        "constants": Namespace("neuronxcc.nki.isa.constants", _constants),
    },
)


def sizeinbytes(dtype: Any) -> int:
    return as_dtype(dtype, "neuronxcc.nki.language.constants.sizeinbytes").itemsize


_language_constants = Namespace("neuronxcc.nki.language.constants", {"sizeinbytes": sizeinbytes})
_tensor = TensorType()
_nki_language = Namespace(
    "neuronxcc.nki.language",
    {
        **DTYPES,
        "float8_e4m3fn": DTYPES["float8_e4m3"],
        "tfloat32": FLOAT32,
        **{name: name for name in BUFFERS},
        **OPS1,
        **{
            name: getattr(memory, name)
            for name in (
                "ndarray", "full", "zeros", "ones", "zeros_like", "empty_like", "par_dim", "load", "store",
                "load_transpose2d",
            )
        },
        **{
            name: getattr(language, name)
            for name in (
                "mean", "var", "softmax", "rms_norm", "where", "matmul", "transpose", "broadcast_to", "expand_dims",
            )
        },
        **{name: getattr(programs, name) for name in ("program_id", "num_programs", "program_ndim")},
        "affine_range": loops.affine_range,
        **{name: loops.plain_range for name in ("sequential_range", "static_range")},
        "all": language.all_,
        "arange": arange,
        "mgrid": MeshGrid(),
        "ds": ds,
        "fp32": Namespace("neuronxcc.nki.language.fp32", {"min": -3.4028235e38}),
        "shared_constant": constants.shared_constant,
        "shared_identity_matrix": constants.shared_identity_matrix,
        "constants": _language_constants,
        "tile_size": _TileSizes(
            "neuronxcc.nki.language.tile_size", {**TILE_SIZES, "bn_stats_fmax": statistics.STATISTICS_MAX}
        ),
        "tensor": _tensor,
    },
)  # fmt: skip
_nki_typing = Namespace("neuronxcc.nki.typing", {"tensor": _tensor})
_nki = Namespace(
    "neuronxcc.nki",
    {
        "jit": jit, "baremetal": jit, "benchmark": jit, "isa": _nki_isa, "language": _nki_language,
        "typing": _nki_typing,
        "compiler": COMPILER, "tensor": _tensor,
    },
)  # fmt: skip
_numpy_functions = ("ceil", "floor", "sqrt", "log2", "prod", "inf", "pi", "e", "nan")
_numpy = Namespace(
    "numpy",
    {
        **{name: dtype for name, dtype in DTYPES.items() if not name.startswith(("bf", "float8"))},
        **{name: op for name, op in OPS1.items() if hasattr(np, name) and name not in ("copy", "prod")},
        **{name: core._number(getattr(np, name), name) for name in ("ceil", "floor", "log2", "prod", "inf", "pi", "e")},
        "sqrt": OPS1["sqrt"],
        "nan": math.nan,
        "newaxis": None,
        "identity": constants.identity,
        "eye": constants.identity,
        "finfo": lambda dtype: Namespace("numpy.finfo", {"min": -3.4028234663852886e38, "max": 3.4028234663852886e38}),
    },
)

# Not attrgetter, methodcaller: they reach attributes by name.
_OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "mod", "neg", "pow", "lt", "le", "gt", "ge", "eq", "ne")
MODULES: dict[str, Any] = {
    **{name: module for name, module in core.MODULES.items() if name.split(".")[0] not in ("nki", "numpy")},
    "numpy": _numpy,
    ROOT: Namespace(ROOT, {"nki": _nki}),
    "neuronxcc.nki": _nki,
    "neuronxcc.nki.isa": _nki_isa,
    "neuronxcc.nki.language": _nki_language,
    "neuronxcc.nki.language.constants": _language_constants,
    "neuronxcc.nki.isa.constants": Namespace("neuronxcc.nki.isa.constants", _constants),
    "operator": Namespace("operator", {name: getattr(operator, name) for name in _OPERATORS}),
    "neuronxcc.nki.typing": _nki_typing,
    "neuronxcc.nki.compiler": COMPILER,
}


def import_module(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    """The `import` of a kernel in NKI 1."""
    if name.split(".")[0] == "nki":
        fail(
            "wrong_argument", f"import of {name!r}: a kernel is written in NKI 1 (neuronxcc.nki) or in NKI 2, not both"
        )
    if level or name not in MODULES:
        kind = "unsupported" if name.split(".")[0] == ROOT else "forbidden"
        what = "unsupported API: " if kind == "unsupported" else "import of "
        fail(kind, f"{what}{name!r}; a kernel can import {', '.join(sorted(MODULES))}")
    return MODULES[name] if fromlist else MODULES[name.split(".")[0]]
