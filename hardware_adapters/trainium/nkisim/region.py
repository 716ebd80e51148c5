"""Which part of a memory a view shows: what dependencies and races are found by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .machine import Box


class Region(NamedTuple):
    """`box`: around the part, in the dimensions of the memory. `dims`: the dimension of the memory that each of the
    view's dimensions is; None when that is not known. `exact`: all of the box is shown, not merely what lies
    somewhere in it."""

    box: Box
    dims: tuple[int, ...] | None
    exact: bool = True

    @classmethod
    def of(cls, shape: Sequence[int]) -> Region:
        """All of a memory."""
        return cls(tuple((0, n) for n in shape), tuple(range(len(shape))))

    def part(self, ranges: Sequence[tuple[int, int, int]], kept: Sequence[bool], everything: bool) -> Region:
        """Of a slice: start, stop and step of each of the view's dimensions, those that stay a dimension, and whether
        no element is left out. Of a strided one only the box is known."""
        if self.dims is None:
            return self._replace(exact=self.exact and everything)
        box = list(self.box)
        for real, (start, stop, _) in zip(self.dims, ranges, strict=True):
            base = box[real][0]
            box[real] = (base + start, base + stop)
        if any(step != 1 for _, _, step in ranges):
            return Region(tuple(box), None, self.exact and everything)
        return Region(tuple(box), tuple(real for real, stays in zip(self.dims, kept, strict=True) if stays), self.exact)

    def rearranged(self) -> Region:
        """The same elements, in other dimensions."""
        return self._replace(dims=None)
