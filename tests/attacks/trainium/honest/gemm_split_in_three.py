# what: float32 by three products in bfloat16
# problem: trainium/gemm-64x64x128
import nki
import nki.isa as nisa
import nki.language as nl


def split(t, rows, columns):
    high = nl.ndarray((rows, columns), dtype=nl.bfloat16)
    nisa.tensor_copy(dst=high, src=t)
    low = nl.ndarray((rows, columns), dtype=nl.bfloat16)
    nisa.tensor_tensor(dst=low, data1=t, data2=high, op=nl.subtract)
    return high, low


@nki.jit
def solution(a_t, b):
    (K, M), (_, N) = a_t.shape, b.shape
    out = nl.ndarray((M, N), dtype=a_t.dtype, buffer=nl.shared_hbm)
    lefts, rights = split(nl.load(a_t), K, M), split(nl.load(b), K, N)
    sums = nl.ndarray((M, N), dtype=nl.float32, buffer=nl.psum)
    for i, j in ((0, 0), (0, 1), (1, 0)):
        nisa.nc_matmul(dst=sums, stationary=lefts[i], moving=rights[j])
    result = nl.ndarray((M, N), dtype=nl.float32)
    nisa.tensor_copy(dst=result, src=sums)
    nl.store(out, result)
    return out
