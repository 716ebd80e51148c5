# ruff: noqa: E501 - tables of one kernel per line
"""Access patterns, gathers, shuffles, transposes and sums by DMA: what moves where, against NumPy."""

import numpy as np
import pytest
from nki_job import fault_of, kernel, run_kernel

RNG = np.random.default_rng(11)
X = RNG.standard_normal((128, 512)).astype(np.float32)
D = X.astype(np.float64)
NEW = "r = nl.ndarray((128, 512), dtype=nl.float32)\n"
LOAD = "out = nl.ndarray({shape}, dtype=nl.{dtype}, buffer=nl.shared_hbm)\nt = nl.ndarray((128, 512), dtype=nl.float32)\nnisa.dma_copy(dst=t, src=x)\n"
STORE = "\nnisa.dma_copy(dst=out, src=r)\nreturn out"


def result(body: str, shape: tuple[int, ...] = (128, 512), dtype: str = "float32", machine: str = "trn2") -> np.ndarray:
    source = kernel(LOAD.format(shape=shape, dtype=dtype) + body + STORE)
    report, found = run_kernel(source, {"x": X}, [("out", shape, dtype)], machine)
    assert report["faults"] == [None], report["faults"]
    return found["out"]


COUNTED = "i = nl.ndarray((128, 512), dtype=nl.uint32)\nnisa.iota(dst=i, pattern=[[-1, 512]], offset=511)\n"
ROWS = (
    "i = nl.ndarray((128, 1), dtype=nl.int32)\nnisa.iota(dst=i, pattern=[[0, 1]], offset=127, channel_multiplier=-1)\n"
)
PART = "i = nl.ndarray((1, 1), dtype=nl.int32)\nnisa.memset(dst=i, value=64)\n"
KEEP = [*range(1, 32), 255]
CASES: dict[str, tuple[str, np.ndarray]] = {
    "a pattern on chip": (
        "r = nl.ndarray((128, 64), dtype=nl.float32)\nnisa.tensor_copy(dst=r, src=t.ap(pattern=[[512, 128], [8, 64]], offset=3))",
        D[:, 3::8],
    ),
    "a pattern with four dimensions": (
        "r = nl.ndarray((128, 4, 2, 8), dtype=nl.float32)\nnisa.tensor_copy(dst=r, src=t.ap(pattern=[[512, 128], [128, 4], [1, 2], [2, 8]]))",
        D.reshape(128, 4, 128)[:, :, :16].reshape(128, 4, 8, 2).transpose(0, 1, 3, 2),
    ),
    "a pattern that repeats": (
        "r = nl.ndarray((128, 8, 16), dtype=nl.float32)\nnisa.tensor_copy(dst=r, src=t.ap(pattern=[[512, 128], [0, 8], [1, 16]]))",
        np.broadcast_to(D[:, None, :16], (128, 8, 16)),
    ),
    "a column of HBM as partitions": (
        "r = nl.ndarray((128, 1), dtype=nl.float32)\nnisa.dma_copy(dst=r, src=x.ap(pattern=[[1, 128]], offset=512 * 5))",
        D[5, :128, None],
    ),
    "a part chosen by a tile": (
        PART + "r = nl.ndarray((64, 512), dtype=nl.float32)\n"
        "nisa.dma_copy(dst=r, src=x.ap(pattern=[[512, 64], [1, 512]], scalar_offset=i, indirect_dim=0))",
        D[64:],
    ),
    "a part chosen by a register": (
        PART + "n = nisa.register_alloc()\nnisa.register_load(n, i)\nr = nl.ndarray((128, 32), dtype=nl.float32)\n"
        "nisa.dma_copy(dst=r, src=x.ap(pattern=[[512, 128], [1, 32]], scalar_offset=n, indirect_dim=1))",
        D[:, 64:96],
    ),
    "rows gathered": (
        ROWS + NEW + "nisa.dma_copy(dst=r, src=x.ap(pattern=[[512, 128], [1, 512]], vector_offset=i, indirect_dim=0))",
        D[::-1],
    ),
    "rows scattered": (
        ROWS + "h = nl.ndarray((128, 512), dtype=nl.float32, buffer=nl.shared_hbm, name='h')\n" + NEW
        + "nisa.dma_copy(dst=h.ap(pattern=[[512, 128], [1, 512]], vector_offset=i), src=t)\nnisa.dma_copy(dst=r, src=h)",
        D[::-1],
    ),
    "rows outside skipped": (
        "i = nl.ndarray((128, 1), dtype=nl.int32)\nnisa.iota(dst=i, pattern=[[0, 1]], offset=64, channel_multiplier=1)\n" + NEW
        + "nisa.memset(dst=r, value=7.0)\nnisa.dma_copy(dst=r, src=x.ap(pattern=[[512, 128], [1, 512]], vector_offset=i), oob_mode=nisa.oob_mode.skip)",
        np.concatenate([D[64:], np.full((64, 512), 7.0)]),
    ),
    "elements gathered in a partition": (COUNTED + NEW + "nisa.nc_n_gather(dst=r, data=t, indices=i)", D[:, ::-1]),
    "elements gathered by a core": (
        "i = nl.ndarray((128, 2), dtype=nl.uint16)\nnisa.iota(dst=i, pattern=[[100, 2]], channel_multiplier=1)\n"
        "r = nl.ndarray((128, 32), dtype=nl.float32)\nnisa.local_gather(dst=r, src_buffer=t, index=i)",
        np.concatenate([D[g : g + 16][:, [g + p + 100 * j for j in range(2) for p in range(16)]] for g in range(0, 128, 16)]),
    ),
    "partitions shuffled": (
        NEW + f"nisa.memset(dst=r, value=3.0)\nnisa.nc_stream_shuffle(dst=r, src=t, shuffle_mask={KEEP})",
        np.concatenate([np.concatenate([D[q + 1 : q + 32], np.full((1, 512), 3.0)]) for q in range(0, 128, 32)]),
    ),
    "partitions reduced": (
        "s = nl.ndarray((1, 512), dtype=nl.float32)\nnisa.tensor_partition_reduce(dst=s, op=nl.add, data=t)\nr = s", D.sum(0, keepdims=True),
    ),
    "a transpose by DMA": ("r = nl.ndarray((128, 128), dtype=nl.float32)\nnisa.dma_transpose(dst=r, src=x[:, 0:128])", D[:, :128].T),
    "a sum by DMA": (NEW + "nisa.dma_compute(dst=r, srcs=[x, t, x], scales=[1.0, 1.0, 1.0], reduce_op=nl.add)", 3 * D),
    "added on the way": (NEW + "nisa.tensor_copy(dst=r, src=t)\nnisa.dma_copy(dst=r, src=x, dst_rmw_op=nl.add)", 2 * D),
    "a transpose by the array": (
        "e = nl.shared_identity_matrix(128, dtype=nl.float32)\np = nl.ndarray((128, 128), dtype=nl.float32, buffer=nl.psum)\n"
        "r = nl.ndarray((128, 128), dtype=nl.float32)\nnisa.nc_matmul(dst=p, stationary=t[:, 0:128], moving=e, is_transpose=True)\nnisa.tensor_copy(dst=r, src=p)",
        D[:, :128].T,
    ),
    "rows of the array": (
        "p = nl.ndarray((32, 512), dtype=nl.float32, buffer=nl.psum)\nr = nl.ndarray((32, 512), dtype=nl.float32)\n"
        "nisa.nc_matmul(dst=p, stationary=t[64:128, 0:32], moving=t[64:128, :], tile_position=(64, 0), tile_size=(64, 32))\nnisa.tensor_copy(dst=r, src=p)",
        D[64:, :32].T @ D[64:],
    ),
    "a loop whose bound is data": (
        PART + "n = nisa.register_alloc()\nnisa.register_load(n, i)\n" + NEW + "nisa.memset(dst=r, value=0.0)\n"
        "for j in nl.dynamic_range(0, n, 32):\n    nisa.tensor_tensor(dst=r, data1=r, data2=t, op=nl.add)",
        2 * D,
    ),
    "dimensions merged and added": ("r = t.reshape((128, 4, 128)).expand_dim(1).flatten_dims(2, 3).squeeze_dim(1)", D),
    "load and store": ("r = nl.load(x[:, nl.ds(0, 256)])", D[:, :256]),
}  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), CASES.values(), ids=CASES)
def test_elements_end_up_where_numpy_puts_them(body: str, expected: np.ndarray) -> None:
    assert np.allclose(result(body, expected.shape), expected, rtol=2e-5, atol=2e-5)


def test_two_rows_of_float8_contract_at_once() -> None:
    """double_row: the contraction is partitions x 2."""
    body = (
        "a = nl.ndarray((128, 2, 64), dtype=nl.float8_e4m3)\nb = nl.ndarray((128, 2, 256), dtype=nl.float8_e4m3)\n"
        "nisa.tensor_copy(dst=a, src=t[:, 0:128])\nnisa.tensor_copy(dst=b, src=t)\n"
        "p = nl.ndarray((64, 256), dtype=nl.float32, buffer=nl.psum)\nr = nl.ndarray((64, 256), dtype=nl.float32)\n"
        "nisa.nc_matmul(dst=p, stationary=a, moving=b, perf_mode=nisa.matmul_perf_mode.double_row)\nnisa.tensor_copy(dst=r, src=p)"
    )
    import ml_dtypes

    small = X.astype(ml_dtypes.float8_e4m3).astype(np.float64)
    a, b = small[:, :128].reshape(128, 2, 64), small.reshape(128, 2, 256)
    assert np.allclose(result(body, (64, 256)), np.einsum("pkm,pkn->mn", a, b), rtol=1e-5, atol=1e-4)


def test_from_the_fourth_generation_on_a_product_takes_all_of_psum() -> None:
    wide = (
        "w = nl.ndarray((128, 1024), dtype=nl.float32)\nnisa.tensor_copy(dst=w[:, 0:512], src=t)\nnisa.tensor_copy(dst=w[:, 512:1024], src=t)\n"
        "p = nl.ndarray((128, 1024), dtype=nl.float32, buffer=nl.psum)\nr = nl.ndarray((128, 1024), dtype=nl.float32)\n"
        "nisa.nc_matmul(dst=p, stationary=t[:, 0:128], moving=w)\nnisa.tensor_copy(dst=r, src=p)"
    )
    expected = D[:, :128].T @ np.concatenate([D, D], axis=1)
    assert np.allclose(result(wide, (128, 1024), machine="trn3"), expected, rtol=1e-4, atol=1e-4)
    older = fault_of("t = nl.ndarray((128, 512), dtype=nl.float32)\nnisa.dma_copy(dst=t, src=x)\n" + wide)
    assert older["kind"] == "tile_limit" and "at most 512" in older["message"]


WRONG = [
    ("t.ap(pattern=[[1024, 64], [1, 512]])", "wrong_argument", "goes from partition to partition: 512"),
    ("t.ap(pattern=[[512, 128], [1, 512]], offset=1)", "out_of_bounds", "of each partition"),
    ("x.ap(pattern=[[512, 128], [1, 512]], offset=1)", "out_of_bounds", "65536"),
    ("t[:, 0:256].ap(pattern=[[512, 128], [1, 256]])", "wrong_argument", "starts from a whole one"),
    ("nisa.dma_copy(dst=t, src=x.ap(pattern=[[512, 128], [1, 512]], vector_offset=i))", "out_of_bounds", "oob_mode"),
    ("nisa.tensor_copy(dst=t, src=t.ap(pattern=[[512, 128], [1, 512]], vector_offset=i))", "unsupported", "vector_offset"),
    ("nisa.nc_n_gather(dst=t, data=t, indices=u)", "out_of_bounds", "0..511"),
    ("nisa.nc_n_gather(dst=t, data=t, indices=t)", "wrong_dtype", "uint32"),
    ("nisa.nc_stream_shuffle(dst=t, src=t, shuffle_mask=[0] * 31)", "wrong_argument", "31 entries"),
    ("nisa.nc_stream_shuffle(dst=t[16:48, :], src=t[0:32, :], shuffle_mask=[0] * 32)", "wrong_argument", "partition 16"),
    ("nisa.dma_transpose(dst=t, src=x[:, 0:128])", "shape_mismatch", "[128, 128]"),
    ("nisa.dma_copy(dst=t, src=x, dst_rmw_op=nl.maximum)", "wrong_argument", "adds only"),
    ("n = nisa.register_alloc()\nx.ap(pattern=[[512, 64], [1, 512]], scalar_offset=n)", "uninitialised_read", "register"),
    ("n = nisa.register_alloc(3)\nfor j in range(n):\n    pass", "no_value", "register"),
    ("nisa.nc_matmul(dst=p, stationary=t[:, 0:128], moving=t, tile_position=(0, 0), tile_size=(64, 128))", "tile_limit", "64 rows"),
    ("nisa.nc_matmul(dst=p, stationary=t[:, 0:128], moving=t[:, 0:128], is_transpose=True)", "wrong_argument", "identity"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "kind", "says"), WRONG, ids=[w[0][:60] for w in WRONG])
def test_movement_that_no_engine_can_do_is_refused(wrong: str, kind: str, says: str) -> None:
    body = (
        "t = nl.ndarray((128, 512), dtype=nl.float32)\nnisa.dma_copy(dst=t, src=x)\n"
        "p = nl.ndarray((128, 512), dtype=nl.float32, buffer=nl.psum)\n"
        "i = nl.ndarray((128, 1), dtype=nl.int32)\nnisa.iota(dst=i, pattern=[[0, 1]], offset=1, channel_multiplier=1)\n"
        "u = nl.ndarray((128, 512), dtype=nl.uint32)\nnisa.iota(dst=u, pattern=[[1, 512]], offset=1)\n"
    )
    fault = fault_of(body + wrong)
    assert fault["kind"] == kind and says in fault["message"], fault
