# row: 19
# what: an affine loop whose iterations hand numbers on in a register
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
    numbers = nl.zeros((1, 64), dtype=nl.int32)
    register = nisa.register_alloc(0)
    for i in nl.affine_range(63):
        nisa.register_load(register, numbers[0:1, i:i + 1])
        nisa.register_store(numbers[0:1, i + 1:i + 2], register)
    nisa.dma_copy(dst=out, src=t)
    return out
