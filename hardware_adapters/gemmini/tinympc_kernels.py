"""The simple kernel of TinyMPC's passes that a search starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .tinympc import TinyMpc

_MULTIPLY = """\
// {id}: matrix times vector on the array, one 4x4 block after the other; the CPU adds and subtracts.
#include "gemmini_api.h"

#define LEAST(a, b) ((a) < (b) ? (a) : (b))

enum {{ X = {states}, U = {controls}, T = {steps} }};

// result[rows] = M x v, or M' x v with M[depth][rows].
static void multiply(const float *M, int rows, int depth, int transposed, const float *v, float *result) {{
    int stride = transposed ? rows : depth;
    fence();  // the CPU has written v
    config_ex(WS, NOACT, 1, transposed, 0);
    config_ld(4 * stride, 1.0f, DIM, 0);
    config_ld(4, 1.0f, DIM, 1);
    config_st(4);
    for (int i = 0; i < rows; i += DIM) {{
        int high = LEAST(DIM, rows - i);
        for (int k = 0; k < depth; k += DIM) {{
            int deep = LEAST(DIM, depth - k);
            if (transposed) mvin(M + k * stride + i, 0, high, deep);
            else mvin(M + i * stride + k, 0, deep, high);
            mvin2(v + k, 4096, 1, deep);
            preload(4096, k ? ACCADD : ACC, 1, deep, 1, high);
            compute_preloaded(0, NONE, deep, high, 1, high);
        }}
        mvout(result + i, ACC, 1, high);
    }}
    fence();  // the CPU reads the result
}}

"""
_FORWARD = """\
void solution(const float *A, const float *B, const float *K, const float *x0, const float *d, float *u, float *x) {
    static float Kx[U], Ax[X], Bu[X];
    const float *state = x0;
    for (int t = 0; t < T; t++) {
        multiply(K, U, X, 0, state, Kx);
        for (int i = 0; i < U; i++) u[t * U + i] = -Kx[i] - d[t * U + i];
        multiply(A, X, X, 0, state, Ax);
        multiply(B, X, U, 0, u + t * U, Bu);
        for (int i = 0; i < X; i++) x[t * X + i] = Ax[i] + Bu[i];
        state = x + t * X;
    }
}
"""
_BACKWARD = """\
void solution(const float *B, const float *Quu_inv, const float *K, const float *AmBKt, const float *q, const float *r,
              float *d, float *p) {
    static float Bp[U], Kr[X], Mp[X];
    const float *after = q + T * X;
    for (int t = T - 1; t >= 0; t--) {
        multiply(B, U, X, 1, after, Bp);
        for (int i = 0; i < U; i++) Bp[i] += r[t * U + i];
        multiply(Quu_inv, U, U, 0, Bp, d + t * U);
        multiply(K, X, U, 1, r + t * U, Kr);
        multiply(AmBKt, X, X, 0, after, Mp);
        for (int i = 0; i < X; i++) p[t * X + i] = q[t * X + i] + Mp[i] - Kr[i];
        after = p + t * X;
    }
}
"""


def naive_kernel(problem: TinyMpc) -> str:
    head = _MULTIPLY.format(id=problem.id, **problem._asdict())
    return head + (_FORWARD if problem.direction == "forward" else _BACKWARD)
