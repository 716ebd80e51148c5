"""Moves between computes: when each is due, so that loads, stores and products overlap.

A slot stands between two groups of pairs. The moves of a step are spread evenly over its slots.
"""

from __future__ import annotations

from .moves import Moves, Operand
from .schedule import DIM

# Pairs that are queued or running when Rocket issues the next command: 16 entries of the reservation station and the
# queue before it. Moves issued sooner after a switch of buffers meet pairs that still use the other ones.
PAIRS_IN_FLIGHT = 12
NEVER = 1 << 20  # a slot that does not come
_INLINE = "static inline __attribute__((always_inline)) void "


class Slots(Moves):
    """The part of an emitted kernel that runs ahead of, or behind, the tile being computed."""

    def next_tile(self) -> None:
        super().next_tile()
        for o in self.ahead:
            self.next_buffer(o, [o.reuse] if o.keep == "panel" and o.reuse.looped else [])

    def call_load(self, o: Operand) -> str:
        at = self.local_at(o, o.rows.next, o.cols.next, f"n{o.local}")
        return f"load_{o.local}({o.name}, load{o.name}, {o.rows.next}, {o.cols.next}, {at})"

    def functions(self) -> None:
        """Interleaved moves are issued one at a time, so the n-th of a tile gets a function."""
        for o in self.interleaved:
            self.put(f"// the n-th mvin of the tile of {o.name} at ({o.rows.name}, {o.cols.name})")
            args = f"const int8_t *{o.name}, int n, int {o.rows.name}, int {o.cols.name}, uint32_t {o.local}"
            with self.block(f"{_INLINE}load_{o.local}({args})"):
                down = self.s.load_order == "down"
                row, piece = self.nth(o.rows.blocks, o.pieces, down)
                self.one_load(o, o.rows.name, o.cols.name, row, self.times(piece, o.width // DIM), o.local)
            self.put("")
        if self.stores_interleaved:
            self.put("// the n-th mvout of the C tile at (i, j)")
            with self.block(f"{_INLINE}store_c(int8_t *C, int n, int i, int j, uint32_t c)"):
                row, piece = self.nth(self.i.blocks, self.c_pieces, False)
                self.one_store("i", "j", row, self.times(piece, self.c_width // DIM), "c")
            self.put("")
        if self.d_ahead:
            self.put("// the n-th mvin of the D tile at (i, j)")
            with self.block(f"{_INLINE}load_d(const int32_t *D, int n, int i, int j, uint32_t c)"):
                row, piece = self.nth(self.i.blocks, self.d_pieces, False)
                if self.gemm.bias == "bias" and not self.i.partial:
                    self.put("(void)i;  // D is one row")
                self.one_d("i", "j", row, self.times(piece, self.d_width // DIM), "c")
            self.put("")

    @staticmethod
    def nth(rows: int, pieces: int, down: bool) -> tuple[str, str]:
        """(row, piece) of the n-th move of a tile, as C expressions."""
        if pieces == 1:
            return "n", "0"
        if rows == 1:
            return "0", "n"
        return (f"n % {rows}", f"n / {rows}") if down else (f"n / {pieces}", f"n % {pieces}")

    def spacing(self, moves: int, phase: int, slots: int, start: int = 0) -> tuple[int, int, int]:
        """(first slot, slots from one to the next, moves at once) that spread `moves` over `slots` slots of a step.

        The first slot leaves the previous step's pairs time to finish with their buffers."""
        behind = -(-PAIRS_IN_FLIGHT // self.inner[2].blocks)
        first = min(behind + phase, max(0, slots - moves))
        return start + first, max(1, (slots - first) // moves), -(-moves // slots)

    def load_spacing(self, o: Operand) -> tuple[int, int, int]:
        return self.spacing(o.loads, self.interleaved.index(o), self.slots)

    @property
    def store_steps(self) -> int:
        """Steps of a C tile in which the previous one is stored: all, or the first half if D needs the other."""
        return self.k.tiles - self.k.tiles // 2 if self.d_ahead else self.k.tiles

    @property
    def _halved(self) -> bool:
        """A single step per C tile has its stores in the first half of its slots, the loads of D in the second."""
        return self.d_ahead and self.k.tiles == 1 and self.slots > 1

    def store_spacing(self) -> tuple[int, int, int]:
        slots = self.slots // 2 if self._halved else self.slots
        return self.spacing(-(-self.stores // self.store_steps), len(self.interleaved), slots)

    def d_spacing(self) -> tuple[int, int, int]:
        start = self.slots // 2 if self._halved else 0
        moves = -(-self.d_loads // max(1, self.k.tiles - self.store_steps))
        return self.spacing(moves, len(self.interleaved), self.slots - start, start)

    def plan_slots(self) -> None:
        """Before the pairs of a step: when the first of each kind of move is due."""
        for o in self.interleaved:
            first, _, _ = self.load_spacing(o)
            self.put(f"int load{o.name} = 0, due{o.name} = {self.needed(o)} ? {first} : -1;")
        if self.stores_interleaved:
            first, _, at_once = self.store_spacing()
            if at_once == 1:
                self.put(f"int dueC = {first};")
        if self.d_ahead:
            first, _, _ = self.d_spacing()
            later = self.k.tiles > 1
            self.put(f"int dueD = {f'k >= {self.store_steps * self.k.tile} ? {first} : {NEVER}' if later else first};")
        if self.interleaved or self.stores_interleaved:
            self.put("int slot = 0;")

    def slot(self) -> None:
        """Issue the moves that are due between two groups of pairs."""
        for o in self.interleaved:
            n, due = f"load{o.name}", f"due{o.name}"
            _, every, at_once = self.load_spacing(o)
            do = f"{self.call_load(o)}; {n}++;"
            if at_once > 1:
                self.put(f"for (int q = 0; q < {at_once} && {due} >= 0 && {n} < {o.loads}; q++) {{ {do} }}")
            else:
                self.put(f"if (slot == {due} && {n} < {o.loads}) {{ {do} {due} += {every}; }}")
        if self.stores_interleaved:
            _, every, at_once = self.store_spacing()
            if at_once > 1:
                self.put(f"for (int q = 0; q < {at_once} && stored < {self.stores}; q++) {{ {self.do_store} }}")
            else:
                self.put(f"if (slot == dueC && stored < {self.stores}) {{ {self.do_store} dueC += {every}; }}")
        if self.d_ahead:
            _, every, at_once = self.d_spacing()
            condition = f"slot >= dueD && loadD < {self.d_loads}"
            with self.block(f"if ({condition})"):
                self.all_stored()
                if at_once > 1:
                    self.put(f"for (int q = 0; q < {at_once} && loadD < {self.d_loads}; q++) {{ {self.do_load_d} }}")
                else:
                    self.put(f"{self.do_load_d}\ndueD += {every};")
        if self.interleaved or self.stores_interleaved:
            self.put("slot++;")

    @property
    def do_store(self) -> str:
        return f"store_c(C, stored, pi, pj, {self.other_c}); stored++;"

    @property
    def do_load_d(self) -> str:
        qi, qj = (f"q{d.name}" if d.looped else "0" for d in (self.i, self.j))
        return f"load_d(D, loadD, {qi}, {qj}, {self.other_c}); loadD++;"

    def all_stored(self) -> None:
        self.put(f"while (stored < {self.stores}) {{ {self.do_store} }}")

    def next_c_tile(self) -> None:
        """qi, qj: the C tile after this one, whose D is loaded ahead."""
        loops = [d for d in self.order[:2] if d.looped]
        last = loops[-1]
        self.put(
            "int " + ", ".join(f"q{d.name} = {d.name}" + (f" + {d.tile}" if d is last else "") for d in loops) + ";"
        )
        if len(loops) == 2:
            self.put(f"if (q{last.name} >= {last.size}) {{ q{last.name} = 0; q{loops[0].name} += {loops[0].tile}; }}")
        self.put(f"int loadD = q{loops[0].name} < {loops[0].size} ? 0 : {self.d_loads};  // loads of the next D tile")

    def leftover_loads(self) -> None:
        """A partial tile has fewer slots than the next one may have loads."""
        for o in self.interleaved:
            n = f"load{o.name}"
            self.put(f"while (due{o.name} >= 0 && {n} < {o.loads}) {{ {self.call_load(o)}; {n}++; }}")
