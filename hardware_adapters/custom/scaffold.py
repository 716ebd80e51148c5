"""A folder to start from: a small problem that proves itself as it is."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ..errors import EnvironmentLackError, InvalidProblemError
from .definition import MAX_NAME, NAME, first_kernel
from .folder import PROBLEM_FILE, REFERENCE_FILE

_PROBLEM = """\
# A problem of your own: what a kernel must compute, exactly enough to check every kernel by it.
name = "{name}"
title = "C = relu(A x B + R), a matrix product with a residual"
target = "gemmini"

# Numbers that the shapes and the reference below use.
dims = {{ M = 64, N = 64, K = 64 }}

# The kernel's arguments: inputs in this order, then outputs; pointers to row-major arrays.
# int8 and int32 for the 16x16 int8 array, or float32 throughout for the 4x4 float32 array.
inputs = ["A: int8[M, K]", "B: int8[K, N]", "R: int8[M, N]"]
outputs = ["C: int8[M, N]"]

{reference}
# Multiply-accumulates that no kernel can do without: gives the bound. Leave it out where it is not known.
macs = "M * N * K"

# Inputs that must stay within limits; by default int8 has all its values, int32 -16384..16384, float32 -1..1.
# ranges = {{ R = [0, 127] }}

# Outputs in float32 may be off by this share of their largest magnitude. Integers must be exact.
# tolerance = 1e-4
"""

_TRAINIUM_PROBLEM = """\
# A problem of your own: what a kernel must compute, exactly enough to check every kernel by it.
name = "{name}"
title = "C = relu(A.T x B + R), a matrix product with a residual"
target = "trainium"

# Numbers that the shapes and the reference below use.
dims = {{ M = 128, N = 256, K = 256 }}

# The kernel's inputs in this order, then what it returns: tensors in HBM. float32, bfloat16, int32, int8.
inputs = ["A: float32[K, M]", "B: float32[K, N]", "R: float32[M, N]"]
outputs = ["C: float32[M, N]"]

{reference}
# Multiply-accumulates that no kernel can do without: gives the bound. Leave it out where it is not known.
macs = "M * N * K"

# Inputs that must stay within limits; by default int8 has all its values, int32 -16384..16384, others -1..1.
# ranges = {{ R = [0, 127] }}

# Outputs that are no integers may be off by this share of their largest magnitude; with bfloat16 1e-2.
# tolerance = 1e-4
"""

_EXPRESSION = '''\
# NumPy over the names above; every output is assigned. Integers are int64 here and other numbers float64, so that
# nothing overflows: rounding and saturation are to be written down.
reference = """
total = A @ B + R
C = np.clip(total, 0, 127)
"""
'''

_TRAINIUM_EXPRESSION = '''\
# NumPy over the names above; every output is assigned. Numbers are float64 here (integers int64), so that nothing
# is rounded on the way.
reference = """
total = A.T @ B + R
C = np.maximum(total, 0)
"""
'''

_FILE = """\
# The reference is the function in reference.py beside this file.
"""

_PYTHON = '''\
"""What the kernel must compute. Only NumPy and the standard library; runs in a process of its own, at most 20 s."""

import numpy as np


def reference(A, B, R):
    """Inputs by their names, integers as int64 and other numbers as float64; returns the output, or a dictionary."""
    total = A @ B + R
    return np.clip(total, 0, 127)
'''

_TRAINIUM_PYTHON = _PYTHON.replace("A @ B", "A.T @ B").replace("np.clip(total, 0, 127)", "np.maximum(total, 0)")

_TRAINIUM_KERNEL = """\
# A correct kernel, however slow: the search starts here. Without this file the problem can be used too, but then
# nothing shows that a kernel can pass, and a search has to be given one (--source).
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(A, B, R):
    K, M = A.shape
    _, N = B.shape
    C = nl.ndarray((M, N), dtype=nl.float32, buffer=nl.shared_hbm)
    for m in range(0, M, 128):
        rows = min(128, M - m)
        for n in range(0, N, 512):
            columns = min(512, N - n)
            total = nl.ndarray((rows, columns), dtype=nl.float32, buffer=nl.psum)
            for k in range(0, K, 128):
                depth = min(128, K - k)
                left = nl.ndarray((depth, rows), dtype=nl.float32, buffer=nl.sbuf)
                nisa.dma_copy(dst=left, src=A[k:k + depth, m:m + rows])
                right = nl.ndarray((depth, columns), dtype=nl.float32, buffer=nl.sbuf)
                nisa.dma_copy(dst=right, src=B[k:k + depth, n:n + columns])
                nisa.nc_matmul(dst=total, stationary=left, moving=right)
            result = nl.ndarray((rows, columns), dtype=nl.float32, buffer=nl.sbuf)
            nisa.dma_copy(dst=result, src=R[m:m + rows, n:n + columns])
            nisa.tensor_tensor(dst=result, data1=result, data2=total, op=nl.add)
            nisa.tensor_scalar(dst=result, data=result, op0=nl.maximum, operand0=0.0)
            nisa.dma_copy(dst=C[m:m + rows, n:n + columns], src=result)
    return C
"""

_KERNEL = """\
#include <stdint.h>

enum { M = 64, N = 64, K = 64 };

// A correct kernel, however slow: the search starts here. It may use gemmini_api.h.
void solution(const int8_t *A, const int8_t *B, const int8_t *R, int8_t *C) {
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            int32_t total = R[i * N + j];
            for (int k = 0; k < K; k++) total += A[i * K + k] * B[k * N + j];
            C[i * N + j] = (int8_t)(total < 0 ? 0 : total > 127 ? 127 : total);
        }
}
"""


class _Template(NamedTuple):
    problem: str
    expression: str
    python: str
    kernel: str


_TEMPLATES = {
    "gemmini": _Template(_PROBLEM, _EXPRESSION, _PYTHON, _KERNEL),
    "trainium": _Template(_TRAINIUM_PROBLEM, _TRAINIUM_EXPRESSION, _TRAINIUM_PYTHON, _TRAINIUM_KERNEL),
}


def write(name: str, folder: Path, *, python: bool, target: str = "gemmini") -> list[str]:
    """The names of the files. Raises InvalidProblemError for a name that no problem can have, an unknown target, and
    where the folder is taken, EnvironmentLackError where it cannot be written."""
    if not NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise InvalidProblemError(
            "name", f"{name[:60]!r}: lower-case letters, digits and single hyphens, at most {MAX_NAME} characters"
        )
    if target not in _TEMPLATES:
        raise InvalidProblemError("target", f"{target[:60]!r} is unknown; there are: {', '.join(_TEMPLATES)}")
    template = _TEMPLATES[target]
    files = {
        PROBLEM_FILE: template.problem.format(name=name, reference=_FILE if python else template.expression),
        first_kernel(target).file: template.kernel,
        **({REFERENCE_FILE: template.python} if python else {}),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InvalidProblemError("folder", f"{str(folder)!r} is not empty: nothing was written")
        for file, text in files.items():
            (folder / file).write_text(text)
    except OSError as error:
        raise EnvironmentLackError(f"cannot write to {str(folder)!r}: {error.strerror}") from error
    return list(files)
