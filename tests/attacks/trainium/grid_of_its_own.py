# row: 4
# what: launches itself on eight cores
# problem: trainium/rmsnorm-128x64
# verdict: crashed
import nki
import nki.isa as nisa
import nki.language as nl


def helper(t):
    return t


@nki.jit
def solution(x, gain):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=t, src=x)
    helper[8](t)
    nisa.dma_copy(dst=out, src=t)
    return out
