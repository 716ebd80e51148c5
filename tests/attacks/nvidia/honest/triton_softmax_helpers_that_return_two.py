# what: the running maximum and sum in a helper that returns both
# problem: nvidia/softmax-64x128
import triton
import triton.language as tl


@triton.jit
def merged(top, total, values, inside):
    higher = tl.maximum(top, tl.max(values, axis=0))
    added = tl.sum(tl.where(inside, tl.exp(values - higher), 0.0), axis=0)
    return higher, total * tl.exp(top - higher) + added


@triton.jit
def rows(x, out, columns, BLOCK: tl.constexpr):
    start = tl.program_id(0) * columns
    lane = tl.arange(0, BLOCK)
    top = -1.0e38
    total = 0.0
    for first in range(0, columns, BLOCK):
        inside = first + lane < columns
        values = tl.load(x + start + first + lane, mask=inside, other=-float("inf"))
        top, total = merged(top, total, values, inside)
    for first in range(0, columns, BLOCK):
        inside = first + lane < columns
        values = tl.load(x + start + first + lane, mask=inside, other=0.0)
        tl.store(out + start + first + lane, tl.exp(values - top) / total, mask=inside)


def launch(x, out):
    rows[(x.shape[0],)](x, out, x.shape[1], BLOCK=64, num_warps=1)
