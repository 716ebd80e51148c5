"""`tile[...] = result` and `tile += result`: the instruction of the result writes there itself where it can."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import isa
from ..checks import one_bank
from ..errors import fail
from ..machine import current
from ..tensor import ON_CHIP
from .blocks import Blocks
from .indexing import Where
from .tensor import ALL, Memory1, Tile
from .views import narrow

LOOK_BACK = 32  # instructions between a result and its assignment that are looked through
API = "assignment"


def assign(target: Tile, value: Any) -> None:
    """Where a mask kept the result from being computed, nothing is written."""
    if isinstance(target, Blocks) or isinstance(value, Blocks):
        fail("bad_index", f"{API}: a tensor with block dimensions is assigned one block at a time")
    if target.buffer not in ON_CHIP:
        fail("wrong_memory", f"{API}: {target!r} is in {target.buffer}: nl.store writes there")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        isa.memset(target, value)
        return
    if not isinstance(value, Tile):
        fail(
            "wrong_argument", f"{API}: {type(value).__name__} cannot be assigned to {target!r}; a tile or a number can"
        )
    if _same(target, value):
        return
    value = shaped(value, target.shape, API)
    valid = value._valid
    if valid is None:
        return
    if valid is ALL:
        _move(target, value, None)
    else:
        _move(narrow(target, valid.box), narrow(value, valid.box), valid.dense)


def shaped(value: Tile, shape: tuple[int, ...], api: str) -> Tile:
    """As `shape`: dimensions of one more or fewer, and free dimensions of one repeated."""
    if value.shape == shape:
        return value
    valid = value._valid
    if [n for n in value.shape if n != 1] == [n for n in shape if n != 1]:
        other = value._restrided(shape, api) if value._pending is None else value
        found = Tile(value._memory, other._values, other._written, value._region.rearranged(), value._dtype)
        if isinstance(valid, Where):
            parts = [p for p, n in zip(valid.box, value.shape, strict=True) if n != 1]
            box = tuple(parts.pop(0) if n != 1 else slice(0, 1) for n in shape)
            dense = None
            if valid.dense is not None:
                dense = valid.dense.reshape(tuple(part.stop - part.start for part in box))
            valid = Where(box, dense)
        found._valid = valid
        return found
    if value.ndim == len(shape) and value.shape[0] == shape[0] and value.buffer in ON_CHIP:
        if any(have not in (1, want) for have, want in zip(value.shape, shape, strict=True)):
            fail("shape_mismatch", f"{api}: {value!r} does not fit the shape {list(shape)}")
        wide = Tile(
            value._memory, np.broadcast_to(value._values, shape),
            None if value._written is None else np.broadcast_to(value._written, shape),
            value._region.rearranged(), value._dtype,
        )  # fmt: skip
        wide._valid = valid if valid in (ALL, None) else ALL
        return wide
    fail("shape_mismatch", f"{api}: {value!r} does not fit the shape {list(shape)}")


def _same(target: Tile, value: Tile) -> bool:
    here, there = target._values.__array_interface__["data"], value._values.__array_interface__["data"]
    return target._memory is value._memory and here == there and target.shape == value.shape


def _move(target: Tile, value: Tile, dense: np.ndarray | None) -> None:
    number = _origin(value)
    if dense is None and number is not None and _reachable(number, target):
        target._write(API, value._values)
        log = current(API).log
        log[number] = log[number]._replace(writes=(target._access(), *log[number].writes[1:]))
        value._memory.alias = target._access()  # type: ignore[attr-defined]
        return
    if dense is None:
        isa.tensor_copy(target, value, engine=_copier(target, value))
        return
    held = np.where(dense, value._values.astype(target._values.dtype), target._values)
    written = target._written.copy() if target._written is not None else None
    isa.tensor_copy(target, value, engine=_copier(target, value))
    target._values[...] = held
    if written is not None and target._memory.written is not None and target._written is not None:
        target._written[...] = written | dense


def _copier(target: Tile, value: Tile) -> str:
    from .isa import least_loaded

    psum = "psum" in (target.buffer, value.buffer)
    return least_loaded(("vector", "scalar") if psum else ("vector", "scalar", "gpsimd"), value)


def _origin(value: Tile) -> int | None:
    """The instruction that wrote a result that nobody has used yet."""
    memory = value._memory
    if not isinstance(memory, Memory1) or memory.origin is None or memory.alias is not None:
        return None
    log = current(API).log
    if not 0 < len(log) - memory.origin <= LOOK_BACK or log[memory.origin].writes[0].storage != memory.index:
        return None  # far behind, or part of a vectorised loop by now
    if value._values.size != memory.values.size:
        return None
    later = log[memory.origin + 1 :]
    if any(access.storage == memory.index for entry in later for access in (*entry.reads, *entry.writes)):
        return None
    return memory.origin


def _reachable(number: int, target: Tile) -> bool:
    """Whether that instruction can write the target, and nothing between them touches it."""
    log = current(API).log
    entry = log[number]
    if (entry.engine == "pe" and target.buffer != "psum") or (entry.engine == "dma" and target.buffer != "sbuf"):
        return False
    if (entry.engine == "gpsimd" and target.buffer == "psum") or target._pending is not None:
        return False
    if entry.engine == "pe":
        one_bank(f"nki.isa.{entry.name}", target)
    storage = target._access().storage
    return not any(a.storage == storage for later in log[number + 1 :] for a in (*later.reads, *later.writes))


def add_into(target: Tile, value: Any) -> None:
    """Sums of products in PSUM are part of nc_matmul; any other sum is an instruction of its own."""
    from .language import operate

    if isinstance(value, Tile):
        value = shaped(value, target.shape, "+=") if value.size == target.size else value
        if value._valid is None:
            return
        number = _origin(value)
        if target.buffer == "psum" and number is not None and _is_product(number) and _reachable(number, target):
            _accumulate(target, value, number)
            return
    operate("add", target, value, into=target)


def _is_product(number: int) -> bool:
    return current(API).log[number].name == "nc_matmul"


def _accumulate(target: Tile, value: Tile, number: int) -> None:
    if isinstance(value._valid, Where):
        if value._valid.dense is not None:
            fail("unsupported", "unsupported API: += of a product under a mask that is not a box")
        target, value = narrow(target, value._valid.box), narrow(value, value._valid.box)
    memory = target._memory
    fits = isinstance(memory, Memory1) and memory.zeroed
    # The first product overwrites, as into zeros that no instruction wrote.
    first = target._written is not None and memory.written is not None and not target._written.any()
    if not first:
        base = target._read("+=", "tile") if not fits else target._values
        total = base.astype(np.float32) + value._values.astype(np.float32)
    else:
        total = value._values
    target._write("+=", total)
    log = current(API).log
    entry = log[number]
    where = target._access()
    reads = entry.reads if first else (*entry.reads, where)
    log[number] = entry._replace(writes=(where,), reads=reads, accumulates=not first)
    value._memory.alias = where  # type: ignore[attr-defined]
