# what: hints of all kinds: what divides what, what stays in caches, stages of a loop
# problem: nvidia/softmax-64x128
import triton
import triton.language as tl


@triton.jit
def rows(x, out, count, columns, BLOCK: tl.constexpr, STAGES: tl.constexpr):
    tl.assume(columns > 0)
    at = tl.max_contiguous(tl.multiple_of(tl.arange(0, BLOCK), BLOCK), BLOCK)
    inside = at < columns
    for row in tl.range(tl.program_id(0), count, tl.num_programs(0), num_stages=STAGES):
        values = tl.load(x + row * columns + at, mask=inside, other=-float("inf"), eviction_policy="evict_first")
        powers = tl.exp(values - tl.max(values, axis=0))
        total = tl.sum(powers, axis=0)
        tl.store(out + row * columns + at, powers / total, mask=inside, cache_modifier=".cs")


def launch(x, out):
    count, columns = x.shape
    block = triton.next_power_of_2(columns)
    rows[(triton.cdiv(count, 4),)](x, out, count, columns, BLOCK=block, STAGES=2, num_warps=2, num_stages=2)
