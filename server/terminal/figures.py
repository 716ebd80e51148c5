"""Figures and words of a run in lines of a terminal's width."""

from __future__ import annotations

import textwrap

from ...agent.runs.status import Mark, Tokens
from ..inert import visible

MIN_COLUMNS = 40
LABEL = 11  # columns that the names of the figures take


def mark_text(mark: Mark) -> str:
    used = "" if mark.utilisation is None else f", {mark.utilisation:.1%} of the bound"
    return f"{mark.latency:,.0f} {mark.unit} ({mark.source}){used}"


def tokens_line(tokens: Tokens) -> str:
    """`1.2 M tokens in (83 % cached), 40 k out`."""
    given = tokens.input + tokens.cache_write + tokens.cache_read
    cached = f" ({tokens.cache_read / given:.0%} cached)" if given else ""
    return f"{count(given)} tokens in{cached}, {count(tokens.output)} out"


def count(number: float) -> str:
    for size, letter in ((1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.0f}"


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns where the words allow it, the further ones below the first one's text."""
    return textwrap.wrap(
        visible(text),
        max(width, MIN_COLUMNS),
        subsequent_indent=" " * LABEL,
        break_long_words=False,
        break_on_hyphens=False,
    )


def hanging(text: str, width: int, indent: int) -> list[str]:
    """Lines of at most `width` columns where the words allow it; the further ones are indented."""
    kept = text[: len(text) - len(text.lstrip())]
    return textwrap.wrap(
        visible(text.strip()), max(width, MIN_COLUMNS), initial_indent=kept, subsequent_indent=" " * indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def plan_lines(text: str, width: int, indent: str = "    ") -> list[str]:
    """A plan's whole text, its own line breaks kept."""
    lines: list[str] = []
    for line in text.splitlines():
        lines += textwrap.wrap(
            visible(line), width, initial_indent=indent, subsequent_indent=indent, break_long_words=False,
            break_on_hyphens=False,
        ) or [""]  # fmt: skip
    return lines
