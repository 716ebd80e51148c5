"""What a kernel's text may contain. Judged before any compiler sees it.

C++ cannot be made safe by looking at it; what runs is confined elsewhere. This names, with its line, what no honest
kernel needs: what reaches files, processes, clocks or other work on the device, and libraries that would do the work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from ..base import Diagnostic
from .spelling import ambiguous, bare, plain, without_comments

ENTRY = re.compile(r'extern\s*"C"\s*(?:__host__\s+)?(?:int|cudaError_t)\s+launch\s*\(')
INCLUDES = frozenset(
    (
        "cuda_runtime.h", "cuda_runtime_api.h", "cuda.h", "device_launch_parameters.h", "cuda_fp16.h", "cuda_bf16.h",
        "mma.h", "cooperative_groups.h", "cooperative_groups/reduce.h", "cooperative_groups/scan.h",
        "cuda_pipeline.h", "cuda_pipeline_primitives.h",
        "cuda/pipeline", "cuda/barrier", "vector_types.h", "vector_functions.h", "math_constants.h",
        "stdint.h", "stddef.h", "math.h", "float.h", "limits.h", "cstdint", "cstddef", "cmath", "cfloat", "climits",
        "limits", "type_traits", "utility", "algorithm", "array",
    )
)  # fmt: skip
# Of the CUDA runtime: everything else that begins like it is refused.
RUNTIME = frozenset(
    (
        "cudaStream_t", "cudaError_t", "cudaSuccess", "cudaMemsetAsync",
        "cudaGetLastError", "cudaPeekAtLastError", "cudaFuncSetAttribute",
        "cudaFuncAttributeMaxDynamicSharedMemorySize", "cudaFuncAttributePreferredSharedMemoryCarveout",
        "cudaFuncSetCacheConfig", "cudaFuncCachePreferL1", "cudaFuncCachePreferShared", "cudaFuncCachePreferEqual",
        "cudaSharedmemCarveoutMaxShared", "cudaErrorInvalidValue", "cudaErrorInvalidConfiguration", "cudaErrorUnknown",
        "cudaErrorNotSupported", "cudaErrorInvalidDeviceFunction", "cudaErrorMemoryAllocation",
    )
)  # fmt: skip
_WHY = {
    "cudaMalloc": "nothing is allocated during a call: buffers[] ends with 32 MiB of scratch memory",
    "cudaMemcpy": "data stays on the device: copy with a kernel",
    "cudaMemset": "fill with a kernel, or by cudaMemsetAsync on the stream",
    "cudaStream": "all work goes to the stream that is given",
    "cudaEvent": "the harness owns the clock",
    "cudaGraph": "graphs hide work from the clock",
    "cudaDeviceSynchronize": "launch only enqueues; the harness synchronises",
    "cudaLaunchHostFunc": "nothing runs on the host",
    "cudaLaunchKernel": "launch with <<<...>>>",
    "cudaAccessProperty": "what stays in the L2 cache between calls is not for kernels to decide",
    "cudaCtxResetPersistingL2Cache": "what stays in the L2 cache between calls is not for kernels to decide",
    "cudaDeviceSetLimit": "settings of the device are not for kernels",
}
_LIBRARIES = re.compile(
    r"(?:cute|cub|at|c10|mkl|npp\w*)::|(?:cublas|cudnn|cutlass|thrust|cufft|cusparse|cusolver|curand|cutensor|nccl|nvrtc|"
    r"nvml|nvtx|torch|cblas)\w*(?:::)?"
)
_HOST = frozenset(
    (
        "system", "popen", "fork", "vfork", "execv", "execve", "execvp", "execl", "execlp", "posix_spawn", "openat",
        "creat", "fopen", "freopen", "fdopen", "tmpfile", "pread", "pwrite", "readv", "writev", "lseek", "opendir",
        "ioctl", "fcntl", "dup2", "mmap", "munmap", "mprotect", "mremap", "madvise", "sbrk", "shm_open",
        "memfd_create", "process_vm_readv", "process_vm_writev", "ptrace", "syscall", "prctl", "pthread_create",
        "jthread", "thrd_create", "dlopen", "dlsym", "dlclose", "dl_iterate_phdr", "getenv", "setenv", "putenv",
        "secure_getenv", "environ", "sigaction", "abort", "exit", "_exit", "_Exit", "quick_exit", "atexit",
        "at_quick_exit", "setjmp", "longjmp", "sigsetjmp", "siglongjmp", "getpid", "clock64", "clock_gettime",
        "gettimeofday", "nanosleep", "usleep", "chrono", "rdtsc", "__rdtsc", "__clock", "__clock64", "globaltimer",
        "__globaltimer", "__nanosleep", "malloc", "calloc", "realloc", "alloca", "new", "delete", "filesystem",
        "ifstream", "ofstream", "fstream", "cout", "cerr", "printf", "fprintf", "puts", "putchar", "fputs", "fwrite",
        "__builtin_return_address", "__builtin_frame_address", "__builtin_alloca", "throw", "try", "catch",
    )
)  # fmt: skip
# Words that may well name a variable: refused where they are called, or taken from the global or standard name space.
_CALLED = frozenset(
    (
        "open", "read", "write", "unlink", "rename", "remove", "mkdir", "dup", "pipe", "brk", "socket", "connect",
        "send", "recv", "bind", "listen", "accept", "thread", "async", "clone", "signal", "raise", "kill", "time",
        "clock", "sleep", "free", "mutex", "backtrace",
    )
)  # fmt: skip
_WORD = re.compile(r"[A-Za-z_]\w*(?:::)?")
_CALL = re.compile(r"(::\s*)?(?<![\w.>])([a-z]+)\b(\s*\()?")
_DRIVER = re.compile(r"cu[A-Z]\w*|__cuda\w+")
_DIRECTIVE = re.compile(r"^[ \t]*#[ \t]*(\w*)[ \t]*([^\n]*)", re.MULTILINE)
_INCLUDED = re.compile(r"[<\"]([^>\"]*)[>\"]")
_DIRECTIVES = frozenset(
    ("include", "define", "undef", "if", "ifdef", "ifndef", "elif", "else", "endif", "pragma", "error", "")
)
_PRAGMAS = re.compile(r"unroll\b|nounroll\b|once\b|nv_\w+|GCC unroll\b|diag_\w+")
_EXTERN = re.compile(r"\bextern\b(?!\s*\"C\"|\s*__shared__)")
_ATTRIBUTE = re.compile(
    r"__attribute__\s*\(\((?!\s*(?:aligned|__aligned__|always_inline|noinline|unused))|\[\[\s*gnu::"
)
_C_LINKAGE = re.compile(
    r"extern\s*\"C\"(?!\s*(?:__host__\s+)?(?:int|cudaError_t)\s+launch\s*\(|[\w\s]*\b__(?:global|device)__\b)"
)
_ONE_TEXT = "all compilers and all machines get the same kernel"
_HIDING = (
    (
        re.compile(
            r"\b__(?:clang|GNU[CG]|NVCC|CUDACC_VER|CUDACC_RTC|NVCOMPILER|SANITIZE|has_|is_identifier|OPTIMIZE|"
            r"NO_INLINE|COUNTER|"
            r"TIME|DATE|FILE|BASE_FILE|INCLUDE_LEVEL|VERSION|x86_64|amd64|i386|aarch64|arm|linux|"
            r"gnu_linux|unix|ELF|PIC|pic|PIE|SSE|AVX)\w*"
        ),
        _ONE_TEXT,
    ),
    (
        re.compile(
            r"\blong\s+double\b|\bdouble\s+long\b|\b(?:_BitInt|_ExtInt|_Float\w+|__float(?:80|128)|__ibm128|_Complex)\b"
        ),
        "a type that the device does not have",
    ),
    (
        re.compile(
            r"#[ \t]*(?:define|undef)[ \t]+(?:__\w+|alignas|auto|bool|break|case|char|class|const|constexpr|continue|"
            r"decltype|default|do|double|else|enum|extern|float|for|goto|if|inline|int|long|namespace|operator|return|short|signed|sizeof|static|"
            r"static_cast|struct|switch|template|this|typedef|typename|union|unsigned|using|void|volatile|while|cuda[A-Z]\w*|"
            r"launch|shared|set_attribute|Configuration|Dynamic|threadIdx|blockIdx|blockDim|gridDim|warpSize)\b"
        ),
        "the language's words keep their meaning",
    ),
)
_CONDITION = re.compile(r"^[ \t]*#[ \t]*(?:if|ifdef|ifndef|elif)\b((?:[^\n]|(?<=\\)\n)*)", re.MULTILINE)
_MAY_BE_ASKED = frozenset(("__CUDA_ARCH__", "__CUDACC__", "__cplusplus"))
_RAW = re.compile(r"\b(?:u8|[uUL])?R\"")
MAX_COMPLAINTS = 20


class Screened(NamedTuple):
    """`refused`: what no kernel may; `errors`: a kernel that is merely wrong. Each with its line."""

    refused: tuple[Diagnostic, ...]
    errors: tuple[Diagnostic, ...]


def screen(source: str) -> Screened:
    source = plain(source)
    text = bare(source)
    found = [*ambiguous(source), *_complaints(text, without_comments(source))]
    complaints = sorted(found, key=lambda one: one[0])
    refused = tuple(
        Diagnostic(severity="error", message=message, line=text.count("\n", 0, place) + 1)
        for place, message in complaints[:MAX_COMPLAINTS]
    )
    missing = f"no launcher: define {LAUNCHER}"
    errors = () if ENTRY.search(without_comments(source)) else (Diagnostic(severity="error", message=missing),)
    return Screened(refused, errors)


def assembly(source: str) -> int | None:
    """The line of the first inline assembly. Emulated it is refused by name anyway; natively it could be the host's,
    and do what no list of functions sees."""
    text = bare(plain(source))
    found = re.search(r"\b(?:asm|__asm|__asm__)\b", text)
    return None if found is None else text.count("\n", 0, found.start()) + 1


LAUNCHER = 'extern "C" int launch(void** buffers, const int64_t* dims, cudaStream_t stream)'


def _complaints(text: str, with_literals: str) -> Iterator[tuple[int, str]]:
    """(place in the text, what is wrong there)."""
    for pattern, what in (
        (r"##", "token pasting (##) hides names"),
        (r"%:|<:|:>|<%|%>", "digraphs hide directives"),
        (r"\?\?[=/'()!<>-]", "trigraphs hide directives"),
        (r"\b_Pragma\b", "_Pragma is not for kernels: write #pragma"),
        (r"[^\x00-\x7f]", "letters beyond ASCII outside of comments and texts"),
        (r"\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}", "universal character names hide names"),
    ):
        yield from ((found.start(), what) for found in re.finditer(pattern, text))
    yield from ((found.start(), "raw string literals are not for kernels") for found in _RAW.finditer(text))
    for found in _DIRECTIVE.finditer(with_literals):
        yield from ((found.start(), what) for what in _directive(found[1], found[2].strip()))
    for pattern, what in _HIDING:
        yield from ((found.start(), f"{found[0]}: {what}") for found in pattern.finditer(text))
    own = frozenset(found[1] for found in re.finditer(r"#[ \t]*define[ \t]+(\w+)", text))
    for found in _CONDITION.finditer(text):
        for name in re.finditer(r"\b(?:_\w+|linux|unix|i386)\b", found[1]):
            if name[0] not in own and name[0] not in _MAY_BE_ASKED:
                yield found.start(), f"#if {name[0]}: {_ONE_TEXT}"
    for found in _EXTERN.finditer(with_literals):
        yield found.start(), 'extern declarations other than extern "C" int launch and extern __shared__'
    for found in _C_LINKAGE.finditer(with_literals):
        yield found.start(), 'extern "C" is for launch and for kernels alone'
    for found in _ATTRIBUTE.finditer(text):
        yield found.start(), "attributes of the host's compiler are not for kernels"
    for found in _WORD.finditer(text):
        if (what := _word(found[0])) is not None:
            yield found.start(), what
    lambdas = lru_cache(maxsize=None)(lambda name: _is_lambda(name, text))  # a name may be called ten thousand times
    for found in _CALL.finditer(text):
        if found[2] in _CALLED and (found[1] or found[3]) and not lambdas(found[2]):
            yield found.start(2), _not_for_kernels(found[2])


def _directive(name: str, rest: str) -> Iterator[str]:
    if name not in _DIRECTIVES:
        yield f"#{name} is not for kernels"
    elif name == "include":
        found = _INCLUDED.match(rest)
        if found is None or found[1] not in INCLUDES:
            yield f"#include {rest[:60]}: a kernel can include {', '.join(sorted(INCLUDES))}"
    elif name == "pragma" and not _PRAGMAS.match(rest):
        yield f"#pragma {rest[:40]} is not for kernels"


def _is_lambda(name: str, text: str) -> bool:
    return re.search(rf"\bauto\s+{name}\s*=\s*\[", text) is not None and f"::{name}" not in text


def _not_for_kernels(name: str) -> str:
    return f"{name}: not for kernels (files, processes, threads, clocks, allocation, output and exceptions)"


def _word(word: str) -> str | None:
    name = word.removesuffix("::")
    if name.startswith("cuda") and len(name) > 4 and name[4].isupper():
        return None if name in RUNTIME else _runtime(name)
    if _DRIVER.fullmatch(name):
        return f"{name}: the driver's interface is not for kernels"
    if _LIBRARIES.match(word):
        return f"{name}: libraries are not allowed, the kernel itself has to do the work"
    if name in _HOST:
        return _not_for_kernels(name)
    return None


def _runtime(name: str) -> str:
    why = next((text for known, text in _WHY.items() if name.startswith(known)), None)
    return f"{name} is not for kernels" + (f": {why}" if why else f"; of the runtime they may name {_allowed()}")


def _allowed() -> str:
    return "cudaGetLastError, cudaFuncSetAttribute, cudaMemsetAsync and types"
