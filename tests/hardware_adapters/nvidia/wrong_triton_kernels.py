"""Triton kernels that are wrong, each with the verdict and a part of what is said of it."""

from __future__ import annotations

from typing import NamedTuple

from triton_kernels import ATOMIC_COLSUM, COLSUM, CUMSUM, GEMM, HEAD, SOFTMAX, TRANSPOSE


class Wrong(NamedTuple):
    problem: str
    source: str
    verdict: str
    said: str


RACY_COLSUM = """\
@triton.jit
def add(x, out, rows, columns, BC: tl.constexpr):
    at = tl.arange(0, BC)
    inside = at < columns
    row = tl.program_id(0)
    before = tl.load(out + at, mask=inside & (row > 0), other=0.0)
    tl.store(out + at, before + tl.load(x + row * columns + at, mask=inside, other=0.0), mask=inside)


def launch(x, out):
    add[(x.shape[0],)](x, out, x.shape[0], x.shape[1], BC=triton.next_power_of_2(x.shape[1]))
"""
CLEARING = "    clear[(triton.cdiv(columns, 256),)](out, columns, BLOCK=256)\n"
CLEARED_BY_ONE = ATOMIC_COLSUM[ATOMIC_COLSUM.index("@triton.jit\ndef add") :].replace(
    "    tl.atomic_add(",
    "    if tl.program_id(0) == 0:\n        tl.store(out + at, tl.zeros((BC,), tl.float32), mask=at < columns)\n"
    "    tl.atomic_add(",
).replace(CLEARING, "")  # fmt: skip
# Rows are turned round in the scratch area and back, by other threads than those that stored them.
TURNED = """\
@triton.jit
def sums(x, out, area, columns, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    values = tl.load(x + row * columns + at, mask=at < columns, other=0.0)
    tl.store(area + row * BLOCK + at, tl.cumsum(values, axis=0))
    back = tl.load(area + row * BLOCK + (BLOCK - 1 - at))
    tl.store(out + row * columns + (BLOCK - 1 - at), back, mask=(BLOCK - 1 - at) < columns)


def launch(x, out, scratch):
    sums[(x.shape[0],)](x, out, scratch, x.shape[1], BLOCK=triton.next_power_of_2(x.shape[1]))
"""
# At the shape of the id another kernel, or none: what only some programs are looked at for.
ZEROS_TWICE = SOFTMAX.replace(
    "def launch(x, out):\n",
    """\
@triton.jit
def zeros(out, columns, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(out + tl.program_id(0) * columns + at, tl.zeros((BLOCK,), tl.float32), mask=at < columns)


def launch(x, out):
    if x.shape[0] == 64 and x.shape[1] == 128:
        zeros[(64,)](out, 128, BLOCK=128)
        zeros[(64,)](out, 128, BLOCK=128)
        return
""",
)
NOTHING_THERE = SOFTMAX.replace("mask=inside)\n", "mask=inside & (columns != 128))\n")
EMPTY = "@triton.jit\ndef nothing(x):\n    pass\n\n\n"

WRONG = {
    "zeros in two launches at the shape of the id": Wrong("softmax-64x128", ZEROS_TWICE, "wrong_result", "wrong"),
    "nothing at the shape of the id": Wrong("softmax-64x128", NOTHING_THERE, "wrong_result", "8192 of 8192"),
    "load without a mask": Wrong(
        "softmax-64x128", SOFTMAX.replace(', mask=inside, other=-float("inf")', ""), "crashed", "illegal address"
    ),
    "store without a mask": Wrong(
        "softmax-64x128", SOFTMAX.replace("axis=0), mask=inside)", "axis=0))"), "crashed", "out"
    ),
    "nothing said of masked lanes": Wrong(
        "softmax-64x128", SOFTMAX.replace(', other=-float("inf")', ""), "wrong_result", "not a number"
    ),
    "no program for the tail": Wrong(
        "colsum-128x64", COLSUM.replace("triton.cdiv(x.shape[1], 32)", "max(1, x.shape[1] // 32)"), "wrong_result",
        "never written",
    ),
    "wrong mask at the tail": Wrong(
        "cumsum-64x256", CUMSUM.replace("axis=0), mask=at < columns", "axis=0), mask=at < columns - 1"), "wrong_result",
        "never written",
    ),
    "race on the output": Wrong("colsum-128x64", RACY_COLSUM, "crashed", "nothing orders them"),
    "cleared by one program": Wrong("colsum-128x64", CLEARED_BY_ONE, "crashed", "nothing orders them"),
    "atomics on an output that is not cleared": Wrong(
        "colsum-128x64", ATOMIC_COLSUM.replace(CLEARING, ""), "wrong_result", "not a number",
    ),
    "all programs write the same rows": Wrong(
        "transpose-128x64", TRANSPOSE.replace("out + c[:, None] * rows", "out + (c[:, None] % 32) * rows"), "crashed",
        "race",
    ),
    "a barrier is missing": Wrong("cumsum-64x128", TURNED, "crashed", "tl.debug_barrier()"),
    "scratch that nobody wrote": Wrong(
        "cumsum-64x128", TURNED.replace("    tl.store(area + row * BLOCK + at, tl.cumsum(values, axis=0))\n", ""),
        "wrong_result", "not a number",
    ),
    "an input is written": Wrong(
        "softmax-64x128", SOFTMAX.replace("    powers =", "    tl.store(x + row * columns + at, values, mask=inside)\n"
        "    powers ="), "crashed", "inputs are read-only",
    ),
    "tensor cores round": Wrong("sgemm-64x64x64", GEMM.replace(', input_precision="ieee"', ""), "wrong_result", "C"),
    "half precision": Wrong(
        "sgemm-64x64x64", GEMM.replace("tl.dot(x, y,", "tl.dot(x.to(tl.float16), y.to(tl.float16),"), "wrong_result",
        "C",
    ),
    "wrong type of the output": Wrong(
        "cumsum-64x128", CUMSUM.replace("tl.store(out +", "tl.store(out.to(tl.pointer_type(tl.float16)) +"),
        "wrong_result", "wrong",
    ),
    "rows and columns mixed up": Wrong(
        "transpose-128x64", TRANSPOSE.replace("tl.trans(tile)", "tile"), "wrong_result", "wrong"
    ),
    "no power of two": Wrong(
        "softmax-64x128", SOFTMAX.replace("triton.next_power_of_2(x.shape[1])", "x.shape[1]"), "crashed",
        "power of 2",
    ),
    "Python that only the interpreter runs": Wrong(
        "softmax-64x128", SOFTMAX.replace("tl.program_id(0)", "tl.program_id(0) + sorted([0, 1])[0]"), "compile_error",
        "sorted",
    ),
    "too few arguments": Wrong(
        "softmax-64x128", SOFTMAX.replace("def launch(x, out)", "def launch(x)").replace("](x, out,", "](x, x,"),
        "compile_error", "launch takes 1 arguments",
    ),
    "no launch": Wrong(
        "softmax-64x128", SOFTMAX[: SOFTMAX.index("def launch")], "compile_error", "no launcher"
    ),
    "nothing is launched": Wrong(
        "softmax-64x128", EMPTY + "def launch(x, out):\n    pass\n", "rejected", "starts no kernel"
    ),
}  # fmt: skip
SOURCES = {name: HEAD + wrong.source for name, wrong in WRONG.items()}
