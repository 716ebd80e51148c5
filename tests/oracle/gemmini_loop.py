"""loop_ws: the hardware's loop over a tiled product, expanded into the commands it issues."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gemmini_isa import (
    ACCUMULATE,
    ACCUMULATOR,
    COMPUTE_ACCUMULATED,
    COMPUTE_PRELOADED,
    CONFIG,
    FULL_WIDTH,
    GARBAGE,
    INV_STDDEV,
    INV_SUM_EXP,
    LAYERNORM,
    LOOP_BOUNDS,
    LOOP_STRIDES_DC,
    LOOP_WS,
    MAX,
    MEAN,
    MVIN,
    MVIN2,
    MVIN3,
    MVOUT,
    NORM_SHIFT,
    PRELOAD,
    RESET,
    SOFTMAX,
    STAT_IDS,
    SUM,
    SUM_EXP,
    VARIANCE,
    WS,
    Array,
    Command,
    Operand,
    bits,
    require,
)

if TYPE_CHECKING:
    from gemmini_oracle import GemminiOracle

_NORM_PASSES = {  # command of all but the last column block, of the last
    LAYERNORM: [(SUM, MEAN), (VARIANCE, INV_STDDEV), (RESET, RESET)],
    SOFTMAX: [(MAX, MAX), (SUM_EXP, INV_SUM_EXP), (RESET, RESET)],
}


@dataclass
class MatmulLoop:
    """Registers of loop_ws. The hardware has two sets in turn, so a run's settings do not outlive it."""

    array: Array
    settings: dict[int, tuple[int, int]] = field(default_factory=dict)
    runs: int = 0
    accumulator_half: int = 0

    def copy(self) -> MatmulLoop:
        return replace(self, settings=self.settings.copy())

    def takes(self, funct: int) -> bool:
        return LOOP_WS <= funct <= LOOP_STRIDES_DC

    def step(self, command: Command, oracle: GemminiOracle) -> list[Command]:
        if command.funct != LOOP_WS:
            self.settings[command.funct] = command.rs1, command.rs2
            return []
        require(len(self.settings) == LOOP_STRIDES_DC - LOOP_WS, "loop_ws without all of its configurations")
        run = _Run(self.array, self, command, oracle)
        self.settings = {}
        self.runs += 1
        if run.c:  # half of the accumulator per result: RTL; the functional model always takes the first
            self.accumulator_half ^= 1
        return list(run.residual_add() if run.is_residual_add else run.matmul())


class _Run:
    def __init__(self, array: Array, loop: MatmulLoop, command: Command, oracle: GemminiOracle) -> None:
        self.array = array
        (pads, bounds), (self.a, self.b), (self.d, self.c), *strides = (
            loop.settings[funct] for funct in range(LOOP_BOUNDS, LOOP_STRIDES_DC + 1)
        )
        (self.a_stride, self.b_stride), (self.d_stride, self.c_stride) = strides
        self.bounds = tuple(bits(bounds, low + 15, low) for low in (0, 16, 32))
        self.pads = tuple(bits(pads, low + 15, low) for low in (0, 16, 32))
        flags, modes = command.rs1, command.rs2
        self.ex_accumulate, self.full_c, self.low_d = flags & 1, flags >> 1 & 1, flags >> 2 & 1
        self.activation = bits(flags, 10, 8)
        self.a_transpose, self.b_transpose, self.is_residual_add = modes & 1, modes >> 1 & 1, modes >> 2 & 1
        i, j, k = self.bounds
        half = array.scratchpad_rows // 2
        spads = [bits(flags, 19, 18), bits(flags, 17, 16)]
        a_half, b_half = (loop.runs % 2 if spad == 0 else spad - 1 for spad in spads)
        self.a0, self.b0 = a_half * half, (b_half + 1) * half - k * j * array.dim
        acc_half = loop.runs % 2 if self.is_residual_add else loop.accumulator_half
        self.c0 = acc_half * array.accumulator_rows // 2
        require(modes < 8 and 3 not in spads, "loop_ws modes")
        require(min(self.bounds) > 0 and max(self.pads) < array.dim, "loop_ws bounds")
        require((i * k + k * j) * array.dim <= half, "loop_ws too large for half of the scratchpad")
        require(i * j * array.dim <= array.accumulator_rows // 2, "loop_ws too large for half of the accumulator")
        require(not (self.a_transpose and self.b_transpose), "loop_ws with both transposes")
        require(oracle.execute is not None and oracle.execute.dataflow == WS, "loop_ws in output-stationary dataflow")
        self._check_loads(oracle)

    def _check_loads(self, oracle: GemminiOracle) -> None:
        used = [n for n, pointer in enumerate((self.a, self.b, self.d)) if pointer]
        for number in used:
            load = oracle.loads.get(number)
            right = load is not None and load.block_stride == self.array.dim and load.repeats == 1
            require(
                right, f"loop_ws with config_ld {number} unset, or its block stride not DIM"
            )  # it loads several blocks at once
            if load is not None and (self.is_residual_add or number == 2):
                require(
                    load.shrunk == bool(self.is_residual_add or self.low_d), f"loop_ws: shrunk of config_ld {number}"
                )
        if self.is_residual_add:
            plain = not (self.d or self.a_transpose or self.b_transpose or self.activation in _NORM_PASSES)
            require(plain, "residual add with D, transposes or normalisation")
        if self.activation in _NORM_PASSES:
            require(not self.full_c, "loop_ws: normalised full-width C")

    def size(self, axis: int, index: int) -> int:
        return self.array.dim - (self.pads[axis] if index == self.bounds[axis] - 1 else 0)

    def address(self, base: int, stride: int, row: int, col: int, item: int) -> int:
        return base + (row * stride + col) * self.array.dim * item

    def sum_row(self, i: int, j: int) -> int:
        return self.c0 + (i * self.bounds[1] + j) * self.array.dim

    def matmul(self) -> Iterator[Command]:
        max_i, max_j, max_k = self.bounds
        wide, item = self.array.sum.itemsize, self.array.element.itemsize
        if self.d:
            for i in range(max_i):
                for j in range(max_j):
                    dram = self.address(self.d, self.d_stride, i, j, item if self.low_d else wide)
                    yield _move(MVIN3, dram, ACCUMULATOR | self.sum_row(i, j), self.size(0, i), self.size(1, j))
        for k in range(max_k):
            for j in range(max_j):
                for i in range(max_i):
                    if j == 0 and self.a:
                        at = (k, i) if self.a_transpose else (i, k)
                        dram = self.address(self.a, self.a_stride, *at, item)
                        yield _move(MVIN, dram, self.a_row(i, k), *self.lying(self.a_transpose, (0, i), (2, k)))
                    if i == 0 and self.b:
                        at = (j, k) if self.b_transpose else (k, j)
                        dram = self.address(self.b, self.b_stride, *at, item)
                        yield _move(MVIN2, dram, self.b_row(k, j), *self.lying(self.b_transpose, (2, k), (1, j)))
                    yield from self.product(i, j, k)
                    if self.c and k == max_k - 1:
                        yield from self.results(i, j)

    def lying(self, transposed: int, rows: tuple[int, int], cols: tuple[int, int]) -> tuple[int, int]:
        sizes = self.size(*rows), self.size(*cols)
        return (sizes[1], sizes[0]) if transposed else sizes

    def a_row(self, i: int, k: int) -> int:
        max_i, _, max_k = self.bounds
        return self.a0 + (k * max_i + i if self.a_transpose else i * max_k + k) * self.array.dim

    def b_row(self, k: int, j: int) -> int:
        _, max_j, max_k = self.bounds
        return self.b0 + (j * max_k + k if self.b_transpose else k * max_j + j) * self.array.dim

    def product(self, i: int, j: int, k: int) -> Iterator[Command]:
        m, n, depth = self.size(0, i), self.size(1, j), self.size(2, k)
        c = ACCUMULATOR | self.sum_row(i, j) | (ACCUMULATE if self.ex_accumulate or k else 0)
        b = self.b_row(k, j) if i == 0 else GARBAGE
        yield Command(PRELOAD, Operand(b, depth, n).word, Operand(c, m, n).word)
        funct = COMPUTE_PRELOADED if i == 0 else COMPUTE_ACCUMULATED
        nothing = Operand(GARBAGE, self.array.dim, self.array.dim).word
        yield Command(funct, Operand(self.a_row(i, k), m, depth).word, nothing)

    def results(self, i: int, j: int) -> Iterator[Command]:
        if self.activation not in _NORM_PASSES:
            item = (self.array.sum if self.full_c else self.array.element).itemsize
            local = ACCUMULATOR | self.sum_row(i, j) | (FULL_WIDTH if self.full_c else 0)
            yield _move(MVOUT, self.address(self.c, self.c_stride, i, j, item), local, self.size(0, i), self.size(1, j))
        elif j == self.bounds[1] - 1:
            yield from self.normalised_rows(i)

    def normalised_rows(self, i: int) -> Iterator[Command]:
        """Four rows in flight, one per stat id: functional model; the RTL takes two, with the same results."""
        item, rows, last = self.array.element.itemsize, self.size(0, i), self.bounds[1] - 1
        for first in range(0, rows, STAT_IDS):
            for unfinished, final in _NORM_PASSES[self.activation]:
                for row in range(first, min(first + STAT_IDS, rows)):
                    yield Command(CONFIG, 1 << 17 | row - first << 8 | 3, 0)
                    for j in range(last + 1):
                        norm = (final if j == last else unfinished) << NORM_SHIFT
                        dram = self.address(self.c, self.c_stride, i, j, item) + row * self.c_stride * item
                        yield _move(MVOUT, dram, ACCUMULATOR | norm | self.sum_row(i, j) + row, 1, self.size(1, j))

    def residual_add(self) -> Iterator[Command]:
        item = self.array.element.itemsize
        for i in range(self.bounds[0]):
            for j in range(self.bounds[1]):
                rows, cols, at = self.size(0, i), self.size(1, j), ACCUMULATOR | self.sum_row(i, j)
                if self.a:
                    yield _move(MVIN, self.address(self.a, self.a_stride, i, j, item), at, rows, cols)
                if self.b:
                    yield _move(MVIN2, self.address(self.b, self.b_stride, i, j, item), at | ACCUMULATE, rows, cols)
                if self.c:
                    yield from self.results(i, j)


def _move(funct: int, dram: int, local: int, rows: int, cols: int) -> Command:
    return Command(funct, dram, Operand(local, rows, cols).word)
