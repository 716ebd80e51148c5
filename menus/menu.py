"""Menus of optimisations: one YAML file per target, read with the file and line in every error.

A menu declares the operator families and the bottlenecks it knows, then its options:

    target: gemmini
    families: {gemm: "what the family computes"}
    bottlenecks: {load_bound: "what the profile means by it"}
    traits: {ragged: "what is so about a problem that has it"}
    options:
      - id: larger-tile
        ...                     # the fields of `Option`
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .option import Identifier, Option, Sentence

_FOLDER = Path(__file__).parent
OWN_FAMILIES = "custom-"  # how the families of the user's own problems begin
_Location = tuple[str | int, ...]
MAX_NODES = 50_000


class MenuFileError(Exception):
    """A menu file is wrong. `path` and `line` (from 1) say where."""

    def __init__(self, path: Path, line: int, problem: str) -> None:
        super().__init__(f"{path}:{line}: {problem}")
        self.path = path
        self.line = line
        self.problem = problem


class UnknownNameError(LookupError):
    """A target, option, family, bottleneck or topic that does not exist; the message names those that do."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = (
            f"did you mean {', '.join(close)}?" if close and len(names) > 8 else f"known: {', '.join(names) or 'none'}"
        )
        super().__init__(f"unknown {kind} {name!r}; {hint}")
        self.kind = kind
        self.name = name


class Menu(BaseModel):
    """All options of one target, in the order of the file: the generally most rewarding first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: Identifier
    families: Mapping[Identifier, Sentence] = Field(min_length=1)
    bottlenecks: Mapping[Identifier, Sentence] = Field(min_length=1)
    traits: Mapping[Identifier, Sentence] = Field(default={}, description="Of problems; options may need some")
    options: tuple[Option, ...] = Field(min_length=1)

    def get(self, option_id: str) -> Option:
        """Raises UnknownNameError with the nearest ids."""
        for option in self.options:
            if option.id == option_id:
                return option
        raise UnknownNameError("option", option_id, (option.id for option in self.options))

    def select(
        self,
        family: str | None = None,
        bottlenecks: Sequence[str] | None = None,
        traits: Collection[str] | None = None,
    ) -> list[Option]:
        """The options for an operator family, or all for one of the user's own; those that address a bottleneck first.

        With the `traits` of a problem, options that need others are left out; None: they are not known, so none is.
        `bottlenecks` is ordered, most costly first, as a profile gives them. An option that addresses an earlier
        one comes earlier; ties, and all options that address none, keep the menu's order.
        Raises UnknownNameError for a family or bottleneck that the menu does not declare.
        """
        if family is not None and family.startswith(OWN_FAMILIES):
            family = None  # what helps an operator that only its user knows, nobody can say
        if family is not None and family not in self.families:
            raise UnknownNameError("operator family", family, self.families)
        wanted = list(bottlenecks or ())
        for bottleneck in wanted:
            if bottleneck not in self.bottlenecks:
                raise UnknownNameError("bottleneck", bottleneck, self.bottlenecks)
        chosen = [
            option
            for option in self.options
            if (family is None or family in option.families) and (traits is None or set(option.needs) <= set(traits))
        ]
        return sorted(chosen, key=lambda option: _rank(option, wanted))

    def addressing(
        self, bottlenecks: Sequence[str], family: str | None = None, traits: Collection[str] | None = None
    ) -> dict[str, tuple[str, ...]]:
        """For each bottleneck, ids of the options that name it as a trigger: those that name it earlier come first."""
        fitting = self.select(family, traits=traits)
        found: dict[str, tuple[str, ...]] = {}
        for name in bottlenecks:
            options = sorted((o for o in fitting if name in o.triggers), key=lambda o: o.triggers.index(name))
            found[name] = tuple(option.id for option in options)
        return found

    def sample(self, rng: Random, drop: float, options: Sequence[Option] | None = None) -> list[Option]:
        """Leave each option out with probability `drop`, keeping the order: plans then differ from call to call.

        Never empty: where chance drops everything, one option drawn evenly stays. `drop=0` keeps all.
        Raises ValueError for a `drop` outside 0..1 or an empty `options`.
        """
        if not 0.0 <= drop <= 1.0:
            raise ValueError(f"drop is a probability, 0 to 1, not {drop!r}")
        pool = list(self.options if options is None else options)
        if not pool:
            raise ValueError("cannot sample from no options")
        kept = [option for option in pool if rng.random() >= drop]
        return kept or [rng.choice(pool)]


def _rank(option: Option, bottlenecks: Sequence[str]) -> int:
    found = option.addresses(bottlenecks)
    return len(bottlenecks) if found is None else found


def targets() -> list[str]:
    """Targets that have a menu here."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


@lru_cache
def load_menu(target: str) -> Menu:
    """The menu of a target. Raises UnknownNameError, MenuFileError."""
    known = targets()
    if target not in known:
        raise UnknownNameError("target", target, known)
    return read_menu(_FOLDER / f"{target}.yaml")


def read_menu(path: Path) -> Menu:
    """Read and validate one menu file. Raises MenuFileError (also for a file that cannot be read)."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MenuFileError(path, 1, f"cannot be read: {error}") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise MenuFileError(
            path, mark.line + 1 if mark else 1, f"not YAML: {error.problem or error.context}"
        ) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the last two: escapes that are no character
        raise MenuFileError(path, 1, f"not YAML: {error}") from error
    except RecursionError as error:
        raise MenuFileError(path, 1, "nested too deeply") from error
    if root is None:
        raise MenuFileError(path, 1, "the file is empty")
    lines: dict[_Location, int] = {}
    try:
        data = _plain(path, root, (), lines)
    except RecursionError as error:
        raise MenuFileError(path, 1, "an alias refers to a block around it") from error
    try:
        menu = Menu.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        problem = _explain(first["loc"], first["msg"], data) + more
        raise MenuFileError(path, _line(lines, first["loc"]), problem) from error
    _check_names(path, menu, lines)
    return menu


def _plain(path: Path, node: yaml.Node, where: _Location, lines: dict[_Location, int]) -> Any:
    """The node as plain Python, every text a string; `lines` gets the line of each location."""
    lines[where] = node.start_mark.line + 1
    if len(lines) > MAX_NODES:
        raise MenuFileError(path, lines[where], f"more than {MAX_NODES} entries, aliases counted wherever they stand")
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in mapping:
                raise MenuFileError(path, line, f"{key!r} is given twice; first on line {lines[(*where, key)]}")
            mapping[key] = _plain(path, value_node, (*where, key), lines)
            lines[(*where, key)] = line  # the key's line: a block text starts below it
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_plain(path, item, (*where, index), lines) for index, item in enumerate(node.value)]
    return node.value


def _line(lines: Mapping[_Location, int], where: _Location) -> int:
    """The line of a location, or of the nearest thing around it that is in the file."""
    while where and where not in lines:
        where = where[:-1]
    return lines[where]


def _explain(where: _Location, message: str, data: Any) -> str:
    """Name the option by its id: an index says nothing to somebody who edits the file."""
    if len(where) >= 2 and where[0] == "options" and isinstance(where[1], int):
        option = data["options"][where[1]]
        name = option.get("id") if isinstance(option, dict) else None
        field = ".".join(str(part) for part in where[2:])
        return f"option {name or where[1]!r}{f', field {field!r}' if field else ''}: {message}"
    return f"{'.'.join(str(part) for part in where) or 'menu'}: {message}"


def _check_names(path: Path, menu: Menu, lines: Mapping[_Location, int]) -> None:
    """What one field's type cannot say: unique ids, and names that the menu declares."""
    first: dict[str, int] = {}
    for index, option in enumerate(menu.options):
        line = lines[("options", index, "id")]
        if option.id in first:
            raise MenuFileError(path, line, f"option id {option.id!r} is already used on line {first[option.id]}")
        first[option.id] = line
        for field, names, declared in (
            ("families", option.families, menu.families),
            ("triggers", option.triggers, menu.bottlenecks),
            ("needs", option.needs, menu.traits),
        ):
            for position, name in enumerate(names):
                if name not in declared:
                    raise MenuFileError(
                        path,
                        lines[("options", index, field, position)],
                        f"option {option.id!r}, field {field!r}: {name!r} is unknown; declared: {', '.join(declared)}",
                    )
