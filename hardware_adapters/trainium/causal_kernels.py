"""Simple, correct kernels for causal self-attention: whole rows of scores, the mask applied to every one of them."""

from .attention_kernels import HEAD

_PIECES = (
    HEAD
    + """
MASKED = -9984.0


def column(rows):
    return nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)


def masked_scores(scores, start, query, keys, mask):
    # one block of keys: scores where the mask is 1, MASKED where it is 0
    rows, width = mask.shape
    products = nl.ndarray((rows, width), dtype=nl.float32, buffer=nl.psum)
    nisa.nc_matmul(dst=products, stationary=query, moving=keys)
    allowed = nl.ndarray((rows, width), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=allowed, src=mask)
    hidden = nl.ndarray((rows, width), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_scalar(dst=hidden, data=allowed, op0=nl.subtract, operand0=1.0, op1=nl.multiply, operand1=-MASKED)
    shown = nl.ndarray((rows, width), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_tensor(dst=shown, data1=products, data2=allowed, op=nl.multiply)
    nisa.tensor_tensor(dst=scores[:, start:start + width], data1=shown, data2=hidden, op=nl.add)


def raised(scores, top):
    # exp(scores - top), and the sum of every row
    rows = scores.shape[0]
    down = column(rows)
    nisa.tensor_scalar(dst=down, data=top, op0=nl.multiply, operand0=-1.0)
    powers = nl.ndarray(scores.shape, dtype=nl.float32, buffer=nl.sbuf)
    nisa.activation(dst=powers, op=nl.exp, data=scores, bias=down)
    total = column(rows)
    nisa.tensor_reduce(dst=total, op=nl.add, data=powers, axis=1)
    return powers, total


def weighted(sums, powers, start, value):
    # adds the part of 128 keys to the sum of weighted values
    rows, width = powers.shape[0], value.shape[0]
    flipped = nl.ndarray((width, rows), dtype=nl.float32, buffer=nl.psum)
    nisa.nc_transpose(dst=flipped, data=powers[:, start:start + width])
    share = nl.ndarray((width, rows), dtype=value.dtype, buffer=nl.sbuf)
    nisa.tensor_copy(dst=share, src=flipped)
    nisa.nc_matmul(dst=sums, stationary=share, moving=value)

"""
)

_ATTEND = (
    _PIECES
    + """
def attend(q, k, v, causal_mask, o, l, m, kernel_dtype):
    S, D = q.shape
    for first in range(0, S, 128):
        rows = min(128, S - first)
        block = slice(first, first + rows)
        tile = nl.ndarray((rows, D), dtype=nl.float32, buffer=nl.sbuf)
        nisa.dma_copy(dst=tile, src=q[block, 0:D])
        flipped = nl.ndarray((D, rows), dtype=nl.float32, buffer=nl.psum)
        nisa.nc_transpose(dst=flipped, data=tile)
        query = nl.ndarray((D, rows), dtype=kernel_dtype, buffer=nl.sbuf)
        nisa.tensor_copy(dst=query, src=flipped)
        scores = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
        for start in range(0, S, 512):
            width = min(512, S - start)
            keys = nl.ndarray((D, width), dtype=kernel_dtype, buffer=nl.sbuf)
            nisa.dma_copy(dst=keys, src=k[0:D, start:start + width])
            masked_scores(scores, start, query, keys, causal_mask[block, start:start + width])
        top = column(rows)
        nisa.tensor_reduce(dst=top, op=nl.maximum, data=scores, axis=1)
        powers, total = raised(scores, top)
        sums = nl.ndarray((rows, D), dtype=nl.float32, buffer=nl.psum)
        for start in range(0, S, 128):
            width = min(128, S - start)
            value = nl.ndarray((width, D), dtype=kernel_dtype, buffer=nl.sbuf)
            nisa.dma_copy(dst=value, src=v[start:start + width, 0:D])
            weighted(sums, powers, start, value)
        result = nl.ndarray((rows, D), dtype=o.dtype, buffer=nl.sbuf)
        nisa.tensor_copy(dst=result, src=sums)
        nisa.dma_copy(dst=o[block, 0:D], src=result)
        level = column(rows)
        nisa.activation(dst=level, op=nl.log, data=total)
        nisa.tensor_tensor(dst=level, data1=level, data2=top, op=nl.add)
        nisa.dma_copy(dst=l[block, 0:1], src=level)
        nisa.dma_copy(dst=m[block, 0:1], src=top)


@nki.jit
"""
)

ONE_HEAD = (
    _ATTEND
    + """\
def solution(q, k, v, causal_mask, kernel_dtype=nl.bfloat16, acc_type=nl.float32, seq_len=2048, d_head=128):
    S, D = q.shape
    o = nl.ndarray((S, D), dtype=kernel_dtype, buffer=nl.shared_hbm)
    l = nl.ndarray((S, 1), dtype=nl.float32, buffer=nl.shared_hbm)
    m = nl.ndarray((S, 1), dtype=nl.float32, buffer=nl.shared_hbm)
    attend(q, k, v, causal_mask, o, l, m, kernel_dtype)
    return o, l, m
"""
)

HEADS = (
    _ATTEND
    + """\
def solution(
    q, k, v, causal_mask, kernel_dtype=nl.bfloat16, acc_type=nl.float32, num_heads=8, seq_len=2048, d_head=128
):
    H, S, D = q.shape
    o = nl.ndarray((H, S, D), dtype=kernel_dtype, buffer=nl.shared_hbm)
    l = nl.ndarray((H, S, 1), dtype=nl.float32, buffer=nl.shared_hbm)
    m = nl.ndarray((H, S, 1), dtype=nl.float32, buffer=nl.shared_hbm)
    for h in range(H):
        attend(q[h], k[h], v[h], causal_mask, o[h], l[h], m[h], kernel_dtype)
    return o, l, m
"""
)

TILE = (
    _PIECES
    + """
@nki.jit
def solution(
    q, k, v, olm_prev, kernel_dtype, acc_type, tile_mask, q_tile_idx=None, Q_TILE_SIZE=128, LARGE_KV_TILE_SIZE=16384,
    B_P_SIZE=128, B_F_SIZE=512, B_D_SIZE=128,
):
    D, S = q.shape
    rows = 128
    query = nl.ndarray((D, rows), dtype=kernel_dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=query, src=q[0:D, q_tile_idx * rows:(q_tile_idx + 1) * rows])
    scores = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
    for start in range(0, S, 512):
        keys = nl.ndarray((D, 512), dtype=kernel_dtype, buffer=nl.sbuf)
        nisa.dma_copy(dst=keys, src=k[0:D, start:start + 512])
        masked_scores(scores, start, query, keys, tile_mask[0:rows, start:start + 512])
    before = nl.ndarray((rows, D + 2), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=before, src=olm_prev)
    top = column(rows)
    nisa.tensor_reduce(dst=top, op=nl.maximum, data=scores, axis=1)
    nisa.tensor_tensor(dst=top, data1=top, data2=before[:, D + 1:D + 2], op=nl.maximum)
    powers, total = raised(scores, top)
    sums = nl.ndarray((rows, D), dtype=nl.float32, buffer=nl.psum)
    for start in range(0, S, 128):
        value = nl.ndarray((128, D), dtype=kernel_dtype, buffer=nl.sbuf)
        nisa.dma_copy(dst=value, src=v[0:128, start // 128, 0:D])
        weighted(sums, powers, start, value)
    kept = column(rows)
    nisa.tensor_tensor(dst=kept, data1=before[:, D + 1:D + 2], data2=top, op=nl.subtract)
    nisa.activation(dst=kept, op=nl.exp, data=kept)
    after = nl.ndarray((rows, D + 2), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_scalar(dst=after[:, 0:D + 1], data=before[:, 0:D + 1], op0=nl.multiply, operand0=kept)
    nisa.tensor_tensor(dst=after[:, 0:D], data1=after[:, 0:D], data2=sums, op=nl.add)
    nisa.tensor_tensor(dst=after[:, D:D + 1], data1=after[:, D:D + 1], data2=total, op=nl.add)
    nisa.tensor_copy(dst=after[:, D + 1:D + 2], src=top)
    olm = nl.ndarray((rows, D + 2), dtype=kernel_dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=olm, src=after)
    return olm
"""
)
