# what: the nine taps in unrolled loops with offsets from a tuple of constants
# problem: nvidia/dwconv3x3-1x2x32x32
import triton
import triton.language as tl


@triton.jit
def convolve(x, weights, out, channels, height, width, TAPS: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr):
    image = tl.program_id(0)
    row = tl.program_id(1) * BH + tl.arange(0, BH)[:, None]
    column = tl.arange(0, BW)[None, :]
    total = tl.zeros((BH, BW), tl.float32)
    for i in tl.static_range(len(TAPS)):
        for j in tl.static_range(len(TAPS)):
            r, c = row + TAPS[i], column + TAPS[j]
            inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
            weight = tl.load(weights + (image % channels) * 9 + i * 3 + j)
            total += weight * tl.load(x + (image * height + r) * width + c, mask=inside, other=0.0)
    tl.store(out + (image * height + row) * width + column, total, mask=(row < height) & (column < width))


def launch(x, weights, out):
    n, c, h, w = x.shape
    convolve[(n * c, triton.cdiv(h, 8))](x, weights, out, c, h, w, TAPS=(-1, 0, 1), BH=8, BW=triton.next_power_of_2(w))
