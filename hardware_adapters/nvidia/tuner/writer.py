"""Text of CUDA kernels, line by line, and the pieces that several families use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_INDENT = "    "
INCLUDES = ("#include <cuda_runtime.h>", "#include <math.h>", "#include <stdint.h>")

# For any `width`: rows of a multiple of 4 floats begin at a multiple of 16 bytes, others are moved one by one.
LOAD4 = """\
// Four values of a row from column c on, a multiple of 4; `beyond` behind the end of the row.
__device__ float4 load4(const float *row, int64_t c, int64_t width, float beyond) {
    if (c < width && width % 4 == 0) return *reinterpret_cast<const float4 *>(row + c);
    float4 v = make_float4(beyond, beyond, beyond, beyond);
    if (c < width) v.x = row[c];
    if (c + 1 < width) v.y = row[c + 1];
    if (c + 2 < width) v.z = row[c + 2];
    if (c + 3 < width) v.w = row[c + 3];
    return v;
}
"""
STORE4 = """\
__device__ void store4(float *row, int64_t c, int64_t width, float4 v) {
    if (c < width && width % 4 == 0) {
        *reinterpret_cast<float4 *>(row + c) = v;
        return;
    }
    if (c < width) row[c] = v.x;
    if (c + 1 < width) row[c + 1] = v.y;
    if (c + 2 < width) row[c + 2] = v.z;
    if (c + 3 < width) row[c + 3] = v.w;
}
"""


class Writer:
    def __init__(self) -> None:
        self._lines: list[str] = []
        self._depth = 0

    def put(self, *lines: str) -> None:
        self._lines += [_INDENT * self._depth + line if line else "" for line in lines]

    def whole(self, text: str) -> None:
        """Lines as they are, and an empty one behind them."""
        self._lines += [*text.rstrip("\n").split("\n"), ""]

    def unroll(self, wanted: bool = True) -> None:
        if wanted:
            self._lines.append("#pragma unroll")

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """`head` without its brace."""
        self.put(f"{head} {{")
        self._depth += 1
        yield
        self._depth -= 1
        self.put("}")

    @contextmanager
    def launch(self) -> Iterator[None]:
        self.put("")
        with self.block('extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream)'):
            yield
            self.put("return cudaGetLastError();")

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"
