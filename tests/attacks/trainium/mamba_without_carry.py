# row: 12
# what: forgets the state between the pieces of a scan
# problem: trainium/mamba-128x64x2
# verdict: wrong_result
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(delta, u, a, b, c):
    out = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.shared_hbm)
    for s in (0, 32):
        total = nl.zeros((128, 32), dtype=nl.float32)
        for n in range(2):
            step, data, into, back = [nl.ndarray((128, 32), dtype=nl.float32) for _ in range(4)]
            rate = nl.ndarray((128, 1), dtype=nl.float32)
            nisa.dma_copy(dst=step, src=delta[:, s:s + 32])
            nisa.dma_copy(dst=data, src=u[:, s:s + 32])
            nisa.dma_copy(dst=rate, src=a[:, n:n + 1])
            nisa.dma_copy(dst=into, src=b[n:n + 1, s:s + 32].broadcast(0, 128))
            nisa.dma_copy(dst=back, src=c[n:n + 1, s:s + 32].broadcast(0, 128))
            state = nl.ndarray((128, 32), dtype=nl.float32)
            nisa.tensor_tensor(dst=data, data1=data, data2=step, op=nl.multiply)
            nisa.tensor_tensor(dst=data, data1=data, data2=into, op=nl.multiply)
            nisa.activation(dst=step, op=nl.exp, data=step, scale=rate)
            nisa.tensor_tensor_scan(dst=state, data0=step, data1=data, initial=0.0, op0=nl.multiply, op1=nl.add)
            nisa.tensor_tensor(dst=state, data1=state, data2=back, op=nl.multiply)
            nisa.tensor_tensor(dst=total, data1=total, data2=state, op=nl.add)
        nisa.dma_copy(dst=out[:, s:s + 32], src=total)
    return out
