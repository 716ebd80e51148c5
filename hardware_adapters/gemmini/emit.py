"""From a schedule to a kernel: readable C with rolled loops, one function `solution` and a few inlined moves.

Names in the emitted code: i, j, k are element offsets of the current tile, ib, jb, kb block numbers in it; a, b, c the
local addresses of the buffers in use; ni, nj, nk and na, nb the tile that is loaded ahead and its buffers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from .schedule import DIM, Gemm, Layout, Schedule, format_line, layout

_CHECK = "#define MIN(a, b) ((a) < (b) ? (a) : (b))\n"
_INLINE = "static inline __attribute__((always_inline)) void "


def emit(gemm: Gemm, schedule: Schedule) -> str:
    """The kernel's source. Raises ScheduleError or CapacityError for a schedule that cannot be."""
    fitted = schedule.fitted(gemm)
    return _Emitter(gemm, fitted, layout(gemm, fitted)).kernel()


class _Dim(NamedTuple):
    """One of the three loops of the GEMM: its size, its tile, and what of that is known at compile time."""

    name: str
    size: int
    tile: int

    @property
    def looped(self) -> bool:
        return self.size > self.tile

    @property
    def var(self) -> str:
        return self.name if self.looped else "0"

    @property
    def next(self) -> str:
        return f"n{self.name}" if self.looped else "0"

    @property
    def partial(self) -> bool:
        """The last tile is smaller, so that a tile's extent is known only at run time."""
        return self.looped and self.size % self.tile != 0

    @property
    def ragged(self) -> bool:
        return self.size % DIM != 0

    @property
    def extent(self) -> str:
        return f"m{self.name}" if self.partial else str(min(self.size, self.tile))

    @property
    def blocks(self) -> int:
        return -(-min(self.size, self.tile) // DIM)

    @property
    def tiles(self) -> int:
        return -(-self.size // self.tile)


class _Operand(NamedTuple):
    """What is needed to emit the moves of A or B."""

    name: str  # A or B
    rows: _Dim
    cols: _Dim
    reuse: _Dim  # the loop whose iterations share this operand
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


class _Emitter:
    def __init__(self, gemm: Gemm, schedule: Schedule, where: Layout) -> None:
        self.gemm, self.s, self.where = gemm, schedule, where
        self.lines: list[str] = []
        self.depth = 0
        s = schedule
        self.i, self.j, self.k = _Dim("i", gemm.m, s.ti), _Dim("j", gemm.n, s.tj), _Dim("k", gemm.k, s.tk)
        self.order = [self.i, self.j, self.k] if s.order == "ij" else [self.j, self.i, self.k]
        self.steps = [d for d in self.order if d.looped]
        self.partial = [d for d in self.order if d.partial]
        separate = s.load_ids == "separate"
        can_go_ahead = s.loads != "before" and bool(self.steps)
        a_row = -(-gemm.k // DIM) if s.a_keep == "all" else s.tk // DIM
        b_row = -(-gemm.n // DIM) if s.b_keep == "all" else s.tj // DIM
        self.operands = (
            _Operand("A", self.i, self.k, self.j, s.a_keep, can_go_ahead and (s.a_buffers == 2 or s.a_keep == "all"),
                     s.a_buffers, where.a_base, where.a_step, min(s.a_width, s.tk), a_row, "mvin", 0),
            _Operand("B", self.k, self.j, self.i, s.b_keep, can_go_ahead and (s.b_buffers == 2 or s.b_keep == "all"),
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

    # ------------------------------------------------------------ writing

    def put(self, text: str) -> None:
        self.lines.extend("  " * self.depth + line for line in text.split("\n"))

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.put(head + " {")
        self.depth += 1
        yield
        self.depth -= 1
        self.put("}")

    @contextmanager
    def over_blocks(self, dim: _Dim, full: bool, unroll: int = 1, start: int = 0) -> Iterator[str]:
        """A loop over the blocks of a tile in one dimension; yields the block number's name, '0' for a single block."""
        name = f"{dim.name}b"
        if dim.blocks == 1 and not start:
            yield "0"
            return
        if unroll > 1:
            self.put(f"#pragma GCC unroll {min(unroll, dim.blocks)}")
        limit = f"{name} < {dim.blocks}" if full or not dim.partial else f"{name} * {DIM} < {dim.extent}"
        with self.block(f"for (int {name} = {start}; {limit}; {name}++)"):
            yield name

    # ------------------------------------------------------------ the kernel

    def kernel(self) -> str:
        g = self.gemm
        head = format_line(self.s) + '\n#include "gemmini_api.h"\n'
        bias = {"": "", "bias": "const int32_t *D, ", "biasmat": "const int32_t *D, "}[g.bias]
        self.put("")
        self.functions()
        with self.block(f"void solution(const int8_t *A, const int8_t *B, {bias}int8_t *C)"):
            if self.s.config != "tile" or self.ahead:
                self.configuration()
            self.buffers()
            self.prologue()
            self.outer(0)
            if self.stores_interleaved:
                self.put(f"while (stored < {self.stores}) {{ store_c(C, stored, pi, pj, {self.other_c}); stored++; }}")
        body = "\n".join(self.lines) + "\n"
        return head + (_CHECK if "MIN(" in body else "") + body

    @property
    def stores(self) -> int:
        return self.i.blocks * self.c_pieces

    @property
    def other_c(self) -> str:
        return f"{self.where.c_step} - c"

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

    def configuration(self) -> None:
        g, s = self.gemm, self.s
        self.put("config_ex(WS, NOACT, 1, 0, 0);")
        if g.relu or g.shift:
            self.put(f"config_st_ext({g.n}, {'RELU' if g.relu else 'NOACT'}, {_c_float(2.0**-g.shift)});")
        else:
            self.put(f"config_st({g.n});")
        if s.config == "each":
            return
        self.put(f"config_ld({g.k}, 1.0f, {DIM}, 0);\nconfig_ld({g.n}, 1.0f, {DIM}, 1);")
        if g.bias or s.init == "zero":
            self.put(f"config_ld({self.d_stride}, 1.0f, {DIM}, 2);")

    @property
    def d_stride(self) -> int:
        """DRAM stride of what initialises the accumulator: a matrix, or one row (or zeros) again and again."""
        return 4 * self.gemm.n if self.gemm.bias == "biasmat" else 0

    def toggles(self, o: _Operand) -> bool:
        return o.buffers == 2 and bool(self.steps)

    def buffers(self) -> None:
        for o in self.operands:
            if self.toggles(o):
                other = o.base + o.step
                first = o.base if o.ahead else other  # without look-ahead a buffer is switched before it is filled
                self.put(f"uint32_t {o.local} = {first};  // {o.name} tile in use: {o.base} or {other}")
        if self.c_toggles:
            self.put(f"uint32_t c = 0;  // accumulator rows in use: 0 or {self.where.c_step}")
        if self.stores_interleaved:
            self.put(f"int pi = 0, pj = 0, stored = {self.stores};  // previous C tile, and how much of it is stored")

    @property
    def c_toggles(self) -> bool:
        return self.s.c_buffers == 2 and (self.i.looped or self.j.looped)

    @property
    def c_at(self) -> str:
        return "c" if self.c_toggles else "0"

    def prologue(self) -> None:
        for o in self.ahead:
            self.loads(o, "0", "0", self.local_at(o, "0", "0", o.local))

    def outer(self, level: int) -> None:
        """The loops over tiles; what belongs to a C tile stands around the loop over k, which is innermost."""
        if level < 2:
            dim = self.order[level]
            if not dim.looped:
                self.outer(level + 1)
                return
            with self.block(f"for (int {dim.name} = 0; {dim.name} < {dim.size}; {dim.name} += {dim.tile})"):
                if dim.partial:
                    self.put(f"const int m{dim.name} = MIN({dim.tile}, {dim.size} - {dim.name});")
                self.outer(level + 1)
            return
        if self.s.config == "tile":
            self.configuration()
        self.initial_values()
        slotted = bool(self.interleaved or self.stores_interleaved)
        if slotted:
            self.put("int slot = 0;")
        if self.k.looped:
            with self.block(f"for (int k = 0; k < {self.k.size}; k += {self.k.tile})"):
                if self.k.partial:
                    self.put(f"const int mk = MIN({self.k.tile}, {self.k.size} - k);")
                self.step()
        else:
            self.step()
        self.after_c_tile()

    # ------------------------------------------------------------ moves

    @staticmethod
    def times(factor: str, by: int) -> str:
        if factor == "0" or by == 1:
            return factor
        return f"{factor} * {by}"

    @staticmethod
    def total(*terms: str) -> str:
        kept = [t for t in terms if t not in ("0", "0u", "")]
        return " + ".join(kept) if kept else "0"

    def scaled(self, offset: str, blocks: str, by: int) -> str:
        """(offset + 16 * blocks) * by, in elements."""
        inside = self.total(offset, self.times(blocks, DIM) if " " not in blocks else f"({blocks}) * {DIM}")
        if inside == "0" or by == 1:
            return inside
        return f"({inside}) * {by}" if " " in inside else f"{inside} * {by}"

    def local_at(self, o: _Operand, rows: str, cols: str, buffer: str) -> str:
        """Local address of the tile at (rows, cols): a buffer, or its place in a matrix kept whole."""
        if o.keep == "all":
            return self.total(str(o.base), self.times(rows, o.row_blocks), cols)
        return buffer if self.toggles(o) else str(o.base)

    def block_at(self, base: str, row: str, col: str, row_blocks: int) -> str:
        def part(block: str, by: int) -> str:
            if block == "0":
                return "0"
            return f"({block}) * {by}" if " " in block else f"{block} * {by}"

        return self.total(base, part(row, row_blocks * DIM), part(col, DIM))

    def span(self, dim: _Dim, offset: str, block: str, width: int, full: bool = False, current: bool = False) -> str:
        """How many elements from `block` on are there: a constant, or a check against the tile's and the matrix's end.

        `current`: the tile is that of the loops around, whose extent is known as mi, mj, mk."""
        limits = [str(width)]
        inside = f"({block}) * {DIM}" if " " in block else self.times(block, DIM)
        here = self.total(offset, inside)
        extent = min(dim.size, dim.tile)
        if dim.partial and current:
            if not full:
                limits.append(dim.extent if inside == "0" else f"{dim.extent} - {inside}")
        elif (dim.partial and not full) or (dim.ragged and not dim.looped):
            limits.append(f"{dim.size} - {here}" if here == "0" or " " not in here else f"{dim.size} - ({here})")
            if here == "0":
                limits[-1] = str(dim.size)
        if dim.tile % width and width > DIM:
            limits.append(f"{extent} - {inside}" if inside != "0" else str(extent))
        constants = [int(x) for x in limits if x.isdigit()]
        rest = [x for x in limits if not x.isdigit()]
        text = str(min(constants))
        for limit in rest:
            text = f"MIN({text}, {limit})"
        return text

    def one_load(self, o: _Operand, rows: str, cols: str, row: str, col: str, at: str) -> None:
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

    def loads(self, o: _Operand, rows: str, cols: str, at: str) -> None:
        """All mvins of the tile at (rows, cols), in loops."""
        row_loop = (f"{o.rows.name}b", o.rows.blocks, 1)
        col_loop = (f"{o.cols.name}b", o.cols.blocks, o.width // DIM)
        loops = [col_loop, row_loop] if self.s.load_order == "down" else [row_loop, col_loop]
        self.in_loops(loops, lambda names: self.one_load(o, rows, cols, names[row_loop[0]], names[col_loop[0]], at))

    def in_loops(self, loops: list[tuple[str, int, int]], body: Callable[[dict[str, str]], None]) -> None:
        depth = self.depth
        names: dict[str, str] = {}
        for name, blocks, by in loops:
            names[name] = "0"
            if blocks > by:
                names[name] = name
                step = f"{name}++" if by == 1 else f"{name} += {by}"
                self.put(f"for (int {name} = 0; {name} < {blocks}; {step}) {{")
                self.depth += 1
        mark = len(self.lines)
        opened = self.depth
        body(names)
        if opened == depth and any(line.lstrip().startswith("int ") for line in self.lines[mark:]):
            self.lines[mark:] = ["  " * depth + "{", *["  " + line for line in self.lines[mark:]], "  " * depth + "}"]
        while self.depth > depth:
            self.depth -= 1
            self.put("}")

    def one_store(self, i: str, j: str, row: str, col: str, at: str) -> None:
        r, c = self.span(self.i, i, row, DIM), self.span(self.j, j, col, self.c_width)
        inside = f"({col}) * {DIM}" if " " in col else self.times(col, DIM)
        dram = self.total("C", self.scaled(i, row, self.gemm.n), j, inside)
        local = self.block_at(self.total("ACC", at), row, col, self.s.tj // DIM)
        self.guarded(self.i.partial, self.j.partial, r, c, f"mvout({dram}, {local}, {{c}}, {{r}});")

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

    def after_c_tile(self) -> None:
        if self.s.stores == "after" or (self.s.stores == "interleave" and not self.stores_interleaved):
            pieces = self.c_width // DIM
            self.in_loops(
                [("ib", self.i.blocks, 1), ("jb", self.j.blocks, pieces)],
                lambda names: self.one_store(self.i.var, self.j.var, names["ib"], names["jb"], self.c_at),
            )
        if self.stores_interleaved:
            if self.partial:  # a small tile has fewer slots than a full one has stores
                self.put(f"while (stored < {self.stores}) {{ store_c(C, stored, pi, pj, {self.other_c}); stored++; }}")
            self.put(f"pi = {self.i.var};\npj = {self.j.var};\nstored = 0;")
        if self.c_toggles:
            self.put(f"c = {self.other_c};")
        if self.s.fences == "tile":
            self.put("fence();")

    # ------------------------------------------------------------ one step: a tile of A times a tile of B

    def step(self) -> None:
        s = self.s
        if self.ahead:
            self.next_tile()
        for o in self.operands:
            if not o.ahead:
                self.load_now(o)
        for o in self.ahead:
            if o not in self.interleaved:
                with self.block(f"if ({self.needed(o)})"):
                    self.loads(o, o.rows.next, o.cols.next, self.local_at(o, o.rows.next, o.cols.next, f"n{o.local}"))
        for o in self.interleaved:
            n = f"load{o.name}"
            self.put(f"int {n} = 0, {n}s = {self.needed(o)} ? {o.loads} : 0;")
        if s.fences == "all":
            self.put("fence();")
        self.computes()
        if self.partial:
            for o in self.interleaved:  # a small tile has fewer slots than the next one has loads
                n = f"load{o.name}"
                self.put(f"while ({n} < {n}s) {{ {self.call_load(o)}; {n}++; }}")
        for o in self.ahead:
            if self.toggles(o):
                self.put(f"{o.local} = n{o.local};")
        if s.fences in ("all", "step"):
            self.put("fence();")

    def load_now(self, o: _Operand) -> None:
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

    def needed(self, o: _Operand) -> str:
        """Whether the next tile needs a load of this operand."""
        last = self.steps[0]
        conditions = [f"n{last.name} < {last.size}"]
        if o.keep != "tile" and o.reuse.looped:
            conditions.append(f"n{o.reuse.name} == 0")
        return " && ".join(conditions)

    def call_load(self, o: _Operand) -> str:
        at = self.local_at(o, o.rows.next, o.cols.next, f"n{o.local}")
        return f"load_{o.local}({o.name}, load{o.name}, {o.rows.next}, {o.cols.next}, {at})"

    def slot(self) -> None:
        """Issue the moves that are due between two groups of pairs, evenly spread over the tile."""
        phase = 0
        for o in self.interleaved:
            n = f"load{o.name}"
            self.spread(f"{n} < {n}s", f"{self.call_load(o)}; {n}++;", o.loads, self.slots, phase)
            phase += 1
        if self.stores_interleaved:
            do = f"store_c(C, stored, pi, pj, {self.other_c}); stored++;"
            self.spread(f"stored < {self.stores}", do, self.stores, self.slots * self.k.tiles, phase)
        if self.interleaved or self.stores_interleaved:
            self.put("slot++;")

    def spread(self, left: str, do: str, moves: int, slots: int, phase: int) -> None:
        every = max(1, slots // moves)
        per_slot = -(-moves // (slots // every))
        when = f" && slot % {every} == {phase % every}" if every > 1 else ""
        if per_slot > 1:
            self.put(f"for (int q = 0; q < {per_slot} && {left}; q++) {{ {do} }}")
        else:
            self.put(f"if ({left}{when}) {{ {do} }}")

    def computes(self) -> None:
        """All pairs of the tile; full tiles apart from partial ones where the schedule says so."""
        if self.partial and self.s.edges == "split":
            full = " && ".join(f"{d.extent} == {d.tile}" for d in self.partial)
            with self.block(f"if ({full})"):
                self.nest(True)
            with self.block("else"):
                self.nest(False)
        else:
            self.nest(False)

    def nest(self, full: bool) -> None:
        s = self.s
        first, second, last = self.inner

        def unroll(dim: _Dim) -> int:
            return s.unroll_inner if dim is last else s.unroll_k if dim is self.k else 1

        with self.over_blocks(first, full, unroll(first)) as x:
            if first is self.k:
                self.flag(x)
            with self.over_blocks(second, full, unroll(second)) as y:
                if second is self.k:
                    self.flag(y)
                self.slot()
                at = {first.name: x, second.name: y}
                if s.weight_reuse:
                    self.pairs(at, last, full, reuse=True)
                else:
                    self.pairs(at, last, full, reuse=False)
                if s.stores == "early":
                    self.early(at)

    def early(self, at: dict[str, str]) -> None:
        """k is innermost: the block of C is complete after its last pair."""
        wide = self.inner[1] is self.j and not self.partial
        by = self.c_width // DIM if wide else 1
        conditions = []
        if self.k.looped:
            conditions.append(f"k + {self.k.tile} >= {self.k.size}")
        col = at["j"]
        if by > 1 and self.j.blocks > 1:
            if self.j.blocks % by:
                by = 1
            else:
                conditions.append(f"jb % {by} == {by - 1}")
                col = f"jb - {by - 1}"
        width, self.c_width = self.c_width, by * DIM
        with self.block(f"if ({' && '.join(conditions) or '1'})"):
            self.one_store(self.i.var, self.j.var, at["i"], col, self.c_at)
        self.c_width = width

    def flag(self, kb: str) -> None:
        """ACC for the first product of a sum that overwrites, else ACCADD: constant in the loops inside."""
        self.put(f"const uint32_t acc = {self.total(self.flag_of(kb), self.c_at)};")

    def flag_of(self, kb: str) -> str:
        if self.gemm.bias or self.s.init == "zero":
            return "ACCADD"
        zero = [f"{name} == 0" for name in (self.k.var, kb) if name != "0"]
        return f"({' && '.join(zero)} ? ACC : ACCADD)" if zero else "ACC"

    def pairs(self, at: dict[str, str], last: _Dim, full: bool, reuse: bool) -> None:
        s = self.s
        if reuse:
            self.pair({**at, last.name: "0"}, full, "compute_preloaded")
            if last.blocks > 1:
                with self.over_blocks(last, full, s.unroll_inner, start=1) as z:
                    self.pair({**at, last.name: z}, full, "compute_accumulated")
        elif s.addressing == "pointer" and last.blocks > 1:
            with self.walking(at, last, full) as local:
                self.pair({**at, last.name: f"{last.name}b"}, full, "compute_preloaded", local)
        else:
            with self.over_blocks(last, full, s.unroll_inner) as z:
                self.pair({**at, last.name: z}, full, "compute_preloaded")

    def addresses(self, at: dict[str, str]) -> tuple[str, str, str]:
        a, b = self.operands
        acc = "acc" if self.inner[2] is not self.k else self.total(self.flag_of(at["k"]), self.c_at)
        return (
            self.block_at(self.local_at(a, self.i.var, self.k.var, "a"), at["i"], at["k"], a.row_blocks),
            self.block_at(self.local_at(b, self.k.var, self.j.var, "b"), at["k"], at["j"], b.row_blocks),
            self.block_at(acc, at["i"], at["j"], self.s.tj // DIM),
        )

    @contextmanager
    def walking(self, at: dict[str, str], last: _Dim, full: bool) -> Iterator[tuple[str, str, str]]:
        """The innermost loop with local addresses that are incremented instead of computed from block numbers."""
        a, b = self.operands
        start = self.addresses({**at, last.name: "0"})
        strides = {
            "i": (a.row_blocks * DIM, 0, self.s.tj),
            "j": (0, DIM, DIM),
            "k": (DIM, b.row_blocks * DIM, 0),
        }[last.name]
        names = [f"p{x}" if stride else expression for x, stride, expression in zip("abc", strides, start, strict=True)]
        if last is self.k:  # the flag changes inside this loop, the address does not
            names[2] = self.block_at(self.total(self.flag_of("kb"), self.c_at), at["i"], at["j"], self.s.tj // DIM)
        every = zip("abc", strides, start, strict=True)
        moving = [(f"p{x}", stride, expression) for x, stride, expression in every if stride]
        self.put("uint32_t " + ", ".join(f"{name} = {expression}" for name, _, expression in moving) + ";")
        with self.over_blocks(last, full, self.s.unroll_inner):
            yield names[0], names[1], names[2]
            self.put(" ".join(f"{name} += {stride};" for name, stride, _ in moving))

    def pair(self, at: dict[str, str], full: bool, compute: str, local: tuple[str, str, str] | None = None) -> None:
        a, b, c = local or self.addresses(at)
        if compute == "compute_accumulated":
            b = "NONE"
        rows = self.span(self.i, self.i.var, at["i"], DIM, full, True)
        cols = self.span(self.j, self.j.var, at["j"], DIM, full, True)
        deep = self.span(self.k, self.k.var, at["k"], DIM, full, True)
        self.put(f"preload({b}, {c}, {cols}, {deep}, {cols}, {rows});")
        self.put(f"{compute}({a}, NONE, {deep}, {rows}, {DIM}, {DIM});")


def _c_float(value: float) -> str:
    """A power of two as a C float literal, exact."""
    return f"{value.hex()}f" if value != 1.0 else "1.0f"
