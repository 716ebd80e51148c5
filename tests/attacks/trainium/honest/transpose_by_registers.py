# what: element by element through a register: right, and as slow as it is
# problem: trainium/transpose-1x16x8
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(x, dim=1):
    A, B, C = x.shape
    out = nl.ndarray((A, C, B), dtype=x.dtype, buffer=nl.shared_hbm)
    target = nl.ndarray((A, C, B), dtype=nl.int32, buffer=nl.shared_hbm)
    bits = x.ap([[1, A * B * C]], dtype=nl.int32)
    register = nisa.register_alloc()
    for b in range(B):
        for c in range(C):
            nisa.register_load(register, bits[b * C + c:b * C + c + 1])
            nisa.register_store(target[0, c, b:b + 1], register)
    nisa.dma_copy(dst=out, src=target.ap([[B * C, A], [B, C], [1, B]], dtype=nl.float32))
    return out
