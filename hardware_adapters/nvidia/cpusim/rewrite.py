"""Turns a .cu into C++ with the same lines: launches become calls, shared variables places in the block's memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .screen import screen
from .tokens import Token, Unsupported, closing, split, streams, tokens_of

__all__ = ["Translated", "Unsupported", "rewrite"]

FILE = "kernel.cu"


class Translated(NamedTuple):
    """C++ text for `build`, and the names of the __global__ functions, in order."""

    text: str
    kernels: tuple[str, ...]


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


def rewrite(source: str) -> Translated:
    """Raises Unsupported, which names the feature and its line."""
    source = source.replace("\r\n", "\n").encode("utf-8", "replace").decode()
    tokens = tokens_of(source)
    screen(tokens)
    edits: list[_Edit] = []
    for number, stream in enumerate(streams(tokens)):
        edits += _launches(source, stream)
        edits += _attributes(source, stream)
        edits += _shared(source, stream, in_macro=number > 0)
    return Translated(f'#line 1 "{FILE}"\n{_apply(source, edits)}\n', _kernels(tokens))


def _apply(source: str, edits: list[_Edit]) -> str:
    parts, at = [], 0
    for edit in sorted(edits):
        if edit.start < at:
            line = source.count("\n", 0, edit.start) + 1
            raise Unsupported("source", "a launch or a shared variable inside another one's text", line)
        parts += [source[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, source[at:]])


def _kernels(tokens: Sequence[Token]) -> tuple[str, ...]:
    """The name before the parameters of each __global__ function."""
    found = []
    for index, token in enumerate(tokens):
        if token.text != "__global__":
            continue
        at = index + 1
        while at + 1 < len(tokens):
            if (
                tokens[at].text in ("__launch_bounds__", "__attribute__", "__cluster_dims__", "__maxnreg__")
                and tokens[at + 1].text == "("
            ):
                at = closing(tokens, at + 1)
            elif tokens[at].kind == "name" and tokens[at + 1].text == "(":
                found.append(tokens[at].text)
                break
            elif tokens[at].text in (";", "{", "__global__"):
                break
            at += 1
    return tuple(dict.fromkeys(found))


def _text(tokens: Sequence[Token]) -> str:
    """On one line, with a space only between words."""
    out = ""
    for token in tokens:
        gap = " " if out and (out[-1].isalnum() or out[-1] == "_") and token.kind in ("name", "number") else ""
        out += gap + token.text
    return out


def _newlines(source: str, start: int, end: int) -> str:
    """The line ends of a span that is replaced; inside of a macro they are continuations."""
    return "".join("\\\n" if source[at - 1] == "\\" else "\n" for at in range(start, end) if source[at] == "\n")


def _literal(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _name_before(stream: Sequence[Token], at: int) -> int:
    """Index where the kernel's name begins whose last token is before `at`."""
    line, index = stream[at].line, at - 1
    if index >= 0 and stream[index].text == ">":
        depth = 0
        while index >= 0:
            depth += {">": 1, "<": -1}.get(stream[index].text, 0)
            if depth == 0:
                break
            if stream[index].text in (
                ";",
                "{",
                "<<<",
            ):  # without the last, each launch would walk back over all before it
                break
            index -= 1
        index -= 1
    if index < 0 or stream[index].kind != "name":
        raise Unsupported("launch", "a launch of something that is not a kernel's name", line)
    while index >= 1 and stream[index - 1].text == "::":
        index -= 1
        if index >= 1 and stream[index - 1].kind == "name" and stream[index - 1].text not in ("return", "else", "do"):
            index -= 1
    return index


def _launches(source: str, stream: Sequence[Token]) -> list[_Edit]:
    edits = []
    for at, token in enumerate(stream):
        if token.text != "<<<":
            continue
        first, depth, end = _name_before(stream, at), 0, at + 1
        while end + 3 < len(stream):
            text = stream[end].text
            if text == "<<<":
                raise Unsupported("launch", "a launch inside another one's configuration", stream[end].line)
            depth += (text in ("(", "[", "{")) - (text in (")", "]", "}"))
            three = stream[end : end + 3]
            if (
                depth == 0
                and [t.text for t in three] == [">"] * 3
                and three[2].start - three[0].start == 2
                and stream[end + 3].text == "("
            ):
                break
            end += 1
        else:
            raise Unsupported("launch", "a launch whose >>> with arguments after it was not found", token.line)
        name = _text(stream[first:at])
        start = stream[first].start
        head = f"::cpusim::launch({_literal(name)}, __LINE__, ::cpusim::Configuration("
        tail = f"), [=](auto... cpusim_arguments) {{ {name}(cpusim_arguments...); }})"
        edits.append(_Edit(start, token.end, head + _newlines(source, start, token.end)))
        edits.append(_Edit(stream[end].start, stream[end + 2].end, tail))
    return edits


def _attributes(source: str, stream: Sequence[Token]) -> list[_Edit]:
    """cudaFuncSetAttribute(kernel, ...): the kernel by its name, as launches have it."""
    edits = []
    for at, token in enumerate(stream):
        if token.text != "cudaFuncSetAttribute" or at + 1 >= len(stream) or stream[at + 1].text != "(":
            continue
        end = closing(stream, at + 1)
        parts = split(stream[at + 2 : end])
        if len(parts) != 3:
            raise Unsupported("cuda_api", "cudaFuncSetAttribute takes a kernel, an attribute and a value", token.line)
        kernel, first = parts[0], 0
        while first < len(kernel) and kernel[first].text in ("(", "&"):
            first = first + 1 if kernel[first].text == "&" else closing(kernel, first) + 1
        stop = parts[1][0].start if parts[1] else stream[end].start
        text = f"::cpusim::set_attribute({_literal(_text(kernel[first:]))}, __LINE__, "
        edits.append(_Edit(token.start, stop, text + _newlines(source, token.start, stop)))
    return edits


_BLOCKS_OF_CODE = {")", "else", "do", "try", "const", "noexcept", "override", "mutable", ";", "{", "}", ":"}


def _shared(source: str, stream: Sequence[Token], *, in_macro: bool) -> list[_Edit]:
    edits: list[_Edit] = []
    scopes: list[bool] = []  # of each open brace: whether it holds statements
    beginning, at = 0, 0
    while at < len(stream):
        token = stream[at]
        if token.text == "{":
            before = stream[at - 1].text if at else ";"
            inside = bool(scopes) and scopes[-1]
            scopes.append(before in _BLOCKS_OF_CODE if inside else before in _BLOCKS_OF_CODE - {";", "{", "}", ":"})
            beginning = at + 1
        elif token.text == "}":
            if scopes:
                scopes.pop()
            beginning = at + 1
        elif token.text == ";":
            beginning = at + 1
        elif token.text == "__shared__":
            outside = not in_macro and not (scopes and scopes[-1])
            dynamic = any(word.text == "extern" for word in stream[beginning : at + 2])
            if outside and not dynamic:
                raise Unsupported(
                    "shared", "a shared variable outside of a function: declare it inside the kernel", token.line
                )
            end = at
            while end < len(stream) and stream[end].text != ";":
                end = closing(stream, end) + 1 if stream[end].text in ("(", "[", "{") else end + 1
            if end >= len(stream):
                raise Unsupported(
                    "shared", "a __shared__ whose declaration does not end in the same text (a macro?)", token.line
                )
            edits.append(_declaration(source, stream[beginning : end + 1], outside=outside))
            at = end
            beginning = end + 1
        at += 1
    return edits


def _declaration(source: str, tokens: Sequence[Token], *, outside: bool) -> _Edit:
    line = tokens[0].line
    dynamic = any(token.text == "extern" for token in tokens)
    words, aligned, at = [], "", 0
    while at < len(tokens) - 1:
        token = tokens[at]
        if token.text in ("__align__", "alignas") and tokens[at + 1].text == "(":
            end = closing(tokens, at + 1)
            aligned += f"alignas{_text(tokens[at + 1 : end + 1])} "
            at = end
        elif token.text not in ("__shared__", "static", "extern"):
            words.append(token)
        at += 1
    parts = split(words)
    name = _name_of(parts[0], line)
    base = parts[0][:name]
    while base and base[-1].text in ("*", "&"):
        base = base[:-1]
    parts[0] = parts[0][len(base) :]
    kind = _text(base)
    if outside:  # no place is known yet: an object that becomes the pointer when it is used
        text = "".join(
            f"static const ::cpusim::Dynamic<{kind}> {part[_name_of(part, line)].text}{{}};" for part in parts
        )
    else:
        text = "".join(_variable(part, aligned, kind, dynamic, line) for part in parts)
    start, stop = tokens[0].start, tokens[-1].end
    return _Edit(start, stop, text + _newlines(source, start, stop))


def _name_of(words: Sequence[Token], line: int) -> int:
    """Index of the declared name: the last one before any bracket or the end."""
    last, at = -1, 0
    while at < len(words):
        text = words[at].text
        if text == "[" and last >= 0:
            break
        if text == "=":
            raise Unsupported("shared", "a shared variable with an initial value", line)
        if text in ("(", "[", "{"):
            at = closing(words, at)
        elif words[at].kind == "name":
            last = at
            if at + 1 < len(words) and words[at + 1].text == "<":
                depth = 0
                while at + 1 < len(words):
                    at += 1
                    depth += {"<": 1, ">": -1}.get(words[at].text, 0)
                    if depth == 0:
                        break
        at += 1
    if last < 0:
        raise Unsupported("shared", "a shared variable whose name was not found", line)
    return last


def _variable(part: Sequence[Token], aligned: str, base: str, dynamic: bool, line: int) -> str:
    name = part[_name_of(part, line)].text
    if dynamic:
        return f"{base}* {name} = static_cast<{base}*>(::cpusim_dynamic());"
    kind, marker = f"cpusim_shared_{name}", f"cpusim_marker_{name}"
    member = f"struct {kind} {{ {aligned}{base} {_text(part)}; }}; static const char {marker} = 0; "
    found = f"::cpusim::shared<{kind}, decltype({kind}::{name})>({marker}, {_literal(name)}, __LINE__)"
    return f"{member}auto& {name} = {found}.{name}; "
