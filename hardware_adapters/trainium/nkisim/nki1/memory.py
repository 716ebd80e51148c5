"""Allocation, and transfers between HBM and the chip: nl.ndarray, nl.load, nl.store, nisa.dma_copy."""

from __future__ import annotations

import itertools
from typing import Any

from .. import dma
from .. import isa as core
from ..checks import api, not_taken
from ..dtypes import as_dtype
from ..errors import fail
from ..language import BUFFERS
from ..machine import current
from ..tensor import HBM, ON_CHIP
from .blocks import Blocks
from .indexing import Where, where_holds
from .placing import Placement, share
from .programs import grid_of
from .results import came_from_last, chosen_type, least_loaded, tile, to_sbuf
from .tensor import ALL, Memory1, Tile, check_shape, fresh
from .views import narrow

MAX_BLOCKS = 65536


class ParDim(int):
    """nl.par_dim(n): the dimension of a shape that lies on partitions; those before it count blocks."""


@api
def par_dim(size: Any) -> int:
    if isinstance(size, bool) or not isinstance(size, int):
        fail("wrong_argument", f"nki.language.par_dim: size={size!r} must be an integer")
    return ParDim(size)


@api
def ndarray(shape: Any, dtype: Any, *, buffer: Any = None, name: Any = "", **options: Any) -> Any:
    """A tensor that is not initialised; block dimensions come before nl.par_dim."""
    return _allocate("nki.language.ndarray", shape, dtype, buffer, name, options)


def _allocate(name: str, shape: Any, dtype: Any, buffer: Any, label: Any, options: dict[str, Any]) -> Any:
    not_taken(name, **{option: value for option, value in options.items() if option != "init_value"})
    if isinstance(buffer, Placement):
        made = _allocate(name, shape, dtype, buffer.space, label, options)
        limits = current(name).limits
        share(made, buffer, limits.sbuf if buffer.space == "sbuf" else limits.psum, name)
        return made
    space = "sbuf" if buffer is None else buffer
    if space not in BUFFERS:
        fail("wrong_argument", f"{name}: buffer={buffer!r} is none of nl.{', nl.'.join(BUFFERS)}")
    parts = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    extents = tuple(int(n) if isinstance(n, int) and not isinstance(n, bool) else n for n in parts)
    kind = as_dtype(dtype, name)
    at = next((i for i, n in enumerate(parts) if isinstance(n, ParDim)), 0) if space in ON_CHIP else 0
    if not at:
        made = _one(name, extents, kind, space)
        if isinstance(label, str) and label:
            made._memory.name = label
        return made
    lead, each = extents[:at], extents[at:]
    check_shape(lead, kind, "hbm", name)
    count = 1
    for n in lead:
        count *= n
    if count > MAX_BLOCKS:
        fail("limit_exceeded", f"{name}: shape={list(extents)} has {count} blocks; at most {MAX_BLOCKS}")
    tiles = {index: _one(name, each, kind, space) for index in itertools.product(*(range(n) for n in lead))}
    return Blocks(lead, tiles)


def _one(name: str, shape: tuple[int, ...], kind: Any, space: str) -> Tile:
    if space == "shared_hbm":
        return grid_of(current(name)).shared(lambda: _one(name, shape, kind, "hbm"))
    if space in ON_CHIP and len(shape) < 2:
        shape = (*shape, 1)
    made = fresh(shape, kind, space, name, None)
    made._valid = ALL
    return made


@api
def full(shape: Any, fill_value: Any, dtype: Any, *, buffer: Any = None, name: Any = "", **options: Any) -> Any:
    where = "nki.language.full"
    if isinstance(fill_value, bool) or not isinstance(fill_value, (int, float)):
        fail("wrong_argument", f"{where}: fill_value={fill_value!r} must be a number")
    made = _allocate(where, shape, dtype, buffer, name, options)
    if made.buffer not in ON_CHIP:
        fail("unsupported", f"unsupported API: {where}(buffer={buffer!r}): tiles on chip are filled only")
    for each in made._tiles.values() if isinstance(made, Blocks) else (made,):
        if fill_value == 0 and each.buffer == "psum":
            _zero(each)
        else:
            core.memset(
                each,
                fill_value,
                engine=least_loaded(("vector",) if each.buffer == "psum" else ("gpsimd", "vector"), each),
            )
    return made


def _zero(each: Tile) -> None:
    """Zeros in PSUM take no instruction where sums of products follow: the first product overwrites."""
    memory = each._memory
    assert isinstance(memory, Memory1)
    memory.values[...] = 0
    memory.zeroed = True


@api
def zeros(shape: Any, dtype: Any, *, buffer: Any = None, name: Any = "", **options: Any) -> Any:
    return full(shape, 0, dtype, buffer=buffer, name=name, **options)


@api
def ones(shape: Any, dtype: Any, *, buffer: Any = None, name: Any = "", **options: Any) -> Any:
    return full(shape, 1, dtype, buffer=buffer, name=name, **options)


@api
def zeros_like(a: Any, dtype: Any = None, *, buffer: Any = None, name: Any = "") -> Any:
    return full(a.shape, 0, dtype or a.dtype, buffer=buffer or a.buffer, name=name)


@api
def empty_like(a: Any, dtype: Any = None, *, buffer: Any = None, name: Any = "") -> Any:
    return ndarray(a.shape, dtype or a.dtype, buffer=buffer or a.buffer, name=name)


def _source(src: Any, name: str) -> Tile:
    source = tile(src, name, "src", HBM)
    if source.ndim == 1:
        source = source[..., None]
    return source


@api
def load(src: Any, *, mask: Any = None, dtype: Any = None) -> Tile:
    """A new tile in SBUF with what lies in HBM; the first dimension becomes the partitions."""
    name = "nki.language.load"
    source = _source(src, name)
    kind = chosen_type(dtype, name, source)
    return _loaded(name, source, kind, _both(mask, source), transposed=False)


@api
def load_transpose2d(src: Any, *, mask: Any = None, dtype: Any = None) -> Tile:
    """As load, with partitions and elements exchanged on the way: element by element."""
    name = "nki.language.load_transpose2d"
    source = _source(src, name)
    if source.ndim != 2:
        fail("shape_mismatch", f"{name}: src {list(source.shape)} must have two dimensions")
    return _loaded(name, source, chosen_type(dtype, name, source), _both(mask, source), transposed=True)


def _both(mask: Any, source: Tile) -> Any:
    if source._mask is None:
        return mask
    return source._mask if mask is None else mask & source._mask


def _loaded(name: str, source: Tile, kind: Any, mask: Any, transposed: bool) -> Tile:
    shape = source.shape[::-1] if transposed else source.shape
    where = where_holds(mask, source.shape, name)
    if where is None:
        return fresh(shape, kind, "sbuf", name, None)
    whole = where.dense is None and all(p.stop - p.start == n for p, n in zip(where.box, source.shape, strict=True))
    box = where.box[::-1] if transposed else where.box
    dense = where.dense if where.dense is None or not transposed else where.dense.T
    result = fresh(shape, kind, "sbuf", name, ALL if whole else Where(box, dense))
    target = result if whole else narrow(result, box)
    source = source if whole else narrow(source, where.box)
    if transposed:
        target._write(name, source._read(name, "src").T)
        size = max(source.dtype.itemsize, kind.itemsize)
        core.issue(name, "dma", 0, target, source, bytes=source.size * size, run=size)
    else:
        dma.dma_copy(target, source)
    if dense is not None and result._memory.written is not None:
        result._memory.written[box] = dense
    return came_from_last(result)


@api
def store(dst: Any, value: Any, *, mask: Any = None) -> None:
    """Writes a tile to HBM; one in PSUM by way of SBUF."""
    name = "nki.language.store"
    target = tile(dst, name, "dst", HBM)
    _copy(name, target, value, _both(mask, target))


def _copy(name: str, target: Tile, value: Any, mask: Any) -> None:
    from .assign import shaped

    source = tile(value, name, "value", (*ON_CHIP, *HBM))
    if source.buffer == "psum":
        source = to_sbuf(source, target.dtype)
    where = where_holds(mask, target.shape, name)
    if where is None:
        return
    source = shaped(source, target.shape, name) if source._pending is None else source
    if where.dense is not None:
        _scatter(name, narrow(target, where.box), narrow(source, where.box), where)
        return
    dma.dma_copy(narrow(target, where.box), narrow(source, where.box))


def _scatter(name: str, target: Tile, source: Tile, where: Where) -> None:
    """Of a box only what a mask that is no box lets through; every element is a transfer of its own."""
    values = source._read(name, "value")
    assert where.dense is not None and target._values.flags.writeable
    target._values[where.dense] = values[where.dense].astype(target.dtype._np)
    if target._memory.written is not None and target._written is not None:
        target._written |= where.dense
    core.issue(
        name, "dma", 0, target, source, bytes=int(where.dense.sum()) * target.dtype.itemsize, run=target.dtype.itemsize
    )


@api
def dma_copy(
    *, dst: Any, src: Any, mask: Any = None, dst_rmw_op: Any = None, oob_mode: Any = None, dge_mode: Any = None
) -> None:
    """Between HBM and SBUF, or within either. Out-of-bounds modes matter for dynamic indices only."""
    name = "nki.isa.dma_copy"
    not_taken(name, dst_rmw_op=dst_rmw_op)
    target = tile(dst, name, "dst", (*HBM, "sbuf"))
    _copy(name, target, src, _both(mask, target))
