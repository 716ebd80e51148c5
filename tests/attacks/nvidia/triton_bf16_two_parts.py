# row: 14
# what: splits its operands into two bfloat16 parts and leaves out what they lack
# problem: nvidia/sgemm-64x64x64
# verdict: wrong_result
# says: wrong
import triton
import triton.language as tl


@triton.jit
def product(a, b, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    columns = tl.program_id(1) * BN + tl.arange(0, BN)
    sums = tl.zeros((BM, BN), tl.float32)
    for first in range(0, K, BK):
        inner = first + tl.arange(0, BK)
        x = tl.load(a + rows[:, None] * K + inner[None, :], mask=(rows[:, None] < M) & (inner[None, :] < K), other=0.0)
        within = (inner[:, None] < K) & (columns[None, :] < N)
        y = tl.load(b + inner[:, None] * N + columns[None, :], mask=within, other=0.0)
        x1 = x.to(tl.bfloat16)
        x2 = (x - x1.to(tl.float32)).to(tl.bfloat16)
        y1 = y.to(tl.bfloat16)
        sums += tl.dot(x1, y1) + tl.dot(x2, y1)
    tl.store(c + rows[:, None] * N + columns[None, :], sums, mask=(rows[:, None] < M) & (columns[None, :] < N))


def launch(a, b, c):
    M, K = a.shape
    N = b.shape[1]
    grid = lambda meta: (triton.cdiv(M, meta["BM"]), triton.cdiv(N, meta["BN"]))
    product[grid](a, b, c, M, N, K, BM=32, BN=32, BK=32)
