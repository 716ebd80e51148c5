"""Source texts of kernels: which are taken, and which are the same kernel."""

from __future__ import annotations

import ast
import hashlib
import re
import threading
from typing import NamedTuple

from .errors import InvalidSourceError

MAX_SOURCE_BYTES = 512 * 1024

_COMMENTS = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|//[^\n]*|/\*.*?\*/", re.DOTALL)


def _without_comments(source: str) -> str:
    return _COMMENTS.sub(lambda m: m[0] if m[0][0] in "\"'" else " ", source)


def normalise_source(source: str) -> str:
    """C-like source without comments and insignificant white space: what makes two kernels the same text."""
    bare = _without_comments(source.replace("\r\n", "\n"))
    return "\n".join(" ".join(line.split()) for line in bare.split("\n") if line.strip())


# A line that C has not: `//` and white space mean something else in such a source.
_PYTHON = re.compile(r"^(?:from [\w.]+ import |import [\w.]+|def \w+\()", re.MULTILINE)
_CUDA = re.compile(r"\b__global__\b|\bcudaStream_t\b")


class Language(NamedTuple):
    """What a kernel is written in; `suffix` is that of its files."""

    name: str
    suffix: str


C, PYTHON, CUDA = Language("c", ".c"), Language("python", ".py"), Language("cuda", ".cu")
LANGUAGES = (C, PYTHON, CUDA)


def language_of(source: str) -> Language:
    if _PYTHON.search(source):
        return PYTHON
    return CUDA if _CUDA.search(_without_comments(source)) else C


_parsing = threading.RLock()


def syntax_tree(text: str) -> ast.Module:
    """As `ast.parse`, one thread at a time: CPython counts the nesting of all threads' trees together, and then raises
    SystemError (seen in 3.11)."""
    with _parsing:
        return ast.parse(text)


def _python_digest(source: str) -> str:
    """Of a source in Python: comments and layout without meaning left out."""
    try:
        text = ast.dump(syntax_tree(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        text = source
    return _text_digest(text)


def _text_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def kernel_digest(source: str) -> str:
    """A kernel's name: SHA-256 of its normalised source, 16 hex digits; see `kernel_identity` for comparing."""
    if language_of(source) is PYTHON:
        return _python_digest(source)
    return _text_digest(normalise_source(source))


# Lines that are joined, or ended, where `normalise_source` does not see it: a comment may go on, or end earlier.
_JOINED_LINES = re.compile(r"\\\s*\n|\?\?/|\r(?!\n)")
_LINKAGE = re.compile(r'\bextern\s*"C"')  # a literal whose white space cannot vary
# What tells a kernel its own lines and columns; `##` could put such a name together (`%:` and `??=` are # too).
_OWN_PLACE = r"__LINE__|__builtin_(?:LINE|COLUMN)|source_location|__PRETTY_FUNCTION__|##|%:|\?\?="
# In text without comments: literals, whose white space counts, and what is white space to Python but not to C.
_COUNTED_LAYOUT = re.compile(_OWN_PLACE + r"|^(?![ \t]*#[ \t]*include)[^\n]*\"|'|[^\S \t\n\r\f\v]", re.MULTILINE)


def kernel_identity(source: str, language: str | None = None) -> str:
    """What two sources share when they are one kernel: `kernel_digest`, or the digest of the very text (16 hex digits)
    where layout can change the meaning. Results of one may be taken for the other.

    language: the problem's (`Problem.language`), which decides how its kernels are read: a text can be both Python and
    C. None: not known; a text that looks like Python is then the same as itself only.
    """
    if language == PYTHON.name:
        return _python_digest(source)
    if language != C.name and language_of(source) is PYTHON:  # Triton beside CUDA
        return _text_digest(source) if language is None else _python_digest(source)
    bare = _without_comments(source)
    if _JOINED_LINES.search(source) or _COUNTED_LAYOUT.search(_LINKAGE.sub("extern", bare)):
        return _text_digest(source)
    return _text_digest(normalise_source(source))


def check_search_source(source: str, language: str) -> None:
    """`language`: the problem's, in which a search writes its kernels. Raises InvalidSourceError for a source that no
    search can go on from."""
    if language_of(source) is PYTHON and language != PYTHON.name:
        raise InvalidSourceError(
            f"a search of this problem writes {language}, this source is Python: Triton kernels are judged (evaluate, "
            "profile, simulate_kernel), not searched; start from a kernel in that language, or from the baseline"
        )


def check_source(source: str) -> None:
    """Refuse what no compiler should see. Raises InvalidSourceError."""
    if not source.strip():
        raise InvalidSourceError("the source is empty: pass the kernel's full text")
    try:
        size = len(source.encode())
    except UnicodeEncodeError as error:  # JSON can hold half of a UTF-16 pair, which is no character
        line = source.count("\n", 0, error.start) + 1
        found = ascii(source[error.start])
        raise InvalidSourceError(f"line {line} of the source holds {found}, which is no character") from error
    if size > MAX_SOURCE_BYTES:
        raise InvalidSourceError(f"the source has {size} bytes; at most {MAX_SOURCE_BYTES} are taken")
    if "\x00" in source:
        raise InvalidSourceError("the source contains a NUL byte")
