"""nki.language: tensors, loops, and operators that are instructions when they are called on tiles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import dma, isa, vector
from .checks import api, tile
from .dtypes import DTYPES, FLOAT32, DType, as_dtype
from .errors import fail
from .machine import MOVING_MAX, PARTITIONS, STATIONARY_MAX, current
from .ops import Op
from .races import AffineRange
from .registers import dynamic_range
from .sealed import SealedClass
from .tensor import HBM, ON_CHIP, Memory, Tensor, allocate, whole

BUFFERS = ("sbuf", "psum", "hbm", "shared_hbm", "private_hbm")
TILE_SIZES = {
    "pmax": PARTITIONS,
    "psum_fmax": 512,
    "gemm_stationary_fmax": STATIONARY_MAX,
    "gemm_moving_fmax": MOVING_MAX,
    "psum_min_align": 4,
    "sbuf_min_align": 1,
    "bn_stats_fmax": 512,
}


@api
def ndarray(shape: Any, dtype: Any, buffer: Any = "sbuf", name: Any = None) -> Tensor:
    """A tensor that is not initialised; on chip the first dimension is the partitions."""
    if buffer not in BUFFERS:
        fail("wrong_argument", f"nki.language.ndarray: buffer={buffer!r} is none of nl.{', nl.'.join(BUFFERS)}")
    label = name if isinstance(name, str) and name else buffer
    return allocate("nki.language.ndarray", shape, as_dtype(dtype, "nki.language.ndarray"), buffer, label)


@api
def full(shape: Any, fill_value: Any, dtype: Any, buffer: Any = "sbuf", name: Any = None) -> Tensor:
    tensor = ndarray(shape, dtype, buffer, name)
    if tensor.buffer not in ON_CHIP:
        fail("wrong_memory", f"nki.language.full: buffer={buffer!r}: instructions fill tiles on chip only")
    isa.memset(tensor, fill_value)
    return tensor


@api
def zeros(shape: Any, dtype: Any, buffer: Any = "sbuf", name: Any = None) -> Tensor:
    return full(shape, 0, dtype, buffer, name)


@api
def ones(shape: Any, dtype: Any, buffer: Any = "sbuf", name: Any = None) -> Tensor:
    return full(shape, 1, dtype, buffer, name)


@api
def affine_range(*bounds: Any) -> AffineRange:
    """As range: iterations that do not depend on one another, as the kernel says; see races.py."""
    return AffineRange(_bounds(bounds))


@api
def sequential_range(*bounds: Any) -> range:
    """As range: iterations in order."""
    return _bounds(bounds)


def _bounds(bounds: tuple[Any, ...]) -> range:
    if not 1 <= len(bounds) <= 3 or any(isinstance(n, bool) or not isinstance(n, int) for n in bounds):
        fail("wrong_argument", f"nki.language ranges take integers, got {bounds}")
    return range(*bounds)


@api
def get_nc_version() -> int:
    """The NeuronCore's generation; nisa.nc_version has them in order."""
    return current("nki.isa.get_nc_version").limits.generation


@api
def core_barrier(data: Any = None, cores: Any = None, engine: Any = None, name: Any = None) -> None:
    """Nothing to wait for where there is one program; several run one after the other, so none can wait here."""
    where = "nki.isa.core_barrier"
    if math.prod(current(where).program.grid) > 1:
        fail("unsupported", f"unsupported API: {where} among several programs")


class NKIObject(metaclass=SealedClass):
    """The base of a kernel's own classes."""


class Annotation(metaclass=SealedClass):
    """What stands for tensors and types in signatures."""


@api
def device_print(*values: Any, **options: Any) -> None:
    """What a kernel prints reaches nobody."""


@api
def par_dim(size: Any) -> int:
    return size


@api
def ds(start: Any, size: Any) -> slice:
    """The slice from `start` on of this size."""
    return slice(start, start + size)


@api
def load(src: Any, dtype: Any = None) -> Tensor:
    """A new tile in SBUF with what lies in HBM."""
    where = "nki.language.load"
    source = tile(src, where, "src", HBM)
    kind = source.dtype if dtype is None else as_dtype(dtype, where)
    target = allocate(where, source.shape, kind, "sbuf", "load")
    dma.dma_copy(target, source)
    return target


@api
def store(dst: Any, value: Any) -> None:
    """A tile to HBM."""
    dma.dma_copy(tile(dst, "nki.language.store", "dst", HBM), tile(value, "nki.language.store", "value"))


@api
def shared_identity_matrix(n: Any, dtype: Any = "uint8", name: Any = None) -> Tensor:
    """An n x n identity in SBUF, loaded from a constant in HBM; the same one each time it is asked for."""
    where = "nki.language.shared_identity_matrix"
    machine = current(where)
    kind = as_dtype(dtype, where)
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= PARTITIONS:
        fail("wrong_argument", f"{where}: n={n!r} must be 1 to {PARTITIONS}")
    if (n, kind) not in machine.constants:
        values = np.eye(n).astype(kind._np)
        values.flags.writeable = False
        target = allocate(where, (n, n), kind, "sbuf", "identity")
        dma.dma_copy(target, whole(Memory(machine, "identity", "hbm", values, written=True), kind))
        machine.constants[n, kind] = target
    return machine.constants[n, kind]


@api
def broadcast_to(src: Any, shape: Any, dtype: Any = None) -> Tensor:
    if not isinstance(src, Tensor):
        fail("wrong_argument", f"nki.language.broadcast_to: src must be a tensor, not {type(src).__name__}")
    return src.broadcast_to(shape)


@api
def program_id(axis: int = 0) -> int:
    """Which program of the launch grid this is, along one axis of it."""
    program = current("nki.language.program_id").program
    if isinstance(axis, bool) or not isinstance(axis, int) or not 0 <= axis < len(program.grid):
        fail("wrong_argument", f"nki.language.program_id: axis={axis!r}; the launch grid is {list(program.grid)}")
    return program.number // math.prod(program.grid[axis + 1 :]) % program.grid[axis]


@api
def num_programs(axes: Any = None) -> int:
    """How many programs there are, along the given axes or in all."""
    grid = current("nki.language.num_programs").program.grid
    chosen = range(len(grid)) if axes is None else (axes,) if isinstance(axes, int) else tuple(axes)
    if any(axis not in range(len(grid)) for axis in chosen):
        fail("wrong_argument", f"nki.language.num_programs: axes={axes!r}; the launch grid is {list(grid)}")
    return math.prod(grid[axis] for axis in chosen)


@api
def program_ndim() -> int:
    """Dimensions of the launch grid; 0 for a kernel that was launched without one."""
    program = current("nki.language.program_ndim").program
    return 0 if program.grid == (1,) else len(program.grid)


def apply(op: Op, operands: tuple[Any, ...], dtype: Any, more: dict[str, Any]) -> Any:
    """nl.add(a, b) and the like: on numbers a number, on tiles an instruction that fills a new tile in SBUF."""
    where = f"nki.language.{op.name}"
    if more:
        fail("unsupported", f"unsupported API: {where}({', '.join(more)}=...)")
    tiles = [value for value in operands if isinstance(value, Tensor)]
    function = op._unary if len(operands) == 1 else op._binary
    if function is None or not 1 <= len(operands) <= 2:
        fail("wrong_argument", f"{where}: takes {'one operand' if op._unary else 'two operands'}, got {len(operands)}")
    if not tiles:
        if not all(isinstance(value, (int, float)) for value in operands):
            fail("wrong_argument", f"{where}: operands are tiles or numbers")
        with np.errstate(all="ignore"):
            return float(function(*(np.float64(value) for value in operands)))
    widest = max(tiles, key=lambda t: t.size)
    kind: DType = as_dtype(dtype, where) if dtype is not None else _result_type(tiles)
    target = allocate(where, widest.shape, kind, "sbuf", op.name)
    if len(operands) == 1:
        isa.activation(target, op, tiles[0])
        return target
    left, right = operands
    narrow = [isinstance(value, Tensor) and _per_partition(value, widest) for value in operands]
    if not isinstance(right, Tensor) or (narrow[1] and not narrow[0]):
        vector.tensor_scalar(target, left, op, right)
    elif not isinstance(left, Tensor) or (narrow[0] and not narrow[1]):
        vector.tensor_scalar(target, right, op, left, reverse0=True)
    else:
        vector.tensor_tensor(target, left, right, op)
    return target


def _per_partition(tensor: Tensor, other: Tensor) -> bool:
    return tensor._flat() == (other.shape[0], 1) and tensor.size != other.size


def _result_type(tiles: list[Tensor]) -> DType:
    kinds = {t.dtype for t in tiles}
    return kinds.pop() if len(kinds) == 1 else FLOAT32


NAMES: dict[str, Any] = {
    **DTYPES,
    "float8_e4m3fn": DTYPES["float8_e4m3"],
    "tfloat32": FLOAT32,
    **{name: name for name in BUFFERS},
    **{
        function.__name__: function
        for function in (
            ndarray,
            full,
            zeros,
            ones,
            affine_range,
            par_dim,
            ds,
            broadcast_to,
            program_id,
            num_programs,
            program_ndim,
            load,
            store,
            shared_identity_matrix,
        )
    },
    "static_range": sequential_range,
    "sequential_range": sequential_range,
    "dynamic_range": dynamic_range,
    "NKIObject": NKIObject,
    "device_print": device_print,
    **{name: Annotation for name in ("tensor", "dtype", "NkiTensor")},
    "inf": math.inf,
}
