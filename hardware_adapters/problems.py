"""Problem ids with dimensions in them: parsing, and naming the nearest id when one is wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .base import UnknownProblemError

MAX_ID_CHARS = 200


class IdPattern(NamedTuple):
    """How the ids of one operator family look: `TARGET/NAME-DxDxD[-option…]`.

    `options` are in the order in which an id has them; one that ends in a capital letter takes a number there, e.g.
    `shiftS`. Options joined by `|` exclude each other.
    """

    target: str
    name: str
    dims: tuple[str, ...]
    options: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """For people: gemmini/gemm-MxNxK[-bias|-biasmat][-relu][-shiftS]."""
        tail = "".join("[-" + option.replace("|", "|-") + "]" for option in self.options)
        return f"{self.target}/{self.name}-{'x'.join(self.dims)}{tail}"

    def parse(self, problem_id: str) -> tuple[dict[str, int], dict[str, int]]:
        """Dimensions by name, and the options present with their number (1 for those without).

        Raises UnknownProblemError that says what is wrong and which id was probably meant.
        """
        if len(problem_id) > MAX_ID_CHARS:
            raise UnknownProblemError(problem_id[:40] + "…", f"too long; ids look like {self.text}")
        dims, _, tail = problem_id.removeprefix(f"{self.target}/{self.name}-").partition("-")
        numbers = dims.split("x")
        if not problem_id.startswith(f"{self.target}/{self.name}-") or not all(map(_is_number, numbers)):
            raise UnknownProblemError(problem_id, f"ids look like {self.text}, with a number for each capital letter")
        if len(numbers) != len(self.dims):
            wanted = f"{len(self.dims)} dimensions, {'x'.join(self.dims)}"
            raise UnknownProblemError(problem_id, f"{self.name} takes {wanted}, not {len(numbers)}")
        found = self._options(problem_id, tail)
        values = dict(zip(self.dims, map(int, numbers), strict=True))
        canonical = self.format(values, found)
        if canonical != problem_id:
            raise UnknownProblemError(problem_id, f"did you mean {canonical!r}?")
        return values, found

    def format(self, dims: Mapping[str, int], options: Mapping[str, int]) -> str:
        """The one id of a problem; options with number 0 are left out."""
        text = f"{self.target}/{self.name}-{'x'.join(str(dims[name]) for name in self.dims)}"
        for group in self.options:
            for option in group.split("|"):
                stem = option.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
                if options.get(stem):
                    text += f"-{stem}{options[stem] if stem != option else ''}"
        return text

    def _options(self, problem_id: str, tail: str) -> dict[str, int]:
        known = {}
        for option in (option for group in self.options for option in group.split("|")):
            stem = option.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
            known[stem] = stem != option
        found: dict[str, int] = {}
        for word in tail.split("-") if tail else ():
            stem = re.sub(r"[0-9]+$", "", word) if word not in known else word
            number = word[len(stem) :]
            if stem not in known or bool(number) != known[stem] or (number and not _is_number(number)):
                near = difflib.get_close_matches(word, known, 1)
                hint = f"; did you mean {near[0]!r}?" if near and near[0] != word else ""
                raise UnknownProblemError(problem_id, f"{word!r} is no option of {self.text}{hint}")
            if stem in found:
                raise UnknownProblemError(problem_id, f"{stem!r} is given twice")
            found[stem] = int(number) if number else 1
        for group in self.options:
            if len(both := [option for option in group.split("|") if option in found]) > 1:
                raise UnknownProblemError(problem_id, f"{' and '.join(both)} exclude each other")
        return found


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def unknown_problem(problem_id: str, patterns: Iterable[str], examples: Iterable[str]) -> UnknownProblemError:
    """The error for an id that no family takes: with the nearest example, or the patterns there are."""
    shown = problem_id if len(problem_id) <= MAX_ID_CHARS else problem_id[:40] + "…"
    near = difflib.get_close_matches(shown, list(examples), 3, 0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return UnknownProblemError(shown, f"{hint}known are {', '.join(patterns)}")
