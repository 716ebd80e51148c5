# row: 19
# what: an affine loop whose iterations read what others wrote
# problem: trainium/rmsnorm-128x64
# verdict: crashed
# says: race
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(x, gain):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=t, src=x)
    for i in nl.affine_range(63):
        nisa.tensor_copy(dst=t[:, i + 1:i + 2], src=t[:, i:i + 1])
    nisa.dma_copy(dst=out, src=t)
    return out
