"""Kernels that are made from schedules: the line that carries a schedule, and menu options as changes of it.

What a target's schedules decide and how a kernel is written from one is the target's; the rest is the same for all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from .base import Rewrite, UsageError, kernel_digest

P = TypeVar("P")  # a problem
S = TypeVar("S", bound=BaseModel)  # a schedule of its kernels


class ScheduleError(UsageError):
    """A schedule that no kernel can be made from; `field` is the choice at fault."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"schedule field {field!r}: {message}")
        self.field = field


class CapacityError(ScheduleError):
    """The tiles do not fit an on-chip memory; sizes in `unit`."""

    def __init__(self, field: str, memory: str, needed: int, available: int, unit: str = "rows") -> None:
        super().__init__(field, f"needs {needed} {unit} of the {memory}, which has {available}")
        self.memory, self.needed, self.available = memory, needed, available


class NoScheduleError(UsageError):
    """The source's first line carries no schedule: it was not emitted from one, or was edited since."""


class Change(NamedTuple):
    """One variant of an option: its name, a sentence for who chooses, and the fields of the schedule it sets."""

    name: str
    summary: str
    fields: dict[str, object]


class Kernels(NamedTuple, Generic[P, S]):
    """One family's kernels. `check` raises ScheduleError, or CapacityError where giving way may help; `concessions` are
    the schedule itself, then ever smaller ones with the words for what gave way."""

    options: Mapping[str, Callable[[P, S], Iterator[Change]]]
    parse: Callable[[P, str], S]
    changed: Callable[[P, S, dict[str, object]], S]
    emit: Callable[[P, S], str]
    check: Callable[[P, S], object]
    concessions: Callable[[P, S, dict[str, object]], Iterator[tuple[S, str]]]


def first_line(schedule: BaseModel, mark: str) -> str:
    """The comment that carries a schedule; defaults are written too, so that the line says everything."""
    return mark + json.dumps(schedule.model_dump(), separators=(", ", ": "))


def fields_on_first_line(source: str, mark: str) -> dict[str, object]:
    """What `first_line` wrote, not validated. Raises NoScheduleError, and ScheduleError for what is no JSON object."""
    first = source.lstrip("\n").partition("\n")[0].strip()
    if not first.startswith(mark):
        raise NoScheduleError(f"the first line is no '{mark}{{...}}' comment: start from a baseline to get one")
    try:
        fields = json.loads(first[len(mark) :])
    except json.JSONDecodeError as error:
        raise ScheduleError("schedule", f"the first line's JSON does not parse: {error}") from None
    if not isinstance(fields, dict):
        raise ScheduleError("schedule", "the first line's JSON is not an object")
    return fields


def validated(kind: type[S], fields: Mapping[str, object]) -> S:
    """Raises ScheduleError, which names the field."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "schedule"
        raise ScheduleError(field, f"{first['msg']}, got {first['input']!r}") from None


class Rewrites:
    """A target's menu options as mechanical changes of schedules, for the families that have schedules.

    kernels: by family; operator_of: the operator of a problem's id, or UsageError where no family has it; where: what a
    message about an unknown variant adds to the option's name.
    """

    def __init__(
        self, kernels: Mapping[str, Kernels[Any, Any]], operator_of: Callable[[str], Any], where: str = ""
    ) -> None:
        self._kernels, self._operator_of, self._where = kernels, operator_of, where

    def options(self) -> tuple[str, ...]:
        """Ids of the menu options that have rewrites for some family."""
        return tuple(dict.fromkeys(option for kernels in self._kernels.values() for option in kernels.options))

    def rewrites(self, problem_id: str, source: str, option: str) -> list[Rewrite]:
        """The option's variants for this kernel; none for a kernel that was not made from a schedule."""
        found = self._variants(problem_id, source, option)
        return [Rewrite(name=name, summary=summary) for name, (summary, _) in found.items()]

    def rewrite(self, problem_id: str, source: str, option: str, variant: str) -> str:
        """The rewritten source. Raises UsageError for a variant that `rewrites` does not list."""
        known = self._variants(problem_id, source, option)
        if variant not in known:
            listed = ", ".join(known) if known else "none for this source"
            raise UsageError(f"option {option!r} has no rewrite {variant!r}{self._where}; it has: {listed}")
        return known[variant][1]

    def _variants(self, problem_id: str, source: str, option: str) -> dict[str, tuple[str, str]]:
        try:
            operator = self._operator_of(problem_id)
        except UsageError:
            return {}
        kernels = self._kernels.get(operator.family)
        return variants(kernels, operator, source, option) if kernels else {}


def variants(kernels: Kernels[P, S], problem: P, source: str, option: str) -> dict[str, tuple[str, str]]:
    """name -> (summary, new source); none for a kernel that `emit` did not make."""
    if option not in kernels.options:
        return {}
    try:
        now = kernels.parse(problem, source)
        before = kernel_digest(kernels.emit(problem, now))
    except UsageError:  # no schedule, or a line that was edited into nonsense
        return {}
    if kernel_digest(source) != before:
        return {}  # edited by hand or by a model: the schedule no longer describes it
    found: dict[str, tuple[str, str]] = {}
    seen = {before}
    for change in kernels.options[option](problem, now):
        made = _legal(kernels, problem, now, change)
        if made is None or change.name in found:
            continue
        changed, note = made
        new = kernels.emit(problem, changed)
        digest = kernel_digest(new)
        if digest not in seen:
            seen.add(digest)
            found[change.name] = (change.summary + note, new)
    return found


def _legal(kernels: Kernels[P, S], problem: P, now: S, change: Change) -> tuple[S, str] | None:
    """The changed schedule, with whatever else had to give way for it to fit, and the words for that."""
    try:
        wanted = kernels.changed(problem, now, change.fields)
    except ScheduleError:
        return None
    for candidate, note in kernels.concessions(problem, wanted, change.fields):
        try:
            kernels.check(problem, candidate)
        except CapacityError:
            continue
        except ScheduleError:
            return None
        return candidate, note
    return None
