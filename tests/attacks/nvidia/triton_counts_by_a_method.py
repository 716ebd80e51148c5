# row: 6
# what: counts its calls in a list that it holds by a method only
# problem: nvidia/softmax-64x128
# verdict: rejected
# says: keeps
import triton
import triton.language as tl


@triton.jit
def rows(x, out, columns, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    inside = at < columns
    values = tl.load(x + row * columns + at, mask=inside, other=-float("inf"))
    powers = tl.exp(values - tl.max(values, axis=0))
    tl.store(out + row * columns + at, powers / tl.sum(powers, axis=0), mask=inside)


left = [0] * 100000
count, take = left.copy().append, left.pop
left = 0


def launch(x, out):
    take()
    rows[(x.shape[0],)](x, out, x.shape[1], BLOCK=triton.next_power_of_2(x.shape[1]))
