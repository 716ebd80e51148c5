"""From a schedule to a kernel: readable C with rolled loops, one function `solution` and a few inlined moves.

Names in the emitted code: i, j, k are element offsets of the current tile, ib, jb, kb block numbers in it; a, b, c the
local addresses of the buffers in use; ni, nj, nk and na, nb the tile that is loaded ahead and its buffers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .problems import Gemm
from .schedule import DIM, Schedule, format_line, layout
from .slots import Slots
from .writer import Dim

_CHECK = "#define MIN(a, b) ((a) < (b) ? (a) : (b))\n"


def emit(gemm: Gemm, schedule: Schedule) -> str:
    """The kernel's source. Raises ScheduleError or CapacityError for a schedule that cannot be."""
    fitted = schedule.fitted(gemm)
    return _Emitter(gemm, fitted, layout(gemm, fitted)).kernel()


class _Emitter(Slots):
    def kernel(self) -> str:
        g = self.gemm
        head = format_line(self.s) + '\n#include "gemmini_api.h"\n'
        bias = "const int32_t *D, " if g.bias else ""
        self.put("")
        self.functions()
        with self.block(f"void solution(const int8_t *A, const int8_t *B, {bias}int8_t *C)"):
            if self.s.config != "tile" or self.ahead:
                self.configuration()
            self.buffers()
            self.prologue()
            self.outer(0)
            if self.stores_interleaved:
                self.all_stored()
        body = "\n".join(self.lines) + "\n"
        return head + (_CHECK if "MIN(" in body else "") + body

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

    def buffers(self) -> None:
        for o in self.operands:
            self.in_use(o, f"{o.name} tile")
        if self.c_toggles:
            self.put(f"uint32_t c = 0;  // accumulator rows in use: 0 or {self.where.c_step}")
        if self.stores_interleaved:
            self.put(f"int pi = 0, pj = 0, stored = {self.stores};  // previous C tile, and how much of it is stored")

    def prologue(self) -> None:
        for o in self.ahead:
            self.loads(o, "0", "0", self.local_at(o, "0", "0", o.local))
        if self.d_ahead:
            self.d_tile("0", "0")

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
        if self.d_ahead:
            self.next_c_tile()
        if self.k.looped:
            with self.block(f"for (int k = 0; k < {self.k.size}; k += {self.k.tile})"):
                if self.k.partial:
                    self.put(f"const int mk = MIN({self.k.tile}, {self.k.size} - k);")
                self.step()
        else:
            self.step()
        self.after_c_tile()

    def after_c_tile(self) -> None:
        if self.s.stores == "after" or (self.s.stores == "interleave" and not self.stores_interleaved):
            pieces = self.c_width // DIM
            self.in_loops(
                [("ib", self.i.blocks, 1), ("jb", self.j.blocks, pieces)],
                lambda names: self.one_store(self.i.var, self.j.var, names["ib"], names["jb"], self.c_at),
            )
        if self.stores_interleaved:
            if self.partial or self.d_ahead:  # a small tile has fewer slots than a full one has stores
                self.all_stored()
            if self.d_ahead:
                self.put(f"while (loadD < {self.d_loads}) {{ {self.do_load_d} }}")
            self.put(f"pi = {self.i.var};\npj = {self.j.var};\nstored = 0;")
        if self.c_toggles:
            self.put(f"c = {self.other_c};")
        if self.s.fences == "tile":
            self.put("fence();")

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
        if s.fences == "all":
            self.put("fence();")
        self.plan_slots()
        self.computes()
        if self.partial:
            self.leftover_loads()
        for o in self.ahead:
            if self.toggles(o):
                self.put(f"{o.local} = n{o.local};")
        if s.fences in ("all", "step"):
            self.put("fence();")

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

        def unroll(dim: Dim) -> int:
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

    def pairs(self, at: dict[str, str], last: Dim, full: bool, reuse: bool) -> None:
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
    def walking(self, at: dict[str, str], last: Dim, full: bool) -> Iterator[tuple[str, str, str]]:
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
