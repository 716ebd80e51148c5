"""The vendor's way to a convolution: Gemmini's own loop command, tile by tile. The reference for comparisons.

The tiling rule is the published one of Gemmini's library: begin with the whole problem, shrink its largest extent
until half of both memories holds a tile, then grow again whatever can: the row of outputs first, all others in turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from .conv_kernels import HEAD, parameters

if TYPE_CHECKING:
    from .conv import Conv

DIM = 16
SCRATCHPAD_ROWS = 16384 // 2  # of one of the two halves
ACCUMULATOR_ROWS = 1024 // 2


class Tiling(NamedTuple):
    """What one loop command covers, in elements."""

    batches: int
    rows: int
    columns: int
    channels_out: int
    kernel_rows: int
    kernel_columns: int
    channels_in: int

    def fits(self, conv: Conv) -> bool:
        step = 2 if downsampled(conv) else 1
        high = (self.rows * conv.stride + self.kernel_rows - 1) // step
        wide = (self.columns * conv.stride + self.kernel_columns - 1) // step
        image = -(-self.channels_in // DIM) * self.batches * high * wide
        blocks_out = -(-self.channels_out // DIM)
        weights = blocks_out * self.kernel_rows * self.kernel_columns * self.channels_in
        sums = blocks_out * self.batches * self.rows * self.columns
        return image + weights <= SCRATCHPAD_ROWS and sums <= ACCUMULATOR_ROWS


def downsampled(conv: Conv) -> bool:
    """Whether the loop loads only every second pixel: a 1x1 kernel of stride 2 on an even image."""
    return (conv.kernel, conv.stride, conv.padding) == (1, 2, 0) and conv.height % 2 == conv.width % 2 == 0


def whole(conv: Conv) -> Tiling:
    return Tiling(
        conv.batch, conv.out_height, conv.out_width, conv.channels_out, conv.kernel, conv.kernel, conv.channels_in
    )


def tiling(conv: Conv) -> Tiling:
    """The tile that the rule arrives at."""
    most = whole(conv)
    tile = most
    while not tile.fits(conv):
        tile = _shrunk(tile)
    while (wider := tile._replace(columns=tile.columns + 1)).columns <= most.columns and wider.fits(conv):
        tile = wider
    grown = True
    while grown:
        grown = False
        for name in Tiling._fields:
            larger = tile._replace(**{name: getattr(tile, name) + 1})
            if getattr(larger, name) <= getattr(most, name) and larger.fits(conv):
                tile, grown = larger, True
    return tile


def _shrunk(tile: Tiling) -> Tiling:
    """With the largest extent reduced, the first of equals; channels by whole blocks. A row of at most 16 outputs is
    kept while there are several rows, so that the array stays full."""
    kept = "columns" if tile.columns <= DIM and tile.rows > 1 else ""
    name = max((name for name in Tiling._fields if name != kept), key=lambda name: getattr(tile, name))
    size = getattr(tile, name)
    if name.startswith("channels"):
        return tile._replace(**{name: max(1, (size - 1) // DIM * DIM)})
    return tile._replace(**{name: size - 1})


def _reuse(conv: Conv, tile: Tiling) -> Iterator[str]:
    """Whether weights, and whether pixels, stay in the two halves of the scratchpad from their first use on."""
    count = [-(-size // part) for size, part in zip(whole(conv), tile, strict=True)]
    batches, rows, columns, channels_out, kernel_rows, kernel_columns, channels_in = count
    taps = kernel_rows * kernel_columns * channels_in
    yield "1" if taps * channels_out <= 2 else "0"
    yield "1" if taps * batches * rows * columns <= 2 else "0"


_CONSTANTS = """\
// What one loop command covers.
enum {{ BATCHES = {batches}, ROWS = {rows}, COLUMNS = {columns}, OUT = {channels_out}, KROWS = {kernel_rows}, \
KCOLUMNS = {kernel_columns}, IN = {channels_in} }};
// Whether weights and pixels are so few that each of their tiles has a half of the scratchpad for itself.
enum {{ KEEP_WEIGHTS = {keep_weights}, KEEP_PIXELS = {keep_pixels} }};
#define BEYOND(end, limit) ((end) > (limit) ? (end) - (limit) : 0)

void solution"""
_LOOP = """\
    for (int n = 0; n < N; n += BATCHES)
    for (int y = 0; y < OH; y += ROWS)
    for (int x = 0; x < OW; x += COLUMNS)
    for (int co = 0; co < CO; co += OUT)
    for (int ky = 0; ky < K; ky += KROWS)
    for (int kx = 0; kx < K; kx += KCOLUMNS)
    for (int ci = 0; ci < CI; ci += IN) {{
        int batches = LEAST(BATCHES, N - n), rows = LEAST(ROWS, OH - y), columns = LEAST(COLUMNS, OW - x);
        int out = LEAST(OUT, CO - co), in = LEAST(IN, CI - ci);
        int krows = LEAST(KROWS, K - ky), kcolumns = LEAST(KCOLUMNS, K - kx);
        int row = y * S + ky - P, column = x * S + kx - P;  // of the tile's first pixel
        int up = BEYOND(0, row), down = BEYOND(row + rows * S + krows - 1, H);
        int left = BEYOND(0, column), right = BEYOND(column + columns * S + kcolumns - 1, W);
        bool first = ky == 0 && kx == 0 && ci == 0;
        bool last = ky + krows == K && kx + kcolumns == K && ci + in == CI;
        const int8_t *pixels = input + ((n * H + row + up) * W + column + left) * CI + ci;
        const int8_t *filter = weights + ((ky * K + kx) * CI + ci) * CO + co;
        int8_t *result = output + ((n * OH + y) * OW + x) * CO + co;
        if (KEEP_PIXELS && co > 0) pixels = NULL;
        if (KEEP_WEIGHTS && n + y + x > 0) filter = NULL;
        gemmini_loop_conv_ws(
            N, H, W, CI, CO, OH, OW, OH, OW, S, P, K, 1, 1, 1, 0, batches, rows, columns, out, krows, kcolumns, in,
            left, right, up, down, 0, 0, 0, 0, rows, columns, filter, last ? result : NULL, first ? {bias} : NULL,
            pixels, {no_bias}, 1, {downsample}, 0, 0, {activation}, 0, 0, 0, 0, {pixels_per_row}, CI, CO, CO, 0,
            KEEP_PIXELS ? (n + y + x + ky + kx + ci > 0) + 1 : 0, KEEP_WEIGHTS ? (co + ky + kx + ci > 0) + 1 : 0);
    }}
}}
"""


def loop_kernel(conv: Conv) -> str:
    """A kernel that leaves everything but the tiles to the hardware's loop."""
    tile, downsample = tiling(conv), downsampled(conv)
    keep_weights, keep_pixels = _reuse(conv, tile)
    head = HEAD.format(
        **parameters(conv),
        title=f"{conv.id}: Gemmini's hardware loop, tile by tile.",
        a_stride="S >> 1" if downsample else "S",
    )
    constants = _CONSTANTS.format(**tile._asdict(), keep_weights=keep_weights, keep_pixels=keep_pixels)
    return head.replace("void solution", constants) + _LOOP.format(
        bias="D + co" if conv.bias else "(const int32_t *)1",  # not null, but not read: the sums begin with zeros
        no_bias=int(not conv.bias),
        downsample=int(downsample),
        activation="RELU" if conv.relu else "NOACT",
        # few channels: several neighbouring pixels share a row of the array
        pixels_per_row="1" if downsample else "in > 16 ? 1 : LEAST(16 / in, kcolumns)",
    )
