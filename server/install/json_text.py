"""Changes a JSON text in one place and leaves every other character as it is: comments, order, layout, line ends.

Editors keep their settings in JSON with comments and trailing commas, which a parser alone would destroy.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

_TOKEN = re.compile(
    r"""(?P<space>\s+) | (?P<comment>//[^\n\r]*|/\*.*?\*/) | (?P<mark>[{}\[\]:,])
      | (?P<string>"(?:[^"\\\n]|\\.)*") | (?P<word>[^\s{}\[\]:,"/]+)""",
    re.VERBOSE | re.DOTALL,
)
_STANDARD_INDENT = "  "


class JsonTextError(ValueError):
    """The text is not JSON, or not of the shape that was asked for."""


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


class _Node(NamedTuple):
    """A value and where it stands; `members` of an object, the last of equal keys."""

    start: int
    end: int
    value: Any
    members: dict[str, _Node] | None = None
    comma: bool = False  # after the last member


def parse(text: str) -> Any:
    """The value of a JSON text, which may have comments and trailing commas. Raises JsonTextError with the line."""
    return _root(text).value


def with_entry(text: str, section: str, name: str, entry: dict[str, Any]) -> str:
    """The text with `entry` as `name` in the root's object `section`, which is made where it is missing. An empty text
    becomes a whole document. Raises JsonTextError."""
    if not text.strip():
        return json.dumps({section: {name: entry}}, indent=_STANDARD_INDENT, ensure_ascii=False) + "\n"
    root = _root(text)
    if root.members is None:
        raise JsonTextError("the file holds no JSON object")
    found = root.members.get(section)
    if found is None:
        changed = _append(text, root, section, {name: entry})
    elif found.members is None:
        raise JsonTextError(f"{section!r} is not a JSON object")
    elif name in found.members:
        old = found.members[name]
        changed = text[: old.start] + _laid_out(text, found, entry) + text[old.end :]
    else:
        changed = _append(text, found, name, entry)
    expected = {**root.value, section: {**root.value.get(section, {}), name: entry}}
    if parse(changed) != expected:  # a slip here would cost somebody their settings
        raise JsonTextError("the file is laid out in a way that cannot be edited safely")
    return changed


def _append(text: str, parent: _Node, key: str, value: Any) -> str:
    """With a new last member on a line of its own."""
    newline = "\r\n" if "\r\n" in text else "\n"
    outer = _line_indent(text, parent.start)
    member = f"{outer}{_unit(text)}{json.dumps(key, ensure_ascii=False)}: {_laid_out(text, parent, value)}"
    closing = parent.end - 1
    body_end = len(text[:closing].rstrip())  # comments that follow the last member stay where they are
    body = text[:body_end]
    if parent.members and not parent.comma:
        last = max(node.end for node in parent.members.values())
        body = text[:last] + "," + text[last:body_end]
    return f"{body}{newline}{member}{newline}{outer}{text[closing:]}"


def _laid_out(text: str, parent: _Node, value: Any) -> str:
    """A value as a member of `parent` is written in this file."""
    unit = _unit(text)
    lines = json.dumps(value, indent=unit, ensure_ascii=False).splitlines()
    newline = "\r\n" if "\r\n" in text else "\n"
    return f"{newline}{_line_indent(text, parent.start)}{unit}".join(lines)


def _line_indent(text: str, position: int) -> str:
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return line[: len(line) - len(line.lstrip())]


def _unit(text: str) -> str:
    """One step of this file's indentation: that of its first indented member."""
    found = re.search(r'^([ \t]+)"', text, re.MULTILINE)
    return found[1] if found else _STANDARD_INDENT


def _root(text: str) -> _Node:
    tokens = _tokens(text)
    try:
        node, following = _value(text, tokens, 0)
    except RecursionError:
        raise JsonTextError("the file is nested too deeply") from None
    if following < len(tokens):
        raise _unexpected(text, tokens[following].start)
    return node


def _tokens(text: str) -> list[_Token]:
    found, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _unexpected(text, position)
        kind = match.lastgroup or ""
        if kind not in ("space", "comment"):
            found.append(_Token(kind, match[0], match.start(), match.end()))
        position = match.end()
    return found


def _unexpected(text: str, position: int) -> JsonTextError:
    what = repr(text[position : position + 20].split("\n")[0]) if position < len(text) else "the end"
    return JsonTextError(f"line {text.count(chr(10), 0, position) + 1} is not JSON: unexpected {what}")


def _value(text: str, tokens: list[_Token], index: int) -> tuple[_Node, int]:
    """The value that begins with that token, and the index of the token after it."""
    if index >= len(tokens):
        raise _unexpected(text, len(text))
    token = tokens[index]
    if token.text == "{":
        return _object(text, tokens, index)
    if token.text == "[":
        return _array(text, tokens, index)
    try:
        value = json.loads(token.text, parse_constant=_no_constant, strict=False)
    except ValueError:
        raise _unexpected(text, token.start) from None
    return _Node(token.start, token.end, value), index + 1


def _no_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity: json.loads knows them, JSON does not


def _object(text: str, tokens: list[_Token], index: int) -> tuple[_Node, int]:
    start, index = tokens[index].start, index + 1
    members: dict[str, _Node] = {}
    comma = False
    while True:
        token = _at(text, tokens, index)
        if token.text == "}":
            value = {key: node.value for key, node in members.items()}
            return _Node(start, token.end, value, members, comma), index + 1
        if (members and not comma) or token.kind != "string":
            raise _unexpected(text, token.start)
        if (colon := _at(text, tokens, index + 1)).text != ":":
            raise _unexpected(text, colon.start)
        node, index = _value(text, tokens, index + 2)
        members[json.loads(token.text, strict=False)] = node
        comma = index < len(tokens) and tokens[index].text == ","
        index += comma


def _array(text: str, tokens: list[_Token], index: int) -> tuple[_Node, int]:
    start, index = tokens[index].start, index + 1
    values: list[Any] = []
    comma = True
    while True:
        token = _at(text, tokens, index)
        if token.text == "]":
            return _Node(start, token.end, values), index + 1
        if not comma:
            raise _unexpected(text, token.start)
        node, index = _value(text, tokens, index)
        values.append(node.value)
        comma = index < len(tokens) and tokens[index].text == ","
        index += comma


def _at(text: str, tokens: list[_Token], index: int) -> _Token:
    if index >= len(tokens):
        raise _unexpected(text, len(text))
    return tokens[index]
