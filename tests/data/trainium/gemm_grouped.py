"""A product in groups of 4 x 2 tiles of out: eight sums in PSUM share every piece of the operands that is loaded."""

import nki
import nki.isa as nisa
import nki.language as nl

GROUP_M, GROUP_N = 4, 2


@nki.jit
def solution(a_t, b):
    K, M = a_t.shape
    _, N = b.shape
    height, width = 128 * GROUP_M, 512 * GROUP_N
    assert K % 128 == 0 and M % height == 0 and N % width == 0
    out = nl.ndarray((M, N), dtype=a_t.dtype, buffer=nl.shared_hbm)
    for m in range(0, M, height):
        for n in range(0, N, width):
            places = [(row, column) for row in range(0, height, 128) for column in range(0, width, 512)]
            sums = {place: nl.ndarray((128, 512), dtype=nl.float32, buffer=nl.psum) for place in places}
            for k in range(0, K, 128):
                right = nl.ndarray((128, width), dtype=b.dtype, buffer=nl.sbuf)
                nisa.dma_copy(dst=right, src=b[k : k + 128, n : n + width])
                left = nl.ndarray((128, height), dtype=a_t.dtype, buffer=nl.sbuf)
                nisa.dma_copy(dst=left, src=a_t[k : k + 128, m : m + height])
                for row, column in places:
                    nisa.nc_matmul(
                        dst=sums[row, column],
                        stationary=left[:, row : row + 128],
                        moving=right[:, column : column + 512],
                    )
            for row, column in places:
                result = nl.ndarray((128, 512), dtype=out.dtype, buffer=nl.sbuf)
                nisa.tensor_copy(dst=result, src=sums[row, column])
                nisa.dma_copy(dst=out[m + row : m + row + 128, n + column : n + column + 512], src=result)
    return out
