"""What may stand in an exported run: every field is checked before any of it is used."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, get_args

from pydantic import ValidationError

from ..hardware_adapters.base import Evaluation, InvalidSourceError, Record, check_source, mistakes
from .errors import AgentUsageError, LimitType
from .models.base import Reply
from .runs.candidate import Candidate
from .runs.journal import EventKind
from .runs.status import RunRow, RunState, Searched
from .search.lessons import Lessons
from .settings import LIMITS, SearchSettings
from .toolbox import ProfileOutcome

CANDIDATE_ID = re.compile(r"\d{1,6}(\.\d{1,6}){0,8}(r\d{1,3})?")
PROFILE = re.compile(r"profile/([0-9a-f]{16})")
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")  # names a folder
_PROBLEM = re.compile(r"[a-z0-9_-]{1,40}/[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_KEY = re.compile(r"[A-Za-z0-9._/-]{1,200}")
_FIELDS = {"kind", "key", "data", "source", "at"}
_LATEST = 1e11  # seconds since 1970; beyond it no clock was right
_MAX_MODEL = 2000


class ArchiveError(AgentUsageError):
    """A file of an exported run that does not hold what it should."""

    def __init__(self, path: Path, line: int | None, what: str) -> None:
        place = str(path) if line is None else f"{path}, line {line}"
        super().__init__(f"{place}: {what}")
        self.path = path
        self.line = line


def parsed(path: Path, line: int | None, text: bytes) -> dict[str, Any]:
    """One JSON object, of characters and numbers that can be stored. Raises ArchiveError."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no number")

    try:
        data = json.loads(text.decode(), parse_constant=refuse)
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()  # halves of characters, infinite numbers
    except (ValueError, RecursionError) as error:
        raise ArchiveError(path, line, f"is not JSON in UTF-8: {error}") from error
    if not isinstance(data, dict):
        raise ArchiveError(path, line, "is not a JSON object")
    return data


def check_run(path: Path, data: dict[str, Any]) -> RunRow:
    """The run's row. Raises ArchiveError."""

    def text(name: str, pattern: re.Pattern[str]) -> None:
        if not isinstance(data.get(name), str) or not pattern.fullmatch(data[name]):
            raise ArchiveError(path, None, f"{name} {data.get(name)!r} is not one")

    text("run_id", _RUN_ID)
    text("problem", _PROBLEM)
    if data["run_id"] == "last":
        raise ArchiveError(path, None, "run_id 'last' is a word of the command line")
    model = data.get("model")
    if not isinstance(model, str) or not model.isprintable() or not 0 < len(model) <= _MAX_MODEL:
        raise ArchiveError(path, None, f"model {model!r:.200} is not one")
    _moment(path, None, data.get("created"), "created")
    try:
        SearchSettings.model_validate(data.get("settings"))
        return RunRow.model_validate(data)
    except ValidationError as error:
        raise ArchiveError(path, None, f"settings: {mistakes(error, 'it')}; was another version its author?") from error


def check_event(path: Path, line: int, data: dict[str, Any], candidates: dict[str, Candidate]) -> dict[str, Any]:
    """An event that may follow those before it; `candidates` are theirs, and get the one of this line.

    Raises ArchiveError.
    """
    if set(data) != _FIELDS:
        found, needed = (", ".join(sorted(fields)) for fields in (data, _FIELDS))
        raise ArchiveError(path, line, f"has the fields {found:.200}; an event has {needed}")
    kind, key, content, source = data["kind"], data["key"], data["data"], data["source"]
    if kind not in get_args(EventKind):
        raise ArchiveError(path, line, f"unknown kind of event {kind!r:.100}; was a newer version its author?")
    if key is not None and not (isinstance(key, str) and _KEY.fullmatch(key)):
        raise ArchiveError(path, line, f"key {key!r:.100} is not one")
    if not isinstance(content, dict):
        raise ArchiveError(path, line, "data is not an object")
    if source is not None and not isinstance(source, str):
        raise ArchiveError(path, line, "source is not text")
    _moment(path, line, data["at"], "at")
    try:
        if kind == "candidate":
            _candidate(key, content, source, candidates)
        elif kind == "confirm":
            if content["candidate"] not in candidates or key != f"confirm/{content['candidate']}":
                raise ValueError("it confirms no candidate of the lines before")
            Evaluation.model_validate(content["evaluation"])
        else:
            _CHECKS.get(kind, lambda _key, _content: None)(key, content)
    except ValidationError as error:
        raise ArchiveError(path, line, f"{kind}: {mistakes(error, 'it')}") from error
    except (KeyError, TypeError, ValueError, InvalidSourceError) as error:
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise ArchiveError(path, line, f"{kind}: {what}") from error
    return data


def _candidate(key: str | None, content: dict[str, Any], source: str | None, candidates: dict[str, Candidate]) -> None:
    if source is None or "source" in content:
        raise ValueError("its kernel has to stand in `source`")
    check_source(source)
    candidate = Candidate.model_validate({**content, "source": source})
    if not CANDIDATE_ID.fullmatch(candidate.id) or key != f"candidate/{candidate.id}":
        raise ValueError(f"id {candidate.id!r:.100} and key {key!r} do not name a place in a search")
    if candidate.parent is not None and candidate.parent not in candidates:
        raise ValueError(f"parent {candidate.parent!r:.100} is no candidate of the lines before")
    first = candidate.duplicate_of  # this one may still be under evaluation
    if first is not None and not CANDIDATE_ID.fullmatch(first):
        raise ValueError(f"duplicate_of {first!r:.100} is no candidate")
    candidates[candidate.id] = candidate


def _model(_key: str | None, content: dict[str, Any]) -> None:
    reply = Reply.model_validate(content["reply"])
    for name in ("usage", "cost_usd"):
        _ = content["reply"][name]
    if min(reply.cost_usd or 0.0, *reply.usage.model_dump().values()) < 0:
        raise ValueError("it cannot have used less than nothing")


def _profile(key: str | None, content: dict[str, Any]) -> None:
    if not PROFILE.fullmatch(key or ""):
        raise ValueError(f"key {key!r} does not name a kernel")
    ProfileOutcome.model_validate(content)


def _limits(_key: str | None, content: dict[str, Any]) -> None:
    unknown = set(content) - set(LIMITS)
    if unknown:
        raise ValueError(f"no limits: {', '.join(sorted(unknown))}")
    SearchSettings.model_validate(content)


def _phase(_key: str | None, content: dict[str, Any]) -> None:
    if type(content["iteration"]) is not int:
        raise ValueError("its iteration is no number")


def _state(_key: str | None, content: dict[str, Any]) -> None:
    state, reason, limit = content["state"], content.get("reason"), content.get("limit")
    if state not in get_args(RunState) or limit not in (None, *get_args(LimitType)):
        raise ValueError(f"no such state: {state!r:.100}, limit {limit!r:.100}")
    if reason is not None and not isinstance(reason, str):
        raise ValueError("its reason is no text")


def _origin(_key: str | None, content: dict[str, Any]) -> None:
    if not isinstance(content["continues"], str) or not _RUN_ID.fullmatch(content["continues"]):
        raise ValueError("it names no run")


class _Problem(Record):
    target: str
    family: str
    dims: dict[str, int]


_CHECKS: dict[str, Callable[[str | None, dict[str, Any]], object]] = {
    "model": _model,
    "profile": _profile,
    "limits": _limits,
    "phase": _phase,
    "searched": lambda _key, content: Searched.model_validate(content),
    "state": _state,
    "origin": _origin,
    "problem": lambda _key, content: _Problem.model_validate(content),
    "lessons": lambda _key, content: Lessons.model_validate(content),
}


def _moment(path: Path, line: int | None, value: object, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ArchiveError(path, line, f"{name} {value!r:.100} is no time")
    if not 0 <= value <= _LATEST:
        raise ArchiveError(path, line, f"{name} {value!r} is no time in seconds since 1970")
