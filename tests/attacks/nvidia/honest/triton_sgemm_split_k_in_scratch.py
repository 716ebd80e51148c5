# what: four parts of the depth in the scratch area, which a second kernel adds up
# problem: nvidia/sgemm-64x64x64
import triton
import triton.language as tl


PARTS = 4


@triton.jit
def parts(a, b, area, M, N, K, share, B: tl.constexpr):
    rows = tl.program_id(0) * B + tl.arange(0, B)
    columns = tl.program_id(1) * B + tl.arange(0, B)
    part = tl.program_id(2)
    sums = tl.zeros((B, B), tl.float32)
    last = min(K, part * share + share)
    for first in range(part * share, last, B):
        inner = first + tl.arange(0, B)
        left = (rows[:, None] < M) & (inner[None, :] < last)
        right = (inner[:, None] < last) & (columns[None, :] < N)
        x = tl.load(a + rows[:, None] * K + inner[None, :], mask=left, other=0.0)
        y = tl.load(b + inner[:, None] * N + columns[None, :], mask=right, other=0.0)
        sums = tl.dot(x, y, sums, input_precision="ieee")
    inside = (rows[:, None] < M) & (columns[None, :] < N)
    tl.store(area + part * M * N + rows[:, None] * N + columns[None, :], sums, mask=inside)


@triton.jit
def added(area, c, size, PARTS: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros((BLOCK,), tl.float32)
    for part in tl.static_range(PARTS):
        total += tl.load(area + part * size + at, mask=at < size, other=0.0)
    tl.store(c + at, total, mask=at < size)


def launch(a, b, c, scratch):
    (M, K), N = a.shape, b.shape[1]
    share = triton.cdiv(K, PARTS)
    parts[(triton.cdiv(M, 16), triton.cdiv(N, 16), PARTS)](a, b, scratch, M, N, K, share, B=16)
    added[(triton.cdiv(M * N, 256),)](scratch, c, M * N, PARTS=PARTS, BLOCK=256)
