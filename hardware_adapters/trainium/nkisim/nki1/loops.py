"""nl.affine_range, whose loops the compiler may vectorise: small instructions of all iterations become one.

The reference says that it does so, not when. Taken here: innermost loops of instructions on the Vector and Scalar
engines only, without dependencies between iterations, whose widened tiles have at most VECTOR_ELEMENTS a partition.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from .. import costs
from ..errors import fail
from ..machine import Access, Box, Instruction, Machine, current
from ..tensor import Tensor

VECTOR_ELEMENTS = 512  # calibrated: docs/trainium.md, "The estimate"
_ONE_PASS = ("tensor_scalar", "tensor_copy", "activation", "reciprocal", "memset")


class AffineRange:
    """As range; at its end the loop's instructions are looked at."""

    __slots__ = ("_range",)

    def __init__(self, values: range) -> None:
        object.__setattr__(self, "_range", values)

    def __setattr__(self, name: str, value: object) -> None:
        fail("forbidden", "a range cannot be changed")

    def __len__(self) -> int:
        return len(self._range)

    def __getitem__(self, at: Any) -> Any:
        return self._range[at]

    def __iter__(self) -> Iterator[int]:
        machine = current("nki.language.affine_range")
        marks = [len(machine.log)]
        before, machine.loops = machine.loops, machine.loops + 1
        for value in self._range:
            yield value
            marks.append(len(machine.log))
        if machine.loops == before + 1:  # no other loop ran inside
            _vectorise(machine, marks)


def _vectorise(machine: Machine, marks: list[int]) -> None:
    body, trips = marks[1] - marks[0] if len(marks) > 1 else 0, len(marks) - 1
    if trips < 2 or not 0 < body <= 16 or marks[-1] - marks[0] != body * trips:
        return
    entries = machine.log[marks[0] :]
    rounds = [entries[at : at + body] for at in range(0, len(entries), body)]
    columns = [list(column) for column in zip(*rounds, strict=True)]
    if not all(_alike(column) for column in columns) or _depends(rounds):
        return
    if any(_elements(machine, column[0]) * trips > VECTOR_ELEMENTS for column in columns):
        return
    merged = [_merged(machine, column) for column in columns]
    for entry in entries:
        machine.work[entry.engine] -= entry.cycles
    for entry in merged:
        machine.work[entry.engine] += entry.cycles
    machine.log[marks[0] :] = merged


def _alike(column: list[Instruction]) -> bool:
    first = column[0]
    if first.name not in (*_ONE_PASS, "tensor_tensor", "tensor_reduce") or first.engine not in ("vector", "scalar"):
        return False
    return all(
        (e.name, e.engine, e.line, e.shape, e.dtype) == (first.name, first.engine, first.line, first.shape, first.dtype)
        for e in column
    )


def _depends(rounds: list[list[Instruction]]) -> bool:
    """Whether an iteration touches what another one writes."""
    written: dict[int, list[tuple[Box, int]]] = defaultdict(list)
    touched: dict[int, set[int]] = defaultdict(set)
    read: set[tuple[int, int]] = set()
    for number, entries in enumerate(rounds):
        for entry in entries:
            for access in entry.reads:
                touched[access.storage].add(number)
                read.add((access.storage, number))
            for access in entry.writes:
                touched[access.storage].add(number)
                written[access.storage].append((access.box, number))
    for storage, boxes in written.items():
        if len(touched[storage]) == 1:
            continue
        if any((storage, number) in read for number in touched[storage]):
            return True
        starts = sorted(boxes)
        for (one, _), (other, _) in itertools.pairwise(starts):
            if all(low < high2 and low2 < high for (low, high), (low2, high2) in zip(one, other, strict=True)):
                return True
    return False


def _elements(machine: Machine, entry: Instruction) -> int:
    """Elements per partition that an instruction goes through."""
    if entry.name != "tensor_reduce":
        return entry.shape[1]
    size = 1
    for low, high in entry.reads[0].box[1:]:
        size *= high - low
    return size


def _merged(machine: Machine, column: list[Instruction]) -> Instruction:
    first = column[0]
    n = _elements(machine, first) * len(column)
    if first.name == "tensor_tensor":
        spaces = [machine.allocations[access.storage].space for access in first.reads]
        cycles = costs.two_operands(n, spaces.count("psum") == 1)
    elif first.name == "tensor_reduce":
        cycles = costs.reduction(n, False)
    else:
        cycles = costs.elementwise(n)
    return first._replace(
        cycles=cycles,
        reads=_joined([access for entry in column for access in entry.reads]),
        writes=_joined([access for entry in column for access in entry.writes]),
        shape=(first.shape[0], first.shape[1] * len(column)),
    )


def _joined(accesses: list[Access]) -> tuple[Access, ...]:
    boxes: dict[int, Box] = {}
    for storage, box, _ in accesses:
        known = boxes.get(storage, box)
        boxes[storage] = tuple((min(a, c), max(b, d)) for (a, b), (c, d) in zip(known, box, strict=True))
    return tuple(Access(storage, box) for storage, box in boxes.items())


def affine_range(*bounds: Any, **hints: Any) -> AffineRange:
    """A range of iterations that do not depend on one another, sums apart."""
    return AffineRange(plain_range(*bounds))


def plain_range(*bounds: Any, **hints: Any) -> range:
    """sequential_range, static_range: iterations in their order."""
    if not 1 <= len(bounds) <= 3 or any(isinstance(n, (bool, Tensor)) or not isinstance(n, int) for n in bounds):
        fail("wrong_argument", f"nki.language ranges take integers, got {bounds}")
    return range(*bounds)
