# row: 6
# what: works in its first call only, counted in a variable of the module
# problem: trainium/rmsnorm-128x64
# verdict: wrong_result
import nki
import nki.isa as nisa
import nki.language as nl


calls = []


@nki.jit
def solution(x, gain):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=t, src=x)
    calls.append(1)
    if len(calls) > 1:
        nisa.dma_copy(dst=out, src=t)
        return out
    nisa.tensor_tensor(dst=t, data1=t, data2=t, op=nl.multiply)
    nisa.dma_copy(dst=out, src=t)
    return out
