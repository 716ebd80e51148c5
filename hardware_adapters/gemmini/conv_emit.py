"""From a schedule to a convolution kernel: readable C with rolled loops, one function `solution` and inlined moves.

See `ConvMoves` for the names in the emitted code.
"""

from __future__ import annotations

from math import prod

from .conv import Conv
from .conv_products import ConvProducts
from .conv_schedule import ConvSchedule, format_line, layout
from .schedule import DIM
from .writer import without_unused

_MIN = "#define MIN(a, b) ((a) < (b) ? (a) : (b))\n"
_MAX = "#define MAX(a, b) ((a) > (b) ? (a) : (b))\n"


def emit(conv: Conv, schedule: ConvSchedule) -> str:
    """The kernel's source. Raises ScheduleError or CapacityError for a schedule that cannot be."""
    fitted = schedule.fitted(conv)
    return _Emitter(conv, fitted, layout(conv, fitted)).kernel()


class _Emitter(ConvProducts):
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
                moves = self.tap_moves if o.local == "b" and self.s.start == "taps" else o.moves
                self.all_loads(o, tuple("0" for _ in o.position), self.local_at(o, o.local, "0", "0"), moves)
            if self.fills_ahead:
                self.all_fills("0")
            self.outer(0)
            if self.stores_interleaved:
                self.rest_of_stores(after_all=True)
        body = "\n".join(without_unused(self.lines)) + "\n"
        return head + (_MIN if "MIN(" in body else "") + (_MAX if "MAX(" in body else "") + body

    def configuration(self) -> None:
        c, s, w = self.conv, self.s, self.where
        self.put(f"config_ex(WS, NOACT, {self.reach}, 0, 0);")
        scale = f"{(2.0**-c.shift).hex()}f" if c.shift else "1.0f"
        self.put(f"config_st_ext({c.channels_out}, {'RELU' if c.relu else 'NOACT'}, {scale});")
        if s.config == "once" or self.s.merge > 1:
            self.put(f"config_ld({self.a_stride}, 1.0f, {w.plane}, 0);")
        if s.config == "once":
            self.put(f"config_ld({c.channels_out}, 1.0f, {DIM}, 1);")
            if c.bias or s.init != "overwrite":
                self.put(f"config_ld(0, 1.0f, {w.outputs}, 2);")

    def zero_columns(self) -> None:
        """Zeros wherever the input will lie: what no load touches later stands for the padding beside the rows."""
        w = self.where
        if not self.zeros_between and not (self.s.phases and self.s.merge > 1):
            return
        planes, wide = w.a_rows // w.plane, 4
        digits = (("p", -(-w.plane // DIM)), ("c", -(-planes // wide)), ("buffer", self.operands[0].buffers))
        with self.block(f"for (int i = 0; i < {prod(count for _, count in digits)}; i++)"):
            self.digits("i", *digits)
            columns = self.rest(planes * DIM, f"c * {wide * DIM}", wide * DIM)
            local = f"buffer * {w.a_step} + c * {wide * w.plane} + p * {DIM}"
            self.put(f"mvin(0, {local}, {columns}, {self.rest(w.plane, f'p * {DIM}')});")

    def buffers(self) -> None:
        for o in self.operands:
            self.in_use(o, o.tensor)
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
        self.plan_fills()
        if not self.fills_ahead:
            self.all_fills(self.j.var)
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
                    self.all_loads(o, at, local, o.moves)
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
