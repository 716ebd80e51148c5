# ruff: noqa: E501 - tables of one kernel per line
"""Kernels in NKI 1 that break a rule: each refused, with the API, the argument, the limit and the line in words."""

import numpy as np
import pytest
from nki_job import run_kernel

HEAD = """\
import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl
import numpy as np


@nki.jit
def solution(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.load(x)
    w = nl.ones((128, 128), dtype=nl.float32)
    p, f = nl.mgrid[0:128, 0:512]
"""
END = "nl.store(out, value=t)\nreturn out"
PSUM = "s = nl.ndarray((nl.par_dim(128), 512), dtype=nl.float32, buffer=nl.psum)\n"

# name, the lines that are wrong, kind of fault, part of the message
WRONG = [
    ("partitions of a tile", "b = nl.ndarray((nl.par_dim(129), 4), dtype=nl.float32)", "partition_limit", "sbuf has 128"),
    ("partitions of a load", "nl.load(x.reshape((256, 256)))", "partition_limit", "nki.language.load"),
    ("a tile beyond SBUF", "b = nl.ndarray((nl.par_dim(128), 60000), dtype=nl.float32)", "out_of_capacity", "sbuf has 196608"),
    ("a tile beyond PSUM", "b = nl.zeros((128, 8192), dtype=nl.float32, buffer=nl.psum)", "out_of_capacity", "psum has 16384"),
    ("shape of zero", "b = nl.zeros((128, 0), dtype=nl.float32)", "wrong_argument", "positive integers"),
    ("no element type", "b = nl.ndarray((128, 4), dtype='double')", "wrong_argument", "element type"),
    ("no buffer", "b = nl.ndarray((128, 4), dtype=nl.float32, buffer='cache')", "wrong_argument", "buffer"),
    ("read before write", "nl.exp(nl.ndarray((128, 512), dtype=nl.float32))", "uninitialised_read", "nothing was ever written"),
    ("PSUM read before write", PSUM + "nl.copy(s)", "uninitialised_read", "nothing was ever written"),
    ("sum on nothing", PSUM + "s += t", "uninitialised_read", "nothing was ever written"),
    ("reading what a mask left out", "nl.exp(nl.load(x[p, f], mask=p < 0))", "uninitialised_read", "nki.isa.activation"),
    ("load past the end", "nl.load(x[p + 1, f])", "out_of_bounds", "1..128 of dimension 0 is not within 0..127"),
    ("mask that leaves too much", "nl.load(x[p, f + 8], mask=f < 505)", "out_of_bounds", "0..511"),
    ("store past the end", "nl.store(out[p, f + 1], value=t)", "out_of_bounds", "dimension 1"),
    ("slice past the end", "nl.load(x[:, 256:768])", "out_of_bounds", "0..511"),
    ("block past the end", "b = nl.zeros((2, nl.par_dim(128), 4), dtype=nl.float32)\nb[2]", "out_of_bounds", "block dimension 0"),
    ("blocks as one operand", "b = nl.zeros((2, nl.par_dim(128), 512), dtype=nl.float32)\nnl.exp(b)", "bad_index", "block dimensions"),
    ("blocks by a slice", "b = nl.zeros((2, nl.par_dim(128), 4), dtype=nl.float32)\nb[0:2]", "bad_index", "one block"),
    ("slices with index tiles", "t[p, 0:512]", "bad_index", "cannot be mixed"),
    ("partitions across", "t[nl.arange(128)[None, :], nl.arange(1)[:, None]]", "bad_index", "[:, None]"),
    ("too many indices", "t[0, 0, 0]", "bad_index", "3 indices"),
    ("not affine", "p * f", "unsupported", "affine"),
    ("not affine either", "f // 3", "unsupported", "affine"),
    ("condition on an index tile", "if p < 3:\n        pass", "no_value", "mask"),
    ("condition on a value", "if t[0:1, 0:1]:\n        pass", "no_value", "no value"),
    ("mask of another shape", "nl.exp(t, mask=nl.arange(64)[:, None] < 3)", "shape_mismatch", "mask of shape [64, 1]"),
    ("mask of fewer axes", "nl.exp(t, mask=nl.arange(512) < 3)", "shape_mismatch", "[:, None]"),
    ("mask that is a tile", "nl.exp(t, mask=t > 0)", "wrong_argument", "mask="),
    ("HBM as operand", "nl.exp(x)", "wrong_memory", "nl.load brings it on chip"),
    ("assignment to HBM", "out[p, f] = t", "wrong_memory", "nl.store writes there"),
    ("writing an input", "nl.store(x, value=t)", "read_only", "input"),
    ("stationary too wide", "nisa.nc_matmul(t, t)", "tile_limit", "stationary has 512 columns; at most 128"),
    ("moving too wide", "nisa.nc_matmul(w, nl.ones((128, 1024), dtype=nl.float32))", "tile_limit", "moving has 1024 columns; at most 512"),
    ("contraction differs", "nisa.nc_matmul(w[0:64, :], t)", "shape_mismatch", "contract"),
    ("integers in a product", "nisa.nc_matmul(nl.ones((128, 128), dtype=nl.int32), t)", "wrong_dtype", "float types"),
    ("across PSUM banks", "s = nl.zeros((128, 1024), dtype=nl.float32, buffer=nl.psum)\ns[:, 256:768] += nisa.nc_matmul(w, t)", "psum_bank", "2048"),
    ("transpose too long", "nisa.nc_transpose(t)", "tile_limit", "at most 128"),
    ("transpose by Scalar", "nisa.nc_transpose(w, engine=nisa.scalar_engine)", "wrong_argument", "allowed: pe, vector"),
    ("shapes of an operator", "t + t[:, 0:256]", "shape_mismatch", "dimensions agree or are 1"),
    ("shapes of tensor_tensor", "nisa.tensor_tensor(t, t[:, 0:256], op=np.add)", "shape_mismatch", "data2 [128, 256]"),
    ("shape of an assignment", "t[:, 0:100] = w", "shape_mismatch", "does not fit the shape [128, 100]"),
    ("operand of tensor_scalar", "nisa.tensor_scalar(t, np.add, t)", "shape_mismatch", "(128, 1)"),
    ("unary as binary", "nisa.tensor_tensor(t, t, op=nl.exp)", "wrong_argument", "no binary operator"),
    ("reducing partitions", "nl.sum(t, axis=0)", "wrong_argument", "0 is the partitions"),
    ("no axis", "nl.max(t)", "wrong_argument", "axis is needed"),
    ("several partitions repeated", "w.broadcast_to((128, 512))", "shape_mismatch", "only dimensions of 1"),
    ("predicate of values", "nisa.affine_select(t > 0, t, 0.0)", "wrong_argument", "pred must compare index tiles"),
    ("engine that cannot", "nisa.tensor_tensor(t, t, op=np.add, engine=nisa.scalar_engine)", "wrong_argument", "engine"),
    ("GpSimd reads PSUM", "nisa.tensor_copy(nisa.nc_matmul(w, t), engine=nisa.gpsimd_engine)", "wrong_memory", "GpSimd"),
    ("loop over a tile", "for i in nl.affine_range(t):\n        pass", "wrong_argument", "integers"),
    ("unknown instruction", "nisa.local_gather(t, t)", "unsupported", "unsupported API: neuronxcc.nki.isa.local_gather"),
    ("unknown function", "nl.rand((128, 512))", "unsupported", "unsupported API: neuronxcc.nki.language.rand"),
    ("unknown method", "t.view(nl.int32)", "unsupported", "unsupported API: Tensor.view"),
    ("argument not simulated", "nisa.dma_copy(dst=out, src=t, dst_rmw_op=np.add)", "unsupported", "dst_rmw_op"),
    ("argument that is none", "nisa.tensor_copy(t, speed=2)", "wrong_argument", "speed"),
    ("NKI 2 call", "nisa.tensor_copy(dst=t, src=t)", "wrong_argument", "dst"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "kind", "says"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_wrong_kernels_are_refused_with_line_and_limit(wrong: str, kind: str, says: str) -> None:
    source = HEAD + "".join(f"    {line}\n" for line in f"{wrong}\n{END}".split("\n"))
    x = np.random.default_rng(1).standard_normal((128, 512)).astype(np.float32)
    report, _ = run_kernel(source, {"x": x}, [("out", (128, 512), "float32")], "trn1")
    fault = report["faults"][0]
    assert fault is not None, "the kernel was let pass"
    assert fault["kind"] == kind, fault
    assert says in fault["message"], fault
    before = HEAD.count("\n")
    assert before < fault["line"] <= before + len(wrong.split("\n")), fault
