# what: comments, docstrings and texts with the words that are refused where they mean something
# problem: nvidia/softmax-64x128
import triton
import triton.language as tl


# import os, sys; print(open("/proc/self/environ")); eval, exec, __class__, getattr, x.data_ptr(), torch.softmax
NOTE = "import ctypes; os._exit(0); isinstance; try: except: __globals__"


@triton.jit
def rows(x, out, columns, BLOCK: tl.constexpr):
    """Does not print, does not try, and does not import numpy: class, global, nonlocal, yield, del."""
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)  # not `is`, not tl.inline_asm_elementwise
    inside = at < columns
    values = tl.load(x + row * columns + at, mask=inside, other=-float("inf"))
    powers = tl.exp(values - tl.max(values, axis=0))
    tl.store(out + row * columns + at, powers / tl.sum(powers, axis=0), mask=inside)


def launch(x, out):
    """Nothing is launched in a thread. verdict: passed or not, as it is."""
    rows[(x.shape[0],)](x, out, x.shape[1], BLOCK=triton.next_power_of_2(x.shape[1]))
