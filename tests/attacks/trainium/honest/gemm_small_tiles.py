# what: many products with few rows
# problem: trainium/gemm-40x24x16
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(a_t, b):
    K, M = a_t.shape
    N = b.shape[1]
    out = nl.ndarray((M, N), dtype=a_t.dtype, buffer=nl.shared_hbm)
    for n in range(0, N, 24):
        columns = min(24, N - n)
        for m in range(0, M, 8):
            rows = min(8, M - m)
            sums = nl.ndarray((rows, columns), dtype=nl.float32, buffer=nl.psum)
            for d in nl.static_range(0, K, 128):
                depth = min(128, K - d)
                left = nl.load(a_t[d:d + depth, m:m + rows])
                right = nl.load(b[d:d + depth, n:n + columns])
                nisa.nc_matmul(dst=sums, stationary=left, moving=right)
            nl.store(out[m:m + rows, n:n + columns], nl.copy(sums))
    return out
