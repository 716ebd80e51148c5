"""What the emitters of both operators say in the same words: the walk over tiles, and the buffers they lie in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .writer import Dim, Writer


class Kept(Protocol):
    """An operand that is loaded tile by tile, or kept: how much of it, and for which loop's iterations."""

    @property
    def local(self) -> str: ...
    @property
    def keep(self) -> str: ...
    @property
    def reuse(self) -> Dim: ...
    @property
    def ahead(self) -> bool: ...
    @property
    def buffers(self) -> int: ...
    @property
    def base(self) -> int: ...
    @property
    def step(self) -> int: ...


class Tiles(Writer):
    """`steps`: the loops over tiles that have more than one iteration, outermost first."""

    steps: list[Dim]

    def toggles(self, o: Kept) -> bool:
        return o.buffers == 2 and bool(self.steps)

    def other_buffer(self, o: Kept) -> str:
        return f"{2 * o.base + o.step} - {o.local}"

    def in_use(self, o: Kept, what: str) -> None:
        """The variable that says which of an operand's two buffers is read now."""
        if self.toggles(o):
            other = o.base + o.step
            first = o.base if o.ahead else other  # without look-ahead a buffer is switched before it is filled
            self.put(f"uint32_t {o.local} = {first};  // {what} in use: {o.base} or {other}")

    def next_tile(self) -> None:
        """n and the loop's name, of every loop: the tile after this one; past the last one the outermost of them
        reaches its end."""
        first = self.steps[-1]
        names = ", ".join(f"n{d.name} = {d.name}" + (f" + {d.tile}" if d is first else "") for d in self.steps)
        carry = ""
        for d, above in zip(reversed(self.steps[1:]), reversed(self.steps[:-1]), strict=True):
            carry += f"if (n{d.name} >= {d.size}) {{ n{d.name} = 0; n{above.name} += {above.tile}; "
        self.put(f"int {names};  // the next tile")
        if carry:
            self.put(carry + "}" * (len(self.steps) - 1))

    def next_buffer(self, o: Kept, renewed_by: Sequence[Dim]) -> None:
        """The buffer that the next tile reads: the other one, once each of these loops begins anew."""
        if self.toggles(o):
            switch = self.other_buffer(o)
            if renewed_by:
                switch = f"{' && '.join(f'n{d.name} == 0' for d in renewed_by)} ? {switch} : {o.local}"
            self.put(f"const uint32_t n{o.local} = {switch};")

    def needed(self, o: Kept) -> str:
        """Whether the next tile needs a load of this operand."""
        last = self.steps[0]
        conditions = [f"n{last.name} < {last.size}"]
        if o.keep != "tile" and o.reuse.looped:
            conditions.append(f"n{o.reuse.name} == 0")
        return " && ".join(conditions)
