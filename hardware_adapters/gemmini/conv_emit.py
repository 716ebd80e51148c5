"""From a schedule to a convolution kernel: readable C with rolled loops, one function `solution` and inlined moves.

See `ConvMoves` for the names in the emitted code; r counts rows of a tile's outputs, pa and pc walk over the local
addresses of input and sums.
"""

from __future__ import annotations

from .conv import Conv
from .conv_moves import ConvMoves
from .conv_schedule import ConvSchedule, format_line, layout
from .conv_slots import ConvSlots
from .schedule import DIM

_MIN = "#define MIN(a, b) ((a) < (b) ? (a) : (b))\n"
_MAX = "#define MAX(a, b) ((a) > (b) ? (a) : (b))\n"


def emit(conv: Conv, schedule: ConvSchedule) -> str:
    """The kernel's source. Raises ScheduleError or CapacityError for a schedule that cannot be."""
    fitted = schedule.fitted(conv)
    return _Emitter(conv, fitted, layout(conv, fitted)).kernel()


class _Emitter(ConvSlots):
    def kernel(self) -> str:
        bias = "const int32_t *D, " if self.conv.bias else ""
        head = format_line(self.s) + '\n#include "gemmini_api.h"\n'
        self.put("")
        self.functions()
        with self.block(f"void solution(const int8_t *input, const int8_t *weights, {bias}int8_t *output)"):
            self.configuration()
            self.zero_columns()
            self.buffers()
            for o in self.ahead:
                self.all_loads(o, tuple("0" for _ in o.position), self.local_at(o, o.local, "0", "0"))
            self.outer(0)
            if self.stores_interleaved:
                self.rest_of_stores()
        body = "\n".join(self.lines) + "\n"
        return head + (_MIN if "MIN(" in body else "") + (_MAX if "MAX(" in body else "") + body

    def configuration(self) -> None:
        c, s, w = self.conv, self.s, self.where
        self.put(f"config_ex(WS, NOACT, {self.reach}, 0, 0);")
        scale = f"{(2.0**-c.shift).hex()}f" if c.shift else "1.0f"
        self.put(f"config_st_ext({c.channels_out}, {'RELU' if c.relu else 'NOACT'}, {scale});")
        if s.config == "once" or w.lead:
            self.put(f"config_ld({self.a_stride}, 1.0f, {w.plane}, 0);")
        if s.config == "once":
            self.put(f"config_ld({c.channels_out}, 1.0f, {DIM}, 1);")
            if c.bias or s.init == "zero":
                self.put(f"config_ld(0, 1.0f, {w.outputs}, 2);")

    def zero_columns(self) -> None:
        """What stands for the padding left and right of the rows: no load touches it again."""
        w = self.where
        if not w.lead:
            return
        lines = self.s.images * w.band
        planes = w.a_rows // w.plane
        with self.block(f"for (int r = 0; r < {self.operands[0].buffers * (lines + 1) * planes}; r++)"):
            self.digits("r", ("row", lines + 1), ("plane", planes), ("buffer", self.operands[0].buffers))
            self.put(f"mvin(0, buffer * {w.a_step} + plane * {w.plane} + row * {w.pitch}, {DIM}, {w.lead});")

    def buffers(self) -> None:
        for o in self.operands:
            if self.toggles(o):
                other = o.base + o.step
                first = o.base if o.ahead else other  # without look-ahead a buffer is switched before it is filled
                self.put(f"uint32_t {o.local} = {first};  // {o.tensor} in use: {o.base} or {other}")
        if self.c_toggles:
            self.put(f"uint32_t c = 0;  // accumulator rows in use: 0 or {self.where.c_step}")
        if self.stores_interleaved:
            self.put(f"int pt = 0, pj = 0, stored = {self.stores};  // previous C tile, and how much of it is stored")

    def outer(self, level: int) -> None:
        """The loops over tiles; what belongs to a C tile stands around the loop over k, which is innermost."""
        dim = self.order[level]
        if dim is self.k:
            self.c_tile()
        elif dim.looped:
            with self.block(f"for (int {dim.name} = 0; {dim.name} < {dim.size}; {dim.name} += {dim.tile})"):
                self.outer(level + 1)
        else:
            self.outer(level + 1)

    def c_tile(self) -> None:
        if not self.t.looped:
            self.put("const int t = 0;")
        self.band_start()
        self.put("(void)n;")
        self.initial_values()
        if self.k.looped:
            with self.block(f"for (int k = 0; k < {self.k.size}; k += {self.k.tile})"):
                self.step()
        else:
            self.step()
        if self.stores_interleaved:
            self.rest_of_stores()
            self.put(f"pt = {self.t.var};\npj = {self.j.var};\nstored = 0;")
        else:
            self.all_stores()
        if self.c_toggles:
            self.put(f"c = {self.other_c};")
        if self.s.fences == "tile":
            self.put("fence();")

    def step(self) -> None:
        s = self.s
        if self.ahead:
            self.next_tile()
        if self.band_taps:
            for o in self.operands:
                if not o.ahead:
                    self.load_now(o)
        for o in self.ahead:
            if o not in self.interleaved:
                with self.block(f"if ({self.needed(o)})"):
                    at, local = self.next_at(o)
                    self.all_loads(o, at, local)
        if s.fences == "all":
            self.put("fence();")
        self.plan_slots()
        self.computes()
        for o in self.interleaved:
            self.put(f"while (load_{o.local}s < {o.moves}) {{ {self.call_load(o)} }}")
        for o in self.ahead:
            if self.toggles(o):
                self.put(f"{o.local} = n{o.local};")
        if s.fences in ("all", "step"):
            self.put("fence();")

    # ------------------------------------------------------------ products

    def computes(self) -> None:
        """Groups of pairs: for every tap, input channel block and output channel block the pixels that the tap reaches."""
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
        self.slot()
        self.reached()
        with self.block("if (r0 < r1 && x0 < x1)"):
            self.one_group()
        while self.depth > depth:
            self.depth -= 1
            self.put("}")

    def reached(self) -> None:
        """r0, r1, x0, x1: the outputs of the tile that the tap reaches."""
        c, ty = self.conv, self.s.ty
        first, end = self.range_of("ky", c.height, c.out_height)
        self.put(f"const int r0 = {'0' if first == '0' else f'MAX(0, {first} - y)'};")
        self.put(f"const int r1 = {ty if end == str(c.out_height) else f'MIN({ty}, {end} - y)'};")
        self.columns()

    def one_group(self) -> None:
        s, w, c = self.s, self.where, self.conv
        a, b = self.operands
        first = [f"{x} == 0" for x in (self.k.var, "kb", "q") if x != "0"]
        start = "ACCADD" if c.bias or s.init == "zero" else f"({' && '.join(first)} ? ACC : ACCADD)"
        tap_a = f"ky * {w.pitch} + kx + {w.lead - c.padding}" if self.band_taps else "0"
        weights = f"(q * {self.kb_step} + kb) * {self.jb_step * DIM}" if self.band_taps else f"kb * {self.jb_step * DIM}"
        at_a = self.total(self.local_at(a, "a", self.k.var, self.j.var), f"kb * {w.plane}", tap_a)
        at_b = self.total(self.local_at(b, "b", self.k.var, self.j.var), weights, f"jb * {DIM}")
        at_c = self.total(start, self.c_at, f"jb * {w.outputs}")
        self.put(f"const uint32_t w = {at_b};")
        self.put(f"uint32_t pa = {at_a} + r0 * {self.reach * w.pitch} + x0 * {self.reach};")
        self.put(f"uint32_t pc = {at_c} + r0 * {w.c_pitch} + x0;")
        if self.conv.channels_in % DIM:
            self.put(f"const int deep = {self.deep(self.k.var, 'kb')};")
        if self.conv.channels_out % DIM:
            self.put(f"const int cols = {self.rest(c.channels_out, f'{self.j.var} - jb * {DIM}', DIM)};")
        if self.s.merge > 1:
            gap = w.c_pitch - c.out_width
            overwrites = not (c.bias or s.init == "zero")
            self.put(f"const int gap = {f'{first[-1]} && kb == 0 ? 0 : {gap}' if overwrites else gap};")
        elif self.last_varies:
            self.put(f"const int last = x1 - x0 - {(self.chunks - 1) * DIM};")
        self.rows()

    @property
    def last_varies(self) -> bool:
        return bool(self.conv.padding) and not self.where.lead

    def rows(self) -> None:
        s, w = self.s, self.where
        if s.weight_reuse:
            self.row("w", "compute_preloaded", "r0")
            self.advance()
        images = s.images > 1
        if images:
            self.put(f"const uint32_t pa0 = pa{self.back(self.reach * w.pitch)}, pc0 = pc{self.back(w.c_pitch)};")
            self.put(f"for (int image = 0; image < {s.images}; image++) {{")
            self.depth += 1
            self.put(f"if (image > 0) {{ pa = pa0 + image * {w.band * w.pitch}; pc = pc0 + image * {s.ty * w.c_pitch}; }}")
        begin = "r0" if not s.weight_reuse else f"image == 0 ? r0 + {s.merge} : r0" if images else f"r0 + {s.merge}"
        if s.unroll > 1:
            self.put(f"#pragma GCC unroll {s.unroll}")
        with self.block(f"for (int r = {begin}; r < r1; r += {s.merge})"):
            self.row("NONE" if s.weight_reuse else "w", "compute_accumulated" if s.weight_reuse else "compute_preloaded", "r")
            self.advance()
        if images:
            self.depth -= 1
            self.put("}")

    def back(self, rows: int) -> str:
        """To where the first row began, after the peeled one."""
        return f" - {rows * self.s.merge}" if self.s.weight_reuse else ""

    def advance(self) -> None:
        s, w = self.s, self.where
        self.put(f"pa += {self.reach * w.pitch * s.merge};\npc += {w.c_pitch * s.merge};")

    def row(self, weights: str, compute: str, r: str) -> None:
        """The pairs of a row of outputs, or of the rows merged into one."""
        s, w = self.s, self.where
        kept = "compute_accumulated"
        if s.merge > 1:
            with self.block(""):
                self.put(f"const int pixels = MIN({s.merge}, r1 - {r}) * {w.c_pitch} - gap;")
                self.pair(weights, compute, "0", "pixels")
            return
        for x in range(self.chunks):
            last = x == self.chunks - 1
            pixels = "last" if self.last_varies else str(self.conv.out_width - x * DIM)
            pair = (weights if x == 0 or not s.weight_reuse else "NONE"), (
                compute if x == 0 or not s.weight_reuse else kept
            )
            if last and self.last_varies and x > 0 and self.may_vanish:
                self.put("if (last > 0) {")
                self.depth += 1
                self.pair(*pair, str(x * DIM), pixels)
                self.depth -= 1
                self.put("}")
            else:
                self.pair(*pair, str(x * DIM), pixels if last else str(DIM))

    @property
    def may_vanish(self) -> bool:
        """A tap may leave the last 16 pixels of a row, or more, out."""
        c = self.conv
        reached = [
            min(c.out_width, (c.width + c.padding + c.stride - 1 - kx) // c.stride)
            - (max(0, c.padding - kx) + c.stride - 1) // c.stride
            for kx in range(c.kernel)
        ]
        return min(reached) <= (self.chunks - 1) * DIM

    def pair(self, weights: str, compute: str, x: str, pixels: str) -> None:
        deep = "deep" if self.conv.channels_in % DIM else str(DIM)
        cols = "cols" if self.conv.channels_out % DIM else str(DIM)
        pa = self.total("pa", self.times(x, self.reach) if not x.isdigit() else str(int(x) * self.reach))
        self.put(f"preload({weights}, {self.total('pc', x)}, {cols}, {deep}, {cols}, {pixels});")
        self.put(f"{compute}({pa}, NONE, {deep}, {pixels}, {DIM}, {DIM});")
