"""Tensors in HBM, SBUF and PSUM. A kernel sees shapes and types; values stay behind instructions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from .dtypes import DType, cast, uninitialised
from .errors import fail
from .machine import PARTITIONS, Access, Machine, current
from .region import Region
from .sealed import unbroken

ON_CHIP = ("sbuf", "psum")
HBM = ("hbm", "shared_hbm", "private_hbm")


class Memory:
    """What one allocation holds: values, and which of them were written (None: all)."""

    __slots__ = ("index", "machine", "name", "space", "values", "written")

    def __init__(self, machine: Machine, name: str, space: str, values: np.ndarray, written: bool) -> None:
        self.machine = machine
        self.name = name
        self.space = space
        self.values = values
        self.written = None if written else np.zeros(values.shape, np.bool_)
        size = values.nbytes // max(1, values.shape[0]) if space in ON_CHIP else values.nbytes
        self.index = machine.allocate(name, space, size, values.shape)


class Tensor:
    """A view of a memory. All of its state is private to the simulator; shape, dtype, ndim and buffer are public."""

    __slots__ = ("_dtype", "_index", "_memory", "_places", "_region", "_values", "_written")

    def __init__(
        self, memory: Memory, values: np.ndarray, written: np.ndarray | None, region: Region, dtype: DType,
        index: tuple[Tensor, ...] = (), places: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        """`index`: tiles whose values say where the view lies. `places`: of a scattered view the position of each of
        its elements in the memory, -1 for one outside."""
        self._memory = memory
        self._values = values
        self._written = written
        self._region = region
        self._dtype = dtype
        self._index = index
        self._places = places

    # ------------------------------------------------------------ what a kernel sees

    @property
    def shape(self) -> tuple[int, ...]:
        return self._values.shape

    @property
    def ndim(self) -> int:
        return self._values.ndim

    @property
    def dtype(self) -> DType:
        return self._dtype

    @property
    def buffer(self) -> str:
        return self._memory.space

    @property
    def size(self) -> int:
        return self._values.size

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"{self._memory.name}({self.buffer}, {self._dtype.name}, shape {list(self.shape)})"

    def _no_value(self, *_: object) -> NoReturn:
        fail("no_value", f"{self!r} has no value while the kernel is built: instructions compute, Python does not")

    __bool__ = __int__ = __float__ = __index__ = __iter__ = _no_value
    __lt__ = __le__ = __gt__ = __ge__ = _no_value
    __hash__ = object.__hash__

    @unbroken
    def __getitem__(self, key: Any) -> Tensor:
        keys = _expanded(self, key)
        ranges = [_range(self, part, axis, n) for axis, (part, n) in enumerate(zip(keys, self.shape, strict=True))]
        # On chip the partitions stay a dimension.
        kept = [not isinstance(part, int) or (axis == 0 and self.buffer in ON_CHIP) for axis, part in enumerate(keys)]
        chosen = tuple(slice(*each) if stays else each[0] for each, stays in zip(ranges, kept, strict=True))
        written = self._written[chosen] if self._written is not None else None
        values = self._values[chosen]
        region = self._region.part(ranges, kept, values.size == self.size)
        return Tensor(self._memory, values, written, region, self._dtype, self._index)

    @unbroken
    def __setitem__(self, key: Any, value: Any) -> None:
        from .isa import tensor_copy

        if not isinstance(value, Tensor):
            fail(
                "wrong_argument",
                f"{self!r}[...] = {type(value).__name__}: only a tile can be assigned; nisa.memset writes constants",
            )
        tensor_copy(dst=self[key], src=value)

    @unbroken
    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in another shape; on chip the partition dimension stays."""
        wanted = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
        if math.prod(wanted) != self.size:
            fail("shape_mismatch", f"reshape{wanted}: {self!r} has {self.size} elements")
        if self.buffer in ON_CHIP and wanted[0] != self.shape[0]:
            fail("shape_mismatch", f"reshape{wanted}: the partition dimension of {self!r} cannot change")
        return self._restrided(wanted, "reshape")

    def _restrided(self, shape: tuple[int, ...], api: str) -> Tensor:
        values = self._values.reshape(shape)
        if self.size and not np.shares_memory(values, self._values):
            fail("unsupported", f"{api}: {self!r} is not contiguous, so it has no such view")
        written = self._written.reshape(shape) if self._written is not None else None
        return Tensor(self._memory, values, written, self._region.rearranged(), self._dtype, self._index)

    @unbroken
    def broadcast(self, dim: int, size: int) -> Tensor:
        """A dimension of 1 repeated `size` times without a copy; on chip not the partition dimension."""
        if not 0 <= dim < self.ndim or self.shape[dim] != 1:
            fail("shape_mismatch", f"broadcast({dim}, {size}): dimension {dim} of {self!r} must be 1")
        return self.broadcast_to((*self.shape[:dim], size, *self.shape[dim + 1 :]))

    @unbroken
    def broadcast_to(self, shape: Sequence[int]) -> Tensor:
        wanted = tuple(shape)
        if len(wanted) != self.ndim or any(
            have not in (1, want) for have, want in zip(self.shape, wanted, strict=True)
        ):
            fail("shape_mismatch", f"broadcast_to{wanted}: {self!r} does not fit; only dimensions of 1 are repeated")
        if self.buffer in ON_CHIP and wanted[0] != self.shape[0]:
            from .isa import partition_broadcast

            return partition_broadcast(self, wanted)
        values = np.broadcast_to(self._values, wanted)
        written = np.broadcast_to(self._written, wanted) if self._written is not None else None
        return Tensor(self._memory, values, written, self._region.rearranged(), self._dtype, self._index)

    @unbroken
    def permute(self, dims: Sequence[int]) -> Tensor:
        """Dimensions in another order, without a copy; on chip the partition dimension stays first."""
        order = tuple(dims)
        if sorted(order) != list(range(self.ndim)) or (self.buffer in ON_CHIP and order[0] != 0):
            fail(
                "shape_mismatch",
                f"permute({list(order)}): not an order of the dimensions of {self!r}, partitions first",
            )
        written = self._written.transpose(order) if self._written is not None else None
        values = self._values.transpose(order)
        return Tensor(self._memory, values, written, self._region.rearranged(), self._dtype, self._index)

    @unbroken
    def ap(
        self, pattern: Any, offset: Any = 0, scalar_offset: Any = None, vector_offset: Any = None,
        indirect_dim: Any = 0, dtype: Any = None,
    ) -> Tensor:  # fmt: skip
        """A view by an access pattern: see access.py."""
        from .access import access_pattern

        return access_pattern(self, pattern, offset, scalar_offset, vector_offset, indirect_dim, dtype)

    @unbroken
    def expand_dim(self, dim: int) -> Tensor:
        """A dimension of 1 more; on chip not before the partitions."""
        if dim not in range(1 if self.buffer in ON_CHIP else 0, self.ndim + 1):
            fail("wrong_argument", f"expand_dim({dim!r}) of {self!r}")
        return self._restrided((*self.shape[:dim], 1, *self.shape[dim:]), "expand_dim")

    @unbroken
    def squeeze_dim(self, dim: int) -> Tensor:
        if dim not in range(1 if self.buffer in ON_CHIP else 0, self.ndim) or self.shape[dim] != 1:
            fail("wrong_argument", f"squeeze_dim({dim!r}) of {self!r}: only a dimension of 1, not the partitions")
        return self._restrided((*self.shape[:dim], *self.shape[dim + 1 :]), "squeeze_dim")

    @unbroken
    def flatten_dims(self, start_dim: int, end_dim: int) -> Tensor:
        """The dimensions from one to another, both included, as one."""
        if not (1 if self.buffer in ON_CHIP else 0) <= start_dim <= end_dim < self.ndim:
            fail("wrong_argument", f"flatten_dims({start_dim!r}, {end_dim!r}) of {self!r}")
        size = math.prod(self.shape[start_dim : end_dim + 1])
        return self._restrided((*self.shape[:start_dim], size, *self.shape[end_dim + 1 :]), "flatten_dims")

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        fail("unsupported", f"unsupported API: Tensor.{name}")

    def __setattr__(self, name: str, value: object) -> None:
        if name not in Tensor.__slots__:
            fail("forbidden", f"{name!r} of a tensor cannot be set")
        object.__setattr__(self, name, value)

    # ------------------------------------------------------------ what instructions use

    def _access(self) -> Access:
        return Access(self._memory.index, self._region.box, self._region.exact)

    def _read(self, api: str, argument: str) -> np.ndarray:
        """The values. A tile of which nothing was written is refused; parts that were not are NaN or 0xA5."""
        memory = self._memory
        if memory.machine is not current(api):
            fail("wrong_argument", f"{api}: {argument} is a tensor of an earlier call of the kernel")
        if memory.written is not None and self._written is not None and not self._written.any():
            fail("uninitialised_read", f"{api}: {argument}={self!r} is read, but nothing was ever written there")
        return self._values

    def _write(self, api: str, values: np.ndarray) -> None:
        """`values` has the shape of the view; it is cast to its type."""
        memory = self._memory
        if memory.machine is not current(api):
            fail("wrong_argument", f"{api}: dst is a tensor of an earlier call of the kernel")
        if not memory.values.flags.writeable:
            fail("read_only", f"{api}: dst={self!r} is an input of the kernel, which cannot be written")
        if self._places is not None:
            self._scatter(values)
            return
        if not self._values.flags.writeable:
            fail("wrong_argument", f"{api}: dst={self!r} is a broadcast view, which cannot be written")
        self._values[...] = cast(values, self._dtype)
        if memory.written is not None and self._written is not None:
            self._written[...] = True
            if self._values.size == memory.values.size:
                memory.written = None

    def _scatter(self, values: np.ndarray) -> None:
        """To wherever the elements lie; none for those outside."""
        places = self._places
        assert places is not None
        kept = places >= 0
        self._memory.values.reshape(-1)[places[kept]] = cast(values.reshape(places.shape)[kept], self._dtype)
        if self._memory.written is not None:
            self._memory.written.reshape(-1)[places[kept]] = True

    def _flat(self) -> tuple[int, int]:
        """Partitions, and elements per partition."""
        partitions = self.shape[0] if self.shape else 1
        return partitions, self.size // max(1, partitions)


def _expanded(tensor: Tensor, key: Any) -> list[Any]:
    """One int or slice for each dimension."""
    keys = [_slice(part) for part in (key if isinstance(key, tuple) else (key,))]
    if sum(part is Ellipsis for part in keys) > 1:
        fail("bad_index", f"{tensor!r}: more than one ... in the index")
    if any(part is Ellipsis for part in keys):
        at = next(i for i, part in enumerate(keys) if part is Ellipsis)
        keys[at : at + 1] = [slice(None)] * (tensor.ndim - len(keys) + 1)
    keys += [slice(None)] * (tensor.ndim - len(keys))
    if len(keys) != tensor.ndim:
        fail("bad_index", f"{tensor!r}: {len(keys)} indices for {tensor.ndim} dimensions")
    for part in keys:
        if isinstance(part, bool) or not isinstance(part, (int, slice)):
            fail("bad_index", f"{tensor!r}: an index is a number or a slice of numbers, not {type(part).__name__}")
    return keys


def _slice(part: Any) -> Any:
    """A loop's range as an index is the slice of its numbers."""
    numbers = getattr(part, "_range", part) if not isinstance(part, Tensor) else part
    return slice(numbers.start, numbers.stop, numbers.step) if isinstance(numbers, range) else part


def _range(tensor: Tensor, part: int | slice, axis: int, extent: int) -> tuple[int, int, int]:
    """Start, stop, step of one dimension. What is out of bounds is an error, as it is on the machine."""
    if isinstance(part, int):
        at = part + extent if part < 0 else part
        if not 0 <= at < extent:
            fail("out_of_bounds", f"{tensor!r}: index {part} of dimension {axis} is not in 0..{extent - 1}")
        return at, at + 1, 1
    parts = (part.start, part.stop, part.step)
    if any(value is not None and (isinstance(value, bool) or not isinstance(value, int)) for value in parts):
        fail("bad_index", f"{tensor!r}: the bounds of a slice are integers, got {parts}")
    start = 0 if part.start is None else part.start
    stop = extent if part.stop is None else part.stop
    step = 1 if part.step is None else part.step
    start, stop = (value + extent if value < 0 else value for value in (start, stop))
    if step < 1 or not 0 <= start <= stop <= extent:
        fail("out_of_bounds", f"{tensor!r}: slice {start}:{stop}:{step} of dimension {axis} is not within 0..{extent}")
    if start == stop:
        fail("out_of_bounds", f"{tensor!r}: slice {start}:{stop} of dimension {axis} is empty")
    return start, stop, step


def allocate(api: str, shape: Any, dtype: DType, space: str, name: str) -> Tensor:
    """A new tensor, not initialised. Raises KernelFault for shapes that the memory cannot hold."""
    machine = current(api)
    extents = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if not extents or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in extents):
        fail("wrong_argument", f"{api}: shape={shape!r} must be positive integers")
    per_partition = math.prod(extents[1:]) * dtype.itemsize
    if space in ON_CHIP:
        limit = machine.limits.sbuf if space == "sbuf" else machine.limits.psum
        if extents[0] > PARTITIONS:
            fail(
                "partition_limit",
                f"{api}: shape={list(extents)} has {extents[0]} partitions; {space} has {PARTITIONS} (dimension 0)",
            )
        if per_partition > limit:
            fail(
                "out_of_capacity",
                f"{api}: shape={list(extents)} of {dtype.name} takes {per_partition} bytes of each partition; "
                f"{space} has {limit}",
            )
    elif math.prod(extents) * dtype.itemsize > 1 << 30:
        fail("out_of_capacity", f"{api}: shape={list(extents)} takes more than the 1 GiB of HBM that is simulated")
    if space == "shared_hbm" and machine.program.shared is not None:
        return whole(machine.program.shared.claim(api, machine, name, extents, dtype), dtype)
    return whole(Memory(machine, name, space, uninitialised(extents, dtype), written=False), dtype)


def whole(memory: Memory, dtype: DType) -> Tensor:
    return Tensor(memory, memory.values, memory.written, Region.of(memory.values.shape), dtype)
