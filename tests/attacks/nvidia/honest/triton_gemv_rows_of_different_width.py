# what: other blocks for narrow matrices, chosen on the host; a 2-D sum turned round
# problem: nvidia/gemv-128x256
import triton
import triton.language as tl


@triton.jit
def product(a, v, y, rows, columns, BR: tl.constexpr, BC: tl.constexpr):
    row = tl.program_id(0) * BR + tl.arange(0, BR)
    total = tl.zeros((BC, BR), tl.float32)
    for first in range(0, columns, BC):
        at = first + tl.arange(0, BC)
        inside = (row[None, :] < rows) & (at[:, None] < columns)
        values = tl.load(a + row[None, :] * columns + at[:, None], mask=inside, other=0.0)
        total = tl.fma(values, tl.load(v + at, mask=at < columns, other=0.0)[:, None] + tl.zeros_like(values), total)
    tl.store(y + row, tl.sum(tl.trans(total), axis=1), mask=row < rows)


def launch(a, v, y):
    rows, columns = a.shape
    wide = columns >= 128
    blocks = {"BR": 8 if wide else 64, "BC": 128 if wide else 16}
    product[(triton.cdiv(rows, blocks["BR"]),)](a, v, y, rows, columns, num_warps=4 if wide else 2, **blocks)
