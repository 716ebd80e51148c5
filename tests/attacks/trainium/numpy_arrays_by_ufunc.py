# row: 20
# what: makes an array of NumPy's, with its memory, by a function that is an operator here
# problem: trainium/rmsnorm-128x64
# verdict: crashed
import numpy as np
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(x, gain):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=t, src=x)
    host = np.add.outer([1.0] * 128, [0.0] * 64)
    host.resize((1 << 20,), refcheck=False)
    nisa.dma_copy(dst=out, src=t)
    return out
