# what: moves the bits as integers, in a 3-D grid that it uses two dimensions of
# problem: nvidia/transpose-128x64
import triton
import triton.language as tl


@triton.jit
def turn(x, out, rows, columns, B: tl.constexpr):
    source, target = x.to(tl.pointer_type(tl.int32)), out.to(tl.pointer_type(tl.int32))
    r = tl.program_id(2) * B + tl.arange(0, B)
    c = tl.program_id(0) * B + tl.arange(0, B)
    tile = tl.load(source + r[None, :] * columns + c[:, None], mask=(r[None, :] < rows) & (c[:, None] < columns), other=0)
    tl.store(target + c[:, None] * rows + r[None, :], tile, mask=(r[None, :] < rows) & (c[:, None] < columns))


def launch(x, out):
    rows, columns = x.shape
    turn[(triton.cdiv(columns, 16), 1, triton.cdiv(rows, 16))](x, out, rows, columns, B=16)
