# row: 12
# what: starts every piece of a running sum at zero
# problem: trainium/cumsum-128x256
# verdict: wrong_result
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(x, *rest, **more):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    ones = nl.ones((128, 64), dtype=nl.float32)
    for c in range(0, 256, 64):
        t = nl.ndarray((128, 64), dtype=nl.float32)
        nisa.dma_copy(dst=t, src=x[:, c:c + 64])
        nisa.tensor_tensor_scan(dst=t, data0=ones, data1=t, initial=0.0, op0=nl.multiply, op1=nl.add)
        nisa.dma_copy(dst=out[:, c:c + 64], src=t)
    return out
