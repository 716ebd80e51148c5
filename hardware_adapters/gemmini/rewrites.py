"""Menu options as mechanical changes of a schedule: option id -> variants -> new source.

A variant changes what its option names and, where that alone would be illegal or would not fit, the least besides;
its summary then says so. Variants come most promising first and depend on nothing but the problem and the source.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..base import Problem, Rewrite, UsageError, kernel_digest
from .emit import emit
from .problems import Gemm
from .schedule import CapacityError, Schedule, ScheduleError, layout, parse_line
from .variants import OPTIONS, Change, even_tile


def options() -> tuple[str, ...]:
    """Ids of the menu options that have rewrites."""
    return tuple(OPTIONS)


def rewrites(problem: Problem | str, source: str, option: str) -> list[Rewrite]:
    """The option's variants for this kernel; none for other options, nor for kernels that `emit` did not make."""
    return [Rewrite(name=name, summary=summary) for name, (summary, _) in _variants(problem, source, option).items()]


def rewrite(problem: Problem | str, source: str, option: str, variant: str) -> str:
    """The rewritten source. Raises UsageError for a variant that `rewrites` does not list."""
    known = _variants(problem, source, option)
    if variant not in known:
        listed = ", ".join(known) if known else "none for this source"
        raise UsageError(f"option {option!r} has no rewrite {variant!r}; it has: {listed}")
    return known[variant][1]


def _variants(problem: Problem | str, source: str, option: str) -> dict[str, tuple[str, str]]:
    """name -> (summary, new source)."""
    if option not in OPTIONS:
        return {}
    try:
        gemm = Gemm.of(problem if isinstance(problem, str) else problem.id)
        schedule = parse_line(source).fitted(gemm)
        before = kernel_digest(emit(gemm, schedule))
    except UsageError:  # another operator, no schedule, or a line that was edited into nonsense
        return {}
    if kernel_digest(source) != before:
        return {}  # edited by hand or by a model: the schedule no longer describes it
    found: dict[str, tuple[str, str]] = {}
    seen = {before}
    for change in OPTIONS[option](gemm, schedule):
        made = _legal(gemm, schedule, change)
        if made is None or change.name in found:
            continue
        changed, note = made
        new = emit(gemm, changed)
        digest = kernel_digest(new)
        if digest not in seen:
            seen.add(digest)
            found[change.name] = (change.summary + note, new)
    return found


# ---------------------------------------------------------------- legality


def _legal(gemm: Gemm, schedule: Schedule, change: Change) -> tuple[Schedule, str] | None:
    """The changed schedule, with whatever else had to give way for it to fit, and the words for that."""
    try:
        wanted = schedule.with_(**change.fields).fitted(gemm)
    except ScheduleError:
        return None
    for candidate, note in _concessions(gemm, wanted, change.fields):
        try:
            layout(gemm, candidate)
        except CapacityError:
            continue
        except ScheduleError:
            return None
        return candidate, note
    return None


def _concessions(gemm: Gemm, s: Schedule, asked: dict[str, object]) -> Iterator[tuple[Schedule, str]]:
    """The schedule itself, then ever smaller ones. What the variant asked for by name is kept to the end."""
    yield s, ""
    panel = "panel" in (s.a_keep, s.b_keep)
    if "tk" not in asked and not panel:
        for tk in (256, 128, 64, 32):
            if tk < s.tk:
                yield s.with_(tk=tk), f" (tile depth reduced to tk={tk} to fit)"
    # the longer side of the C tile gives way first
    for side, whole in sorted((("tj", gemm.n), ("ti", gemm.m)), key=lambda pair: -getattr(s, pair[0])):
        for size in (even_tile(whole, limit) for limit in (128, 64, 32)):
            if side not in asked and size < getattr(s, side):
                yield s.with_(**{side: size}), f" (tile reduced to {side}={size} to fit)"
    if s.placement == "banked" and "placement" not in asked:
        yield s.with_(placement="split"), " (buffers of one operand now share banks, to fit)"
