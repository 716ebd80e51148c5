"""Order between programs, and within one: who wrote and read each 4-byte granule of a launch, and what came between.

Programs of a launch run in no order. A program sees what another one wrote only if an atomic on one element (a flag, a
counter) of the writer came after the write, and one of the reader on the same element came before the read. Within a
program, threads are ordered by tl.debug_barrier() alone: an element stored from one place of a block and loaded at
another is a race, too. Accesses narrower than a granule are not followed.
"""

from __future__ import annotations

import numpy as np

from .errors import KernelFault
from .memory import GRANULE_BYTES, Buffer

RELAXED = "RELAXED"


class _Marks:
    """Of one buffer, by granule. A stamp is a program of a launch: those of earlier launches are smaller."""

    def __init__(self, buffer: Buffer) -> None:
        count = (buffer.end - buffer.start) // GRANULE_BYTES
        # Zeros cost nothing until they are touched.
        self.writer, self.write_epoch, self.write_phase, self.write_place = (
            np.zeros(count, np.int32) for _ in range(4)
        )
        self.reader, self.read_epoch = np.zeros(count, np.int32), np.zeros(count, np.int32)
        self.several = np.zeros(count, np.int32)  # stamp of the launch in which more than one program read it
        self.atomic, self.atomic_epoch = np.zeros(count, np.int32), np.zeros(count, np.int32)
        self.values = buffer.values.view(np.uint32)


class Hazards:
    """Raises KernelFault where nothing orders two accesses of which one writes."""

    def __init__(self) -> None:
        self._marks: dict[str, _Marks] = {}
        self._first = self._me = 1
        self._grid = (1, 1, 1)
        self._numbers: list[int] = []  # of the programs of this launch, in the order of their stamps
        self._epochs: dict[int, int] = {}
        self._known: dict[int, int] = {}  # of this program: what it acquired of others
        self._released: dict[int, dict[int, int]] = {}  # by address of an atomic
        self._phase = 0

    def launch(self, grid: tuple[int, int, int]) -> None:
        self._first += len(self._numbers)
        self._grid, self._numbers = grid, []
        self._epochs, self._released = {}, {}

    def program(self, number: int) -> None:
        self._me, self._known, self._phase = self._first + len(self._numbers), {}, 0
        self._numbers.append(number)

    def barrier(self) -> None:
        self._phase += 1

    def load(self, buffer: Buffer, addresses: np.ndarray, places: np.ndarray, size: int) -> None:
        if size < GRANULE_BYTES or buffer.role == "input":
            return
        marks, at = self._of(buffer), (addresses - buffer.start) // GRANULE_BYTES
        self._foreign(buffer, at, marks.writer, marks.write_epoch, "reads", "writes")
        self._foreign(buffer, at, marks.atomic, marks.atomic_epoch, "reads", "updates by an atomic")
        mine = (marks.writer[at] == self._me) & (marks.write_phase[at] == self._phase)
        moved = mine & (marks.write_place[at] != places)
        if moved.any():
            raise KernelFault(
                "missing_barrier",
                f"loads {self._name(buffer, int(at[moved][0]))} at another place of the block than the one that "
                "stored it, without a tl.debug_barrier() in between: another thread may load before the store",
            )
        other = (marks.reader[at] >= self._first) & (marks.reader[at] != self._me)
        marks.several[at[other]] = self._first
        marks.reader[at], marks.read_epoch[at] = self._me, self._epoch

    def store(self, buffer: Buffer, addresses: np.ndarray, places: np.ndarray, values: np.ndarray, size: int) -> None:
        if size != GRANULE_BYTES:
            return
        marks, at = self._of(buffer), (addresses - buffer.start) // GRANULE_BYTES
        bits = np.ascontiguousarray(values).view(np.uint32)
        self._twice(buffer, at, bits)
        changed = at[marks.values[at] != bits]  # the same value again hurts nobody
        if changed.size:
            self._foreign(buffer, changed, marks.writer, marks.write_epoch, "writes", "writes too")
            several = marks.several[changed] == self._first
            if several.any() and not self._known:
                name = self._name(buffer, int(changed[several][0]))
                raise KernelFault("race", f"writes {name}, which several other programs read; nothing orders them")
            self._foreign(buffer, changed[~several], marks.reader, marks.read_epoch, "writes", "reads")
        self._foreign(buffer, at, marks.atomic, marks.atomic_epoch, "writes", "updates by an atomic")
        marks.writer[at], marks.write_epoch[at] = self._me, self._epoch
        marks.write_phase[at], marks.write_place[at] = self._phase, places

    def atomic(self, buffer: Buffer, addresses: np.ndarray, meaning: str, whole: int, size: int) -> None:
        """Before it is done. `meaning`: its memory order; `whole`: how many elements the operation has."""
        if size >= GRANULE_BYTES:
            marks, at = self._of(buffer), (addresses - buffer.start) // GRANULE_BYTES
            acquired = self._acquire(addresses, meaning, whole)
            self._foreign(buffer, at, marks.writer, marks.write_epoch, "updates by an atomic", "writes")
            self._foreign(buffer, at, marks.reader, marks.read_epoch, "updates by an atomic", "reads")
            marks.atomic[at], marks.atomic_epoch[at] = self._me, self._epoch
            if acquired:
                self._release(int(addresses[0]))

    def _acquire(self, addresses: np.ndarray, meaning: str, whole: int) -> bool:
        if whole != 1 or not addresses.size or meaning == RELAXED:
            return False
        for program, epoch in self._released.get(int(addresses[0]), {}).items():
            self._known[program] = max(epoch, self._known.get(program, 0))
        return True

    def _release(self, address: int) -> None:
        self._epochs[self._me] = self._epoch + 1
        released = self._released.setdefault(address, {})
        for program, epoch in (*self._known.items(), (self._me, self._epoch)):
            released[program] = max(epoch, released.get(program, 0))

    @property
    def _epoch(self) -> int:
        return self._epochs.get(self._me, 0)

    def _of(self, buffer: Buffer) -> _Marks:
        if buffer.name not in self._marks:
            self._marks[buffer.name] = _Marks(buffer)
        return self._marks[buffer.name]

    def _foreign(
        self, buffer: Buffer, at: np.ndarray, who: np.ndarray, when: np.ndarray, i_do: str, it_does: str
    ) -> None:
        stamps = who[at]
        foreign = (stamps >= self._first) & (stamps != self._me)
        if not foreign.any():
            return
        where = np.flatnonzero(foreign)
        for stamp in np.unique(stamps[where]):
            same = where[stamps[where] == stamp]
            loose = same[when[at[same]] >= self._known.get(int(stamp), 0)]
            if loose.size:
                name, other = self._name(buffer, int(at[loose[0]])), self._program(int(stamp))
                raise KernelFault("race", f"{i_do} {name}, which program {other} {it_does}; nothing orders them")

    def _twice(self, buffer: Buffer, at: np.ndarray, bits: np.ndarray) -> None:
        order = np.argsort(at, kind="stable")
        near, value = at[order], bits[order]
        same = (near[1:] == near[:-1]) & (value[1:] != value[:-1])
        if same.any():
            name = self._name(buffer, int(near[1:][same][0]))
            raise KernelFault("race", f"one store writes {name} several times, with different values")

    def _name(self, buffer: Buffer, granule: int) -> str:
        return buffer.element(buffer.start + GRANULE_BYTES * int(granule))

    def _program(self, stamp: int) -> tuple[int, int, int]:
        number = self._numbers[stamp - self._first]
        _, ny, nz = self._grid
        return number // (ny * nz), number // nz % ny, number % nz
