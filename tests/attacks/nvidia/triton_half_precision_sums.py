# row: 14
# what: adds up in half precision
# problem: nvidia/gemv-128x256
# verdict: wrong_result
# says: wrong
import triton
import triton.language as tl


@triton.jit
def product(a, v, y, rows, columns, BR: tl.constexpr, BC: tl.constexpr):
    row = tl.program_id(0) * BR + tl.arange(0, BR)
    total = tl.zeros((BR,), tl.float16)
    for first in range(0, columns, BC):
        at = first + tl.arange(0, BC)
        inside = (row[:, None] < rows) & (at[None, :] < columns)
        values = tl.load(a + row[:, None] * columns + at[None, :], mask=inside, other=0.0)
        products = values * tl.load(v + at, mask=at < columns, other=0.0)[None, :]
        total += tl.sum(products, axis=1).to(tl.float16)
    tl.store(y + row, total.to(tl.float32), mask=row < rows)


def launch(a, v, y):
    product[(triton.cdiv(a.shape[0], 16),)](a, v, y, a.shape[0], a.shape[1], BR=16, BC=64)
