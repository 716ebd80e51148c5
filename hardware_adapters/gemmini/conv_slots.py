"""Moves between the computes of a convolution: when each is due, so that loads, stores and products overlap.

A slot stands before each group of pairs that share a block of weights, or before each row of pixels in it. The moves
of a step are spread over its slots.
"""

from __future__ import annotations

from .conv_moves import ConvMoves, Operand
from .schedule import DIM
from .slots import PAIRS_IN_FLIGHT


class ConvSlots(ConvMoves):
    """The part of an emitted kernel that runs ahead of, or behind, the tile being computed."""

    @property
    def slots(self) -> int:
        """Groups of pairs in a step, or the rows in them, the first not counted and no more than every tap has."""
        groups = self.s.tj // DIM * self.taps * (self.s.tk // DIM)
        if self.s.slots == "groups":
            return groups
        rows = -(-(self.s.ty - self.conv.padding) // self.s.merge)
        return groups * (self.s.images * rows - 1)

    @property
    def group(self) -> int:
        """Pairs in a group, where no tap is cut short."""
        return self.s.images * -(-self.s.ty // self.s.merge) * self.chunks

    def next_tile(self) -> None:
        super().next_tile()
        for o in self.ahead:
            self.next_buffer(o, [d for d in (o.reuse, self.k) if d.looped] if o.keep != "tile" else [])

    def next_at(self, o: Operand) -> tuple[tuple[str, ...], str]:
        return tuple(d.next for d in o.position), self.local_at(o, f"n{o.local}", self.k.next, self.j.next)

    def call_load(self, o: Operand) -> str:
        at, local = self.next_at(o)
        return f"load_{o.local}({o.tensor}, load_{o.local}s, {', '.join(at)}, {local}); load_{o.local}s++;"

    def spacing(self, moves: int, phase: int) -> tuple[int, int, int]:
        """(first slot, slots from one to the next, moves at once) that spread `moves` over the slots of a step.

        The first slot leaves the previous step's pairs time to finish with their buffers."""
        behind = -(-PAIRS_IN_FLIGHT // (self.group if self.s.slots == "groups" else self.chunks))
        first = min(behind + phase, max(0, self.slots - moves))
        return first, max(1, (self.slots - first) // moves), -(-moves // self.slots)

    def load_spacing(self, o: Operand) -> tuple[int, int, int]:
        return self.spacing(o.moves, self.interleaved.index(o))

    def store_spacing(self) -> tuple[int, int, int]:
        fills = self.fills if self.fills_ahead else 0
        return self.spacing(-(-(self.stores + fills) // self.k.tiles), len(self.interleaved))

    def plan_slots(self) -> None:
        """Before the pairs of a step: when the first of each kind of move is due."""
        for o in self.interleaved:
            first, _, _ = self.load_spacing(o)
            self.put(f"int load_{o.local}s = {self.needed(o)} ? 0 : {o.moves};")
            self.put(f"int due_{o.local} = load_{o.local}s ? -1 : {first};")
        if self.stores_interleaved:
            self.put(f"int due_c = stored < {self.c_moves} ? {self.store_spacing()[0]} : -1;")
        if self.interleaved or self.stores_interleaved:
            self.put("int slot = 0;")

    def slot(self) -> None:
        """Issue the moves that are due between two groups of pairs."""
        for o in self.interleaved:
            _, every, at_once = self.load_spacing(o)
            self._due(f"load_{o.local}s", o.moves, f"due_{o.local}", every, at_once, self.call_load(o))
        if self.stores_interleaved:
            _, every, at_once = self.store_spacing()
            self._due("stored", self.c_moves, "due_c", every, at_once, self.do_store)
        if self.interleaved or self.stores_interleaved:
            self.put("slot++;")

    def _due(self, count: str, moves: int | str, due: str, every: int, at_once: int, do: str) -> None:
        if at_once > 1:
            self.put(f"for (int m = 0; m < {at_once} && {count} < {moves}; m++) {{ {do} }}")
        else:
            self.put(f"if (slot == {due}) {{ {do} {due} = {count} < {moves} ? slot + {every} : -1; }}")

    @property
    def c_moves(self) -> str:
        """Moves of the other C tile's buffer during a tile: stores, and then what fills it again."""
        return "moves" if self.fills_ahead else str(self.stores)

    @property
    def do_store(self) -> str:
        store = f"store(output, stored, pt, pj, {self.other_c});"
        if self.fills_ahead:
            fill = self.fill(f"stored - {self.stores}", "fj" if self.j.looped else "0", self.other_c)
            store = f"if (stored < {self.stores}) {store} else {fill}"
        return f"{store} stored++;"

    def plan_fills(self) -> None:
        """At the start of a C tile: how much there is to store and to fill, and for which channels."""
        if not self.fills_ahead:
            return
        t, j = self.t, self.j
        last = [f"{d.name} + {d.tile} >= {d.size}" for d in (t, j) if d.looped]
        self.put(f"const int moves = {' && '.join(last)} ? {self.stores} : {self.stores + self.fills};")
        if j.looped:
            stays = f"t + 1 < {t.size} ? j : " if self.s.order == "jy" and t.looped else ""
            self.put(f"const int fj = {stays}j + {j.tile} < {j.size} ? j + {j.tile} : 0;")

    def rest_of_stores(self, after_all: bool = False) -> None:
        if after_all:
            self.put(f"while (stored < {self.stores}) {{ store(output, stored, pt, pj, {self.other_c}); stored++; }}")
        else:
            self.put(f"while (stored < {self.c_moves}) {{ {self.do_store} }}")
