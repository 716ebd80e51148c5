"""A folder to start from: a small problem that proves itself as it is."""

from __future__ import annotations

from pathlib import Path

from ..errors import EnvironmentLackError, InvalidProblemError
from .definition import MAX_NAME, NAME
from .folder import KERNEL_FILE, PROBLEM_FILE, REFERENCE_FILE

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

_EXPRESSION = '''\
# NumPy over the names above; every output is assigned. Integers are int64 here and other numbers float64, so that
# nothing overflows: rounding and saturation are to be written down.
reference = """
total = A @ B + R
C = np.clip(total, 0, 127)
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


def write(name: str, folder: Path, *, python: bool) -> list[str]:
    """The names of the files. Raises InvalidProblemError for a name that no problem can have and where the folder is
    taken, EnvironmentLackError where it cannot be written."""
    if not NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise InvalidProblemError(
            "name", f"{name[:60]!r}: lower-case letters, digits and single hyphens, at most {MAX_NAME} characters"
        )
    files = {
        PROBLEM_FILE: _PROBLEM.format(name=name, reference=_FILE if python else _EXPRESSION),
        KERNEL_FILE: _KERNEL,
        **({REFERENCE_FILE: _PYTHON} if python else {}),
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
