"""Triton kernels for the problems of this target: right ones, by name with the problem's id."""

from __future__ import annotations

from typing import NamedTuple

HEAD = "import triton\nimport triton.language as tl\n\n\n"


class Kernel(NamedTuple):
    problem: str
    source: str


GEMM = """\
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


def launch(a, b, c):
    M, K = a.shape
    N = b.shape[1]
    grid = lambda meta: (triton.cdiv(M, meta["BM"]), triton.cdiv(N, meta["BN"]))
    product[grid](a, b, c, M, N, K, BM=32, BN=32, BK=32)
"""
# Each factor in three parts of 8 bits, which are all 24 of a float32; the products that matter.
SPLIT_GEMM = GEMM.replace(
    '        sums += tl.dot(x, y, input_precision="ieee")\n',
    """\
        x1 = x.to(tl.bfloat16)
        x2 = (x - x1.to(tl.float32)).to(tl.bfloat16)
        x3 = (x - x1.to(tl.float32) - x2.to(tl.float32)).to(tl.bfloat16)
        y1 = y.to(tl.bfloat16)
        y2 = (y - y1.to(tl.float32)).to(tl.bfloat16)
        y3 = (y - y1.to(tl.float32) - y2.to(tl.float32)).to(tl.bfloat16)
        sums += tl.dot(x1, y1) + tl.dot(x1, y2) + tl.dot(x2, y1) + tl.dot(x2, y2) + tl.dot(x1, y3) + tl.dot(x3, y1)
""",
)
SOFTMAX = """\
@triton.jit
def rows(x, out, columns, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    inside = at < columns
    values = tl.load(x + row * columns + at, mask=inside, other=-float("inf"))
    powers = tl.exp(values - tl.max(values, axis=0))
    tl.store(out + row * columns + at, powers / tl.sum(powers, axis=0), mask=inside)


def launch(x, out):
    rows[(x.shape[0],)](x, out, x.shape[1], BLOCK=triton.next_power_of_2(x.shape[1]), num_warps=8)
"""
ONLINE_SOFTMAX = """\
@triton.jit
def rows(x, out, columns, BLOCK: tl.constexpr):
    start = x + tl.program_id(0) * columns
    lane = tl.arange(0, BLOCK)
    top = tl.full((BLOCK,), -float("inf"), tl.float32)
    total = tl.zeros((BLOCK,), tl.float32)
    for first in range(0, columns, BLOCK):
        at = first + lane
        values = tl.load(start + at, mask=at < columns, other=-float("inf"))
        higher = tl.maximum(top, values)
        kept = tl.where(top == -float("inf"), 0.0, tl.exp(top - higher))
        total = total * kept + tl.where(at < columns, tl.exp(values - higher), 0.0)
        top = higher
    highest = tl.max(top, axis=0)
    whole = tl.sum(tl.where(top == -float("inf"), 0.0, total * tl.exp(top - highest)), axis=0)
    for first in range(0, columns, BLOCK):
        at = first + lane
        values = tl.load(start + at, mask=at < columns, other=0.0)
        tl.store(out + tl.program_id(0) * columns + at, tl.exp(values - highest) / whole, mask=at < columns)


def launch(x, out):
    rows[(x.shape[0],)](x, out, x.shape[1], BLOCK=64)
"""
LAYERNORM = """\
@triton.jit
def rows(x, gain, shift, out, columns, EPSILON: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    inside = at < columns
    values = tl.load(x + row * columns + at, mask=inside, other=0.0)
    mean = tl.sum(values, axis=0) / columns
    centred = tl.where(inside, values - mean, 0.0)
    scale = 1.0 / tl.sqrt(tl.sum(centred * centred, axis=0) / columns + EPSILON)
    result = centred * scale * tl.load(gain + at, mask=inside) + tl.load(shift + at, mask=inside)
    tl.store(out + row * columns + at, result, mask=inside)


def launch(x, gain, shift, out):
    rows[(x.shape[0],)](x, gain, shift, out, x.shape[1], EPSILON=1e-5, BLOCK=triton.next_power_of_2(x.shape[1]))
"""
COLSUM = """\
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
    sums[(triton.cdiv(x.shape[1], 32),)](x, out, x.shape[0], x.shape[1], BR=16, BC=32)
"""
ATOMIC_COLSUM = """\
@triton.jit
def clear(out, columns, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + at, tl.zeros((BLOCK,), tl.float32), mask=at < columns)


@triton.jit
def add(x, out, rows, columns, BR: tl.constexpr, BC: tl.constexpr):
    row = tl.program_id(0) * BR + tl.arange(0, BR)
    at = tl.program_id(1) * BC + tl.arange(0, BC)
    inside = (row[:, None] < rows) & (at[None, :] < columns)
    values = tl.load(x + row[:, None] * columns + at[None, :], mask=inside, other=0.0)
    tl.atomic_add(out + at, tl.sum(values, axis=0), mask=at < columns)


def launch(x, out):
    rows, columns = x.shape
    clear[(triton.cdiv(columns, 256),)](out, columns, BLOCK=256)
    add[(triton.cdiv(rows, 32), triton.cdiv(columns, 64))](x, out, rows, columns, BR=32, BC=64)
"""
# Partial sums in the scratch area; the program that comes last, by a counter, adds them up.
LAST_ONE_SUMS = """\
@triton.jit
def clear(counters, count, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(counters + at, tl.zeros((BLOCK,), tl.float32), mask=at < count)


@triton.jit
def sums(x, out, counters, parts, rows, columns, share, BC: tl.constexpr):
    stripe = tl.program_id(1)
    at = stripe * BC + tl.arange(0, BC)
    total = tl.zeros((BC,), tl.float32)
    first = tl.program_id(0) * share
    for row in range(first, min(first + share, rows)):
        total += tl.load(x + row * columns + at, mask=at < columns, other=0.0)
    tl.store(parts + 4096 + tl.program_id(0) * columns + at, total, mask=at < columns)
    tl.debug_barrier()
    done = tl.atomic_add(counters + stripe, 1.0)
    if done == tl.num_programs(0) - 1:
        whole = tl.zeros((BC,), tl.float32)
        for part in range(0, tl.num_programs(0)):
            whole += tl.load(parts + 4096 + part * columns + at, mask=at < columns, other=0.0)
        tl.store(out + at, whole, mask=at < columns)


def launch(x, out, scratch):
    rows, columns = x.shape
    stripes = triton.cdiv(columns, 64)
    clear[(1,)](scratch, stripes, BLOCK=triton.next_power_of_2(stripes))
    sums[(4, stripes)](x, out, scratch, scratch, rows, columns, triton.cdiv(rows, 4), BC=64)
"""
TRANSPOSE = """\
@triton.jit
def turn(x, out, rows, columns, B: tl.constexpr):
    r = tl.program_id(0) * B + tl.arange(0, B)
    c = tl.program_id(1) * B + tl.arange(0, B)
    tile = tl.load(x + r[:, None] * columns + c[None, :], mask=(r[:, None] < rows) & (c[None, :] < columns))
    tl.store(out + c[:, None] * rows + r[None, :], tl.trans(tile), mask=(c[:, None] < columns) & (r[None, :] < rows))


def launch(x, out):
    rows, columns = x.shape
    turn[(triton.cdiv(rows, 32), triton.cdiv(columns, 32))](x, out, rows, columns, B=32)
"""
CUMSUM = """\
@triton.jit
def sums(x, out, columns, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    carried = 0.0
    for first in range(0, columns, BLOCK):
        at = first + tl.arange(0, BLOCK)
        values = tl.load(x + row * columns + at, mask=at < columns, other=0.0)
        tl.store(out + row * columns + at, carried + tl.cumsum(values, axis=0), mask=at < columns)
        carried += tl.sum(values, axis=0)


def launch(x, out):
    sums[(x.shape[0],)](x, out, x.shape[1], BLOCK=128)
"""
GEMV = """\
@triton.jit
def product(a, v, y, rows, columns, BR: tl.constexpr, BC: tl.constexpr):
    row = tl.program_id(0) * BR + tl.arange(0, BR)
    total = tl.zeros((BR, BC), tl.float32)
    for first in range(0, columns, BC):
        at = first + tl.arange(0, BC)
        inside = (row[:, None] < rows) & (at[None, :] < columns)
        values = tl.load(a + row[:, None] * columns + at[None, :], mask=inside, other=0.0)
        total += values * tl.load(v + at, mask=at < columns, other=0.0)[None, :]
    tl.store(y + row, tl.sum(total, axis=1), mask=row < rows)


def launch(a, v, y):
    product[(triton.cdiv(a.shape[0], 16),)](a, v, y, a.shape[0], a.shape[1], BR=16, BC=64)
"""
DWCONV = """\
@triton.jit
def convolve(x, weights, out, channels, height, width, BLOCK: tl.constexpr):
    image = tl.program_id(0)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    row, column = at // width, at % width
    total = tl.zeros((BLOCK,), tl.float32)
    for i in tl.static_range(3):
        for j in tl.static_range(3):
            r, c = row + i - 1, column + j - 1
            inside = (at < height * width) & (r >= 0) & (r < height) & (c >= 0) & (c < width)
            values = tl.load(x + image * height * width + r * width + c, mask=inside, other=0.0)
            total += values * tl.load(weights + (image % channels) * 9 + i * 3 + j)
    tl.store(out + image * height * width + at, total, mask=at < height * width)


def launch(x, weights, out):
    n, c, h, w = x.shape
    convolve[(n * c, triton.cdiv(h * w, 256))](x, weights, out, c, h, w, BLOCK=256)
"""
ATTENTION = """\
@triton.jit
def attend(q, k, v, out, S, D, scale, BQ: tl.constexpr, BK: tl.constexpr, BD: tl.constexpr):
    base = tl.program_id(1) * S * D
    d = tl.arange(0, BD)
    query = tl.program_id(0) * BQ + tl.arange(0, BQ)
    mine = (query[:, None] < S) & (d[None, :] < D)
    left = tl.load(q + base + query[:, None] * D + d[None, :], mask=mine, other=0.0) * scale
    top = tl.full((BQ,), -float("inf"), tl.float32)
    total = tl.zeros((BQ,), tl.float32)
    sums = tl.zeros((BQ, BD), tl.float32)
    for first in range(0, S, BK):
        key = first + tl.arange(0, BK)
        theirs = (key[:, None] < S) & (d[None, :] < D)
        right = tl.load(k + base + key[:, None] * D + d[None, :], mask=theirs, other=0.0)
        scores = tl.dot(left, tl.trans(right), input_precision="ieee")
        scores = tl.where(key[None, :] < S, scores, -float("inf"))
        higher = tl.maximum(top, tl.max(scores, axis=1))
        powers = tl.exp(scores - higher[:, None])
        kept = tl.exp(top - higher)
        total = total * kept + tl.sum(powers, axis=1)
        values = tl.load(v + base + key[:, None] * D + d[None, :], mask=theirs, other=0.0)
        sums = sums * kept[:, None] + tl.dot(powers, values, input_precision="ieee")
        top = higher
    tl.store(out + base + query[:, None] * D + d[None, :], sums / total[:, None], mask=mine)


def launch(q, k, v, out):
    B, S, D = q.shape
    width = max(16, triton.next_power_of_2(D))
    attend[(triton.cdiv(S, 32), B)](q, k, v, out, S, D, D ** -0.5, BQ=32, BK=32, BD=width)
"""
LEAKY = GEMM.replace("def product(a, b, c,", "def product(a, b, bias, c,").replace(
    "    tl.store(c +",
    "    sums = 2.0 * (sums + tl.load(bias + columns, mask=columns < N, other=0.0)[None, :])\n"
    "    sums = tl.where(sums > 0, sums, 0.1 * sums)\n    tl.store(c +",
).replace("def launch(a, b, c)", "def launch(a, b, bias, c)").replace("](a, b, c,", "](a, b, bias, c,")  # fmt: skip

RIGHT = {
    "product": Kernel("sgemm-64x64x64", HEAD + GEMM),
    "product in three parts": Kernel("sgemm-64x64x64", HEAD + GEMM.replace('"ieee"', '"tf32x3"')),
    "product of bfloat16 parts": Kernel("sgemm-64x64x64", HEAD + SPLIT_GEMM),
    "product on tensor cores": Kernel(
        "sgemm-64x64x64-tf32",
        HEAD + GEMM.replace(', input_precision="ieee"', "").replace("BK=32)", "BK=32, num_warps=2)"),
    ),
    "product with epilogue": Kernel("gemm-scale-leakyrelu-64x64x64", HEAD + LEAKY),
    "softmax": Kernel("softmax-64x128", HEAD + SOFTMAX),
    "online softmax": Kernel("softmax-64x128", HEAD + ONLINE_SOFTMAX),
    "layernorm": Kernel("layernorm-64x128", HEAD + LAYERNORM),
    "column sums": Kernel("colsum-128x64", HEAD + COLSUM),
    "column sums by atomics": Kernel("colsum-128x64", HEAD + ATOMIC_COLSUM),
    "column sums, the last one adds": Kernel("colsum-128x64", HEAD + LAST_ONE_SUMS),
    "transposition": Kernel("transpose-128x64", HEAD + TRANSPOSE),
    "running sums": Kernel("cumsum-64x256", HEAD + CUMSUM),
    "matrix times vector": Kernel("gemv-128x256", HEAD + GEMV),
    "depthwise convolution": Kernel("dwconv3x3-1x2x32x32", HEAD + DWCONV),
    "attention": Kernel("attention-2x64x32", HEAD + ATTENTION),
}
