"""The functions that a candidate's machine code may call: the emulator's public ones, hooks, mathematics."""

from __future__ import annotations


def _words(text: str) -> list[str]:
    return text.split()


_EMULATOR = _words("access atomic barrier clock copy dynamic fail fence launch memcpy memset set_attribute shared warp")
_VARIABLES = ("threadIdx", "blockIdx", "blockDim", "gridDim")
_SIZES = (1, 2, 4, 8, 16)
_ONE_OR_TWO = _words(
    "acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 fabs fdim floor fma "
    "fmax fmin fmod hypot ilogb ldexp lgamma llrint llround log log10 log1p log2 logb lrint lround "
    "nearbyint nextafter pow remainder rint round scalbln scalbn sin sinh sqrt tan tanh tgamma trunc "
    "exp10 j0 j1 y0 y1"
)
# They write through a pointer: the linker puts the emulator's own in their place, which look at it before.
WRAPPED = tuple(name + suffix for name in ("frexp", "modf", "remquo", "sincos") for suffix in ("", "f"))

_HOOKS = {
    f"__tsan_{prefix}{op}{size}"
    for prefix in ("", "unaligned_", "volatile_", "unaligned_volatile_")
    for op in ("read", "write")
    for size in _SIZES
}

ALLOWED = frozenset(
    {f"cpusim_{name}" for name in _EMULATOR}
    | set(_VARIABLES)
    | _HOOKS
    | {"__tsan_init", "__tsan_func_entry", "__tsan_func_exit", "__tsan_read_range", "__tsan_write_range"}
    | {f"__tsan_{name}" for name in ("memcpy", "memmove", "memset")}
    | {f"__wrap_{name}" for name in ("memcpy", "memmove", "memset", *WRAPPED)}
    | {
        "__ubsan_handle_type_mismatch_v1",
        "__ubsan_handle_type_mismatch_v1_abort",
        "__ubsan_handle_out_of_bounds",
        "__ubsan_handle_local_out_of_bounds",
        "__ubsan_handle_local_out_of_bounds_abort",
        "__ubsan_handle_out_of_bounds_abort",
    }
    | {name + suffix for name in _ONE_OR_TWO for suffix in ("", "f")}
    | {"abs", "labs", "llabs", "__isnan", "__isinf", "__isnanf", "__isinff", "__finite", "__finitef"}
)
