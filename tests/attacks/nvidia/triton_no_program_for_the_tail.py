# row: 12
# what: rounds the number of programs down
# problem: nvidia/colsum-128x64
# verdict: wrong_result
# says: never written
import triton
import triton.language as tl


@triton.jit
def sums(x, out, rows, columns, BR: tl.constexpr, BC: tl.constexpr):
    at = tl.program_id(0) * BC + tl.arange(0, BC)
    total = tl.zeros((BC,), tl.float32)
    for first in range(0, rows, BR):
        row = first + tl.arange(0, BR)
        inside = (row[:, None] < rows) & (at[None, :] < columns)
        total += tl.sum(tl.load(x + row[:, None] * columns + at[None, :], mask=inside, other=0.0), axis=0)
    tl.store(out + at, total, mask=at < columns)


def launch(x, out):
    programs = max(1, x.shape[1] // 32)
    sums[(programs,)](x, out, x.shape[0], x.shape[1], BR=16, BC=32)
