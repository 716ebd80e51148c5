"""Loops that claim that their iterations are independent, and what breaks the claim.

The NKI reference says of affine_range: no iteration may depend on another, associative reductions apart. Found here,
from the log: an iteration that reads what another one wrote; two that write the same part of an HBM tensor; and what
several of them wrote on chip, one over the other, when it is read after the loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .errors import KernelFault, kernel_line
from .hazards import Boxes, covers, overlaps
from .machine import Access, Box, Instruction, Machine, current

MOST_LOOPS = 1 << 20  # paths that are told apart; beyond it a run is not looked at


class AffineRange:
    """A range that tells the machine which of its iterations runs."""

    __slots__ = ("_range",)

    def __init__(self, numbers: range) -> None:
        self._range = numbers

    def __len__(self) -> int:
        return len(self._range)

    def __getitem__(self, at: int) -> int:
        return self._range[at]

    def __iter__(self) -> Iterator[int]:
        machine = current("nki.language.affine_range")
        outer = machine.paths[machine.path]
        outer_number = machine.path
        loop = len(machine.path_lines)
        machine.path_lines.append(kernel_line())
        for number in self._range:
            if len(machine.paths) < MOST_LOOPS:
                machine.paths.append((*outer, (loop, number)))
                machine.path = len(machine.paths) - 1
            yield number
        machine.path = outer_number


class _Crossing(NamedTuple):
    """Two iterations of an affine loop, the earlier one first."""

    loop: int
    first: int
    second: int


class _Write(NamedTuple):
    """What lies in a part of a memory. `contested`: iterations that wrote it over each other, on chip, where nothing
    says which comes last; None when one writer is known, as it is for whoever reads within one of these iterations."""

    box: Box
    exact: bool
    number: int
    contested: _Crossing | None


def check_loops(machine: Machine) -> None:
    """Raises KernelFault for the first instruction by which iterations of an affine_range depend on each other."""
    if len(machine.paths) < 2 or len(machine.paths) >= MOST_LOOPS:
        return
    writes: dict[int, Boxes[_Write]] = {
        storage: Boxes(machine.extents[storage], not machine.allocations[storage].space.endswith("hbm"))
        for storage in _written_in_loops(machine)
    }
    for number, instruction in enumerate(machine.log):
        for access in instruction.reads:
            if access.storage in writes:
                _read(machine, number, instruction, access, writes[access.storage])
        for access in instruction.writes:
            if access.storage in writes:
                _wrote(machine, number, instruction, access, writes[access.storage])


def _written_in_loops(machine: Machine) -> set[int]:
    """Memories that are written by more than one iteration of some affine loop."""
    paths: dict[int, int] = {}
    found: set[int] = set()
    for instruction in machine.log:
        for access in instruction.writes:
            if paths.setdefault(access.storage, instruction.loops) != instruction.loops:
                found.add(access.storage)
    return found


def _between(machine: Machine, earlier: int, later: int) -> _Crossing | None:
    """Iterations of one affine loop through which two paths run, where they are different ones."""
    if earlier == later:
        return None
    for (loop, a), (loop2, b) in zip(machine.paths[earlier], machine.paths[later], strict=False):
        if loop != loop2:
            return None
        if a != b:
            return _Crossing(loop, a, b)
    return None


def _read(machine: Machine, number: int, instruction: Instruction, access: Access, writes: Boxes[_Write]) -> None:
    """Raises KernelFault where iterations read each other's results, or where what is read is contested."""
    if not access.exact:
        return
    for write in _seen(access, writes):
        if not write.exact:
            continue
        writer = machine.log[write.number]
        crossing = _between(machine, writer.loops, instruction.loops)
        if crossing is not None and not _reduction(machine, number, access):
            raise _fault(machine, instruction, access, crossing, writer.line, "reads what")
        if crossing is None and write.contested is not None and _outside(machine, instruction, write.contested.loop):
            raise _fault(machine, instruction, access, write.contested, writer.line, "reads after the loop what")


def _seen(access: Access, writes: Boxes[_Write]) -> Iterator[_Write]:
    """The writes of which something is left where the access is, the latest first."""
    left: np.ndarray | None = None
    for write in sorted(set(writes.touching(access.box)), key=lambda each: -each.number):
        if left is None or left[_inside(write.box, access.box)].any():
            yield write
        if covers(write.box, access.box):
            return
        if left is None:
            left = np.ones([high - low for low, high in access.box], np.bool_)
        left[_inside(write.box, access.box)] = False
        if not left.any():
            return


def _inside(box: Box, frame: Box) -> tuple[slice, ...]:
    """The part of `frame` that is also in `box`, in the frame's coordinates."""
    return tuple(slice(max(a, c) - c, min(b, d) - c) for (a, b), (c, d) in zip(box, frame, strict=True))


def _outside(machine: Machine, instruction: Instruction, loop: int) -> bool:
    return all(each != loop for each, _ in machine.paths[instruction.loops])


def _wrote(machine: Machine, number: int, instruction: Instruction, access: Access, writes: Boxes[_Write]) -> None:
    """Raises KernelFault where iterations write the same part of HBM; on chip it is contested from then on."""
    contested = None
    if access.exact and instruction.reduces in ("", "copy"):
        for write in {*writes.touching(access.box)}:
            writer = machine.log[write.number]
            crossing = _between(machine, writer.loops, instruction.loops) if write.exact else None
            if crossing is None:
                contested = contested or _still_contested(machine, instruction, access, write)
            elif not _reduces_into(machine, number, access):
                if machine.allocations[access.storage].space.endswith("hbm"):
                    raise _fault(machine, instruction, access, crossing, writer.line, "writes over what")
                contested = crossing
    if access.exact:
        writes.drop_covered(access.box)
    writes.keep(access.box, _Write(access.box, access.exact, number, contested))


def _still_contested(machine: Machine, instruction: Instruction, access: Access, write: _Write) -> _Crossing | None:
    """Of a write over another one: an iteration that writes twice decides nothing; what follows the loop does."""
    if write.contested is None or not covers(access.box, write.box):
        return None
    return None if _outside(machine, instruction, write.contested.loop) else write.contested


def _reduction(machine: Machine, number: int, access: Access) -> bool:
    """Whether what is read goes, by copies and one associative operator, back to where it was, and nowhere else."""
    here = machine.log[number].loops
    operator = ""
    held = [access]
    chain: list[int] = []
    for at in range(number, len(machine.log)):
        instruction = machine.log[at]
        if not _within(machine, instruction.loops, here):
            return False
        if not any(_touches(read, each) for read in instruction.reads for each in held):
            continue
        kind = instruction.reduces
        if not kind or (kind != "copy" and operator not in ("", kind)):
            return False
        operator = operator if kind == "copy" else kind
        chain.append(at)
        if any(_touches(write, access) for write in instruction.writes):
            return bool(operator) and not _escapes(machine, chain, held[1:])
        held.extend(instruction.writes)
    return False


def _escapes(machine: Machine, chain: list[int], partial: list[Access]) -> bool:
    """Whether a partial result is also read by an instruction that is not of the chain, before it is overwritten."""
    open_ones = list(partial)
    for at in range(chain[0] + 1, len(machine.log)):
        if not open_ones:
            return False
        instruction = machine.log[at]
        if at not in chain:
            if any(_touches(read, each) for read in instruction.reads for each in open_ones):
                return True
            open_ones = [
                each
                for each in open_ones
                if not any(w.storage == each.storage and covers(w.box, each.box) for w in instruction.writes)
            ]
        if at > machine.last_touch(open_ones):
            return False
    return False


def _within(machine: Machine, path: int, frame: int) -> bool:
    outer = machine.paths[frame]
    return machine.paths[path][: len(outer)] == outer


def _touches(a: Access, b: Access) -> bool:
    return a.storage == b.storage and overlaps(a.box, b.box)


def _reduces_into(machine: Machine, number: int, access: Access) -> bool:
    """Whether a copy writes back a value that was read from the same place in the same iteration."""
    here = machine.log[number].loops
    for earlier in range(number - 1, -1, -1):
        instruction = machine.log[earlier]
        if not _within(machine, instruction.loops, here):
            return False
        if any(_touches(read, access) for read in instruction.reads):
            return _reduction(machine, earlier, access)
    return False


def _fault(
    machine: Machine,
    instruction: Instruction,
    access: Access,
    crossing: _Crossing,
    line: int | None,
    does: str,
) -> KernelFault:
    loop, first, second = crossing
    allocation = machine.allocations[access.storage]
    name = allocation.name if allocation.line is None else f"{allocation.name} (line {allocation.line})"
    where = "[" + ", ".join(f"{low}:{high}" for low, high in access.box) + "]"
    if does.startswith("reads after"):
        who = f"{name}{where} is read after the loop, and iterations {first} and {second}"
        text = (
            f"{who} of the affine_range in line {machine.path_lines[loop]} both write it: which comes last is not said"
        )
    else:
        text = (
            f"iteration {second} of the affine_range in line {machine.path_lines[loop]} {does} iteration {first} wrote "
            f"to {name}{where} in line {line}: affine_range says that iterations do not depend on one another; "
            "use sequential_range"
        )
    return KernelFault("loop_race", text, instruction.line)
