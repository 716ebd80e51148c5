# what: a 1-D grid whose programs are numbered in groups, for the L2
# problem: nvidia/sgemm-64x64x64
import triton
import triton.language as tl


@triton.jit
def product(a, b, c, M, N, K, B: tl.constexpr, GROUP: tl.constexpr):
    down, across = tl.cdiv(M, B), tl.cdiv(N, B)
    number = tl.program_id(0)
    i, j = tl.swizzle2d(number // across, number % across, down, across, GROUP)
    rows = i * B + tl.arange(0, B)
    columns = j * B + tl.arange(0, B)
    left = a + rows[:, None] * K + tl.arange(0, B)[None, :]
    right = b + tl.arange(0, B)[:, None] * N + columns[None, :]
    sums = tl.zeros((B, B), tl.float32)
    for k in range(tl.cdiv(K, B)):
        inner = tl.arange(0, B) < K - k * B
        x = tl.load(left, mask=(rows[:, None] < M) & inner[None, :], other=0.0)
        y = tl.load(right, mask=inner[:, None] & (columns[None, :] < N), other=0.0)
        sums = tl.dot(x, y, sums, input_precision="tf32x3")
        left += B
        right += B * N
    tl.store(c + rows[:, None] * N + columns[None, :], sums, mask=(rows[:, None] < M) & (columns[None, :] < N))


def launch(a, b, c):
    (M, K), (_, N) = a.shape, b.shape
    grid = lambda meta: (triton.cdiv(M, meta["B"]) * triton.cdiv(N, meta["B"]),)
    product[grid](a, b, c, M, N, K, B=16, GROUP=2)
