"""What a kernel's shared object may want from outside: the runtime's launches, and nothing that leads out of its form.

Host code of a kernel runs in the process that holds the clock. It has no inline assembly (the source is screened), so
whatever it does it does through the symbols that it names.
"""

from __future__ import annotations

from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

ENTRY = "launch"
LAUNCHES = frozenset(
    {
        "__cudaRegisterFatBinary", "__cudaRegisterFatBinaryEnd", "__cudaUnregisterFatBinary", "__cudaRegisterFunction",
        "__cudaRegisterVar", "__cudaInitModule", "__cudaPushCallConfiguration", "__cudaPopCallConfiguration",
        "__cudaGetKernel", "__cudaLaunchKernel", "cudaLaunchKernel", "cudaLaunchKernelExC",
        "cudaGetLastError", "cudaPeekAtLastError", "cudaGetErrorString", "cudaGetErrorName", "cudaFuncSetAttribute",
        "cudaFuncGetAttributes", "cudaFuncSetCacheConfig", "cudaMemsetAsync", "cudaGetDevice", "cudaDeviceGetAttribute",
        "cudaOccupancyMaxActiveBlocksPerMultiprocessor", "cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags",
    }
)  # fmt: skip
# Of C and C++: arithmetic, memory that is already there, and what the compiler itself puts in.
PLAIN = frozenset(
    {
        "__cxa_atexit", "__cxa_finalize", "__cxa_guard_acquire", "__cxa_guard_release", "__cxa_guard_abort",
        "__gxx_personality_v0", "_Unwind_Resume", "__stack_chk_fail", "__gmon_start__", "_ITM_deregisterTMCloneTable",
        "_ITM_registerTMCloneTable", "__tls_get_addr", "abort", "memcpy", "memset", "memmove", "memcmp",
        "__stack_chk_guard", "__getauxval",  # on AArch64
        *(f"{name}{suffix}" for name in ("ceil", "floor", "sqrt", "log", "log2", "exp", "exp2", "pow", "fmin", "fmax",
                                         "round", "trunc", "lround", "fabs", "fma") for suffix in ("", "f")),
    }
)  # fmt: skip
NEEDED = ("libcudart.so", "libstdc++.so", "libgcc_s.so", "libc.so", "libm.so", "ld-linux")


def refusal(library: Path) -> str | None:
    """Why this shared object is not loaded; None when it may be."""
    try:
        with library.open("rb") as file:
            return _looked(ELFFile(file))
    except (OSError, ELFError) as error:
        return f"the compiled kernel cannot be read: {error}"


def _looked(elf: ELFFile) -> str | None:
    for segment in elf.iter_segments():
        if segment["p_type"] == "PT_LOAD" and segment["p_flags"] & 0b11 == 0b11:
            return "it has memory that can be written and executed"
    dynamic, symbols = elf.get_section_by_name(".dynamic"), elf.get_section_by_name(".dynsym")
    if dynamic is None or symbols is None:
        return "it is no shared object"
    for tag in dynamic.iter_tags():  # type: ignore[attr-defined]
        if tag.entry.d_tag == "DT_NEEDED" and not tag.needed.startswith(NEEDED):
            return f"it needs the library {tag.needed}: kernels use no libraries"
    wanted, defined = set(), set()
    for symbol in symbols.iter_symbols():  # type: ignore[attr-defined]
        (wanted if symbol["st_shndx"] == "SHN_UNDEF" else defined).add(symbol.name.partition("@")[0])
    if strange := sorted(name for name in wanted - {""} if name not in LAUNCHES and name not in PLAIN):
        return f"its host code calls {', '.join(strange[:4])}: launch() only enqueues kernels on the stream it is given"
    if taken := sorted(name for name in defined if name.startswith(("cuda", "__cuda", "runner_"))):
        return f"it defines {taken[0]}, a name of the runtime"
    if ENTRY not in defined:
        return f'there is no extern "C" function named {ENTRY}'
    return None
