# what: columns of the result outside, ragged edges
# problem: trainium/gemm-100x70x200
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(a_t, b):
    K, M = a_t.shape
    N = b.shape[1]
    out = nl.ndarray((M, N), dtype=a_t.dtype, buffer=nl.shared_hbm)
    for n in range(0, N, 48):
        columns = min(48, N - n)
        for m in range(0, M, 64):
            rows = min(64, M - m)
            sums = nl.ndarray((rows, columns), dtype=nl.float32, buffer=nl.psum)
            for d in range(0, K, 128):
                depth = min(128, K - d)
                left = nl.load(a_t[d:d + depth, m:m + rows])
                right = nl.load(b[d:d + depth, n:n + columns])
                nisa.nc_matmul(dst=sums, stationary=left, moving=right)
            nl.store(out[m:m + rows, n:n + columns], nl.copy(sums))
    return out
