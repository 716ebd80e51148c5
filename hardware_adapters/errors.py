"""What an adapter raises: the caller's mistakes, what this machine lacks, failures of the infrastructure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


def mistakes(error: ValidationError, whole: str = "", most: int = 1) -> str:
    """What a model of pydantic refused: `field.path: why`, the first `most` of it. `whole`: what has no field."""
    found = error.errors()[:most]
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or whole}: {one['msg']}" for one in found)


class AdapterError(Exception):
    """Anything an adapter refuses or cannot do; the message says what to do next."""


class UsageError(AdapterError):
    """The caller's mistake: the same call will fail again until its arguments change."""


class UnknownProblemError(UsageError):
    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(f"unknown problem {problem!r}: {hint}")
        self.problem = problem


class InvalidProblemError(UsageError):
    """A problem of the user's own is not what it should be. `field`: the one at fault, as he wrote it."""

    def __init__(self, field: str, what: str, file: str | None = None) -> None:
        super().__init__(f"{f'{file}: ' if file else ''}{field}: {what}")
        self.field = field
        self.what = what
        self.file = file


class UnprovenProblemError(UsageError):
    """A problem of the user's own by which wrong kernels would pass, or right ones fail; `failures` tell it."""

    def __init__(self, name: str, failures: Sequence[str]) -> None:
        super().__init__(f"problem {name!r} does not prove itself: {'; '.join(failures)}")
        self.name = name
        self.failures = tuple(failures)


class UnknownEngineError(UsageError):
    def __init__(self, engine: str, known: Sequence[str]) -> None:
        super().__init__(f"unknown engine {engine!r}; this target has: {', '.join(known)}")
        self.engine = engine


class InvalidSourceError(UsageError):
    """The source is empty, too long, or not text: refused before anything runs."""


class EnvironmentLackError(AdapterError):
    """This machine lacks what was asked for (a compiler, a tool, a device)."""


class EngineFailure(AdapterError):
    """The infrastructure failed, not the candidate; never recorded against a kernel."""
