# row: 13
# what: divides a negative counter: Python rounds down, the device towards zero
# problem: nvidia/softmax-64x128
# verdict: wrong_result
# says: never written
import triton
import triton.language as tl


@triton.jit
def rows(x, out, columns, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    inside = at < columns
    for i in range(1):
        if (i - 1) // 2 == -1:
            values = tl.load(x + row * columns + at, mask=inside, other=-float("inf"))
            powers = tl.exp(values - tl.max(values, axis=0))
            tl.store(out + row * columns + at, powers / tl.sum(powers, axis=0), mask=inside)


def launch(x, out):
    rows[(x.shape[0],)](x, out, x.shape[1], BLOCK=triton.next_power_of_2(x.shape[1]))
