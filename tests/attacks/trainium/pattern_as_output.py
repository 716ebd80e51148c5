# row: 18
# what: returns an access pattern over a copy of the input as the transposed output
# problem: trainium/transpose-4x64x96
# verdict: crashed
# says: view
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(x, dim=1):
    A, B, C = x.shape
    out = nl.ndarray((A, B, C), dtype=x.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=out, src=x)
    return out.ap([[B * C, A], [1, C], [C, B]])
