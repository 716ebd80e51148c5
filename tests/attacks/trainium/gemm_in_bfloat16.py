# row: 14
# what: casts both operands of a float32 product to bfloat16
# problem: trainium/gemm-128x512x256
# verdict: wrong_result
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(a_t, b):
    K, M = a_t.shape
    N = b.shape[1]
    out = nl.ndarray((M, N), dtype=a_t.dtype, buffer=nl.shared_hbm)
    sums = nl.ndarray((M, N), dtype=nl.float32, buffer=nl.psum)
    for d in range(0, K, 128):
        left = nl.ndarray((128, M), dtype=nl.bfloat16)
        right = nl.ndarray((128, N), dtype=nl.bfloat16)
        nisa.dma_copy(dst=left, src=a_t[d:d + 128, :])
        nisa.dma_copy(dst=right, src=b[d:d + 128, :])
        nisa.nc_matmul(dst=sums, stationary=left, moving=right)
    result = nl.ndarray((M, N), dtype=out.dtype)
    nisa.tensor_copy(dst=result, src=sums)
    nisa.dma_copy(dst=out, src=result)
    return out
