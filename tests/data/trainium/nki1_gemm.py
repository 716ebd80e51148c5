import math

import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl


@nki.jit
def product(a_t, b):
    K, M = a_t.shape
    _, N = b.shape
    out = nl.ndarray((M, N), dtype=a_t.dtype, buffer=nl.shared_hbm)
    depth, rows, columns = (math.ceil(n / s) for n, s in ((K, 128), (M, 128), (N, 512)))
    left_grid, right_grid, out_grid = nl.mgrid[0:128, 0:128], nl.mgrid[0:128, 0:512], nl.mgrid[0:128, 0:512]
    for m in nl.affine_range(rows):
        for n in nl.affine_range(columns):
            sums = nl.zeros((nl.par_dim(128), 512), dtype=nl.float32, buffer=nl.psum)
            for k in nl.affine_range(depth):
                left = nl.zeros((nl.par_dim(128), 128), dtype=a_t.dtype)
                right = nl.zeros((nl.par_dim(128), 512), dtype=b.dtype)
                p, x = k * 128 + left_grid.p, m * 128 + left_grid.x
                left[left_grid.p, left_grid.x] = nl.load(a_t[p, x], mask=(p < K) & (x < M))
                p, x = k * 128 + right_grid.p, n * 512 + right_grid.x
                right[right_grid.p, right_grid.x] = nl.load(b[p, x], mask=(p < K) & (x < N))
                sums += nisa.nc_matmul(left, right)
            p, x = m * 128 + out_grid.p, n * 512 + out_grid.x
            result = nl.copy(sums, dtype=out.dtype)
            nl.store(out[p, x], value=result, mask=(p < M) & (x < N))
    return out
