# what: scores of all keys twice, powers of two instead of e, queries in a loop of the program
# problem: nvidia/attention-2x64x32
import triton
import triton.language as tl


@triton.jit
def scores(q, k, base, query, key, d, S, D, scale):
    mine = (query[:, None] < S) & (d[None, :] < D)
    theirs = (key[:, None] < S) & (d[None, :] < D)
    left = tl.load(q + base + query[:, None] * D + d[None, :], mask=mine, other=0.0)
    right = tl.load(k + base + key[:, None] * D + d[None, :], mask=theirs, other=0.0)
    found = tl.dot(left, tl.trans(right), input_precision="ieee") * scale
    return tl.where(key[None, :] < S, found, -float("inf"))


@triton.jit
def attend(q, k, v, out, S, D, scale, BQ: tl.constexpr, BK: tl.constexpr, BD: tl.constexpr):
    base = tl.program_id(0) * S * D
    d = tl.arange(0, BD)
    for start in range(tl.program_id(1) * BQ, S, tl.num_programs(1) * BQ):
        query = start + tl.arange(0, BQ)
        top = tl.full((BQ,), -float("inf"), tl.float32)
        for first in range(0, S, BK):
            found = scores(q, k, base, query, first + tl.arange(0, BK), d, S, D, scale)
            top = tl.maximum(top, tl.max(found, axis=1))
        total = tl.zeros((BQ,), tl.float32)
        sums = tl.zeros((BQ, BD), tl.float32)
        for first in range(0, S, BK):
            key = first + tl.arange(0, BK)
            powers = tl.exp2(scores(q, k, base, query, key, d, S, D, scale) - top[:, None])
            total += tl.sum(powers, axis=1)
            values = tl.load(v + base + key[:, None] * D + d[None, :], mask=(key[:, None] < S) & (d[None, :] < D), other=0.0)
            sums = tl.dot(powers, values, sums, input_precision="ieee")
        mine = (query[:, None] < S) & (d[None, :] < D)
        tl.store(out + base + query[:, None] * D + d[None, :], sums / total[:, None], mask=mine)


def launch(q, k, v, out):
    B, S, D = q.shape
    scale = 1.4426950408889634 * D ** -0.5
    attend[(B, 2)](q, k, v, out, S, D, scale, BQ=16, BK=32, BD=max(16, triton.next_power_of_2(D)))
