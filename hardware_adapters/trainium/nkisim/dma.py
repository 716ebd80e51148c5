"""nki.isa, the instructions of the DMA engines."""

from __future__ import annotations

from typing import Any

import numpy as np

from .checks import api, run_bytes, tile
from .errors import fail
from .isa import issue
from .machine import current
from .ops import as_op
from .tensor import HBM, ON_CHIP, Tensor

ANYWHERE = (*HBM, "sbuf")
DGE_MODES = ("unknown", "swdge", "hwdge", "none")
MAX_SOURCES = 16
# Pieces with which a transposing DMA comes out at its documented share of the rate ("Trainium2 Architecture Guide for
# NKI"): 90 % from HBM, 50 % within SBUF. The first generation moves single elements.
TRANSPOSE_RUN_BYTES = {True: 288, False: 48}
TRANSPOSES = {2: (1, 0), 3: (2, 1, 0), 4: (3, 1, 2, 0)}


@api
def dma_copy(
    dst: Any,
    src: Any,
    dst_rmw_op: Any = None,
    oob_mode: Any = "error",
    dge_mode: Any = "unknown",
    unique_indices: Any = True,
    engine: Any = None,
    name: Any = None,
) -> None:
    """Copy between HBM and SBUF, or within either; types may differ, shapes up to dimensions of 1 may not."""
    api = "nki.isa.dma_copy"
    target, source = tile(dst, api, "dst", ANYWHERE), tile(src, api, "src", ANYWHERE)
    _modes(api, oob_mode, dge_mode)
    if _shape(target) != _shape(source) and target.size != source.size:
        fail("shape_mismatch", f"{api}: dst {list(target.shape)} and src {list(source.shape)} differ")
    if _shape(target) != _shape(source) and not _plain(target, source):
        fail("shape_mismatch", f"{api}: dst {list(target.shape)} and src {list(source.shape)} differ")
    values = source._read(api, "src").reshape(target.shape)
    values = _checked(api, target, source, values, oob_mode)
    sources: tuple[Tensor, ...] = (source,)
    if dst_rmw_op is not None:
        if as_op(dst_rmw_op, api, "dst_rmw_op", "reduce").name != "add":
            fail("wrong_argument", f"{api}: dst_rmw_op={dst_rmw_op!r}: a DMA adds only (nl.add)")
        sources = (source, target)
        if target._places is not None:
            _scatter_add(api, target, values)
            _issue(api, target, *sources, reduces="add")
            return
        values = values.astype(np.float32) + target._read(api, "dst").astype(np.float32)
    target._write(api, values)
    _issue(api, target, *sources, reduces="add" if dst_rmw_op is not None else "copy")


def _shape(tensor: Tensor) -> list[int]:
    return [n for n in tensor.shape if n != 1]


def _plain(target: Tensor, source: Tensor) -> bool:
    """Elements are taken in order: shapes may differ where one of both is HBM, or both sides agree in partitions."""
    on_chip = [t for t in (target, source) if t.buffer in ON_CHIP]
    return len(on_chip) < 2 or target.shape[0] == source.shape[0]


def _modes(api: str, oob_mode: Any, dge_mode: Any) -> None:
    if oob_mode not in (None, "error", "skip"):
        fail("wrong_argument", f"{api}: oob_mode={oob_mode!r} must be nisa.oob_mode.error or .skip")
    if dge_mode is not None and dge_mode not in DGE_MODES:
        fail("wrong_argument", f"{api}: dge_mode={dge_mode!r} is none of nisa.dge_mode")
    if dge_mode == "hwdge" and current(api).limits.generation < 3:
        fail("wrong_argument", f"{api}: dge_mode=hwdge needs NeuronCore-v3 or newer")


def _checked(api: str, target: Tensor, source: Tensor, values: np.ndarray, oob_mode: Any) -> np.ndarray:
    """What a gather or scatter by indices outside the tensor does: an error, or the elements of dst stay."""
    for argument, tensor in (("dst", target), ("src", source)):
        if tensor._places is None or not (tensor._places < 0).any():
            continue
        if oob_mode != "skip":
            fail(
                "out_of_bounds",
                f"{api}: {argument}: {int((tensor._places < 0).sum())} elements are gathered from outside "
                f"{tensor!r}; oob_mode=nisa.oob_mode.skip leaves them out",
            )
        if argument == "src":
            if target._places is not None:
                fail("unsupported", f"unsupported API: {api}: gather and scatter at once")
            outside = tensor._places.reshape(target.shape) < 0
            values = np.where(outside, target._values.astype(values.dtype), values)
    return values


def _scatter_add(api: str, target: Tensor, values: np.ndarray) -> None:
    places = target._places
    assert places is not None
    target._read(api, "dst")
    flat = target._memory.values.reshape(-1)
    touched = np.unique(places)
    sums = np.zeros(flat.size, np.float32)
    np.add.at(sums, places.reshape(-1), values.reshape(-1).astype(np.float32))
    flat[touched] = (flat[touched].astype(np.float32) + sums[touched]).astype(flat.dtype)


def _issue(api: str, target: Tensor, *sources: Tensor, **more: Any) -> None:
    widest = max(t.dtype.itemsize for t in (target, *sources))
    run = min(run_bytes(t._values, t.buffer in ON_CHIP) // t.dtype.itemsize for t in (target, *sources))
    issue(api, "dma", 0, target, *sources, bytes=target.size * widest, run=run * widest, sources=len(sources), **more)


@api
def dma_transpose(
    dst: Any, src: Any, axes: Any = None, dge_mode: Any = "unknown", oob_mode: Any = "error", name: Any = None
) -> None:
    """First and last dimension exchanged on the way."""
    api = "nki.isa.dma_transpose"
    target, source = tile(dst, api, "dst", ANYWHERE), tile(src, api, "src", ANYWHERE)
    _modes(api, oob_mode, dge_mode)
    order = TRANSPOSES.get(source.ndim)
    if order is None or (axes is not None and tuple(axes) != order):
        fail(
            "wrong_argument", f"{api}: axes={axes!r} of src {list(source.shape)}; allowed: {list(TRANSPOSES.values())}"
        )
    if dge_mode == "hwdge" and (source.shape[0] != 16 or source.shape[-1] % 128 or source.dtype.itemsize != 2):
        fail("wrong_argument", f"{api}: hwdge takes 16 rows of a multiple of 128 elements of 2 bytes, not {source!r}")
    if target.dtype is not source.dtype:
        fail("wrong_dtype", f"{api}: dst is {target.dtype}, src {source.dtype}: a transpose keeps the type")
    wanted = [source.shape[axis] for axis in order]
    if [n for n in wanted if n != 1] != _shape(target):
        fail("shape_mismatch", f"{api}: dst {list(target.shape)} must be {wanted}")
    values = _checked(api, target, source, source._read(api, "src"), oob_mode)
    target._write(api, values.transpose(order).reshape(target.shape))
    size = target.dtype.itemsize
    run = TRANSPOSE_RUN_BYTES[source.buffer in HBM] if current(api).limits.generation >= 3 else size
    issue(api, "dma", 0, target, source, bytes=target.size * size, run=min(run, target.size * size))


@api
def dma_compute(dst: Any, srcs: Any, scales: Any = None, reduce_op: Any = None, unique_indices: Any = True,
                name: Any = None) -> None:  # fmt: skip
    """dst = the sum of the sources, in float32."""
    api = "nki.isa.dma_compute"
    target = tile(dst, api, "dst", ANYWHERE)
    given = list(srcs) if isinstance(srcs, (list, tuple)) else [srcs]
    if not 1 <= len(given) <= MAX_SOURCES:
        fail("wrong_argument", f"{api}: srcs has {len(given)} tensors; 1 to {MAX_SOURCES}")
    if as_op(reduce_op, api, "reduce_op", "reduce").name != "add":
        fail("wrong_argument", f"{api}: reduce_op={reduce_op!r}: a DMA adds only (nl.add)")
    if scales is not None and any(scale != 1.0 for scale in scales):
        fail("wrong_argument", f"{api}: scales={scales!r}: all must be 1.0")
    sources = [tile(each, api, "srcs", ANYWHERE) for each in given]
    for source in sources:
        if source.size != target.size or source._places is not None or target._places is not None:
            fail("shape_mismatch", f"{api}: dst {list(target.shape)} and a source {list(source.shape)} differ")
    total = np.zeros(target.shape, np.float32)
    for source in sources:
        total += source._read(api, "srcs").astype(np.float32).reshape(target.shape)
    target._write(api, total)
    _issue(api, target, *sources, reduces="add")
