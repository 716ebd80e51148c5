# row: 20
# what: a class whose class hears of everything
# problem: trainium/rmsnorm-128x64
# verdict: rejected
# says: metaclass
import nki
import nki.isa as nisa
import nki.language as nl


class Spy(metaclass=print):
    pass


@nki.jit
def solution(x, gain):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=t, src=x)
    nisa.dma_copy(dst=out, src=t)
    return out
