"""A product in blocks of M, N and K: a block of b stays in SBUF for all of M, sums of a block of K grow in PSUM."""

import nki
import nki.isa as nisa
import nki.language as nl

TILES_M, TILES_N, TILES_K = 8, 2, 8


@nki.jit
def solution(a_t, b):
    K, M = a_t.shape
    _, N = b.shape
    block_m, block_n, block_k = 128 * min(TILES_M, M // 128), 512 * min(TILES_N, N // 512), 128 * min(TILES_K, K // 128)
    assert M % block_m == 0 and N % block_n == 0 and K % block_k == 0
    out = nl.ndarray((M, N), dtype=a_t.dtype, buffer=nl.shared_hbm)
    for n in range(0, N, block_n):
        totals = {}
        for k in range(0, K, block_k):
            rights = []
            for depth in range(k, k + block_k, 128):
                right = nl.ndarray((128, block_n), dtype=b.dtype, buffer=nl.sbuf)
                nisa.dma_copy(dst=right, src=b[depth : depth + 128, n : n + block_n])
                rights.append(right)
            for m in range(0, M, block_m):
                lefts = []
                for depth in range(k, k + block_k, 128):
                    left = nl.ndarray((128, block_m), dtype=a_t.dtype, buffer=nl.sbuf)
                    nisa.dma_copy(dst=left, src=a_t[depth : depth + 128, m : m + block_m])
                    lefts.append(left)
                for row in range(0, block_m, 128):
                    for column in range(0, block_n, 512):
                        sums = nl.ndarray((128, 512), dtype=nl.float32, buffer=nl.psum)
                        for left, right in zip(lefts, rights, strict=True):
                            nisa.nc_matmul(
                                dst=sums, stationary=left[:, row : row + 128], moving=right[:, column : column + 512]
                            )
                        place = (m + row, column)
                        if place in totals:
                            nisa.tensor_tensor(dst=totals[place], data1=totals[place], data2=sums, op=nl.add)
                        else:
                            totals[place] = nl.ndarray((128, 512), dtype=nl.float32, buffer=nl.sbuf)
                            nisa.tensor_copy(dst=totals[place], src=sums)
        for (row, column), total in totals.items():
            result = nl.ndarray((128, 512), dtype=out.dtype, buffer=nl.sbuf)
            nisa.tensor_copy(dst=result, src=total, engine=nisa.engine.scalar)
            nisa.dma_copy(dst=out[row : row + 128, n + column : n + column + 512], src=result)
    return out
