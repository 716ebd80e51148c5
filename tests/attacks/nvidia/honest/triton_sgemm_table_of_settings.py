# what: settings in a table of the module, chosen by the shape; options handed on as a dictionary
# problem: nvidia/sgemm-64x64x64
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
        sums += tl.dot(x, y, input_precision="ieee")
    tl.store(c + rows[:, None] * N + columns[None, :], sums, mask=(rows[:, None] < M) & (columns[None, :] < N))


TABLE = {"large": {"BM": 32, "BN": 64, "BK": 16, "num_warps": 8, "num_stages": 3}, "small": {"BM": 16, "BN": 16, "BK": 16}}
ORDER = ["small", "large"]


def settings(size):
    chosen = TABLE[ORDER[size > 1000]].copy()
    chosen.update({"num_warps": chosen.get("num_warps", 2)})
    return chosen


def launch(a, b, c):
    (M, K), N = a.shape, b.shape[1]
    grid = lambda meta: (triton.cdiv(M, meta["BM"]), triton.cdiv(N, meta["BN"]))
    product[grid](a, b, c, M, N, K, **settings(c.numel()))
