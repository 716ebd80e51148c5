# ruff: noqa: E501 - tables of one kernel per line
"""Dependencies where a kernel claims that there are none: between iterations of an affine_range, between programs."""

import numpy as np
import pytest
from nki_job import HEAD, fault_of, kernel, run_kernel

OUT = "out = nl.ndarray((128, 512), dtype=nl.float32, buffer=nl.shared_hbm)\n"
TILE = "t = nl.ndarray((128, 512), dtype=nl.float32)\nnisa.dma_copy(dst=t, src=x)\n"
END = "nisa.dma_copy(dst=out, src=t)\nreturn out"
ONE = "c = nl.zeros((128, 1), dtype=nl.float32)\n"
HBM = "h = nl.ndarray((128, 512), dtype=nl.float32, buffer=nl.hbm)\n"
LOOP = "for i in nl.affine_range(4):\n    f = i * 128\n"
PART = "    s = nl.ndarray((128, 128), dtype=nl.float32)\n"

# name, the kernel, what the message names
RACES = [
    ("a scan that goes on", ONE + LOOP
     + "    nisa.tensor_tensor_scan(dst=t[:, f:f + 128], data0=t[:, f:f + 128], data1=t[:, f:f + 128], initial=c, op0=nl.multiply, op1=nl.add)\n"
     + "    nisa.tensor_copy(dst=c, src=t[:, f + 127:f + 128])\n" + END, "iteration 1"),
    ("the neighbour's result", LOOP + "    if i > 0:\n        nisa.tensor_tensor(dst=t[:, f:f + 128], data1=t[:, f:f + 128], data2=t[:, f - 128:f], op=nl.add)\n    else:\n        nisa.tensor_copy(dst=t[:, 0:128], src=t[:, 128:256])\n" + END, "reads what iteration 0 wrote"),
    ("a maximum that rescales", ONE + LOOP
     + "    m = nl.ndarray((128, 1), dtype=nl.float32)\n    nisa.tensor_reduce(dst=m, op=nl.maximum, data=t[:, f:f + 128], axis=1)\n"
     + "    nisa.tensor_tensor(dst=m, data1=m, data2=c, op=nl.subtract)\n    nisa.tensor_copy(dst=c, src=m)\n    nisa.tensor_scalar(dst=t[:, f:f + 128], data=t[:, f:f + 128], op0=nl.add, operand0=m)\n" + END, "iteration 1"),
    ("through HBM", HBM + "nisa.dma_copy(dst=h, src=t)\n" + LOOP + PART
     + "    nisa.dma_copy(dst=s, src=h[:, 0:128])\n    nisa.activation(dst=s, op=nl.exp, data=s)\n    nisa.dma_copy(dst=h[:, 0:128], src=s)\n" + END, "[0:128, 0:128]"),
    ("one output written by all", LOOP + "    nisa.dma_copy(dst=out[:, 0:128], src=t[:, f:f + 128])\n" + END, "writes over what iteration 0 wrote"),
    ("outputs that overlap", LOOP + "    g = min(f, 380)\n    nisa.dma_copy(dst=out[:, g:g + 132], src=t[:, g:g + 132])\n" + END, "out"),
    ("the last one wins", "s = nl.ndarray((128, 128), dtype=nl.float32)\n" + LOOP + "    nisa.tensor_copy(dst=s, src=t[:, f:f + 128])\nnisa.tensor_copy(dst=t[:, 0:128], src=s)\n" + END, "read after the loop"),
    ("a condition in one iteration", "s = nl.zeros((128, 128), dtype=nl.float32)\n" + LOOP + "    if i == 2:\n        nisa.tensor_copy(dst=s, src=t[:, f:f + 128])\n    if i == 3:\n        nisa.tensor_copy(dst=t[:, f:f + 128], src=s)\n" + END, "iteration 3"),
    ("in the inner loop only", "for j in nl.sequential_range(2):\n    " + ONE + "    " + LOOP.replace("\n    ", "\n        ")
     + "        nisa.tensor_scalar(dst=t[:, f:f + 128], data=t[:, f:f + 128], op0=nl.add, operand0=c)\n        nisa.tensor_copy(dst=c, src=t[:, f:f + 1])\n" + END, "iteration 1"),
    ("sum and product mixed", ONE + LOOP + "    nisa.tensor_scalar(dst=c, data=c, op0=nl.multiply, operand0=0.5, op1=nl.add, operand1=t[:, f:f + 1])\n"
     "nisa.tensor_scalar(dst=t, data=t, op0=nl.add, operand0=c)\n" + END, "iteration 1"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "says"), [r[1:] for r in RACES], ids=[r[0] for r in RACES])
def test_iterations_that_depend_on_each_other_are_a_race(body: str, says: str) -> None:
    fault = fault_of(OUT + TILE + body)
    assert fault["kind"] == "loop_race" and says in fault["message"], fault
    first = HEAD.count("\n") + (OUT + TILE).count("\n")
    assert fault["line"] > first and "affine_range in line" in fault["message"]


@pytest.mark.parametrize(
    "body",
    [r[1] for r in RACES if r[0] != "outputs that overlap"],
    ids=[r[0] for r in RACES if r[0] != "outputs that overlap"],
)
def test_in_a_sequential_range_the_same_is_right(body: str) -> None:
    source = kernel(OUT + TILE + body.replace("affine_range", "sequential_range"))
    x = np.ones((128, 512), np.float32)
    assert run_kernel(source, {"x": x}, [("out", (128, 512), "float32")])[0]["faults"] == [None]


ALLOWED = {
    "tiles of its own": LOOP + PART + "    nisa.tensor_copy(dst=s, src=t[:, f:f + 128])\n    nisa.dma_copy(dst=out[:, f:f + 128], src=s)\nreturn out",
    "a tile used again": PART[4:] + LOOP + "    nisa.tensor_copy(dst=s, src=t[:, f:f + 128])\n    nisa.dma_copy(dst=out[:, f:f + 128], src=s)\nreturn out",
    "a sum": ONE + LOOP + "    m = nl.ndarray((128, 1), dtype=nl.float32)\n    nisa.tensor_reduce(dst=m, op=nl.add, data=t[:, f:f + 128], axis=1)\n"
    "    nisa.tensor_tensor(dst=c, data1=c, data2=m, op=nl.add)\nnisa.tensor_scalar(dst=t, data=t, op0=nl.add, operand0=c)\n" + END,
    "a sum by copies": ONE + LOOP + "    m = nl.ndarray((128, 1), dtype=nl.float32)\n    nisa.tensor_copy(dst=m, src=c)\n"
    "    nisa.tensor_tensor(dst=m, data1=m, data2=t[:, f:f + 1], op=nl.add)\n    nisa.tensor_copy(dst=c, src=m)\nnisa.tensor_scalar(dst=t, data=t, op0=nl.add, operand0=c)\n" + END,
    "sums in PSUM": "p = nl.ndarray((128, 128), dtype=nl.float32, buffer=nl.psum)\n" + LOOP
    + "    nisa.nc_matmul(dst=p, stationary=t[:, f:f + 128], moving=t[:, f:f + 128])\nnisa.tensor_copy(dst=t[:, 0:128], src=p)\n" + END,
    "sums on the way to HBM": HBM + "nisa.dma_copy(dst=h, src=t)\n" + LOOP + "    nisa.dma_copy(dst=h[:, 0:128], src=t[:, f:f + 128], dst_rmw_op=nl.add)\nnisa.dma_copy(dst=t, src=h)\n" + END,
    "a sum in two loops": ONE + "for j in nl.affine_range(2):\n    for i in nl.affine_range(4):\n        nisa.tensor_tensor(dst=c, data1=c, data2=t[:, i:i + 1], op=nl.add)\nnisa.tensor_scalar(dst=t, data=t, op0=nl.add, operand0=c)\n" + END,
    "one loop after another": LOOP + "    nisa.activation(dst=t[:, f:f + 128], op=nl.exp, data=t[:, f:f + 128])\n" + LOOP + "    nisa.dma_copy(dst=out[:, f:f + 128], src=t[:, 384 - f:512 - f])\nreturn out",
    "an inner loop's results": LOOP + PART + "    for j in nl.affine_range(2):\n        nisa.tensor_copy(dst=s[:, j * 64:j * 64 + 64], src=t[:, f:f + 64])\n    nisa.dma_copy(dst=out[:, f:f + 128], src=s)\nreturn out",
}  # fmt: skip


@pytest.mark.parametrize("body", ALLOWED.values(), ids=ALLOWED)
def test_independent_iterations_and_reductions_are_no_race(body: str) -> None:
    x = np.random.default_rng(3).standard_normal((128, 512)).astype(np.float32)
    report, _ = run_kernel(kernel(OUT + TILE + body), {"x": x}, [("out", (128, 512), "float32")])
    assert report["faults"] == [None], report["faults"]


HALF = "i = nl.program_id(0)\nf = i * 256\nt = nl.ndarray((128, 256), dtype=nl.float32)\nnisa.dma_copy(dst=t, src=x[:, f:f + 256])\n"


def test_programs_share_their_outputs_and_run_beside_each_other() -> None:
    body = OUT + "assert nl.num_programs() == 2 and nl.program_ndim() == 1\n" + HALF
    body += "nisa.activation(dst=t, op=nl.exp, data=t)\nnisa.dma_copy(dst=out[:, f:f + 256], src=t)\nreturn out"
    x = np.random.default_rng(4).standard_normal((128, 512)).astype(np.float32)
    report, found = run_kernel(kernel(body), {"x": x}, [("out", (128, 512), "float32")], grid=(2,))
    assert report["faults"] == [None] and np.allclose(found["out"], np.exp(x), rtol=1e-6)
    # Each program has engines of its own: the instructions of one are timed, not of both.
    assert report["schedule"]["counts"] == {"dma_copy": 2, "activation": 1}


PROGRAM_RACES = [
    ("both write all of it", OUT + TILE + END, "programs 0 and 1 both write"),
    ("halves that overlap", OUT + HALF + "nisa.dma_copy(dst=out[:, f // 2:f // 2 + 256], src=t)\nreturn out", "[0:128, 128:384]"),
    ("the other's half is read", OUT + HALF + "nisa.dma_copy(dst=out[:, f:f + 256], src=t)\nif i == 1:\n    nisa.dma_copy(dst=t, src=out[:, 0:256])\nreturn out", "program 1 reads"),
    ("a shared intermediate", OUT + "h = nl.ndarray((128, 512), dtype=nl.float32, buffer=nl.shared_hbm, name='h')\n" + HALF
     + "if i == 0:\n    nisa.dma_copy(dst=h[:, 0:256], src=t)\nelse:\n    nisa.dma_copy(dst=t, src=h[:, 0:256])\nnisa.dma_copy(dst=out[:, f:f + 256], src=t)\nreturn out", "program 1 reads h"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "says"), [r[1:] for r in PROGRAM_RACES], ids=[r[0] for r in PROGRAM_RACES])
def test_programs_that_touch_the_same_part_of_hbm_are_a_race(body: str, says: str) -> None:
    fault = fault_of(body, grid=(2,))
    assert fault["kind"] == "program_race" and says in fault["message"], fault


def test_private_memory_is_each_programs_own() -> None:
    body = OUT + HBM + HALF + "nisa.dma_copy(dst=h[:, 0:256], src=t)\nnisa.dma_copy(dst=t, src=h[:, 0:256])\n"
    body += "nisa.dma_copy(dst=out[:, f:f + 256], src=t)\nreturn out"
    x = np.random.default_rng(4).standard_normal((128, 512)).astype(np.float32)
    report, found = run_kernel(kernel(body), {"x": x}, [("out", (128, 512), "float32")], grid=(2,))
    assert report["faults"] == [None] and np.array_equal(found["out"], x)


def test_waiting_for_another_program_is_refused() -> None:
    fault = fault_of(OUT + TILE + "nisa.core_barrier(out, (0, 1))\n" + END, grid=(2,))
    assert fault["kind"] == "unsupported" and "core_barrier" in fault["message"]
