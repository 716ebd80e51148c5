# row: 18
# what: copies the input and returns a transposed view of it: no element is moved to its place
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
    return out.permute((0, 2, 1))
