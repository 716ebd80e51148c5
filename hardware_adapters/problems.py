"""Problem ids with dimensions in them: parsing, and naming the nearest id when one is wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from string import ascii_uppercase
from typing import NamedTuple

from .base import UnknownProblemError

MAX_ID_CHARS = 200
ALIKE = 0.6  # difflib ratio from which a word is taken for a slip in another
_MISSPELT = re.compile(
    r"(?:(?P<target>[^/]*)/)?(?P<name>[^/\d]*?)[-_]?(?P<dims>\d{1,9}(?:x\d{1,9})*)(?P<tail>(?:-.*)?)", re.ASCII
)
_DIGITS_ON = re.compile(r"\d.*")


class IdPattern(NamedTuple):
    """How the ids of one operator family look: `TARGET/NAME-DxDxD-needed…[-option…]`.

    `options` are in the order in which an id has them; one that ends in a capital letter takes a number there, e.g.
    `shiftS`. Options joined by `|` exclude each other. `needed` come before them in every id and take a number, which
    may be 0: name, and the number proposed where it is missing, e.g. `("strideS", 1)`.
    """

    target: str
    name: str
    dims: tuple[str, ...]
    options: tuple[str, ...] = ()
    needed: tuple[tuple[str, int], ...] = ()

    @property
    def text(self) -> str:
        """For people: gemmini/gemm-MxNxK[-bias|-biasmat][-relu][-shiftS]."""
        tail = "".join(f"-{option}" for option, _ in self.needed)
        tail += "".join("[-" + option.replace("|", "|-") + "]" for option in self.options)
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
            raise unknown_problem(problem_id, self.nearest(problem_id), [self.text])
        if len(numbers) != len(self.dims):
            wanted = f"{len(self.dims)} dimensions, {'x'.join(self.dims)}"
            near = self.nearest(problem_id)
            hint = f"; did you mean {near!r}?" if near else ""
            raise UnknownProblemError(problem_id, f"{self.name} takes {wanted}, not {len(numbers)}{hint}")
        found = self._options(problem_id, tail)
        if missing := [option for option, _ in self.needed if option.rstrip(ascii_uppercase) not in found]:
            raise UnknownProblemError(
                problem_id, f"-{missing[0]} is missing; did you mean {self.nearest(problem_id)!r}?"
            )
        values = dict(zip(self.dims, map(int, numbers), strict=True))
        canonical = self.format(values, found)
        if canonical != problem_id:
            raise UnknownProblemError(problem_id, f"did you mean {canonical!r}?")
        return values, found

    def nearest(self, problem_id: str) -> str | None:
        """The id that was probably meant, with the dimensions given (missing ones repeat the last); None when its
        words are not near to those of this family."""
        plain = _DIGITS_ON.sub("", self.name)  # a name's own numbers are no dimensions
        text = problem_id.lower().replace(self.name, plain)
        match = _MISSPELT.fullmatch(text) if len(problem_id) <= MAX_ID_CHARS else None
        if match is None or not _alike(match["target"], self.target) or not _alike(match["name"], plain):
            return None
        given = [int(number) for number in match["dims"].split("x")]
        numbers = (given + given[-1:] * len(self.dims))[: len(self.dims)]
        if 0 in numbers:
            return None
        options: dict[str, int] = {}
        for word in match["tail"].split("-"):
            stem = word.rstrip("0123456789")
            for known in difflib.get_close_matches(stem, self._stems(), 1, ALIKE):
                rivals = next(group for group in self._rivals() if known in group)
                if not any(rival in options for rival in rivals):
                    number = word[len(stem) :]
                    options[known] = 1 if not self._stems()[known] else int(number) if _is_number(number) else 0
        usual = {option.rstrip(ascii_uppercase): number for option, number in self.needed}
        return self.format(dict(zip(self.dims, numbers, strict=True)), {**usual, **options})

    def format(self, dims: Mapping[str, int], options: Mapping[str, int]) -> str:
        """The one id of a problem; options with number 0 are left out."""
        text = f"{self.target}/{self.name}-{'x'.join(str(dims[name]) for name in self.dims)}"
        for option, _ in self.needed:
            stem = option.rstrip(ascii_uppercase)
            text += f"-{stem}{options[stem]}"
        for group in self.options:
            for option in group.split("|"):
                stem = option.rstrip(ascii_uppercase)
                if options.get(stem):
                    text += f"-{stem}{options[stem] if stem != option else ''}"
        return text

    def _options(self, problem_id: str, tail: str) -> dict[str, int]:
        known = self._stems()
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
        for group in self._rivals():
            if len(both := [option for option in group if option in found]) > 1:
                raise UnknownProblemError(problem_id, f"{' and '.join(both)} exclude each other")
        return found

    def _rivals(self) -> list[list[str]]:
        """Per group of options that exclude each other, their names without the place of a number."""
        groups = (*(option for option, _ in self.needed), *self.options)
        return [[option.rstrip(ascii_uppercase) for option in group.split("|")] for group in groups]

    def _stems(self) -> dict[str, bool]:
        """Every option's name, and whether a number follows it."""
        options = [option for option, _ in self.needed]
        options += [option for group in self.options for option in group.split("|")]
        return {option.rstrip(ascii_uppercase): option[-1] in ascii_uppercase for option in options}


def _alike(given: str | None, known: str) -> bool:
    """Whether `given` is left out, near to `known`, or a longer form of it."""
    return not given or given.startswith(known) or difflib.SequenceMatcher(None, given, known).ratio() >= ALIKE


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def unknown_problem(problem_id: str, near: str | None, patterns: Iterable[str]) -> UnknownProblemError:
    """The error for an id that no family takes: with the id that was probably meant, and the patterns there are."""
    shown = problem_id if len(problem_id) <= MAX_ID_CHARS else problem_id[:40] + "…"
    hint = f"did you mean {near!r}? " if near else ""
    return UnknownProblemError(
        shown, f"{hint}ids look like {' or '.join(patterns)}, with a number for each capital letter"
    )
