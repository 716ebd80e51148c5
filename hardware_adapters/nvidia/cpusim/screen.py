"""What a candidate may not use, found in its words: features that the emulator does not have, and ways out of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .tokens import Token, Unsupported


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


HEADERS = _words(
    "cuda_runtime.h cuda.h cuda_runtime_api.h device_launch_parameters.h vector_types.h vector_functions.h "
    "math_constants.h cuda_fp16.h cuda_bf16.h cooperative_groups.h cooperative_groups/reduce.h "
    "cooperative_groups/scan.h assert.h cassert stdint.h cstdint stddef.h cstddef math.h cmath float.h cfloat limits.h "
    "climits limits type_traits algorithm utility"
)
CUDA_NAMES = _words(
    "cudaStream_t cudaError_t cudaError cudaSuccess cudaErrorInvalidValue cudaErrorInvalidConfiguration "
    "cudaErrorNotSupported cudaErrorUnknown cudaGetLastError cudaPeekAtLastError cudaGetErrorString cudaMemsetAsync "
    "cudaMemcpyAsync cudaMemcpyToSymbolAsync cudaMemcpyKind cudaMemcpyDeviceToDevice cudaMemcpyDefault "
    "cudaFuncSetAttribute cudaFuncAttributeMaxDynamicSharedMemorySize cudaFuncAttributePreferredSharedMemoryCarveout "
    "cudaSharedmemCarveoutMaxShared cudaSharedmemCarveoutMaxL1 cudaSharedmemCarveoutDefault"
)
_NOT_EMULATED = {
    "asm": "inline assembly (PTX)",
    "__asm__": "inline assembly (PTX)",
    "__asm": "inline assembly (PTX)",
    "wmma": "tensor cores (wmma)",
    "nvcuda": "tensor cores (wmma)",
    "this_grid": "grid-wide synchronisation",
    "this_cluster": "thread block clusters",
    "this_multi_grid": "synchronisation of several grids",
    "memcpy_async": "asynchronous copies",
    "printf": "printf: kernels print nothing",
    "malloc": "allocation of memory in the candidate",
    "free": "allocation of memory in the candidate",
    "calloc": "allocation of memory in the candidate",
    "new": "allocation of memory in the candidate",
    "delete": "allocation of memory in the candidate",
    "thread_local": "thread_local variables",
    "throw": "exceptions",
    "try": "exceptions",
    "catch": "exceptions",
    "typeid": "run-time type information",
    "dynamic_cast": "run-time type information",
    "co_await": "coroutines",
    "co_yield": "coroutines",
    "co_return": "coroutines",
    "__managed__": "managed memory",
}
_NOT_EMULATED_BEGINNINGS = (
    ("__pipeline_", "asynchronous copies"),
    ("tex1D", "textures"),
    ("tex2D", "textures"),
    ("tex3D", "textures"),
    ("surf1D", "surfaces"),
    ("surf2D", "surfaces"),
    ("surf3D", "surfaces"),
    ("__nvvm", "internals of the compiler"),
    ("nvvm", "internals of the compiler"),
    ("__tsan", "internals of the emulator"),
    ("__ubsan", "internals of the emulator"),
    ("__wrap_", "internals of the emulator"),
    ("cpusim", "internals of the emulator"),
)
_LIBRARIES = frozenset(("cuda", "cub", "thrust", "cutlass", "cute", "nvtx3"))
_ATTRIBUTES = _words(
    "aligned unused always_inline noinline maybe_unused nodiscard fallthrough likely unlikely noreturn inline"
)
_BUILTINS = _words(
    "__builtin_assume __builtin_expect __builtin_unreachable __builtin_assume_aligned __builtin_huge_valf"
)
_INTEGERS = _words(
    "int unsigned signed char short long bool uint8_t uint16_t uint32_t uint64_t int8_t int16_t int32_t int64_t"
)
_PRAGMAS = frozenset(("unroll", "nounroll", "once", "nv_diag_suppress", "nv_diag_default"))
_CUDA_NAME = re.compile(r"cuda[A-Z]\w*$")


def screen(tokens: Sequence[Token]) -> None:
    """Raises Unsupported for the first thing that is refused."""
    said = 0  # where an #error is, whose words are no code
    for index, token in enumerate(tokens):
        if token.directive and token.text == "#" and (index == 0 or tokens[index - 1].directive != token.directive):
            if _directive(tokens, index) == "error":
                said = token.directive
        elif token.directive and token.directive == said:
            continue
        elif token.text == "##":
            raise Unsupported("macro", "words pasted together with ##", token.line)
        elif token.kind == "name":
            _name(tokens, index)
        elif token.text == ":" and _bit_field(tokens, index):
            raise Unsupported("unsupported", "bit fields", token.line)
        elif token.text == "[" and index + 1 < len(tokens) and tokens[index + 1].text == "[":
            _attribute(tokens, index, "]")


def _directive(tokens: Sequence[Token], index: int) -> str:
    line = tokens[index].directive
    words = [t for t in tokens[index + 1 : index + 64] if t.directive == line]
    kind = words[0].text if words else ""
    if kind == "include":
        name = "".join(t.text for t in words[1:]).strip('<>"')
        if name not in HEADERS:
            raise Unsupported("include", f"#include of {name!r}: only {', '.join(sorted(HEADERS))}", line)
    elif kind == "pragma":
        what = words[1].text if len(words) > 1 else ""
        if what not in _PRAGMAS:
            raise Unsupported("pragma", f"#pragma {what}", line)
    elif kind == "define":
        name = words[1].text if len(words) > 1 else ""
        body = words[2:]
        if name in ("__shared__", "defined") or (len(body) == 1 and body[0].text == "__shared__"):
            raise Unsupported("macro", "another name for __shared__", line)
    elif kind not in ("if", "ifdef", "ifndef", "elif", "else", "endif", "undef", "error", ""):
        raise Unsupported("directive", f"#{kind}", line)
    return kind


def _name(tokens: Sequence[Token], index: int) -> None:
    token, after = tokens[index], tokens[index + 1].text if index + 1 < len(tokens) else ""
    text, member = token.text, index > 0 and tokens[index - 1].text in (".", "->")
    if text in ("__attribute__", "__attribute", "__declspec"):
        _attribute(tokens, index, ")")
    if text in _NOT_EMULATED and not member:
        raise Unsupported("unsupported", _NOT_EMULATED[text], token.line)
    for beginning, what in _NOT_EMULATED_BEGINNINGS:
        if text.startswith(beginning):
            raise Unsupported("unsupported", f"{what} ({text})", token.line)
    if text in _LIBRARIES and after == "::":
        raise Unsupported("library", f"the library {text}", token.line)
    if _CUDA_NAME.match(text) and text not in CUDA_NAMES:
        raise Unsupported(
            "cuda_api",
            f"{text}: a candidate launches kernels, and sets or copies device memory asynchronously",
            token.line,
        )
    if text.startswith(("__builtin_", "__sync_", "__atomic_")) and text not in _BUILTINS:
        raise Unsupported("unsupported", f"the compiler's {text}", token.line)
    if text in ("_Pragma", "__has_include", "__has_embed", "__pragma"):
        raise Unsupported("directive", text, token.line)


def _bit_field(tokens: Sequence[Token], index: int) -> bool:
    """Compilers report no accesses of those that are no whole number of words."""
    if index < 2 or index + 2 >= len(tokens) or tokens[index - 1].kind != "name":
        return False
    before, behind = tokens[index - 2], tokens[index + 1]
    if before.kind != "name":
        return tokens[index - 1].text in _INTEGERS and before.text in (";", "{") and behind.kind in ("name", "number")
    return before.text not in ("case", "struct", "class", "union", "enum", "final") and _ends_soon(tokens, index)


def _ends_soon(tokens: Sequence[Token], index: int) -> bool:
    """At a semicolon or comma before any bracket closes: the header of a loop over a range does not."""
    for token in tokens[index + 1 : index + 32]:
        if token.text in (";", ",", "="):
            return True
        if token.text in (")", "{", "}"):
            return False
    return False


def _attribute(tokens: Sequence[Token], index: int, end: str) -> None:
    for token in tokens[index + 1 : index + 32]:
        if token.kind == "name" and token.text.strip("_") not in _ATTRIBUTES:
            raise Unsupported("attribute", f"the attribute {token.text}", token.line)
        if token.text == end:
            return
