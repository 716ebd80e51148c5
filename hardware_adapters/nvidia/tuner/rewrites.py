"""Menu options as mechanical changes of a schedule, for the families that have schedules."""

from __future__ import annotations

from typing import Any

from ...base import Rewrite, UsageError
from ...schedules import Kernels, variants
from ..families import operator_of
from ..operators import TARGET
from . import sgemm_moves, softmax_moves, transpose_moves

# The baseline of each is the kernel of its schedule's defaults.
KERNELS: dict[str, Kernels[Any, Any]] = {
    "sgemm": sgemm_moves.KERNELS,
    "softmax": softmax_moves.KERNELS,
    "transpose": transpose_moves.KERNELS,
}


def options() -> tuple[str, ...]:
    """Ids of the menu options that have rewrites for some family."""
    return tuple(dict.fromkeys(option for kernels in KERNELS.values() for option in kernels.options))


def rewrites(problem_id: str, source: str, option: str) -> list[Rewrite]:
    """The option's variants for this kernel; none for a kernel that was not made from a schedule."""
    return [Rewrite(name=name, summary=summary) for name, (summary, _) in _variants(problem_id, source, option).items()]


def rewrite(problem_id: str, source: str, option: str, variant: str) -> str:
    """The rewritten source. Raises UsageError for a variant that `rewrites` does not list."""
    known = _variants(problem_id, source, option)
    if variant not in known:
        listed = ", ".join(known) if known else "none for this source"
        raise UsageError(f"option {option!r} has no rewrite {variant!r} on {TARGET}; it has: {listed}")
    return known[variant][1]


def _variants(problem_id: str, source: str, option: str) -> dict[str, tuple[str, str]]:
    try:
        operator = operator_of(problem_id)
    except UsageError:
        return {}
    kernels = KERNELS.get(operator.family)
    return variants(kernels, operator, source, option) if kernels else {}
