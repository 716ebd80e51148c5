"""Text of others (kernels, plans, messages of compilers and services) as a terminal may show it: it steers nothing.

What would steer the terminal, or reorder what is read, is shown by name, as on the page of a run.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

MOST_SHOWN = 2000  # characters of a line
TAB = 4
_PICTURES = 0x2400  # Unicode's block of pictures of the control characters: ESC is ␛
_DELETE = 0x7F


def visible(text: str) -> str:
    """On one line: line breaks and tabs are spaces, control characters have names."""
    return text if text.isprintable() else "".join(map(_visible, text))


def inert(text: str, most: int = MOST_SHOWN) -> str:
    """As `visible`, at most so many characters of it, and how many there are more."""
    left = len(text) - most
    return visible(text) if left <= 0 else f"{visible(text[:most])} … {left:,} more characters"


def code_lines(source: str, most: int = MOST_SHOWN) -> list[str]:
    """The lines of a source, numbered as compilers do: nothing but a line feed ends one. What Windows has before it
    is no news."""
    return [inert(line.removesuffix("\r").expandtabs(TAB), most) for line in source.split("\n")]


@lru_cache(maxsize=4096)
def _visible(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if character in "\t\n\r" or unicodedata.category(character) == "Zs":
        return " "
    if code < ord(" "):
        return chr(_PICTURES + code)
    return "␡" if code == _DELETE else f"⟨U+{code:04X}⟩"
