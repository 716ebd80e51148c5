"""The products of an emitted convolution: groups of pairs that share a block of weights, and the loops around them.

In the emitted code r counts rows of a tile's outputs; pa and pc are local addresses of input and sums, or the operands
of compute and preload with these addresses in their lower half.
"""

from __future__ import annotations

from .conv_slots import ConvSlots
from .schedule import DIM


class ConvProducts(ConvSlots):
    """What keeps the array busy."""

    def computes(self) -> None:
        """For every tap, input channel block and output channel block the pixels that the tap reaches."""
        depth = self.depth
        loops = [("q", self.taps), ("kb", self.s.tk // DIM)]
        jb = ("jb", self.s.tj // DIM)
        inner_j = self.s.inner == "qkj" or not self.band_taps
        for name, count in [*loops, jb] if inner_j else [jb, *loops]:
            self.put(f"for (int {name} = 0; {name} < {count}; {name}++) {{")
            self.depth += 1
            if name == "q":
                self.tap()
                if not self.band_taps:
                    for o in self.operands:
                        self.load_now(o, tap=True)
                self.next_tap()
                self.reached()
        if self.s.slots == "groups":
            self.slot()
        with self.block("if (r0 < r1 && x0 < x1)") if self.may_miss else self.scope():
            self.group_of_pairs()
        while self.depth > depth:
            self.depth -= 1
            self.put("}")

    def next_tap(self) -> None:
        """In the first step of all: the next tap's weights."""
        _, b = self.operands
        if self.s.start == "whole" or not b.ahead:
            return
        first = [f"{d.name} == 0" for d in self.steps]
        moves, local = self.tap_moves, self.local_at(b, b.local, "0", "0")
        loop = f"for (int i = 0; i < {moves}; i++) load_b(weights, (q + 1) * {moves} + i, 0, 0, {local});"
        with self.block(f"if ({' && '.join([*first, f'q < {self.taps - 1}'])})"):
            self.put(loop)

    @property
    def may_miss(self) -> bool:
        """A tap may reach no output of a tile."""
        c, s = self.conv, self.s
        return s.ty <= c.padding or min(c.height, c.width) <= c.padding + c.kernel * c.stride

    def reached(self) -> None:
        """r0, r1, x0, x1: the outputs of the tile that the tap reaches."""
        c, ty = self.conv, self.s.ty
        first, end = self.range_of("ky", c.height, c.out_height)
        self.put(f"const int r0 = {'0' if first == '0' else f'MAX(0, {first} - y)'};")
        self.put(f"const int r1 = {ty if end == str(c.out_height) else f'MIN({ty}, {end} - y)'};")
        self.columns()
        if self.last_varies:
            self.put(f"const int last = x1 - x0 - {(self.chunks - 1) * DIM};")

    def group_of_pairs(self) -> None:
        s, w, c = self.s, self.where, self.conv
        a, b = self.operands
        first = [f"{x} == 0" for x in (self.k.var, "kb", "q") if x != "0"]
        overwrites = s.init == "overwrite" and not c.bias
        start = f"({' && '.join(first)} ? ACC : ACCADD)" if overwrites else "ACCADD"
        tap_a = f"ky * {w.pitch} + kx + {w.lead - c.padding}" if self.band_taps else "0"
        if s.phases:
            cell = f"(ky % {c.stride} * {c.stride} + kx % {c.stride}) * {w.band} + ky / {c.stride}"
            tap_a = f"({cell}) * {w.pitch} + kx / {c.stride}"
        weights = (
            f"(q * {self.kb_step} + kb) * {self.jb_step * DIM}" if self.band_taps else f"kb * {self.jb_step * DIM}"
        )
        if c.channels_in % DIM:
            self.put(f"const int deep = {self.deep(self.k.var, 'kb')};")
        if c.channels_out % DIM:
            self.put(f"const int cols = {self.rest(c.channels_out, f'{self.j.var} - jb * {DIM}', DIM)};")
        at_a = self.total(
            self.local_at(a, "a", self.k.var, self.j.var), f"kb * {w.plane}", tap_a,
            f"r0 * {self.reach * w.pitch}", f"x0 * {self.reach}",
        )  # fmt: skip
        at_c = self.total(start, self.c_at, f"jb * {w.outputs}", f"r0 * {w.c_pitch}", "x0")
        at_b = self.total(self.local_at(b, "b", self.k.var, self.j.var), weights, f"jb * {DIM}")
        if self.words:
            self.put(f"const uint64_t w = GA_L_({at_b}, {self.cols}, {self.deep_now});")
            self.put(f"uint64_t pa = GA_L_({at_a}, {self.deep_now}, 0);\nuint64_t pc = GA_L_({at_c}, {self.cols}, 0);")
        else:
            self.put(f"const uint32_t w = {at_b};\nuint32_t pa = {at_a};\nuint32_t pc = {at_c};")
        if s.merge > 1:
            gap = w.c_pitch - c.out_width
            self.put(f"const int gap = {f'{start} == ACC ? 0 : {gap}' if overwrites else gap};")
        if self.words:
            size = f"{s.merge * w.c_pitch} - gap" if s.merge > 1 else "last" if self.last_varies else None
            if size:
                self.put(f"const uint64_t size = (uint64_t)({size}) << 48;")
        self.rows()

    @property
    def words(self) -> bool:
        return self.s.addressing == "word"

    @property
    def deep_now(self) -> str:
        return "deep" if self.conv.channels_in % DIM else str(DIM)

    @property
    def cols(self) -> str:
        return "cols" if self.conv.channels_out % DIM else str(DIM)

    @property
    def last_varies(self) -> bool:
        """The pixels in the last compute of a row depend on the tap."""
        return bool(self.conv.padding) and not self.zeros_between

    def rows(self) -> None:
        """All pairs of a group; the first row apart from the others where it alone brings the weights."""
        s, w = self.s, self.where
        step = s.merge
        if s.weight_reuse:
            with self.block(f"if (r0 + {step} <= r1)") if step > 1 else self.scope():
                self.row("w", True, full=True)
            if step > 1:
                with self.block("else"):
                    self.row("w", True, full=False, r="r0")
            self.advance()
        images = s.images > 1
        if images:
            kind = "uint64_t" if self.words else "uint32_t"
            self.put(f"const {kind} pa0 = pa{self.back(self.reach * w.pitch)}, pc0 = pc{self.back(w.c_pitch)};")
            self.put(f"for (int image = 0; image < {s.images}; image++) {{")
            self.depth += 1
            to_a, to_c = f"pa0 + image * {w.cells * w.band * w.pitch}", f"pc0 + image * {s.ty * w.c_pitch}"
            self.put(f"if (image > 0) {{ pa = {to_a}; pc = {to_c}; }}")
        begin = "r0" if not s.weight_reuse else f"image == 0 ? r0 + {step} : r0" if images else f"r0 + {step}"
        weights, fresh = ("NONE", False) if s.weight_reuse else ("w", True)
        self.put(f"int r = {begin};")
        if s.unroll > 1:
            self.put(f"#pragma GCC unroll {s.unroll}")
        with self.block(f"for (; r + {step - 1} < r1; r += {step})" if step > 1 else "for (; r < r1; r++)"):
            if s.slots == "rows":
                self.slot()
            self.row(weights, fresh, full=True)
            self.advance()
        if step > 1:
            with self.block("if (r < r1)"):
                self.row(weights, fresh, full=False)
        if images:
            self.depth -= 1
            self.put("}")

    def back(self, rows: int) -> str:
        """To where the first row began, after the peeled one."""
        return f" - {rows * self.s.merge}" if self.s.weight_reuse else ""

    def advance(self) -> None:
        s, w = self.s, self.where
        self.put(f"pa += {self.reach * w.pitch * s.merge};\npc += {w.c_pitch * s.merge};")

    def row(self, weights: str, fresh: bool, full: bool, r: str = "r") -> None:
        """The pairs of a row of outputs, or of the rows merged into one; `fresh` if the first brings weights."""
        s, w = self.s, self.where
        if s.merge > 1:
            pixels = f"{s.merge * w.c_pitch} - gap" if full else f"(r1 - {r}) * {w.c_pitch} - gap"
            self.pair(weights, fresh, 0, pixels, "size" if full else f"(uint64_t)({pixels}) << 48")
            return
        for x in range(self.chunks):
            again = fresh and (x == 0 or not s.weight_reuse)
            which = weights if x == 0 or not s.weight_reuse else "NONE"
            pixels, size = self.pixels(x)
            with self.block(f"if ({pixels} > 0)") if x > 0 and self.fewest <= x * DIM else self.scope():
                self.pair(which, again, x * DIM, pixels, size)

    def pixels(self, x: int) -> tuple[str, str]:
        """Pixels in the x-th compute of a row, as a C expression and as an operand's upper bits."""
        left = f"x1 - x0 - {x * DIM}"
        if x == self.chunks - 1 and self.last_varies:
            return "last", "size"
        if self.last_varies and self.fewest < (x + 1) * DIM:
            return f"MIN({DIM}, {left})", f"(uint64_t)MIN({DIM}, {left}) << 48"
        known = min(DIM, self.conv.out_width - x * DIM)
        return str(known), f"{known}ull << 48"

    @property
    def fewest(self) -> int:
        """Pixels of a row that the tap with the least reach has."""
        c = self.conv
        return min(
            min(c.out_width, (c.width + c.padding + c.stride - 1 - kx) // c.stride)
            - (max(0, c.padding - kx) + c.stride - 1) // c.stride
            for kx in range(c.kernel)
        )

    def pair(self, weights: str, fresh: bool, x: int, pixels: str, size: str) -> None:
        """`pixels` in a pair from column `x` on; `size` is the same as an operand's upper bits."""
        deep, cols = self.deep_now, self.cols
        pa, pc = self.total("pa", str(x * self.reach)), self.total("pc", str(x))
        if self.words:
            w = weights if weights == "w" else f"GA_L_(NONE, {cols}, {deep})"
            self.put(f"GA_(6, {w}, {pc} + ({size}));  // preload")
            self.put(f"GA_({4 if fresh else 5}, {pa} + ({size}), GA_L_(NONE, {DIM}, {DIM}));  // compute")
            return
        self.put(f"preload({weights}, {pc}, {cols}, {deep}, {cols}, {pixels});")
        self.put(f"compute_{'preloaded' if fresh else 'accumulated'}({pa}, NONE, {deep}, {pixels}, {DIM}, {DIM});")
