"""The words of a CUDA source, with their places: enough of C++ to rewrite some of them and leave the others alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Unsupported(Exception):
    """The source uses what the emulator does not know, or what no candidate may use. Nothing of it is approximated."""

    def __init__(self, kind: str, message: str, line: int) -> None:
        super().__init__(f"line {line}: {message}")
        self.kind = kind
        self.message = message
        self.line = line


class Token(NamedTuple):
    """`kind`: name, number, string or mark. `directive` is the line where its preprocessor directive begins, or 0."""

    kind: str
    text: str
    start: int
    end: int
    line: int
    directive: int = 0


_RAW = re.compile(r'(?:u8|u|U|L)?R"([^()\\\s]{0,16})\(')
_WORD = re.compile(
    r"""(?P<string>(?:u8|u|U|L)?"(?:\\(?:.|\n)|[^"\\\n])*"|(?:u8|u|U|L)?'(?:\\(?:.|\n)|[^'\\\n])+')
      |(?P<name>[A-Za-z_$][A-Za-z0-9_$]*)
      |(?P<number>\.?[0-9](?:[eEpP][+-]|'?[A-Za-z0-9_.])*)
      |(?P<mark><<<|<<=|>>=|->\*|\.\.\.|::|->|\+\+|--|<<|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|\#\#|[^\sA-Za-z0-9_$"'])""",
    re.VERBOSE,
)


def tokens_of(source: str) -> list[Token]:
    """Raises Unsupported for text that is no C++, or that hides words: digraphs, lines continued in plain code."""
    return list(_scan(source))


def _scan(source: str) -> Iterator[Token]:
    at, line, directive, fresh, length = 0, 1, 0, True, len(source)
    while at < length:
        char = source[at]
        if char == "\n":
            at, line, directive, fresh = at + 1, line + 1, 0, True
        elif char in " \t\r\f\v":
            at += 1
        elif char == "\\" and source[at + 1 : at + 2] == "\n":
            if not directive:
                raise Unsupported(
                    "source", "a line is continued with a backslash outside of a preprocessor directive", line
                )
            at, line = at + 2, line + 1
        elif source.startswith("//", at):
            end = source.find("\n", at)
            end = length if end < 0 else end
            if source[at:end].endswith("\\"):
                raise Unsupported("source", "a comment is continued with a backslash", line)
            at = end
        elif source.startswith("/*", at):
            end = source.find("*/", at + 2)
            if end < 0:
                raise Unsupported("source", "a comment does not end", line)
            line += source.count("\n", at, end)
            at = end + 2
        elif raw := _RAW.match(source, at):
            closing = source.find(f'){raw[1]}"', raw.end())
            if closing < 0:
                raise Unsupported("source", "a raw string does not end", line)
            end = closing + len(raw[1]) + 2
            yield Token("string", source[at:end], at, end, line, directive)
            line += source.count("\n", at, end)
            at, fresh = end, False
        else:
            word = _WORD.match(source, at)
            if word is None:
                raise Unsupported("source", f"{char!r} does not belong here: a string that does not end?", line)
            if word[0] == "#" and fresh:
                directive = line
            if word[0] == "%" and source.startswith("%:", at):
                raise Unsupported("source", "the digraph %:", line)
            assert word.lastgroup is not None
            yield Token(word.lastgroup, word[0], at, word.end(), line, directive)
            line += word[0].count("\n")
            at, fresh = word.end(), False


def streams(tokens: Sequence[Token]) -> list[list[Token]]:
    """The program's tokens without directives; then, of each #define, the tokens of its body."""
    program: list[Token] = []
    bodies: dict[int, list[Token]] = {}
    for token in tokens:
        (bodies.setdefault(token.directive, []) if token.directive else program).append(token)
    found = [program]
    for body in bodies.values():
        if len(body) > 3 and body[1].text == "define":
            first = 3
            if body[3].text == "(" and body[3].start == body[2].end:
                while first < len(body) and body[first].text != ")":
                    first += 1
                first += 1
            found.append(body[first:])
    return found


PAIRS = {"(": ")", "[": "]", "{": "}"}


def closing(tokens: Sequence[Token], at: int) -> int:
    """Index of what closes the bracket at `at`. Raises Unsupported where nothing does."""
    depth = 0
    for index in range(at, len(tokens)):
        if tokens[index].text in PAIRS:
            depth += 1
        elif tokens[index].text in (")", "]", "}"):
            depth -= 1
            if depth == 0:
                return index
    raise Unsupported("source", f"nothing closes this {tokens[at].text!r}", tokens[at].line)


def split(tokens: Sequence[Token], mark: str = ",") -> list[list[Token]]:
    """Parts between marks outside of any bracket, those of templates included."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for index, token in enumerate(tokens):
        if token.text in PAIRS or (token.text == "<" and index and tokens[index - 1].kind == "name"):
            depth += 1
        elif token.text in (")", "]", "}") or (token.text == ">" and depth):
            depth -= 1
        if token.text == mark and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts
