"""Where a source's comments and literals are, and what would let a compiler see them elsewhere.

A compiler joins lines and ends comments before it reads words. What is read here has to be read alike by every
compiler, or names could be hidden: in what only seems to be a comment, or in a word of which half is on the next line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Numbers and names are read as wholes, so that a quote in `1'000` or behind `u8` is taken for what it is.
_PIECE = re.compile(
    r"""(?P<line>//[^\n]*)
      |(?P<block>/\*.*?\*/)
      |(?P<literal>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+')
      |(?P<number>\.?[0-9](?:[eEpP][+-]|'?[A-Za-z0-9_.])*)
      |(?P<name>[A-Za-z_$][A-Za-z0-9_$]*)
      |(?P<open>/\*|["'])""",
    re.VERBOSE | re.DOTALL,
)
_SPLICE = re.compile(r"\\\n")
_NEVER_JOINED = frozenset(";{}(),")  # marks that make no other mark or word with what follows


def plain(source: str) -> str:
    """With the line ends that compilers know on every system."""
    return source.replace("\r\n", "\n")


def without_comments(source: str) -> str:
    """Of the same length, line by line."""
    return _PIECE.sub(lambda m: _blank(m[0]) if m.lastgroup in ("line", "block") else m[0], source)


def bare(source: str) -> str:
    """Without comments and the insides of literals, of the same length, line by line."""

    def emptied(found: re.Match[str]) -> str:
        if found.lastgroup in ("line", "block"):
            return _blank(found[0])
        return found[0][0] + _blank(found[0][1:-1]) + found[0][-1] if found.lastgroup == "literal" else found[0]

    return _PIECE.sub(emptied, source)


def ambiguous(source: str) -> Iterator[tuple[int, str]]:
    """(place in the source, what two readers could read differently there)."""
    for found in re.finditer(r"[\r\0]", source):
        yield found.start(), "a carriage return or a zero inside of a line"
    for found in re.finditer(r"\\[ \t\f\v\r]+\n", source):
        yield found.start(), "white space between a backslash and the end of its line"
    for found in _PIECE.finditer(source):
        if found.lastgroup == "open":
            yield found.start(), f"{found[0]} begins something that does not end"
        elif found.lastgroup == "line" and found[0].endswith("\\"):
            yield found.start(), "a comment is continued on the next line by a backslash"
    text = bare(source)
    for found in _SPLICE.finditer(text):
        at, end = found.span()
        before, behind = text[max(0, at - 1) : at], text[end : end + 1]
        if before.strip() and behind.strip() and before not in _NEVER_JOINED:
            yield at, "a word is continued on the next line by a backslash"


def _blank(found: str) -> str:
    return re.sub(r"[^\n]", " ", found)
