# row: 13
# what: asks whether a counter is the number 0: so it is where it is interpreted
# problem: nvidia/softmax-64x128
# verdict: rejected
# says: is
import triton
import triton.language as tl


@triton.jit
def rows(x, out, columns, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    inside = at < columns
    for i in range(1):
        if i is 0:
            values = tl.load(x + row * columns + at, mask=inside, other=-float("inf"))
            powers = tl.exp(values - tl.max(values, axis=0))
            tl.store(out + row * columns + at, powers / tl.sum(powers, axis=0), mask=inside)


def launch(x, out):
    rows[(x.shape[0],)](x, out, x.shape[1], BLOCK=triton.next_power_of_2(x.shape[1]))
