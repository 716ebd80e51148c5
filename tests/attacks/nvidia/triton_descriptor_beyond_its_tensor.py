# row: 17
# what: describes a tensor as larger than it is, and loads its end
# problem: nvidia/transpose-128x64
# verdict: crashed
# says: beyond the end
import triton
import triton.language as tl


@triton.jit
def turn(x, out, rows, columns, B: tl.constexpr):
    source = tl.make_tensor_descriptor(x, shape=[rows + B, columns], strides=[columns, 1], block_shape=[B, B])
    tile = source.load([rows, 0])
    at = tl.arange(0, B)
    tl.store(out + at[:, None] * B + at[None, :], tile)


def launch(x, out):
    rows, columns = x.shape
    turn[(1,)](x, out, rows, columns, B=16)
