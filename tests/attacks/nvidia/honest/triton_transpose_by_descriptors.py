# what: loads and stores through tensor descriptors where rows allow them, by pointers elsewhere
# problem: nvidia/transpose-128x64
import triton
import triton.language as tl


@triton.jit
def turn(x, out, rows, columns, B: tl.constexpr):
    r = tl.program_id(0) * B + tl.arange(0, B)
    c = tl.program_id(1) * B + tl.arange(0, B)
    inside = (r[:, None] < rows) & (c[None, :] < columns)
    tile = tl.load(x + r[:, None] * columns + c[None, :], mask=inside)
    tl.store(out + c[:, None] * rows + r[None, :], tl.trans(tile), mask=(c[:, None] < columns) & (r[None, :] < rows))


@triton.jit
def turn_described(x, out, rows, columns, B: tl.constexpr):
    source = tl.make_tensor_descriptor(x, shape=[rows, columns], strides=[columns, 1], block_shape=[B, B])
    target = tl.make_tensor_descriptor(out, shape=[columns, rows], strides=[rows, 1], block_shape=[B, B])
    r, c = tl.program_id(0) * B, tl.program_id(1) * B
    target.store([c, r], tl.trans(source.load([r, c])))


def launch(x, out):
    rows, columns = x.shape
    described = rows % 4 == 0 and columns % 4 == 0
    kernel = turn_described if described else turn
    kernel[(triton.cdiv(rows, 16), triton.cdiv(columns, 16))](x, out, rows, columns, B=16)
