# ruff: noqa: E501 - tables of one kernel per line
"""Kernels that break a rule of NKI or of the machine: each refused, with the API, the limit and the line in words."""

import pytest
from nki_job import HEAD, fault_of

OUT = "out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)\n"
TILE = "t = nl.ndarray((128, 512), dtype=nl.float32, buffer=nl.sbuf)\nnisa.dma_copy(dst=t, src=x)\n"
END = "nisa.dma_copy(dst=out, src=t)\nreturn out"
STATIONARY = "w = nl.ndarray((128, 128), dtype=nl.float32, buffer=nl.sbuf)\nnisa.memset(dst=w, value=1.0)\n"
PSUM = "p = nl.ndarray((128, 512), dtype=nl.float32, buffer=nl.psum)\n"
TOO_MANY = "ts = [nl.zeros((128, 16384), dtype=nl.float32) for _ in range(4)]\n"

# name, the line that is wrong, kind of fault, part of the message
WRONG = [
    ("partitions of a tile", "b = nl.ndarray((129, 4), dtype=nl.float32, buffer=nl.sbuf)", "partition_limit", "has 128"),
    ("partitions in PSUM", "b = nl.ndarray((256, 4), dtype=nl.float32, buffer=nl.psum)", "partition_limit", "psum has 128"),
    ("a tile beyond SBUF", "b = nl.ndarray((128, 60000), dtype=nl.float32)", "out_of_capacity", "sbuf has 229376"),
    ("a tile beyond PSUM", "b = nl.ndarray((128, 8192), dtype=nl.float32, buffer=nl.psum)", "out_of_capacity", "psum has"),
    ("shape of zero", "b = nl.ndarray((128, 0), dtype=nl.float32)", "wrong_argument", "positive integers"),
    ("no element type", "b = nl.ndarray((128, 4), dtype='double')", "wrong_argument", "element type"),
    ("no buffer", "b = nl.ndarray((128, 4), dtype=nl.float32, buffer='cache')", "wrong_argument", "buffer"),
    ("read before write", "nisa.tensor_copy(dst=t, src=nl.ndarray((128, 512), dtype=nl.float32))", "uninitialised_read", "nothing was ever written"),
    ("PSUM read before write", PSUM + "nisa.tensor_copy(dst=t, src=p)", "uninitialised_read", "nothing was ever written"),
    ("accumulating on nothing", STATIONARY + PSUM + "nisa.nc_matmul(dst=p, stationary=w, moving=t, accumulate=True)", "uninitialised_read", "dst"),
    ("half accumulated", STATIONARY + PSUM + "nisa.nc_matmul(dst=p[:, 0:256], stationary=w, moving=t[:, 0:256])\nnisa.nc_matmul(dst=p, stationary=w, moving=t)", "psum_accumulation", "accumulate=True or False"),
    ("HBM as operand", "nisa.tensor_copy(dst=t, src=x)", "wrong_memory", "dma_copy moves data on chip"),
    ("product into SBUF", STATIONARY + "nisa.nc_matmul(dst=t, stationary=w, moving=t)", "wrong_memory", "dst"),
    ("product from PSUM", STATIONARY + PSUM + "nisa.nc_matmul(dst=p, stationary=w, moving=p)", "wrong_memory", "moving"),
    ("stationary too wide", PSUM + "nisa.nc_matmul(dst=p, stationary=t, moving=t)", "tile_limit", "at most 128"),
    ("moving too wide", STATIONARY + "m = nl.zeros((128, 1024), dtype=nl.float32)\n" + PSUM + "nisa.nc_matmul(dst=p, stationary=w, moving=m)", "tile_limit", "at most 512"),
    ("contraction differs", STATIONARY + PSUM + "nisa.nc_matmul(dst=p, stationary=w[0:64, :], moving=t)", "shape_mismatch", "contract"),
    ("result shape", STATIONARY + PSUM + "nisa.nc_matmul(dst=p[:, 0:256], stationary=w, moving=t)", "shape_mismatch", "[128, 512]"),
    ("across PSUM banks", STATIONARY + "p = nl.ndarray((128, 1024), dtype=nl.float32, buffer=nl.psum)\nnisa.nc_matmul(dst=p[:, 256:768], stationary=w, moving=t)", "psum_bank", "2048"),
    ("types of a product", STATIONARY + PSUM + "b = nl.zeros((128, 512), dtype=nl.bfloat16)\nnisa.nc_matmul(dst=p, stationary=w, moving=b)", "wrong_dtype", "float32 only"),
    ("integers in a product", STATIONARY + PSUM + "b = nl.zeros((128, 512), dtype=nl.int32)\nnisa.nc_matmul(dst=p, stationary=w, moving=b)", "wrong_dtype", "float types"),
    ("transpose too long", "p = nl.ndarray((128, 128), dtype=nl.float32, buffer=nl.psum)\nnisa.nc_transpose(dst=p, data=t)", "tile_limit", "at most 128"),
    ("transpose by Vector", "b = nl.ndarray((128, 128), dtype=nl.float32)\nnisa.nc_transpose(dst=b, data=t[:, 0:128], engine=nisa.engine.vector)", "tile_limit", "32 x 32"),
    ("transpose casts", "p = nl.ndarray((128, 128), dtype=nl.bfloat16, buffer=nl.psum)\nnisa.nc_transpose(dst=p, data=t[:, 0:128])", "wrong_dtype", "keeps the type"),
    ("shapes of tensor_tensor", "nisa.tensor_tensor(dst=t, data1=t, data2=t[:, 0:256], op=nl.add)", "shape_mismatch", "data2 [128, 256]"),
    ("operand of tensor_scalar", "nisa.tensor_scalar(dst=t, data=t, op0=nl.add, operand0=t)", "shape_mismatch", "(128, 1)"),
    ("unary as binary", "nisa.tensor_tensor(dst=t, data1=t, data2=t, op=nl.exp)", "wrong_argument", "no binary operator"),
    ("binary as activation", "nisa.activation(dst=t, op=nl.add, data=t)", "wrong_argument", "no unary operator"),
    ("reducing partitions", "r = nl.ndarray((1, 512), dtype=nl.float32)\nnisa.tensor_reduce(dst=r, op=nl.add, data=t, axis=0)", "wrong_argument", "free dimensions"),
    ("result of a reduction", "r = nl.ndarray((128, 2), dtype=nl.float32)\nnisa.tensor_reduce(dst=r, op=nl.add, data=t, axis=1)", "shape_mismatch", "1 elements"),
    ("bits of floats", "nisa.tensor_scalar(dst=t, data=t, op0=nl.bitwise_and, operand0=1)", "wrong_dtype", "integer"),
    ("GpSimd reads PSUM", STATIONARY + PSUM + "nisa.nc_matmul(dst=p, stationary=w, moving=t)\nnisa.tensor_copy(dst=t, src=p, engine=nisa.engine.gpsimd)", "wrong_memory", "GpSimd"),
    ("GpSimd scales PSUM", STATIONARY + PSUM + "nisa.nc_matmul(dst=p, stationary=w, moving=t)\nnisa.tensor_scalar(dst=t, data=p, op0=nl.add, operand0=1.0, engine=nisa.engine.gpsimd)", "wrong_memory", "GpSimd cannot reach PSUM"),
    ("GpSimd takes a column of PSUM", STATIONARY + PSUM + "nisa.nc_matmul(dst=p, stationary=w, moving=t)\nnisa.tensor_scalar(dst=t, data=t, op0=nl.add, operand0=p[:, 0:1], engine=nisa.engine.gpsimd)", "wrong_memory", "GpSimd cannot reach PSUM"),
    ("GpSimd reduces PSUM", STATIONARY + PSUM + "nisa.nc_matmul(dst=p, stationary=w, moving=t)\nnisa.tensor_reduce(dst=t[:, 0:1], op=nl.add, data=p, axis=1, engine=nisa.engine.gpsimd)", "wrong_memory", "GpSimd cannot reach PSUM"),
    ("GpSimd inverts PSUM", STATIONARY + PSUM + "nisa.nc_matmul(dst=p, stationary=w, moving=t)\nnisa.reciprocal(dst=t, data=p, engine=nisa.engine.gpsimd)", "wrong_memory", "GpSimd cannot reach PSUM"),
    ("GpSimd adds PSUM", STATIONARY + PSUM + "nisa.nc_matmul(dst=p, stationary=w, moving=t)\nnisa.tensor_tensor(dst=t, data1=t, data2=p, op=nl.add, engine=nisa.engine.gpsimd)", "wrong_memory", "GpSimd cannot reach PSUM"),
    ("GpSimd fills PSUM", STATIONARY + PSUM + "nisa.nc_matmul(dst=p, stationary=w, moving=t)\nnisa.memset(dst=p, value=1.0, engine=nisa.engine.gpsimd)", "wrong_memory", "GpSimd cannot reach PSUM"),
    ("GpSimd counts in PSUM", STATIONARY + PSUM + "nisa.nc_matmul(dst=p, stationary=w, moving=t)\nnisa.iota(dst=p, pattern=[[1, 512]])", "wrong_memory", "GpSimd cannot reach PSUM"),
    ("GpSimd selects into PSUM", STATIONARY + PSUM + "nisa.nc_matmul(dst=p, stationary=w, moving=t)\nnisa.affine_select(dst=p, pattern=[[1, 512]], on_true_tile=t, cmp_op=nl.greater)", "wrong_memory", "GpSimd cannot reach PSUM"),
    ("both operands in PSUM", STATIONARY + PSUM + "nisa.nc_matmul(dst=p, stationary=w, moving=t)\nnisa.tensor_tensor(dst=t, data1=p, data2=p, op=nl.add)", "wrong_memory", "data1 and data2 cannot both"),
    ("both operands of two operators in PSUM", STATIONARY + PSUM + "nisa.nc_matmul(dst=p, stationary=w, moving=t)\nnisa.scalar_tensor_tensor(dst=t, data=p, op0=nl.add, operand0=1.0, op1=nl.add, operand1=p)", "wrong_memory", "data and operand1 cannot both"),
    ("engine that cannot", "nisa.tensor_tensor(dst=t, data1=t, data2=t, op=nl.add, engine=nisa.engine.scalar)", "wrong_argument", "engine"),
    ("maximum on Scalar", "r = nl.ndarray((128, 1), dtype=nl.float32)\nnisa.activation_reduce(dst=t, op=nl.exp, data=t, reduce_op=nl.maximum, reduce_res=r)", "wrong_argument", "sums only"),
    ("out of bounds", "nisa.memset(dst=t[:, 0:513], value=0.0)", "out_of_bounds", "0..512"),
    ("index out of bounds", "nisa.memset(dst=t[128], value=0.0)", "out_of_bounds", "0..127"),
    ("too many indices", "nisa.memset(dst=t[0, 0, 0], value=0.0)", "bad_index", "3 indices"),
    ("fractional index", "nisa.memset(dst=t[:, 0:512 / 2], value=0.0)", "bad_index", "integers"),
    ("DMA of other shape", "nisa.dma_copy(dst=t, src=x[:, 0:256])", "shape_mismatch", "differ"),
    ("DMA into PSUM", PSUM + "nisa.dma_copy(dst=p, src=x)", "wrong_memory", "dst"),
    ("writing an input", "nisa.dma_copy(dst=x, src=t)", "read_only", "input"),
    ("writing a broadcast", "nisa.memset(dst=t[:, 0:1].broadcast(1, 8), value=0.0)", "wrong_argument", "broadcast view"),
    ("unknown API", "nisa.nc_matmul_mx(dst=t, stationary=t, moving=t)", "unsupported", "unsupported API: nki.isa.nc_matmul_mx"),
    ("unknown language API", "nl.softmax(t, axis=1)", "unsupported", "unsupported API: nki.language.softmax"),
    ("random numbers", "nisa.dropout(dst=t, data=t, prob=0.5)", "unsupported", "unsupported API: nki.isa.dropout"),
    ("unknown method", "t.vector_select(0)", "unsupported", "unsupported API: Tensor.vector_select"),
    ("argument not simulated", STATIONARY + PSUM + "nisa.nc_matmul(dst=p, stationary=w, moving=t, perf_mode=nisa.matmul_perf_mode.double_column)", "unsupported", "double_column"),
    ("argument that is none", "nisa.tensor_copy(dst=t, src=t, speed=2)", "wrong_argument", "'speed'; it takes dst, src, engine="),
    ("operator on a tile", "y = 1.0 / t", "python_error", "no operators on tiles"),
    ("value of a tile", "if t[0:1, 0:1] > 0:\n    pass", "no_value", "no value"),
    ("loop over a tile", "for i in nl.affine_range(t):\n    pass", "wrong_argument", "integers"),
    ("constant assigned", "t[:, 0:1] = 1.0", "wrong_argument", "memset"),
    ("Python's own error", "y = 1 // 0", "python_error", "ZeroDivisionError"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "kind", "says"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_wrong_kernels_are_refused_with_line_and_limit(wrong: str, kind: str, says: str) -> None:
    body = OUT + TILE + wrong + "\n" + END
    fault = fault_of(body)
    assert fault["kind"] == kind, fault
    assert says in fault["message"]
    before = HEAD.count("\n") + (OUT + TILE).count("\n")
    assert before < fault["line"] <= before + len(wrong.split("\n")), fault


def test_tiles_that_live_at_once_must_fit() -> None:
    body = OUT + TOO_MANY + TILE + "for each in ts:\n    nisa.tensor_copy(dst=t, src=each[:, 0:512])\n" + END
    fault = fault_of(body)
    assert fault["kind"] == "out_of_capacity" and "at once" in fault["message"] and "229376" in fault["message"]


def test_tiles_that_do_not_live_at_once_may_be_many() -> None:
    body = OUT + "for _ in range(8):\n    b = nl.zeros((128, 16384), dtype=nl.float32)\n" + TILE + "return 0"
    assert fault_of(body)["kind"] == "wrong_return"


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        ("return x", "returns its input"),
        ("return t", "shared_hbm"),
        ("return out, out", "2 values"),
        ("return None", "NoneType"),
        ("return nl.ndarray((128, 256), dtype=x.dtype, buffer=nl.shared_hbm)", "[128, 512]"),
        ("return nl.ndarray(x.shape, dtype=nl.bfloat16, buffer=nl.shared_hbm)", "float32"),
    ],
)
def test_what_is_returned_must_be_the_output(returned: str, says: str) -> None:
    fault = fault_of(OUT + TILE + returned)
    assert fault["kind"] == "wrong_return" and says in fault["message"]


def test_a_fault_that_the_kernel_hides_stands() -> None:
    hidden = "try:\n    nisa.memset(dst=t[:, 0:600], value=0.0)\nexcept Exception:\n    pass\n"
    assert fault_of(OUT + TILE + hidden + END)["kind"] == "out_of_bounds"
