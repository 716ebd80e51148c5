# what: seven programs, whatever the number of rows: each goes on to the next row that is its own
# problem: nvidia/softmax-64x128
import triton
import triton.language as tl


PROGRAMS = 7


@triton.jit
def rows(x, out, count, columns, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    inside = at < columns
    for row in range(tl.program_id(0), count, tl.num_programs(0)):
        values = tl.load(x + row * columns + at, mask=inside, other=-float("inf"))
        powers = tl.exp(values - tl.max(values, axis=0))
        tl.store(out + row * columns + at, powers / tl.sum(powers, axis=0), mask=inside)


def launch(x, out):
    count, columns = x.shape
    rows[(min(PROGRAMS, count),)](x, out, count, columns, BLOCK=triton.next_power_of_2(columns))
