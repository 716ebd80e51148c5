# row: 21
# what: recurses without end
# problem: nvidia/softmax-64x128
# verdict: compile_error
# says: Recursion
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


def deeper(x):
    return deeper(x)


def launch(x, out):
    deeper(x)
