"""The moves of an emitted kernel: mvins of A, B and D, mvouts of C, in loops or one at a time between computes."""

from __future__ import annotations

from typing import NamedTuple

from .problems import Gemm
from .schedule import DIM, Layout, Schedule
from .tiles import Tiles
from .writer import Dim


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


class Moves(Tiles):
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

    def load_now(self, o: Operand) -> None:
        """Loads that stand right before their computes."""
        kept = o.keep != "tile" and o.reuse.looped
        at = self.local_at(o, o.rows.var, o.cols.var, o.local)

        def body() -> None:
            if self.toggles(o):
                self.put(f"{o.local} = {self.other_buffer(o)};")
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

    @property
    def d_stride(self) -> int:
        """DRAM stride of what initialises the accumulator: a matrix, or one row (or zeros) again and again."""
        return 4 * self.gemm.n if self.gemm.bias == "biasmat" else 0

    def initial_values(self) -> None:
        """Fill the C tile with D or zeros, where the first product does not overwrite it and D was not loaded ahead."""
        if self.gemm.bias and not self.d_ahead:
            self.d_tile(self.i.var, self.j.var, current=True)
        elif not self.gemm.bias and self.s.init == "zero":
            mvin, number = self.third

            def fill(names: dict[str, str]) -> None:
                local = self.block_at(self.total("ACC", self.c_at), names["ib"], names["jb"], self.s.tj // DIM)
                if self.s.config == "each":
                    self.put(f"config_ld(0, 1.0f, {DIM}, {number});")
                self.put(f"{mvin}(0, {local}, {DIM}, {DIM});")

            self.in_loops([("ib", self.i.blocks, 1), ("jb", self.j.blocks, 1)], fill)

    def d_tile(self, i: str, j: str, current: bool = False) -> None:
        """All mvins of the D tile at (i, j) into the accumulator rows in use, in loops."""
        self.in_loops(
            [("ib", self.i.blocks, 1), ("jb", self.j.blocks, self.d_width // DIM)],
            lambda names: self.one_d(i, j, names["ib"], names["jb"], self.c_at, current),
        )

    def one_d(self, i: str, j: str, row: str, col: str, at: str, current: bool = False) -> None:
        mvin, number = self.third
        r = self.span(self.i, i, row, DIM, current=current)
        c = self.span(self.j, j, col, self.d_width, current=current)
        inside = f"({col}) * {DIM}" if " " in col else self.times(col, DIM)
        dram = self.total("D", self.scaled(i, row, self.gemm.n) if self.gemm.bias == "biasmat" else "0", j, inside)
        local = self.block_at(self.total("ACC", at), row, col, self.s.tj // DIM)
        if self.s.config == "each":
            self.put(f"config_ld({self.d_stride}, 1.0f, {DIM}, {number});")
        self.guarded(self.i.partial, self.j.partial, r, c, f"{mvin}({dram}, {local}, {{c}}, {{r}});")

    @property
    def d_width(self) -> int:
        return min(4 * DIM, self.s.tj)

    @property
    def d_pieces(self) -> int:
        return -(-self.j.blocks * DIM // self.d_width)

    @property
    def d_loads(self) -> int:
        return self.i.blocks * self.d_pieces

    @property
    def d_ahead(self) -> bool:
        """D of the next C tile is loaded between the computes, once the stores of the previous one made room."""
        return bool(self.gemm.bias and self.interleaved and self.stores_interleaved)

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
