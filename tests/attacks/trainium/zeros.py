# row: 10
# what: writes zeros
# problem: trainium/rmsnorm-128x64
# verdict: wrong_result
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(x, gain):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.zeros((128, 64), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=out, src=t)
    return out
