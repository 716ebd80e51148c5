"""What a kernel's text may not contain: anything that makes the compiler read other files of this machine.

Kernels run inside an emulated machine, but they are compiled on the host. What the preprocessor or the assembler
reads would end up in the kernel's memory or in a diagnostic, so both languages are screened: C before the compiler
sees it, assembly (where the strings of `asm` statements have become instructions) before the assembler does.
"""

from __future__ import annotations

import re

ALLOWED_HEADERS = (
    "gemmini_api.h",
    "stdint.h",
    "stddef.h",
    "stdbool.h",
    "limits.h",
    "float.h",
    "string.h",
)
_SPLICE = re.compile(r"\\[ \t\f\v]*\n")
# Literals are matched first, so that a comment sign inside one does not open a comment, nor the other way round.
_SKIPPED = re.compile(
    r"(?P<raw>\b(?:u8|[uUL])?R\")|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|(?P<unclosed>[\"'][^\n]*)"
    r"|//[^\n]*|/\*.*?(?:\*/|\Z)",
    re.DOTALL,
)
_DIRECTIVE = re.compile(r"^[ \t\f\v]*(?:#|%:|\?\?=)[ \t\f\v]*(\w*)(.*)$", re.MULTILINE)
_INCLUDE = re.compile(r"[ \t]*(?:\"([^\"]*)\"|<([^>]*)>)[ \t]*")
_READING_DIRECTIVES = ("include_next", "import", "embed", "include_alias", "ident", "sccs", "assert", "unassert")
_READING_WORDS = re.compile(r"\b(__has_include(?:_next)?|__has_embed|__include_level__|_Pragma)\b")
# Only macros could put the name of a directive together at assembly time, so they are refused with the readers.
_READING_ASSEMBLY = re.compile(r"\.(incbin|include|macro|irpc?|rept?|altmacro|deplibs|linker_option)\b", re.I)
# Only on such a line can a directive's name be no directive: elsewhere a quote may be one in a character, in a comment,
# or the end of a text that began lines before.
_TEXT_LINE = re.compile(r"\s*\.(?:ascii|asciz|string)\s+\"(?:\\.|[^\"\\])*\"\s*")


def refused_source(source: str) -> str | None:
    """Why this C text is not compiled, or None."""
    joined = _SPLICE.sub("", source.replace("\r\n", "\n"))
    if (refused := _ambiguous(joined)) is not None:
        return refused
    text = _SKIPPED.sub(_blank, joined)
    for match in _DIRECTIVE.finditer(text):
        name, rest = match[1], match[2]
        if name == "include":
            if (refused := _refused_include(rest)) is not None:
                return refused
        elif name in _READING_DIRECTIVES:
            return f"#{name} is not allowed in a kernel"
        elif name == "pragma" and re.match(
            r"[ \t]*(GCC[ \t]+(dependency|pch_preprocess|system_header)|comment)\b", rest
        ):
            return f"#pragma{rest[:40]} is not allowed in a kernel"
    if found := _READING_WORDS.search(text):
        return f"{found[1]} is not allowed in a kernel"
    return None


def _ambiguous(source: str) -> str | None:
    """Why it is not certain where literals and comments end in this text, or None."""
    if "\r" in source:
        return "a carriage return without a line feed is not allowed in a kernel"
    for match in _SKIPPED.finditer(source):
        if match["raw"]:
            return "raw strings are not allowed in a kernel"
        # Compilers end such a literal with its line, so what looks like a comment in it is none.
        if (unclosed := match["unclosed"]) and ("/*" in unclosed or "*/" in unclosed):
            return f"{unclosed[:40]}: a quote without a second one before a comment is not allowed in a kernel"
    return None


def _blank(match: re.Match[str]) -> str:
    """Comments become a space (with their line breaks); literals stay, an #include needs them."""
    text = match[0]
    return text if text[0] in "\"'" else " " + "\n" * text.count("\n")


def _refused_include(rest: str) -> str | None:
    wanted = _INCLUDE.fullmatch(rest)
    if wanted is None:
        return f"#include{rest[:80]}: name the header literally; allowed are {', '.join(ALLOWED_HEADERS)}"
    name = wanted[1] or wanted[2] or ""
    if name not in ALLOWED_HEADERS:
        return f"#include of {name[:80]!r} is not allowed; a kernel may include {', '.join(ALLOWED_HEADERS)}"
    return None


def refused_assembly(assembly: str) -> str | None:
    """Why this compiler output is not assembled, or None."""
    seen = 0  # up to where lines have been looked at: the words of one long text are many on one line
    for match in _READING_ASSEMBLY.finditer(assembly):
        if match.start() < seen:
            continue
        seen = _line_end(assembly, match.end())
        line = assembly[assembly.rfind("\n", 0, match.start()) + 1 : seen]
        if _TEXT_LINE.fullmatch(line) is None:
            return f"the assembler directive .{match[1].lower()} is not allowed in a kernel"
    return None


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end
