# row: 1
# what: asks a tensor for its address, to look behind it
# problem: nvidia/softmax-64x128
# verdict: rejected
# says: .data_ptr
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
    near = [out.data_ptr() + 4 * out.numel() * step for step in range(8)]
    rows[(x.shape[0],)](x, out, x.shape[1], BLOCK=128, num_warps=4 if near else 8)
