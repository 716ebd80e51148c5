"""The moves of an emitted kernel: mvins of A, B and D, mvouts of C, in loops or one at a time between computes."""

from __future__ import annotations

from typing import NamedTuple

from .problems import Gemm
from .schedule import DIM, Layout, Schedule
from .writer import Dim, Writer

# Pairs that are queued or running when Rocket issues the next command: 16 entries of the reservation station and the
# queue before it. Moves issued sooner after a switch of buffers meet pairs that still use the other ones.
PAIRS_IN_FLIGHT = 12
_INLINE = "static inline __attribute__((always_inline)) void "


class Operand(NamedTuple):
    """What is needed to emit the moves of A or B."""

    name: str  # A or B
    rows: Dim
    cols: Dim
    reuse: Dim  # the loop whose iterations share this operand
    keep: str
    ahead: bool  # loaded one tile ahead
    buffers: int
    base: int
    step: int
    width: int  # columns per mvin
    row_blocks: int  # blocks per row of blocks in the local layout
    mvin: str
    mvin_id: int

    @property
    def pieces(self) -> int:
        return -(-self.cols.blocks * DIM // self.width)

    @property
    def loads(self) -> int:
        return self.rows.blocks * self.pieces

    @property
    def local(self) -> str:
        return self.name.lower()


class Moves(Writer):
    """Everything about one kernel's data movement that follows from problem, schedule and layout."""

    def __init__(self, gemm: Gemm, schedule: Schedule, where: Layout) -> None:
        self.gemm, self.s, self.where = gemm, schedule, where
        super().__init__()
        s = schedule
        self.i, self.j, self.k = Dim("i", gemm.m, s.ti), Dim("j", gemm.n, s.tj), Dim("k", gemm.k, s.tk)
        self.order = [self.i, self.j, self.k] if s.order == "ij" else [self.j, self.i, self.k]
        self.steps = [d for d in self.order if d.looped]
        self.partial = [d for d in self.order if d.partial]
        separate = s.load_ids == "separate"
        can_go_ahead = s.loads != "before" and bool(self.steps)
        a_row = -(-gemm.k // DIM) if s.a_keep == "all" else s.tk // DIM
        b_row = -(-gemm.n // DIM) if s.b_keep == "all" else s.tj // DIM
        self.operands = (
            Operand("A", self.i, self.k, self.j, s.a_keep, can_go_ahead and (s.a_buffers == 2 or s.a_keep == "all"),
                     s.a_buffers, where.a_base, where.a_step, min(s.a_width, s.tk), a_row, "mvin", 0),
            Operand("B", self.k, self.j, self.i, s.b_keep, can_go_ahead and (s.b_buffers == 2 or s.b_keep == "all"),
                     s.b_buffers, where.b_base, where.b_step, min(s.b_width, s.tj), b_row,
                     "mvin2" if separate else "mvin", 1 if separate else 0),
        )  # fmt: skip
        self.third = ("mvin3", 2) if separate else ("mvin", 0)
        self.c_width = min(s.c_width, s.tj)
        self.c_pieces = -(-self.j.blocks * DIM // self.c_width)
        self.inner = [{"i": self.i, "j": self.j, "k": self.k}[name] for name in s.inner]
        self.slots = self.inner[0].blocks * self.inner[1].blocks
        self.ahead = [o for o in self.operands if o.ahead]
        self.interleaved = [o for o in self.ahead if s.loads == "interleave"]
        self.stores_interleaved = s.stores == "interleave" and (self.i.looped or self.j.looped)

    def local_at(self, o: Operand, rows: str, cols: str, buffer: str) -> str:
        """Local address of the tile at (rows, cols): a buffer, or its place in a matrix kept whole."""
        if o.keep == "all":
            return self.total(str(o.base), self.times(rows, o.row_blocks), cols)
        return buffer if self.toggles(o) else str(o.base)

    def toggles(self, o: Operand) -> bool:
        return o.buffers == 2 and bool(self.steps)

    def load_now(self, o: Operand) -> None:
        """Loads that stand right before their computes."""
        kept = o.keep != "tile" and o.reuse.looped
        at = self.local_at(o, o.rows.var, o.cols.var, o.local)

        def body() -> None:
            if self.toggles(o):
                self.put(f"{o.local} = {2 * o.base + o.step} - {o.local};")
            self.loads(o, o.rows.var, o.cols.var, at)

        if kept:
            with self.block(f"if ({o.reuse.name} == 0)"):
                body()
        else:
            body()

    def one_load(self, o: Operand, rows: str, cols: str, row: str, col: str, at: str) -> None:
        r = self.span(o.rows, rows, row, DIM)
        c = self.span(o.cols, cols, col, o.width)
        inside = f"({col}) * {DIM}" if " " in col else self.times(col, DIM)
        dram = self.total(o.name, self.scaled(rows, row, o.cols.size), cols, inside)
        local = self.block_at(at, row, col, o.row_blocks)
        if self.s.config == "each":
            self.put(f"config_ld({o.cols.size}, 1.0f, {DIM}, {o.mvin_id});")
        self.guarded(o.rows.partial, o.cols.partial, r, c, f"{o.mvin}({dram}, {local}, {{c}}, {{r}});")

    def guarded(self, rows_vary: bool, cols_vary: bool, r: str, c: str, command: str) -> None:
        """A move that partial tiles shorten or leave out."""
        if not (rows_vary or cols_vary):
            self.put(command.format(r=r, c=c))
            return
        named = {"r": r, "c": c}
        conditions = []
        for name, varies in (("r", rows_vary), ("c", cols_vary)):
            if varies:
                self.put(f"int {name}{name} = {named[name]};")
                named[name] = name * 2
                conditions.append(f"{name * 2} > 0")
        self.put(f"if ({' && '.join(conditions)}) {command.format(**named)}")

    def loads(self, o: Operand, rows: str, cols: str, at: str) -> None:
        """All mvins of the tile at (rows, cols), in loops."""
        row_loop = (f"{o.rows.name}b", o.rows.blocks, 1)
        col_loop = (f"{o.cols.name}b", o.cols.blocks, o.width // DIM)
        loops = [col_loop, row_loop] if self.s.load_order == "down" else [row_loop, col_loop]
        self.in_loops(loops, lambda names: self.one_load(o, rows, cols, names[row_loop[0]], names[col_loop[0]], at))

    def one_store(self, i: str, j: str, row: str, col: str, at: str) -> None:
        r, c = self.span(self.i, i, row, DIM), self.span(self.j, j, col, self.c_width)
        inside = f"({col}) * {DIM}" if " " in col else self.times(col, DIM)
        dram = self.total("C", self.scaled(i, row, self.gemm.n), j, inside)
        local = self.block_at(self.total("ACC", at), row, col, self.s.tj // DIM)
        self.guarded(self.i.partial, self.j.partial, r, c, f"mvout({dram}, {local}, {{c}}, {{r}});")

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

    @staticmethod
    def nth(rows: int, pieces: int, down: bool) -> tuple[str, str]:
        """(row, piece) of the n-th move of a tile, as C expressions."""
        if pieces == 1:
            return "n", "0"
        if rows == 1:
            return "0", "n"
        return (f"n % {rows}", f"n / {rows}") if down else (f"n / {pieces}", f"n % {pieces}")

    @property
    def d_stride(self) -> int:
        """DRAM stride of what initialises the accumulator: a matrix, or one row (or zeros) again and again."""
        return 4 * self.gemm.n if self.gemm.bias == "biasmat" else 0

    def initial_values(self) -> None:
        """Fill the C tile with D or zeros, where the first product does not overwrite it."""
        g = self.gemm
        if not g.bias and self.s.init == "overwrite":
            return
        mvin, number = self.third

        def fill(names: dict[str, str]) -> None:
            ib, jb = names["ib"], names["jb"]
            local = self.block_at(self.total("ACC", self.c_at), ib, jb, self.s.tj // DIM)
            if self.s.config == "each":
                self.put(f"config_ld({self.d_stride}, 1.0f, {DIM}, {number});")
            if not g.bias:
                self.put(f"{mvin}(0, {local}, {DIM}, {DIM});")
                return
            r = self.span(self.i, self.i.var, ib, DIM, current=True)
            c = self.span(self.j, self.j.var, jb, DIM, current=True)
            row = self.scaled(self.i.var, ib, g.n) if g.bias == "biasmat" else "0"
            dram = self.total("D", row, self.j.var, self.times(jb, DIM))
            self.guarded(self.i.partial, self.j.partial, r, c, f"{mvin}({dram}, {local}, {{c}}, {{r}});")

        self.in_loops([("ib", self.i.blocks, 1), ("jb", self.j.blocks, 1)], fill)

    @property
    def stores(self) -> int:
        return self.i.blocks * self.c_pieces

    @property
    def other_c(self) -> str:
        return f"{self.where.c_step} - c"

    @property
    def c_toggles(self) -> bool:
        return self.s.c_buffers == 2 and (self.i.looped or self.j.looped)

    @property
    def c_at(self) -> str:
        return "c" if self.c_toggles else "0"

    def next_tile(self) -> None:
        """ni, nj, nk: the tile after this one; past the last one the outermost of them reaches its end."""
        first = self.steps[-1]
        names = ", ".join(f"n{d.name} = {d.name}" + (f" + {d.tile}" if d is first else "") for d in self.steps)
        carry = ""
        for d, above in zip(reversed(self.steps[1:]), reversed(self.steps[:-1]), strict=True):
            carry += f"if (n{d.name} >= {d.size}) {{ n{d.name} = 0; n{above.name} += {above.tile}; "
        self.put(f"int {names};  // the next tile")
        if carry:
            self.put(carry + "}" * (len(self.steps) - 1))
        for o in self.ahead:
            if self.toggles(o):
                switch = f"{2 * o.base + o.step} - {o.local}"
                if o.keep == "panel" and o.reuse.looped:
                    switch = f"n{o.reuse.name} == 0 ? {switch} : {o.local}"
                self.put(f"const uint32_t n{o.local} = {switch};")

    def needed(self, o: Operand) -> str:
        """Whether the next tile needs a load of this operand."""
        last = self.steps[0]
        conditions = [f"n{last.name} < {last.size}"]
        if o.keep != "tile" and o.reuse.looped:
            conditions.append(f"n{o.reuse.name} == 0")
        return " && ".join(conditions)

    def call_load(self, o: Operand) -> str:
        at = self.local_at(o, o.rows.next, o.cols.next, f"n{o.local}")
        return f"load_{o.local}({o.name}, load{o.name}, {o.rows.next}, {o.cols.next}, {at})"

    def spacing(self, moves: int, phase: int) -> tuple[int, int, int]:
        """(first slot, slots from one to the next, moves at once) that spread `moves` over the slots of a step.

        The first slot leaves the previous step's pairs time to finish with their buffers."""
        behind = -(-PAIRS_IN_FLIGHT // self.inner[2].blocks)
        first = min(behind + phase, max(0, self.slots - moves))
        return first, max(1, (self.slots - first) // moves), -(-moves // self.slots)

    def plan_slots(self) -> None:
        """Before the pairs of a step: when the first of each kind of move is due."""
        for phase, o in enumerate(self.interleaved):
            first, _, _ = self.spacing(o.loads, phase)
            self.put(f"int load{o.name} = 0, due{o.name} = {self.needed(o)} ? {first} : -1;")
        if self.stores_interleaved:
            first, _, at_once = self.spacing(self.stores_per_step, len(self.interleaved))
            if at_once == 1:
                self.put(f"int dueC = {first};")
        if self.interleaved or self.stores_interleaved:
            self.put("int slot = 0;")

    @property
    def stores_per_step(self) -> int:
        return -(-self.stores // self.k.tiles)

    def slot(self) -> None:
        """Issue the moves that are due between two groups of pairs."""
        for phase, o in enumerate(self.interleaved):
            n, due = f"load{o.name}", f"due{o.name}"
            _, every, at_once = self.spacing(o.loads, phase)
            do = f"{self.call_load(o)}; {n}++;"
            if at_once > 1:
                self.put(f"for (int q = 0; q < {at_once} && {due} >= 0 && {n} < {o.loads}; q++) {{ {do} }}")
            else:
                self.put(f"if (slot == {due} && {n} < {o.loads}) {{ {do} {due} += {every}; }}")
        if self.stores_interleaved:
            _, every, at_once = self.spacing(self.stores_per_step, len(self.interleaved))
            do = f"store_c(C, stored, pi, pj, {self.other_c}); stored++;"
            if at_once > 1:
                self.put(f"for (int q = 0; q < {at_once} && stored < {self.stores}; q++) {{ {do} }}")
            else:
                self.put(f"if (slot == dueC && stored < {self.stores}) {{ {do} dueC += {every}; }}")
        if self.interleaved or self.stores_interleaved:
            self.put("slot++;")

    def leftover_loads(self) -> None:
        """A partial tile has fewer slots than the next one may have loads."""
        for o in self.interleaved:
            n = f"load{o.name}"
            self.put(f"while (due{o.name} >= 0 && {n} < {o.loads}) {{ {self.call_load(o)}; {n}++; }}")
