# row: 11
# what: loads gain and shift of a layer norm, and uses neither
# problem: nvidia/layernorm-64x128
# verdict: wrong_result
# says: wrong
import triton
import triton.language as tl


@triton.jit
def rows(x, gain, shift, out, columns, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    inside = at < columns
    values = tl.load(x + row * columns + at, mask=inside, other=0.0)
    loaded = tl.load(gain + at, mask=inside, other=0.0) + tl.load(shift + at, mask=inside, other=0.0)
    mean = tl.sum(values, axis=0) / columns
    centred = tl.where(inside, values - mean, 0.0)
    scale = 1.0 / tl.sqrt(tl.sum(centred * centred, axis=0) / columns + 1e-5)
    tl.store(out + row * columns + at, centred * scale + 0.0 * loaded, mask=inside)


def launch(x, gain, shift, out):
    rows[(x.shape[0],)](x, gain, shift, out, x.shape[1], BLOCK=triton.next_power_of_2(x.shape[1]))
