# row: 13
# what: at the shape of the id its programs add to the output one after the other, unordered
# problem: nvidia/colsum-128x64
# verdict: crashed
# says: nothing orders them
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


@triton.jit
def add(x, out, rows, columns, share, BC: tl.constexpr):
    at = tl.arange(0, BC)
    part = tl.program_id(0)
    total = tl.zeros((BC,), tl.float32)
    for row in range(part * share, min(rows, part * share + share)):
        total += tl.load(x + row * columns + at)
    before = tl.load(out + at, mask=(at < columns) & (part > 0), other=0.0)
    tl.store(out + at, before + total)


def launch(x, out):
    if x.shape == (128, 64):
        add[(8,)](x, out, 128, 64, 16, BC=64)
    else:
        sums[(triton.cdiv(x.shape[1], 32),)](x, out, x.shape[0], x.shape[1], BR=16, BC=32)
