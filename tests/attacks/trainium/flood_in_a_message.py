# row: 21
# what: puts a hundred million letters into the message of a fault
# problem: trainium/rmsnorm-128x64
# verdict: crashed
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(x, gain):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=t, src=x)
    nisa.memset(dst=t, value="a" * 100_000_000)
    nisa.dma_copy(dst=out, src=t)
    return out
