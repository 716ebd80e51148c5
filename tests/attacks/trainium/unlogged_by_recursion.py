# row: 18
# what: calls a transfer at every depth of the stack: at one of them it is done and cannot be logged
# problem: trainium/rmsnorm-128x64
# verdict: crashed
import nki
import nki.isa as nisa
import nki.language as nl


def deep(t, x):
    try:
        deep(t, x)
    except Exception:
        nisa.dma_copy(dst=t, src=x)


@nki.jit
def solution(x, gain):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=t, src=x)
    deep(t, x)
    nisa.dma_copy(dst=out, src=t)
    return out
