# row: 21
# what: recurses without end
# problem: trainium/rmsnorm-128x64
# verdict: crashed
# says: recurses
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(x, gain):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=t, src=x)
    def down(n):
        return down(n + 1) + 1
    down(0)
    nisa.dma_copy(dst=out, src=t)
    return out
