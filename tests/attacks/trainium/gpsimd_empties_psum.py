# row: 18
# what: has GpSimd, which does not reach PSUM, scale sums out of it by one, beside the other engines
# problem: trainium/gemm-128x128x128
# verdict: crashed
# says: GpSimd cannot reach PSUM
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(a_t, b):
    out = nl.ndarray((128, 128), dtype=a_t.dtype, buffer=nl.shared_hbm)
    left = nl.ndarray((128, 128), dtype=a_t.dtype)
    right = nl.ndarray((128, 128), dtype=b.dtype)
    nisa.dma_copy(dst=left, src=a_t)
    nisa.dma_copy(dst=right, src=b)
    sums = nl.ndarray((128, 128), dtype=nl.float32, buffer=nl.psum)
    nisa.nc_matmul(dst=sums, stationary=left, moving=right)
    result = nl.ndarray((128, 128), dtype=a_t.dtype)
    nisa.tensor_scalar(dst=result, data=sums, op0=nl.multiply, operand0=1.0, engine=nisa.engine.gpsimd)
    nisa.dma_copy(dst=out, src=result)
    return out
