# what: sums of pieces in the scratch area, their running sums, and the rest: three kernels
# problem: nvidia/cumsum-64x256
import triton
import triton.language as tl


@triton.jit
def pieces(x, area, columns, count, BLOCK: tl.constexpr):
    row, piece = tl.program_id(0), tl.program_id(1)
    at = piece * BLOCK + tl.arange(0, BLOCK)
    values = tl.load(x + row * columns + at, mask=at < columns, other=0.0)
    tl.store(area + row * count + piece, tl.sum(values, axis=0))


@triton.jit
def before(area, count, WIDTH: tl.constexpr):
    at = tl.arange(0, WIDTH)
    mine = area + tl.program_id(0) * count + at
    values = tl.load(mine, mask=at < count, other=0.0)
    tl.store(mine, tl.cumsum(values, axis=0) - values, mask=at < count)


@triton.jit
def whole(x, area, out, columns, count, BLOCK: tl.constexpr):
    row, piece = tl.program_id(0), tl.program_id(1)
    at = piece * BLOCK + tl.arange(0, BLOCK)
    values = tl.load(x + row * columns + at, mask=at < columns, other=0.0)
    carried = tl.load(area + row * count + piece)
    tl.store(out + row * columns + at, carried + tl.cumsum(values, axis=0), mask=at < columns)


def launch(x, out, scratch):
    rows, columns = x.shape
    count = triton.cdiv(columns, 64)
    pieces[rows, count](x, scratch, columns, count, BLOCK=64)
    before[rows,](scratch, count, WIDTH=triton.next_power_of_2(count))
    whole[rows, count](x, scratch, out, columns, count, BLOCK=64)
