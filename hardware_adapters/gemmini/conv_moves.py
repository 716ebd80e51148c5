"""The moves of an emitted convolution: mvins of input, weights and bias, mvouts of results."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from .conv import Conv
from .conv_schedule import ConvLayout, ConvSchedule, blocks
from .schedule import DIM
from .tiles import Tiles
from .writer import Dim

INLINE = "static inline __attribute__((always_inline)) void "


def quotient(number: str, by: int, limit: int) -> str:
    """number / by for 0 <= number < limit, as C without a division, for which Rocket takes some 35 cycles."""
    if by == 1:
        return number
    for shift in range(20):
        factor = -(-(1 << shift) // by)
        # Rounding up the reciprocal errs most for the largest number and for those just below a multiple.
        worst = ((limit - 1) // by * by + by - 1, limit - 1)
        if limit * factor < 1 << 32 and all(n * factor >> shift == n // by for n in worst):
            return f"(int)((unsigned){number} * {factor}u >> {shift})"
    return f"{number} / {by}"


class Operand(NamedTuple):
    """What is needed to emit the moves of the input (`a`) or the weights (`b`)."""

    local: str
    tensor: str
    keep: str
    reuse: Dim  # the loop whose iterations share what is kept
    ahead: bool
    buffers: int
    base: int
    step: int
    moves: int
    position: tuple[Dim, Dim]  # the loops that say which part it is


class ConvMoves(Tiles):
    """Everything about one kernel's data movement that follows from problem, schedule and layout.

    Names in the emitted code: t numbers bands (of an image, or several images), j and k are the first output and input
    channels of the tile; n, y the band's first image and output row; q counts taps in the order of their use.
    """

    def __init__(self, conv: Conv, schedule: ConvSchedule, where: ConvLayout) -> None:
        super().__init__()
        self.conv, self.s, self.where = conv, schedule, where
        s = schedule
        self.bands = -(-conv.out_height // s.ty)  # of one image
        self.t = Dim("t", conv.batch // s.images * self.bands, 1)
        self.j = Dim("j", blocks(conv.channels_out) * DIM, s.tj)
        self.k = Dim("k", blocks(conv.channels_in) * DIM, s.tk)
        self.order = [self.t, self.j, self.k] if s.order == "yj" else [self.j, self.t, self.k]
        self.steps = [d for d in self.order if d.looped]
        self.taps = conv.kernel**2
        self.band_taps = s.taps == "band"
        self.chunks = -(-conv.out_width // DIM)  # computes for a row of outputs
        # In scratchpad pixels per output pixel: a tap's own tile is loaded with the stride applied.
        self.reach = conv.stride if self.band_taps and not s.phases else 1
        self.a_chunks = -(-(where.pitch if s.phases else conv.width) // DIM) if self.band_taps else self.chunks
        # Rows of an image's band, and parts of each that lie apart.
        self.a_lines = (s.ty - 1) * conv.stride + conv.kernel if s.phases else where.band
        self.a_parts = conv.stride if s.phases else 1
        self.zeros_between = s.merge > 1 and conv.padding > 0  # stand for the padding left and right of a row
        self.a_width, self.b_width = min(s.a_width, s.tk), min(s.b_width, s.tj)
        self.a_pieces, self.b_pieces = -(-s.tk // self.a_width), -(-s.tj // self.b_width)
        a_moves = s.images * self.a_lines * self.a_parts * self.a_chunks * self.a_pieces
        b_moves = (self.taps if self.band_taps else 1) * (s.tk // DIM) * self.b_pieces
        self.kb_step = s.tk // DIM if s.b_keep == "tile" else blocks(conv.channels_in)
        self.jb_step = blocks(conv.channels_out) if s.b_keep == "all" else s.tj // DIM

        def ahead(keep: str, buffers: int) -> bool:
            rotating = keep == "panel" and self.k.looped  # the next part is never the one in use
            return s.loads != "before" and bool(self.steps) and (buffers == 2 or keep == "all" or rotating)

        self.operands = (
            Operand("a", "input", s.a_keep, self.j, ahead(s.a_keep, s.a_buffers), s.a_buffers, 0, where.a_step,
                    a_moves, (self.t, self.k)),
            Operand("b", "weights", s.b_keep, self.t, ahead(s.b_keep, s.b_buffers), s.b_buffers, where.b_base,
                    where.b_step, b_moves, (self.j, self.k)),
        )  # fmt: skip
        self.ahead = [o for o in self.operands if o.ahead]
        self.interleaved = [o for o in self.ahead if s.loads == "interleave"]
        self.stores_interleaved = s.stores == "interleave" and (self.t.looped or self.j.looped)
        self.stores = s.tj // DIM * s.images * s.ty * self.chunks

    # ------------------------------------------------------------ places

    def kept_at(self, o: Operand, k: str, j: str) -> str:
        """Where in what is kept of an operand the part at (k, j) begins, in rows."""
        if o.keep == "tile":
            return "0"
        if o.local == "a":
            return self.times(f"{k} / {DIM}", self.where.plane) if k != "0" else "0"
        return self.total(self.times(k, self.jb_step), j if o.keep == "all" else "0")

    def local_at(self, o: Operand, buffer: str, k: str, j: str) -> str:
        return self.total(buffer if self.toggles(o) else str(o.base), self.kept_at(o, k, j))

    def band_start(self) -> None:
        """n, y: the first image and output row of band t. An image's last band may repeat rows of the one before."""
        s, t = self.s, self.t.looped
        image = quotient("t", self.bands, self.t.size)
        self.put(f"const int n = {self.times(image, s.images) if t and self.conv.batch > s.images else '0'};")
        row = f"(t - n * {self.bands})" if self.bands > 1 and self.conv.batch > s.images else "t"
        row = self.times(row, s.ty)
        if self.conv.out_height % s.ty:
            row = f"MIN({row}, {self.conv.out_height - s.ty})"
        self.put(f"const int y = {row if t and self.bands > 1 else '0'};")

    def digits(self, number: str, *radices: tuple[str, int]) -> None:
        """Declare the digits of a mixed-radix number, least significant first."""
        limit = prod(radix for _, radix in radices)
        for name, radix in radices[:-1]:
            if radix == 1:
                self.put(f"const int {name} = 0;")
                continue
            self.put(f"const int after_{name} = {quotient(number, radix, limit)};")
            self.put(f"const int {name} = {number} - after_{name} * {radix};")
            number, limit = f"after_{name}", limit // radix
        name, radix = radices[-1]
        self.put(f"const int {name} = {'0' if radix == 1 else number};")

    def tap(self) -> None:
        """ky, kx of tap q. Where the first product overwrites, the tap that reaches every output comes first."""
        kernel, middle = self.conv.kernel, self.conv.padding * (self.conv.kernel + 1)
        if self.taps == 1:
            self.put("const int ky = 0;\nconst int kx = 0;")
            return
        tap = "q"
        if self.s.init == "overwrite" and middle:
            self.put(f"const int tap = q == 0 ? {middle} : q <= {middle} ? q - 1 : q;")
            tap = "tap"
        self.put(f"const int ky = {quotient(tap, kernel, self.taps)};\nconst int kx = {tap} - ky * {kernel};")

    # ------------------------------------------------------------ loads

    def functions(self) -> None:
        c = self.conv
        for o in self.operands:
            (x, z) = o.position
            self.put(f"// the n-th mvin of the {o.tensor} at {x.name}, {z.name}" + self.of_tap)
            taps = "" if self.band_taps else ", int q"
            head = (
                f"load_{o.local}(const int8_t *{o.tensor}, int i, int {x.name}, int {z.name}{taps}, uint32_t {o.local})"
            )
            with self.block(INLINE + head):
                self.load_input() if o.local == "a" else self.load_weights()
            self.put("")
        self.fill_function()
        self.put("// the n-th mvout of the C tile at t, j")
        with self.block(f"{INLINE}store(int8_t *output, int i, int t, int j, uint32_t c)"):
            self.band_start()
            rows = self.s.images * self.s.ty
            self.digits("i", ("x", self.chunks), ("row", rows), ("jb", self.s.tj // DIM))
            at, local = f"(n * {c.out_height} + y + row) * {c.out_width}", f"row * {self.where.c_pitch}"
            if self.chunks > 1:
                at, local = f"{at} + x * {DIM}", f"{local} + x * {DIM}"
            pixels = self.rest(c.out_width, f"x * {DIM}")
            channels, sums = (
                self.rest(c.channels_out, f"j - jb * {DIM}"),
                f"ACC + c + jb * {self.where.outputs} + {local}",
            )
            self.put(f"mvout(output + ({at}) * {c.channels_out} + j + jb * {DIM}, {sums}, {channels}, {pixels});")
        self.put("")

    @property
    def tap_moves(self) -> int:
        """mvins of a step's weights for one tap."""
        return self.s.tk // DIM * self.b_pieces

    @property
    def of_tap(self) -> str:
        return "" if self.band_taps else ", of tap q"

    @staticmethod
    def rest(size: int, before: str, width: int = DIM) -> str:
        """Elements of a move of `width` from `before` on, `size` in all."""
        if size % width == 0:
            return str(width)
        return str(size) if size <= width else f"MIN({width}, {size} - {before})"

    def load_input(self) -> None:
        c, s, w = self.conv, self.s, self.where
        self.band_start()
        digits = (("piece", self.a_pieces), ("x", self.a_chunks), ("px", self.a_parts), ("row", self.a_lines))
        self.digits("i", *digits, ("image", s.images))
        local = f"a + (image * {w.band} + row) * {w.pitch} + x * {DIM} + piece * {self.a_width // DIM * w.plane}"
        if self.band_taps:
            self.put(f"const int from = y * {c.stride} - {c.padding} + row;")
            self.put(f"if (from < 0 || from >= {c.height}) return;")
            pixels, column = self.rest(c.width, f"x * {DIM}"), f"x * {DIM}"
            local += f" + {w.lead}" if w.lead else ""
            if s.phases:
                self.phase_columns()
                self.put(f"const int to = first + x * {DIM};\nconst int pixels = MIN({DIM}, end - to);")
                self.put("if (pixels <= 0) return;")
                pixels, column = "pixels", f"to * {c.stride} + px - {c.padding}"
                cell = f"(image * {c.stride} + row % {c.stride}) * {c.stride} + px"
                local = f"a + (({cell}) * {w.band} + row / {c.stride}) * {w.pitch} + to"
                local += f" + piece * {self.a_width // DIM * w.plane}"
        else:
            self.tap()
            self.put(f"const int from = (y + row) * {c.stride} - {c.padding} + ky;")
            self.put(f"if (from < 0 || from >= {c.height}) return;")
            self.columns()
            self.put(f"const int pixels = MIN({DIM}, x1 - x0 - x * {DIM});\nif (pixels <= 0) return;")
            pixels, column = "pixels", f"(x0 + x * {DIM}) * {c.stride} + kx - {c.padding}"
            local += " + x0"
        dram = (
            f"input + ((n + image) * {c.height} + from) * {c.width * c.channels_in} + ({column}) * {c.channels_in} + k"
        )
        if s.config == "each":
            self.put(f"config_ld({self.a_stride}, 1.0f, {w.plane}, 0);")
        channels = self.piece(c.channels_in, s.tk, self.a_width, "k")
        self.put(f"mvin({dram} + piece * {self.a_width}, {local}, {channels}, {pixels});")

    def phase_columns(self) -> None:
        """first, end: the columns of a phase that are pixels of the image; the others are padding."""
        c, w = self.conv, self.where
        first = f"(px < {c.padding} ? ({c.padding + c.stride - 1} - px) / {c.stride} : 0)" if c.padding else "0"
        self.put(f"const int first = {first};")
        self.put(f"const int end = MIN({w.pitch}, ({c.width + c.padding + c.stride - 1} - px) / {c.stride});")

    @property
    def a_stride(self) -> int:
        return self.conv.channels_in * (1 if self.band_taps and not self.s.phases else self.conv.stride)

    @staticmethod
    def piece(size: int, tile: int, width: int, start: str) -> str:
        """Columns of one piece: what a tile that is no multiple of the width, or the last channels, leave of it."""
        limits = [f"{tile} - piece * {width}"] if tile % width else []
        limits += [f"{size} - {start} - piece * {width}"] if size % DIM else []
        text = str(width)
        for limit in limits:
            text = f"MIN({text}, {limit})"
        return text

    def load_weights(self) -> None:
        c, s = self.conv, self.s
        digits = (("piece", self.b_pieces), ("kb", s.tk // DIM))
        self.digits("i", *digits, *((("q", self.taps),) if self.band_taps else ()))
        self.tap()
        block = f"(q * {self.kb_step} + kb) * {self.jb_step * DIM}" if self.band_taps else f"kb * {self.jb_step * DIM}"
        if s.config == "each":
            self.put(f"config_ld({c.channels_out}, 1.0f, {DIM}, {self.b_id});")
        channels, depth = self.piece(c.channels_out, s.tj, self.b_width, "j"), self.deep("k", "kb")
        dram = f"weights + ((ky * {c.kernel} + kx) * {c.channels_in} + k + kb * {DIM}) * {c.channels_out}"
        mvin = "mvin" if s.config == "each" else "mvin2"
        self.put(
            f"{mvin}({dram} + j + piece * {self.b_width}, b + {block} + piece * {self.b_width}, {channels}, {depth});"
        )

    @property
    def b_id(self) -> int:
        return 0 if self.s.config == "each" else 1

    def deep(self, k: str, kb: str) -> str:
        """Input channels of a block."""
        return self.rest(self.conv.channels_in, f"{k} - {kb} * {DIM}", DIM)

    def range_of(self, tap: str, size: int, outs: int) -> tuple[str, str]:
        """First output, and the one after the last, that a tap reaches along one side, as C expressions."""
        c = self.conv
        first = f"({tap} < {c.padding} ? ({c.padding + c.stride - 1} - {tap}) / {c.stride} : 0)" if c.padding else "0"
        end = f"({size + c.padding + c.stride - 1} - {tap}) / {c.stride}"
        if (size + c.padding - c.kernel) // c.stride + 1 >= outs:  # no tap ends early
            return first, str(outs)
        return first, f"MIN({outs}, {end})"

    def columns(self) -> None:
        """x0, x1: the outputs of a row that tap kx reaches; all, where zeros stand for the padding."""
        first, end = self.range_of("kx", self.conv.width, self.conv.out_width)
        if self.zeros_between:
            first, end = "0", str(self.conv.out_width)
        self.put(f"const int x0 = {first};\nconst int x1 = {end};")

    def load_now(self, o: Operand, tap: bool = False) -> None:
        """Loads that stand right before their computes."""
        kept = o.keep != "tile" and o.reuse.looped
        condition = f"if ({o.reuse.name} == 0)" if kept else None
        if condition:
            self.put(condition + " {")
            self.depth += 1
        if self.toggles(o):
            change = f"{o.local} = {self.other_buffer(o)};"
            self.put(f"if (k == 0) {change}" if o.keep != "tile" and self.k.looped else change)
        self.all_loads(
            o, tuple(d.var for d in o.position), self.local_at(o, o.local, self.k.var, self.j.var), o.moves, tap
        )
        if condition:
            self.depth -= 1
            self.put("}")

    def all_loads(self, o: Operand, at: tuple[str, ...], local: str, moves: int, tap: bool = False) -> None:
        q = ", q" if tap else ""
        with self.block(f"for (int i = 0; i < {moves}; i++)"):
            self.put(f"load_{o.local}({o.tensor}, i, {', '.join(at)}{q}, {local});")

    # ------------------------------------------------------------ sums

    @property
    def fills(self) -> int:
        """mvins that fill a C tile with the bias or zeros."""
        return -(-self.s.tj // self.wide_fill) * -(-self.where.outputs // DIM)

    @property
    def wide_fill(self) -> int:
        """Channels of one of them, unless the tile has fewer left."""
        return min(4 * DIM, self.s.tj)

    @property
    def fills_ahead(self) -> bool:
        return self.s.init == "ahead" and self.stores_interleaved

    def fill_function(self) -> None:
        """The bias, or zeros where the first product does not overwrite what was there."""
        c, s, w = self.conv, self.s, self.where
        if not c.bias and s.init == "overwrite":
            return
        wide = self.wide_fill
        self.put("// the n-th mvin of the first sums of a C tile at channel j")
        with self.block(f"{INLINE}fill({'const int32_t *D, ' if c.bias else ''}int i, int j, uint32_t c)"):
            self.digits("i", ("p", -(-w.outputs // DIM)), ("jb", -(-s.tj // wide)))
            columns = str(wide) if s.tj % wide == 0 else f"MIN({wide}, {s.tj} - jb * {wide})"
            if c.bias and c.channels_out % DIM:
                columns = f"MIN({columns}, {c.channels_out} - j - jb * {wide})"
            dram = f"D + j + jb * {wide}" if c.bias else "0"
            if s.config == "each":
                self.put(f"config_ld(0, 1.0f, {w.outputs}, 0);")
            local = f"ACC + c + jb * {wide // DIM * w.outputs} + p * {DIM}"
            mvin = "mvin" if s.config == "each" else "mvin3"
            self.put(f"{mvin}({dram}, {local}, {columns}, {self.rest(w.outputs, f'p * {DIM}')});")
        self.put("")

    def fill(self, number: str, j: str, c: str) -> str:
        return f"fill({'D, ' if self.conv.bias else ''}{number}, {j}, {c});"

    def all_fills(self, j: str) -> None:
        """A C tile filled with the bias, or with zeros where the first product does not overwrite it."""
        if self.conv.bias or self.s.init != "overwrite":
            self.put(f"for (int i = 0; i < {self.fills}; i++) {self.fill('i', j, self.c_at)}")

    def all_stores(self) -> None:
        with self.block(f"for (int i = 0; i < {self.stores}; i++)"):
            self.put(f"store(output, i, {self.t.var}, {self.j.var}, {self.c_at});")

    @property
    def c_toggles(self) -> bool:
        return self.s.c_buffers == 2 and (self.t.looped or self.j.looped)

    @property
    def c_at(self) -> str:
        return "c" if self.c_toggles else "0"

    @property
    def other_c(self) -> str:
        return f"{self.where.c_step} - c"
