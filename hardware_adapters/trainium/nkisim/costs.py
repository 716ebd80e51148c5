"""What an instruction costs, in cycles of its engine. N: elements per partition; the number of partitions is free.

Source: the "Estimated instruction cost" of each entry of the public NKI API reference (nki.isa), MIN_II = 64 cycles.
Costs of the Vector engine are uncertain by about 25 %: the compiler merges and splits its instructions.
"""

from __future__ import annotations

MIN_INTERVAL = 64
ONE_PASS = ("bfloat16", "float16", "float8_e4m3", "float8_e5m2")


def matmul(stationary_free: int, moving_free: int, dtype: str) -> float:
    """nc_matmul: max(min(64, N_stationary), N_moving); float32 takes four passes."""
    cycles = max(min(MIN_INTERVAL, stationary_free), moving_free)
    return cycles * (1 if dtype in ONE_PASS else 4)


def pe_transpose(partitions: int, free: int, dtype: str) -> float:
    """nc_transpose on the Tensor engine: max(P, min(64, F)); float32 as for a product."""
    return max(partitions, min(MIN_INTERVAL, free)) * (1 if dtype in ONE_PASS else 4)


def elementwise(n: int) -> float:
    """activation, tensor_scalar, tensor_copy, reciprocal, memset: max(64, N)."""
    return max(MIN_INTERVAL, n)


def with_reduction(n: int) -> float:
    """activation_reduce, tensor_scalar_reduce: max(64, N) + 64."""
    return max(MIN_INTERVAL, n) + MIN_INTERVAL


def two_operands(n: int, one_port: bool) -> float:
    """tensor_tensor: max(64, 2N), or max(64, N) where one operand is in PSUM or all are bfloat16 in SBUF."""
    return max(MIN_INTERVAL, n if one_port else 2 * n)


def scan(n: int) -> float:
    """tensor_tensor_scan: max(64, 2N)."""
    return max(MIN_INTERVAL, 2 * n)


def reduction(n: int, fast: bool) -> float:
    """tensor_reduce: max(64, N), N/2 for sums and maxima of bfloat16."""
    return max(MIN_INTERVAL, n / 2 if fast else n)


def select(n: int) -> float:
    """affine_select, iota: 150 + N on GpSimd."""
    return 150 + n


def vector_reciprocal(n: int) -> float:
    """reciprocal on the Vector engine: max(64, 8N)."""
    return max(MIN_INTERVAL, 8 * n)


def predicated_copy(n: int, one_port: bool) -> float:
    """tensor_copy_predicated: max(64, N) where source or predicate is in PSUM, else max(64, 2N)."""
    return max(MIN_INTERVAL, n if one_port else 2 * n)


def statistics_aggregate(n: int) -> float:
    """bn_aggr: max(64, 13 N / 3)."""
    return max(MIN_INTERVAL, 13 * n / 3)


def search(n: int) -> float:
    """max8, nc_find_index8, nc_match_replace8: N; no instruction takes less than the interval."""
    return max(MIN_INTERVAL, n)


def gpsimd_gather(n: int) -> float:
    """nc_n_gather: not documented; taken as the other passes of GpSimd: 150 for each 512 indices, and N."""
    return 150 * -(-n // 512) + n


def local_gather(indices: int, burst: int, itemsize: int) -> float:
    """local_gather: 150, and for each gathered element the documented factor with t = 4.

    The reference divides by that factor, which would make bursts of one element the fastest, and says they are slow.
    """
    factor = (28 + 4 * burst) / (4 * burst) / min(4 / itemsize, burst)
    return 150 + indices * burst * factor


def fast_exponential(n: int) -> float:
    """exponential (NeuronCore-v4): four times the Scalar engine's rate."""
    return max(MIN_INTERVAL, n / 4)


def register() -> float:
    """register_load, register_store: not documented; no instruction takes less than the interval.

    Without a cost values could be moved one by one, and looked at by the number of a dynamic loop's iterations.
    """
    return MIN_INTERVAL
