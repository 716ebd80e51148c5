# row: 14
# what: moves float32 numbers as bfloat16
# problem: trainium/transpose-1x64x32
# verdict: wrong_result
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(x, dim=1):
    A, B, C = x.shape
    out = nl.ndarray((A, C, B), dtype=x.dtype, buffer=nl.shared_hbm)
    for a in range(A):
        for b in range(0, B, 128):
            rows = min(128, B - b)
            for c in range(0, C, 128):
                columns = min(128, C - c)
                tile = nl.ndarray((rows, columns), dtype=nl.bfloat16, buffer=nl.sbuf)
                nisa.dma_copy(dst=tile, src=x[a, b:b + rows, c:c + columns])
                flipped = nl.ndarray((columns, rows), dtype=nl.bfloat16, buffer=nl.psum)
                nisa.nc_transpose(dst=flipped, data=tile)
                result = nl.ndarray((columns, rows), dtype=x.dtype, buffer=nl.sbuf)
                nisa.tensor_copy(dst=result, src=flipped)
                nisa.dma_copy(dst=out[a, c:c + columns, b:b + rows], src=result)
    return out
