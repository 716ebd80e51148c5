"""nki.isa: movement by indices, between partitions, and along them."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import costs
from .checks import api, reals, same_shape, store, tile
from .dtypes import is_float
from .errors import fail
from .isa import issue
from .ops import as_op

LANES, CORE_PARTITIONS, QUADRANT = 128, 16, 32
UNCHANGED = 255
BURSTS = (1, 2, 4, 8, 16, 32)


@api
def nc_n_gather(dst: Any, data: Any, indices: Any, name: Any = None) -> None:
    """In each partition the elements at `indices` of the flattened data."""
    api = "nki.isa.nc_n_gather"
    target, source = tile(dst, api, "dst", ("sbuf",)), tile(data, api, "data", ("sbuf",))
    chosen = tile(indices, api, "indices", ("sbuf",))
    if chosen.dtype.name != "uint32":
        fail("wrong_dtype", f"{api}: indices={chosen!r} must be uint32")
    if target.dtype is not source.dtype:
        fail("wrong_dtype", f"{api}: dst is {target.dtype}, data {source.dtype}: a gather keeps the type")
    p, n = same_shape(api, dst=target, indices=chosen)
    if source.shape[0] != p:
        fail("shape_mismatch", f"{api}: data {list(source.shape)} must have {p} partitions")
    values = source._read(api, "data").reshape(p, -1)
    at = chosen._read(api, "indices").reshape(p, n).astype(np.int64)
    _inside(at, values.shape[1], api)
    store(target, np.take_along_axis(values, at, axis=1), api)
    issue(api, "gpsimd", costs.gpsimd_gather(n), target, source, chosen)


def _inside(at: np.ndarray, size: int, api: str) -> None:
    if (at >= size).any():
        p, i = np.argwhere(at >= size)[0]
        fail("out_of_bounds", f"{api}: index {at[p, i]} of partition {p} is not in 0..{size - 1}")


@api
def local_gather(
    dst: Any, src_buffer: Any, index: Any, num_elem_per_idx: int = 1, num_valid_indices: Any = None, name: Any = None
) -> None:
    """Groups of 16 partitions: all of a group gather at the group's indices, taken down the partitions first."""
    api = "nki.isa.local_gather"
    target, source = tile(dst, api, "dst", ("sbuf",)), tile(src_buffer, api, "src_buffer", ("sbuf",))
    chosen = tile(index, api, "index", ("sbuf",))
    if chosen.dtype.name != "uint16":
        fail("wrong_dtype", f"{api}: index={chosen!r} must be uint16")
    if target.dtype is not source.dtype:
        fail("wrong_dtype", f"{api}: dst is {target.dtype}, src_buffer {source.dtype}: a gather keeps the type")
    (p, size), (p2, each) = source._flat(), chosen._flat()
    if p != p2 or p % CORE_PARTITIONS:
        fail("shape_mismatch", f"{api}: src_buffer and index have {p} and {p2} partitions; the same multiple of 16")
    if num_elem_per_idx not in BURSTS:
        fail("wrong_argument", f"{api}: num_elem_per_idx={num_elem_per_idx!r} is none of {BURSTS}")
    count = each * CORE_PARTITIONS if num_valid_indices is None else num_valid_indices
    if not isinstance(count, int) or not 0 < count <= min(4096, each * CORE_PARTITIONS):
        fail("wrong_argument", f"{api}: {count!r} indices a core; at most 4096, and {each * CORE_PARTITIONS} are given")
    if target._flat() != (p, count * num_elem_per_idx):
        fail(
            "shape_mismatch",
            f"{api}: dst {list(target.shape)} must have {count * num_elem_per_idx} elements a partition",
        )
    values, at = source._read(api, "src_buffer").reshape(p, size), chosen._read(api, "index").reshape(p, each)
    found = np.empty((p, count * num_elem_per_idx), values.dtype)
    for first in range(0, p, CORE_PARTITIONS):
        group = slice(first, first + CORE_PARTITIONS)
        flat = at[group].reshape(-1, order="F")[:count].astype(np.int64)
        places = (flat[:, None] + np.arange(num_elem_per_idx)).reshape(-1)
        _inside(places[None], size, api)
        found[group] = values[group][:, places]
    store(target, found, api)
    issue(api, "gpsimd", costs.local_gather(count, num_elem_per_idx, source.dtype.itemsize), target, source, chosen)


@api
def nc_stream_shuffle(dst: Any, src: Any, shuffle_mask: Any, name: Any = None) -> None:
    """Within each quadrant of 32 partitions, dst[i] = src[shuffle_mask[i]]; 255 leaves dst[i] as it is."""
    api = "nki.isa.nc_stream_shuffle"
    target, source = tile(dst, api, "dst"), tile(src, api, "src")
    mask = list(shuffle_mask) if isinstance(shuffle_mask, (list, tuple)) else []
    if len(mask) != QUADRANT or any(m != UNCHANGED and m not in range(QUADRANT) for m in mask):
        fail("wrong_argument", f"{api}: shuffle_mask has {len(mask)} entries; 32 of 0..31 or 255")
    if target.dtype is not source.dtype:
        fail("wrong_dtype", f"{api}: dst is {target.dtype}, src {source.dtype}: a shuffle keeps the type")
    (p, n), (p2, n2) = target._flat(), source._flat()
    if n != n2:
        fail("shape_mismatch", f"{api}: dst {list(target.shape)} and src {list(source.shape)} differ in elements")
    quadrants = -(-max(p, p2) // QUADRANT)
    for argument, tensor in (("dst", target), ("src", source)):
        first = tensor._region.box[0][0]
        if first % QUADRANT or (quadrants == 2 and first % 64) or (quadrants > 2 and first):
            fail("wrong_argument", f"{api}: {argument} starts at partition {first}, which {quadrants} quadrants cannot")
    values = source._read(api, "src").reshape(p2, n)
    result = target._values.reshape(p, n).copy()
    for i in range(p):
        chosen = mask[i % QUADRANT]
        if chosen == UNCHANGED:
            continue
        row = i - i % QUADRANT + chosen
        if row >= p2:
            fail("out_of_bounds", f"{api}: partition {i} of dst takes partition {row} of src, which has {p2}")
        result[i] = values[row]
    if UNCHANGED in mask:
        target._read(api, "dst")
    store(target, result, api)
    issue(api, "vector", costs.elementwise(n), target, source, *((target,) if UNCHANGED in mask else ()))


@api
def tensor_partition_reduce(dst: Any, op: Any, data: Any, name: Any = None) -> None:
    """All partitions reduced to one, by GpSimd."""
    api = "nki.isa.tensor_partition_reduce"
    function = as_op(op, api, "op", "reduce")
    target, source = tile(dst, api, "dst", ("sbuf",)), tile(data, api, "data", ("sbuf",))
    if function.name not in ("add", "maximum", "bitwise_or", "bitwise_and"):
        fail("wrong_argument", f"{api}: op={op!r}; allowed: nl.add, nl.maximum, nl.bitwise_or, nl.bitwise_and")
    p, n = source._flat()
    if target._flat() != (1, n):
        fail("shape_mismatch", f"{api}: dst {list(target.shape)} must be [1, {n}]")
    if function._integer and is_float(source.dtype):
        fail("wrong_dtype", f"{api}: data={source!r}: bit operators take integer types")
    values = source._read(api, "data").reshape(p, n) if function._integer else reals(source, api, "data")
    store(target, function._reduce(values, axis=0), api)
    issue(api, "gpsimd", costs.select(n), target, source)
