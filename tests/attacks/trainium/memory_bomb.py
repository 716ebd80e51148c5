# row: 21
# what: takes all the memory there is
# problem: trainium/rmsnorm-128x64
# verdict: crashed
# says: memory
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(x, gain):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=t, src=x)
    n = [0] * (1 << 33)
    nisa.dma_copy(dst=out, src=t)
    return out
