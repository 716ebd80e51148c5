"""Edits of a kernel in a model's answer: blocks of SEARCH and REPLACE lines.

    <<<<<<< SEARCH
    lines of the kernel, exactly as they stand
    =======
    lines to put in their place
    >>>>>>> REPLACE

All are of the kernel as it was, so their order does not matter. A SEARCH that is not there, or there twice, is refused
rather than guessed: a wrong guess is a wrong kernel, paid for with an evaluation.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

SHOWN = 120  # characters of a block in a complaint

_OPEN, _MIDDLE, _CLOSE = (re.compile(rf"^{mark}[ \t]*$") for mark in ("<{7} SEARCH", "={7}", ">{7} REPLACE"))


class Edit(NamedTuple):
    search: tuple[str, ...]  # whole lines
    replace: tuple[str, ...]


class EditError(ValueError):
    """Why edits cannot be applied, in words for the model."""


def read_edits(text: str) -> list[Edit]:
    """The edits of an answer; [] for an answer without any. Raises EditError for one that is not whole."""
    edits: list[Edit] = []
    part: list[str] | None = None  # lines that belong to the half that is open
    search: tuple[str, ...] | None = None
    for line in text.replace("\r\n", "\n").split("\n"):
        if _OPEN.match(line):
            if part is not None:
                raise EditError(f"block {len(edits) + 1} is not closed by >>>>>>> REPLACE")
            part = []
        elif part is not None and search is None and _MIDDLE.match(line):
            search, part = tuple(part), []
        elif part is not None and _CLOSE.match(line):
            if search is None:
                raise EditError(f"block {len(edits) + 1} has no ======= between SEARCH and REPLACE")
            edits.append(Edit(search, tuple(part)))
            part = search = None
        elif part is not None:
            part.append(line)
    if part is not None:
        raise EditError(f"block {len(edits) + 1} is not closed by >>>>>>> REPLACE: the answer is cut off")
    return edits


def apply_edits(source: str, edits: list[Edit]) -> str:
    """The kernel with all edits made, its lines ended by LF. Raises EditError naming the first block at fault."""
    lines = source.replace("\r\n", "\n").split("\n")
    spans: list[tuple[int, int, int]] = []  # begin, end, which edit
    for number, edit in enumerate(edits, 1):
        named = f"block {number} (SEARCH {_shown(edit.search)})"
        if not any(line.strip() for line in edit.search):
            raise EditError(f"block {number} has an empty SEARCH; name the lines to change")
        size = len(edit.search)
        found = [at for at in range(len(lines) - size + 1) if tuple(lines[at : at + size]) == edit.search]
        if not found:
            raise EditError(f"{named} is not in the kernel: {_nearest(lines, edit.search)}")
        if len(found) > 1:
            where = ", ".join(str(at + 1) for at in found[:6])
            raise EditError(f"{named} is in the kernel {len(found)} times, at lines {where}; give more lines around it")
        spans.append((found[0], found[0] + size, number))
    spans.sort()
    for (_, end, first), (begin, _, second) in pairwise(spans):
        if begin < end:
            raise EditError(f"blocks {min(first, second)} and {max(first, second)} overlap; make one of them")
    for begin, end, number in reversed(spans):
        lines[begin:end] = edits[number - 1].replace
    return "\n".join(lines)


def _nearest(lines: list[str], search: tuple[str, ...]) -> str:
    """What may have been meant: the same lines but for white space, or where the first one stands."""
    bare = [" ".join(line.split()) for line in lines]
    wanted = [" ".join(line.split()) for line in search]
    size = len(wanted)
    for at in range(len(bare) - size + 1):
        if bare[at : at + size] == wanted:
            return f"line {at + 1} differs from it in white space only; copy the lines exactly"
    for offset, line in enumerate(search):
        if line not in lines:
            return f"its line {offset + 1}, {line.strip()[:SHOWN]!r}, is not there"
    return "its lines are there, but not one after the other"


def _shown(lines: tuple[str, ...]) -> str:
    first = next((line.strip() for line in lines if line.strip()), "")
    return repr(first[:SHOWN]) + (" ..." if len(lines) > 1 else "")
