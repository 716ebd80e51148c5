"""A campaign's file, YAML or TOML: read, checked, and turned into entries; what is wrong is named with its line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ...agent.campaign import Budget, CampaignEntry
from ...agent.errors import AgentError, AgentUsageError
from ...agent.settings import SearchSettings
from ...hardware_adapters.base import UsageError
from ...hardware_adapters.registry import adapter_for, adapters
from ...tools.model_choice import canonical, default_model
from ..shell import read_source

Place = Sequence[int | str]
MAX_ENTRIES = 1000


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Item(_Strict):
    """One problem, or all of a suite."""

    problem: str | None = None
    suite: str | None = Field(default=None, description="TARGET/NAME, as `problems --suite` has them")
    source: Path | None = Field(default=None, description="Kernel to start from, relative to this file")
    model: str | None = None
    engine: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        return {"problem": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _one(self) -> Item:
        if (self.problem is None) == (self.suite is None):
            raise ValueError("give exactly one of `problem` and `suite`")
        if self.suite is not None and self.source is not None:
            raise ValueError("a suite has no `source`: name its problems one by one")
        return self


class Content(_Strict):
    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]{1,60}$")
    model: str | None = None
    engine: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict, description="Of every search")
    budget: Budget = Budget()
    problems: tuple[Item, ...] = Field(min_length=1, max_length=MAX_ENTRIES)


class Read(_Strict):
    name: str
    budget: Budget
    entries: tuple[CampaignEntry, ...]


class CampaignFileError(AgentUsageError):
    """Something in the file is wrong; `place` is the way to it, `line` where the file's format tells."""

    def __init__(self, file: Path, line: int | None, place: Place, what: str) -> None:
        where = f"{file}:{line}" if line is not None else str(file)
        field = ".".join(map(str, place))
        super().__init__(f"{where}: {field}: {what}" if field else f"{where}: {what}")
        self.line = line
        self.place = tuple(place)


def read_campaign(file: Path) -> Read:
    """Problems, engines and settings in it exist. Raises CampaignFileError, EnvironmentLackError, EngineFailure."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CampaignFileError(file, None, (), f"cannot be read: {error}") from error
    data, line_of = _toml(file, text) if file.suffix == ".toml" else _yaml(file, text)
    try:
        content = Content.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        what = first["msg"].removeprefix("Value error, ")
        raise CampaignFileError(file, line_of(first["loc"]), first["loc"], what) from error
    entries: list[CampaignEntry] = []
    for number, item in enumerate(content.problems):
        try:
            entries += _entries(file, content, item)
        except _Wrong as wrong:
            place = wrong.place if wrong.of_all else ("problems", number, *wrong.place)
            raise CampaignFileError(file, line_of(place), place, wrong.what) from wrong
    return Read(
        name=content.name or re.sub(r"[^A-Za-z0-9._-]", "-", file.stem), budget=content.budget, entries=tuple(entries)
    )


class _Wrong(Exception):
    """`of_all`: the place is counted from the file's top, not from the item."""

    def __init__(self, place: Place, what: str, of_all: bool = False) -> None:
        super().__init__(what)
        self.place, self.what, self.of_all = place, what, of_all


def _entries(file: Path, content: Content, item: Item) -> list[CampaignEntry]:
    """Raises _Wrong."""
    given = content.settings | item.settings
    engine = item.engine or content.engine
    if engine is not None:
        given = given | {"engine": engine}
    try:
        model = canonical(item.model or content.model or default_model())
    except AgentError as error:
        raise _Wrong(("model",), str(error), of_all=item.model is None) from error
    for name in given:
        if name not in SearchSettings.model_fields and name != "preset":
            of_all = name not in item.settings
            known = ", ".join(SearchSettings.model_fields)
            raise _Wrong(("settings", name), f"no such setting; there are: {known}", of_all)
    try:
        SearchSettings.for_model(model, **given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        raise _Wrong(("settings", *first["loc"]), first["msg"], of_all=name not in item.settings) from error
    except AgentUsageError as error:
        raise _Wrong(("settings", "preset"), str(error), of_all="preset" not in item.settings) from error
    source = None
    try:
        if item.source is not None:
            source = read_source(file.parent / item.source)
    except UsageError as error:
        raise _Wrong(("source",), str(error)) from error
    try:
        problems = _suite(item.suite) if item.suite is not None else [item.problem or ""]
        for problem in problems:
            adapter = adapter_for(problem)
            adapter.problem(problem)
            if engine is not None:
                adapter.search_engine(engine)
    except UsageError as error:
        raise _Wrong(("suite",) if item.suite is not None else ("problem",), str(error)) from error
    return [CampaignEntry(problem=problem, source=source, model=model, settings=given) for problem in problems]


def _suite(named: str) -> list[str]:
    """Raises UsageError."""
    target, slash, name = named.partition("/")
    known = adapters()
    if not slash or target not in known:
        raise UsageError(f"{named!r}: expected TARGET/NAME with a target of: {', '.join(known)}")
    return [summary.id for summary in known[target].suite(name)]


LineOf = Callable[[Place], int | None]


def _yaml(file: Path, text: str) -> tuple[Any, LineOf]:
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error)
        raise CampaignFileError(file, mark.line + 1 if mark else None, (), f"is no YAML: {what}") from error

    def line_of(place: Place) -> int | None:
        node, line = root, 1
        for step in place:
            if isinstance(node, yaml.MappingNode):
                pair = next(((k, v) for k, v in node.value if k.value == str(step)), None)
                if pair is None:
                    break
                line, node = pair[0].start_mark.line + 1, pair[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                line = node.start_mark.line + 1
            else:
                break
        return line

    return data, line_of


def _toml(file: Path, text: str) -> tuple[Any, LineOf]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        raise CampaignFileError(file, int(found[1]) if found else None, (), f"is no TOML: {error}") from error

    def line_of(place: Place) -> int | None:
        """TOML's reader keeps no lines: that of the field's name, where only one line begins with it."""
        names = [step for step in place if isinstance(step, str)]
        for name in reversed(names):
            begins = re.compile(rf"\s*\[*\s*{re.escape(name)}\b")
            lines = [number for number, line in enumerate(text.splitlines(), 1) if begins.match(line)]
            if len(lines) == 1:
                return lines[0]
        return None

    return data, line_of
