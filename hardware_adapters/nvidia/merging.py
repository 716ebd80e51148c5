"""Loads of shared memory that the compiler makes one, as PTX shows: those that are one there, or can be.

Neighbouring floats that a thread loads in one stretch of straight code become one load of 8 or 16 bytes if their
address is a multiple of that, whether or not the source says float4. Where the array is declared aligned, PTX has it;
else ptxas does it, after PTX, which is read for where it can be done. Seen in the machine code of the kernels of
`tests/benchmarks/nvidia_ladder` (nvcc 13.0).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

WIDEST = 16
_ENTRY = re.compile(r"^\s*(?:\.visible\s+)?\.(?:entry|func)\s.*?([A-Za-z_$][\w$]*)\s*\(")
_LINE = re.compile(r"^\s*\.loc\s+\d+\s+(\d+)")
_LOAD = re.compile(r"^ld\.shared(?:\.v([24]))?\.[fubs]32\s+(?:%\w+|\{[^}]*\}), \[([%\w$]+)(?:\+(-?\d+))?\]")
_ENDS = re.compile(r"^(?:\$?\w+:|@?\S*\s*bra|bar|barrier|st\.shared|atom|red|ret|call|membar|fence)")
_ASSIGNMENT = re.compile(r"^([a-z]+(?:\.\w+)*)\s+(%\w+), (.*);$")

Found = tuple[str, int, int]  # base register, offset in bytes, source line
Definitions = dict[str, list[tuple[str, list[str]]]]


def merged_loads(ptx: str) -> dict[str, dict[int, float]]:
    """By mangled name and line of the source: loads after merging / floats that they load, where that is below 1."""
    return {name: shares for name, body in _functions(ptx) if (shares := _shares(body))}


def _functions(ptx: str) -> Iterable[tuple[str, list[str]]]:
    name, body = "", []
    for line in ptx.splitlines():
        if (entry := _ENTRY.match(line)) is not None:
            if body:
                yield name, body
            name, body = entry[1], []
        body.append(line.strip())
    yield name, body


def _shares(body: list[str]) -> dict[int, float]:
    definitions: Definitions = {}
    for line in body:
        if (made := _ASSIGNMENT.match(line)) is not None:
            definitions.setdefault(made[2], []).append((made[1], made[3].split(", ")))
    alignments: dict[str, int] = {}
    before: dict[int, float] = {}
    after: dict[int, float] = {}
    stretch: list[Found] = []
    at = 0
    for line in [*body, "ret;"]:
        if (place := _LINE.match(line)) is not None:
            at = int(place[1])
        elif (load := _LOAD.match(line)) is not None:
            if load[1] is not None:
                before[at] = before.get(at, 0) + int(load[1])
                after[at] = after.get(at, 0) + 1
            else:
                stretch.append((load[2], int(load[3] or 0), at))
        elif stretch and _ENDS.match(line):
            for base, offset, of_line in stretch:
                before[of_line] = before.get(of_line, 0) + 1
                width = _width(base, offset, stretch, _alignment(base, definitions, alignments))
                after[of_line] = after.get(of_line, 0) + 4 / width
            stretch = []
    return {line: after[line] / before[line] for line in before if after[line] < before[line]}


def _width(base: str, offset: int, stretch: list[Found], alignment: int) -> int:
    """Bytes of the load that this one becomes part of."""
    offsets = {o for b, o, _ in stretch if b == base}
    for width in (WIDEST, WIDEST // 2):
        first = offset // width * width
        if alignment % width == 0 and offsets.issuperset(range(first, first + width, 4)):
            return width
    return 4


def _alignment(name: str, definitions: Definitions, known: dict[str, int]) -> int:
    """A power of two, WIDEST at most, that the value is a multiple of. Arrays of shared memory begin at WIDEST."""
    if re.fullmatch(r"-?\d+", name):
        return _power(int(name))
    if not name.startswith("%"):
        return WIDEST
    if name not in known:
        known[name] = WIDEST  # of a loop's variable, by way of itself
        known[name] = min((_result(*made, definitions, known) for made in definitions.get(name, [])), default=1)
    return known[name]


def _result(operation: str, operands: list[str], definitions: Definitions, known: dict[str, int]) -> int:
    kind = operation.partition(".")[0]

    def of(index: int) -> int:
        return _alignment(operands[index], definitions, known)

    if kind in ("mov", "cvt", "cvta"):
        return of(0)
    if kind in ("add", "sub", "or", "xor", "selp", "min", "max"):
        return min(of(0), of(1))
    if kind == "and":
        return max(of(0), of(1))
    if kind == "shl" and operands[1].isdecimal():
        return min(WIDEST, of(0) << int(operands[1]))
    if kind == "mul" and ".hi" not in operation:
        return min(WIDEST, of(0) * of(1))
    if kind == "mad" and ".hi" not in operation:
        return min(WIDEST, of(0) * of(1), of(2))
    return 1


def _power(value: int) -> int:
    return min(WIDEST, value & -value) if value else WIDEST
