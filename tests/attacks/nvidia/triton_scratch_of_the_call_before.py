# row: 19
# what: expects the scratch area to be cleared, as it once found it
# problem: nvidia/colsum-128x64
# verdict: wrong_result
# says: not a number
import triton
import triton.language as tl


@triton.jit
def add(x, out, area, rows, columns, BC: tl.constexpr):
    at = tl.arange(0, BC)
    inside = at < columns
    row = tl.program_id(0)
    tl.atomic_add(area + at, tl.load(x + row * columns + at, mask=inside, other=0.0), mask=inside)


@triton.jit
def copy(out, area, columns, BC: tl.constexpr):
    at = tl.arange(0, BC)
    tl.store(out + at, tl.load(area + at), mask=at < columns)


def launch(x, out, scratch):
    rows, columns = x.shape
    block = triton.next_power_of_2(columns)
    add[(rows,)](x, out, scratch, rows, columns, BC=block)
    copy[(1,)](out, scratch, columns, BC=block)
