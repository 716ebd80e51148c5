# row: 20
# what: reaches attributes in an f-string
# problem: trainium/rmsnorm-128x64
# verdict: rejected
# says: __
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(x, gain):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=t, src=x)
    f"{t.__class__.__mro__}"
    nisa.dma_copy(dst=out, src=t)
    return out
