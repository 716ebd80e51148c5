"""One run of a kernel: its memories, and the log of its instructions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from .errors import KernelFault, fail, kernel_line

PARTITIONS = 128
PSUM_BANK_BYTES = 2048
STATIONARY_MAX, MOVING_MAX = 128, 512
MAX_INSTRUCTIONS = 2_000_000

Box = tuple[tuple[int, int], ...]  # [from, to) in each dimension of the memory that was allocated


class Access(NamedTuple):
    """A part of a memory. `exact`: all of the box is touched, not merely what lies somewhere in it."""

    storage: int
    box: Box
    exact: bool = True


class Instruction(NamedTuple):
    """`cycles` are of the engine's clock; a DMA has `bytes` and `run` instead."""

    name: str
    engine: str
    line: int | None
    cycles: float
    reads: tuple[Access, ...]
    writes: tuple[Access, ...]
    shape: tuple[int, int]  # partitions, elements per partition
    dtype: str
    macs: int = 0
    bytes: int = 0  # that a DMA writes
    run: int = 0  # contiguous bytes of a DMA, the shorter of both sides
    sources: int = 1  # that a DMA reads for what it writes; each passes through the engines
    accumulates: bool = False
    reduces: str = ""  # the associative operator (or a copy) with which sources and results are combined
    loops: int = 0  # index into Machine.paths


class Allocation(NamedTuple):
    """A tensor. `bytes`: of each partition on chip, of the whole in HBM."""

    name: str
    space: str
    bytes: int
    line: int | None


class Limits(NamedTuple):
    """Bytes per partition."""

    sbuf: int
    psum: int
    generation: int  # of the NeuronCore: 2 is trn1, 3 trn2, 4 trn3


class Program(NamedTuple):
    """Which program of the launch grid runs, and the HBM that all of them see."""

    number: int
    grid: tuple[int, ...]
    shared: Any


Path = tuple[tuple[int, int], ...]  # of the affine loops around an instruction: which loop, which iteration


class Machine:
    """Everything that one run of a kernel does on one core."""

    def __init__(self, limits: Limits, program: Program | None = None) -> None:
        self.limits = limits
        self.program = program or Program(0, (1,), None)
        self.shared: dict[int, int] = {}  # allocation -> number of a tensor that all programs see
        self.constants: dict[Any, Any] = {}  # tiles that the kernel asks for as constants
        self.paths: list[Path] = [()]
        self.path_lines: list[int | None] = []  # of each affine loop
        self.path = 0
        self.log: list[Instruction] = []
        self.allocations: list[Allocation] = []
        self.extents: list[tuple[int, ...]] = []  # the shape of each
        self._last: dict[int, int] = {}
        self.work: dict[str, float] = {}  # cycles of each engine so far
        self.loops = 0  # loops of NKI 1 that began
        self.scalar_registers: Any = None  # sums of the Scalar engine, one per partition, between instructions
        self.vector_registers: Any = None  # the same of the Vector engine; None when nothing is known of them

    def allocate(self, name: str, space: str, size: int, shape: tuple[int, ...]) -> int:
        self.allocations.append(Allocation(name, space, size, kernel_line()))
        self.extents.append(shape)
        return len(self.allocations) - 1

    def last_touch(self, accesses: list[Access]) -> int:
        """The last instruction so far that touches any of these memories."""
        return max((self._last.get(access.storage, -1) for access in accesses), default=-1)

    def issue(self, name: str, engine: str, cycles: float, **more: Any) -> None:
        if len(self.log) >= MAX_INSTRUCTIONS:
            fail("limit_exceeded", f"more than {MAX_INSTRUCTIONS} instructions: the tiles are far too small")
        self.work[engine] = self.work.get(engine, 0.0) + cycles
        instruction = Instruction(name, engine, kernel_line(), cycles, loops=self.path, **more)
        for access in (*instruction.reads, *instruction.writes):
            self._last[access.storage] = len(self.log)
        self.log.append(instruction)


_running: list[Machine] = []


@contextlib.contextmanager
def running(machine: Machine) -> Iterator[Machine]:
    _running.append(machine)
    try:
        yield machine
    finally:
        _running.pop()


def current(api: str) -> Machine:
    if not _running:
        fail("wrong_argument", f"{api} is called outside a kernel: there is no machine before the kernel is called")
    return _running[-1]


class KernelLimit(KernelFault):
    """Tiles that live at once do not fit."""

    def __init__(self, space: str, used: int, limit: int, line: int | None) -> None:
        super().__init__(
            "out_of_capacity",
            f"{used} bytes of each partition of {space} are in use at once from this tile on; {space} has {limit}: "
            "use smaller tiles, or fewer at a time",
            line,
        )
