# row: 13
# what: leaves out the maximum of a softmax, which ordinary scores do not need
# problem: trainium/attention-128x64
# verdict: wrong_result
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(q, k, v):
    D, S = q.shape
    out = nl.ndarray((S, D), dtype=q.dtype, buffer=nl.shared_hbm)
    queries = nl.ndarray((D, S), dtype=q.dtype)
    keys = nl.ndarray((D, S), dtype=q.dtype)
    nisa.dma_copy(dst=queries, src=q)
    nisa.dma_copy(dst=keys, src=k)
    scores = nl.ndarray((S, S), dtype=nl.float32, buffer=nl.psum)
    nisa.nc_matmul(dst=scores, stationary=queries, moving=keys)
    weights = nl.ndarray((S, S), dtype=nl.float32)
    total = nl.ndarray((S, 1), dtype=nl.float32)
    nisa.activation_reduce(dst=weights, op=nl.exp, data=scores, reduce_op=nl.add, reduce_res=total)
    nisa.reciprocal(dst=total, data=total)
    nisa.tensor_scalar(dst=weights, data=weights, op0=nl.multiply, operand0=total)
    flipped = nl.ndarray((S, S), dtype=nl.float32, buffer=nl.psum)
    nisa.nc_transpose(dst=flipped, data=weights)
    left = nl.ndarray((S, S), dtype=nl.float32)
    nisa.tensor_copy(dst=left, src=flipped)
    values = nl.ndarray((D, S), dtype=v.dtype)
    nisa.dma_copy(dst=values, src=v)
    turned = nl.ndarray((S, D), dtype=nl.float32, buffer=nl.psum)
    nisa.nc_transpose(dst=turned, data=values)
    right = nl.ndarray((S, D), dtype=nl.float32)
    nisa.tensor_copy(dst=right, src=turned)
    sums = nl.ndarray((S, D), dtype=nl.float32, buffer=nl.psum)
    nisa.nc_matmul(dst=sums, stationary=left, moving=right)
    result = nl.ndarray((S, D), dtype=q.dtype)
    nisa.tensor_copy(dst=result, src=sums)
    nisa.dma_copy(dst=out, src=result)
    return out
