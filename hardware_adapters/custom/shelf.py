"""The definitions that a home keeps, by id: what was taken in once can be used again, also after a restart."""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from ..errors import UnknownProblemError
from ..results import Record
from ..store import Home, replace
from .definition import FAMILY, Definition

_ID = re.compile(rf"(?P<target>[a-z0-9]+)/{FAMILY}-(?P<name>[a-z0-9-]+)-(?P<digest>[0-9a-f]{{12}})", re.ASCII)
NEAR = 50  # so many are looked through for an id near to a wrong one
SUFFIX = ".problem.json"


class Kept(Record):
    """A definition, and what its proof found out: how far inputs shrink, and what the first kernel needs."""

    definition: Definition
    proven: bool = False
    level: int = 0
    instructions: int | None = None


def keep(home: Home, kept: Kept) -> None:
    """Atomic; a later state of the same definition replaces an earlier one."""
    replace(_file(home, kept.definition.digest), kept.model_dump_json().encode())


def find(home: Home, problem_id: str) -> Kept:
    """What is kept under this id, proven or not. Raises UnknownProblemError."""
    match = _ID.fullmatch(problem_id) if len(problem_id) <= 200 else None
    kept = _read(_file(home, match["digest"])) if match else None
    if kept is None or kept.definition.id != problem_id:
        raise UnknownProblemError(
            problem_id[:200],
            "no problem of your own has this id here. Define it again: get_problem(own={…}) over MCP, its folder on "
            "the command line" + _near(home, problem_id),
        )
    return kept


def kept(home: Home, definition: Definition) -> Kept | None:
    """This very definition, if it is here."""
    return _read(_file(home, definition.digest))


def proven(home: Home, problem_id: str) -> Kept:
    """Raises UnknownProblemError, also for one that did not prove itself."""
    kept = find(home, problem_id)
    if not kept.proven:
        raise UnknownProblemError(problem_id, "it was defined, but has not proven itself: define it again to see why")
    return kept


def newest(home: Home, target: str, count: int) -> list[Kept]:
    """Of those that have proven themselves."""
    dated = []
    for file in home.problems.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError):  # another process has just removed it
            dated.append((-file.stat().st_mtime, file))
    files = (file for _, file in sorted(dated))
    fitting = (kept for kept in map(_read, files) if kept and kept.proven and kept.definition.target == target)
    return list(islice(fitting, count))


def remove(home: Home, definition: Definition) -> None:
    _file(home, definition.digest).unlink(missing_ok=True)


def _file(home: Home, digest: str) -> Path:
    return home.problems / f"{digest}{SUFFIX}"


def _read(file: Path) -> Kept | None:
    """None for what is not there, or was changed since: its name is its content's digest."""
    try:
        kept = Kept.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None
    return kept if file.name == f"{kept.definition.digest}{SUFFIX}" else None


def _near(home: Home, problem_id: str) -> str:
    stem = problem_id.rpartition("-")[0]
    same = [kept.definition.id for kept in newest(home, problem_id.partition("/")[0], NEAR)]
    near = [known for known in same if known.rpartition("-")[0] == stem]
    return f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(same[:5])}" if same else ""
