"""Comparing what a kernel wrote with what it should have written, and saying how the two differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .base import Mismatch

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

MAX_MISMATCHES = 8


class Check(NamedTuple):
    """`wrong` elements of `total`; `hint` is one clause about what they have in common, or empty."""

    total: int
    wrong: int
    mismatches: tuple[Mismatch, ...] = ()
    hint: str = ""

    @property
    def passed(self) -> bool:
        return self.wrong == 0


def agreeing(got: Array, expected: Array, closeness: float | None) -> Array:
    """Which elements are right: equal, or, with a closeness, at most that share of the largest magnitude expected
    away. No value agrees with what is not a number."""
    import numpy as np

    if closeness is None:
        return got == expected
    reach = closeness * float(np.abs(expected).max(initial=0))
    with np.errstate(invalid="ignore"):
        return np.abs(got.astype(np.float64) - expected.astype(np.float64)) <= reach


def compare(
    output: str,
    got: Array,
    expected: Array,
    poison: int | None = None,
    tile: int | None = None,
    closeness: float | None = None,
) -> Check:
    """Compare element by element, as `agreeing` does.

    poison: the byte that filled the output before the call; recognises elements that were never written.
    tile: edge of the machine's tiles; recognises errors confined to partial tiles.
    Raises ValueError when shapes or types differ: that is the caller's mistake, not the kernel's.
    """
    import numpy as np

    if got.shape != expected.shape or got.dtype != expected.dtype:
        raise ValueError(f"{output}: got {got.dtype}{got.shape}, expected {expected.dtype}{expected.shape}")
    bad = ~agreeing(got, expected, closeness)
    wrong = int(bad.sum())
    if not wrong:
        return Check(expected.size, 0)
    first = np.flatnonzero(bad)[:MAX_MISMATCHES]
    mismatches = []
    for flat in first:
        index = tuple(int(i) for i in np.unravel_index(flat, expected.shape))
        value = float(got[index])
        found = value if np.isfinite(value) else None
        mismatches.append(Mismatch(output=output, index=index, got=found, expected=float(expected[index])))
    return Check(expected.size, wrong, tuple(mismatches), _hint(bad, got, poison, tile))


def _hint(bad: Array, got: Array, poison: int | None, tile: int | None) -> str:
    import numpy as np

    if poison is not None:
        untouched = got.view(np.uint8).reshape(*got.shape, got.dtype.itemsize) == poison
        untouched = untouched.all(axis=-1)
        if untouched.all():
            return "nothing was written: the output still holds what it was filled with before the call"
        # Right values may equal the poison by chance; wrong ones that all do were not written.
        if untouched[bad].all():
            pattern = _tile_hint(bad, tile) if tile else ""
            return f"the wrong elements were never written ({_where(bad)})" + (f"; {pattern}" if pattern else "")
        if untouched[bad].mean() > 0.5:
            return f"{int(untouched[bad].sum())} of the wrong elements were never written ({_where(bad & untouched)})"
    if np.issubdtype(got.dtype, np.floating) and not np.isfinite(got).all():
        return f"{int((~np.isfinite(got)).sum())} elements are infinite or not a number ({_where(~np.isfinite(got))})"
    if bad.all():
        return "every element is wrong"
    return (_tile_hint(bad, tile) if tile else "") or f"all wrong elements lie in {_where(bad)}"


def _where(bad: Array) -> str:
    """The bounding box of the wrong elements."""
    import numpy as np

    ranges = []
    for axis in range(bad.ndim):
        hit = np.flatnonzero(bad.any(axis=tuple(a for a in range(bad.ndim) if a != axis)))
        ranges.append(f"[{hit[0]}]" if hit[0] == hit[-1] else f"[{hit[0]}..{hit[-1]}]")
    return "".join(ranges)


def _tile_hint(bad: Array, tile: int) -> str:
    """Errors only in partial tiles, at the same place of every tile or group of tiles, or only in a few whole tiles
    (2-D outputs)."""
    import numpy as np

    if bad.ndim != 2:
        return ""
    rows, columns = bad.shape
    rest_rows, rest_columns = rows % tile, columns % tile
    inner = bad[: rows - rest_rows, : columns - rest_columns]
    if (rest_rows or rest_columns) and inner.size and not inner.any():
        return f"only elements of partial tiles are wrong ({_where(bad)}): check the edge cases of rows and columns"
    wrong_rows, wrong_columns = np.flatnonzero(bad.any(axis=1)), np.flatnonzero(bad.any(axis=0))
    if len(set(wrong_columns % tile)) == 1 and columns > tile:
        return f"only column {wrong_columns[0] % tile} of each {tile}-column tile is wrong"
    if len(set(wrong_rows % tile)) == 1 and rows > tile:
        return f"only row {wrong_rows[0] % tile} of each {tile}-row tile is wrong"
    for name, wrong in (("rows", wrong_rows), ("columns", wrong_columns)):
        if repeating := _repeating(wrong, tile):
            return f"only {name} {repeating} are wrong"
    tiles = {(int(r) // tile, int(c) // tile) for r, c in np.argwhere(bad)[:4096]}
    total = -(-rows // tile) * -(-columns // tile)
    if bad.sum() <= 4096 and len(tiles) < total / 2:
        named = ", ".join(f"({r},{c})" for r, c in sorted(tiles)[:4])
        return f"only {len(tiles)} of {total} tiles of {tile}x{tile} are wrong, at tile (row, column) {named}" + (
            " …" if len(tiles) > 4 else ""
        )
    return ""


def _repeating(wrong: Array, tile: int) -> str:
    """`48..63 of every 64`: where wrong indices lie in one part, half at most, of all groups of 2 to 16 tiles; of
    several such descriptions the one that names the fewest right ones."""
    found: list[tuple[float, str]] = []
    for period in (2 * tile, 4 * tile, 8 * tile, 16 * tile):
        inside = sorted({int(index) % period for index in wrong})
        first, last, groups = inside[0], inside[-1], wrong[-1] // period - wrong[0] // period + 1
        if groups > 1 and last - first < period // 2:
            found.append((-len(wrong) / ((last - first + 1) * groups), f"{first}..{last} of every {period}"))
    return min(found, default=(0.0, ""))[1]
