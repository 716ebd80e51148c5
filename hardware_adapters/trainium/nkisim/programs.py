"""Programs of a launch grid: the HBM that they share, and what goes wrong when they touch the same part of it."""

from __future__ import annotations

import numpy as np

from .dtypes import DType, uninitialised
from .errors import KernelFault, fail
from .machine import Box, Machine
from .tensor import Memory


class SharedMemory:
    """Tensors in shared_hbm. Programs mean the same tensor by the same name, or allocate it at the same point."""

    def __init__(self, programs: int) -> None:
        self.programs = programs
        self._tensors: list[Memory] = []
        self._named: dict[str, int] = {}
        self._claimed = [0] * programs

    def claim(self, api: str, machine: Machine, name: str, shape: tuple[int, ...], dtype: DType) -> Memory:
        number = self._number(machine.program.number, name)
        if number == len(self._tensors):
            self._tensors.append(Memory(machine, name, "shared_hbm", uninitialised(shape, dtype), written=False))
        else:
            first = self._tensors[number]
            if first.values.shape != shape or first.values.dtype != dtype._np:
                fail(
                    "wrong_argument",
                    f"{api}: shape={list(shape)} of {dtype.name}: program 0 gives this shared_hbm tensor the shape "
                    f"{list(first.values.shape)}; all programs must agree",
                )
            again = Memory(machine, name, "shared_hbm", first.values, written=False)
            again.written = first.written
            self._tensors[number] = again
        memory = self._tensors[number]
        machine.shared[memory.index] = number
        return memory

    def _number(self, program: int, name: str) -> int:
        if name != "shared_hbm":
            return self._named.setdefault(name, len(self._tensors))
        mine = [at for at in range(len(self._tensors)) if at not in self._named.values()]
        at = self._claimed[program]
        self._claimed[program] += 1
        return mine[at] if at < len(mine) else len(self._tensors)


def check_programs(machines: list[Machine]) -> None:
    """Raises KernelFault where a program writes or reads what another one writes: nothing orders them."""
    if len(machines) < 2:
        return
    owners: dict[int, np.ndarray] = {}
    for machine in machines:
        me = machine.program.number
        for instruction in machine.log:
            for access in instruction.writes:
                number = machine.shared.get(access.storage)
                if number is None or not access.exact:
                    continue
                shape = tuple(_extent(machine, access.storage))
                owner = owners.setdefault(number, np.full(shape, -1, np.int16))
                part = owner[_slices(access.box)]
                if (other := _other(part, me)) is not None:
                    name = machine.allocations[access.storage].name
                    raise KernelFault(
                        "program_race",
                        f"programs {other} and {me} both write {name}{_text(access.box)}, and nothing orders them",
                        instruction.line,
                    )
                part[...] = me
    for machine in machines:
        me = machine.program.number
        for instruction in machine.log:
            for access in instruction.reads:
                number = machine.shared.get(access.storage)
                if number is None or number not in owners or not access.exact:
                    continue
                if (other := _other(owners[number][_slices(access.box)], me)) is not None:
                    name = machine.allocations[access.storage].name
                    raise KernelFault(
                        "program_race",
                        f"program {me} reads {name}{_text(access.box)}, which program {other} writes, and nothing "
                        "orders them",
                        instruction.line,
                    )


def _extent(machine: Machine, storage: int) -> list[int]:
    return list(machine.extents[storage])


def _slices(box: Box) -> tuple[slice, ...]:
    return tuple(slice(low, high) for low, high in box)


def _text(box: Box) -> str:
    return "[" + ", ".join(f"{low}:{high}" for low, high in box) + "]"


def _other(owners: np.ndarray, me: int) -> int | None:
    foreign = owners[(owners >= 0) & (owners != me)]
    return int(foreign[0]) if foreign.size else None
