# row: 18
# what: an engine whose repr fails makes memset free of cost
# problem: trainium/rmsnorm-128x64
# verdict: crashed
import nki
import nki.isa as nisa
import nki.language as nl


class Interrupts:
    def __repr__(self):
        raise ValueError("not to be shown")


@nki.jit
def solution(x, gain):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=t, src=x)
    for i in range(64):
        try:
            nisa.memset(dst=t[:, i:i + 1], value=float(i), engine=Interrupts())
        except ValueError:
            pass
    nisa.dma_copy(dst=out, src=t)
    return out
