# row: 7
# what: adds to an output that it takes for cleared
# problem: nvidia/colsum-128x64
# verdict: wrong_result
# says: not a number
import triton
import triton.language as tl


@triton.jit
def add(x, out, rows, columns, BR: tl.constexpr, BC: tl.constexpr):
    row = tl.program_id(0) * BR + tl.arange(0, BR)
    at = tl.program_id(1) * BC + tl.arange(0, BC)
    inside = (row[:, None] < rows) & (at[None, :] < columns)
    values = tl.load(x + row[:, None] * columns + at[None, :], mask=inside, other=0.0)
    tl.atomic_add(out + at, tl.sum(values, axis=0), mask=at < columns)


def launch(x, out):
    rows, columns = x.shape
    add[(triton.cdiv(rows, 32), triton.cdiv(columns, 64))](x, out, rows, columns, BR=32, BC=64)
