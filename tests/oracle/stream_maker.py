"""One random stream in the making: its fixed beginning, random actions, and the final stores."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection

import numpy as np
from command_encoding import config_ex, config_ld, config_st, local
from gemmini_isa import (
    ACCUMULATE,
    ACCUMULATOR,
    COMPUTE_ACCUMULATED,
    COMPUTE_PRELOADED,
    DMA_BYTES,
    FLUSH,
    FULL_WIDTH,
    GARBAGE,
    MVIN,
    MVIN2,
    MVIN3,
    MVOUT,
    PRELOAD,
    RELU,
    Array,
    Buffer,
    Command,
    IllegalCommand,
    require,
)
from gemmini_oracle import GemminiOracle
from stream_features import Features
from stream_layout import (
    ACCUMULATOR_REGIONS,
    FINAL_ROW_BYTES,
    INPUT,
    INPUT_BYTES,
    OUTPUT,
    OUTPUT_BYTES,
    POISON,
    RANDOM_OUTPUT_BYTES,
    REGION_ROWS,
    SCRATCHPAD_REGIONS,
)


class Maker:
    """An action that the oracle refuses is taken back: no stream is illegal."""

    def __init__(self, rng: random.Random, features: Collection[str], array: Array) -> None:
        self.rng, self.array, self.dim = rng, array, array.dim
        self.item, self.wide_item = array.element.itemsize, array.sum.itemsize
        self.features = Features(self, features)
        self.scratchpad, self.accumulator = self.places()
        self.data = self.numbers()
        output = np.full(OUTPUT_BYTES, POISON, np.uint8)
        self.oracle = GemminiOracle([Buffer(INPUT, self.data.copy()), Buffer(OUTPUT, output)], array)
        self.commands: list[Command] = []

    def places(self) -> tuple[list[int], list[int]]:
        """First rows of the regions: edges of the banks and halves among them."""
        rng, end, last = self.rng, self.array.scratchpad_rows, self.array.scratchpad_rows - REGION_ROWS
        edges = [0, end // 4 - 32, end // 4, end // 2 - 32, end * 3 // 4 - 64, last]
        scratchpad = sorted(rng.sample([*edges, *(rng.randrange(last) for _ in range(6))], SCRATCHPAD_REGIONS))
        acc_end, acc_last = self.array.accumulator_rows, self.array.accumulator_rows - REGION_ROWS
        acc_edges = [0, acc_end // 2 - 32, acc_end // 2, acc_last, *(rng.randrange(acc_last) for _ in range(3))]
        accumulator = sorted(rng.sample(acc_edges, ACCUMULATOR_REGIONS))
        if self.features.loops:  # their operands lie at the edges of the halves
            scratchpad[:4] = [0, end // 2 - REGION_ROWS, end // 2, last]
            accumulator[:2] = [0, acc_end // 2]
        return scratchpad, accumulator

    def numbers(self) -> np.ndarray:
        """The input. Half of the time small integers: sums that do not saturate."""
        rng = self.rng
        if self.array.floating:
            normal = np.random.default_rng(rng.getrandbits(64)).standard_normal(INPUT_BYTES // 4, np.float32)
            return normal.view(np.uint8)
        data = np.frombuffer(rng.randbytes(INPUT_BYTES), np.uint8).copy()
        return (data.view(np.int8) // 24).view(np.uint8) if rng.random() < 0.5 else data

    def add(self, *commands: Command) -> None:
        for command in commands:
            self.oracle.step(command)
            self.commands.append(command)

    def attempt(self, action: Callable[[], None]) -> None:
        length, oracle = len(self.commands), self.oracle.copy()
        try:
            action()
            if self.array.floating:  # the sign of a NaN is nobody's contract
                finite = np.isfinite(self.oracle.scratchpad).all() and np.isfinite(self.oracle.accumulator).all()
                require(bool(finite), "overflow")
        except IllegalCommand:
            del self.commands[length:]
            self.oracle = oracle

    @property
    def output(self) -> np.ndarray:
        """What the commands so far left in the output buffer."""
        return self.oracle.buffers[1].data

    def stream(self, length: int) -> tuple[list[Command], np.ndarray, int, int]:
        """All commands, the input, and how many commands the fixed beginning and end have."""
        self.first_loads()
        prologue = len(self.commands)
        common = [self.config, self.load, self.load, self.pair, self.pair, self.pair, self.store, self.store]
        while len(self.commands) < prologue + length:
            self.attempt(self.rng.choice([*common, *self.features.actions]))
        middle = len(self.commands)
        self.final_stores()
        return self.commands, self.data, prologue, len(self.commands) - middle

    def first_loads(self) -> None:
        cols, dim = self.array.blocks * self.dim, self.dim
        strides = [DMA_BYTES, 16, cols * self.wide_item]
        self.add(config_ex(), *(config_ld(n, stride, block_stride=dim) for n, stride in enumerate(strides)))
        self.add(config_st(64))
        for number, region in enumerate(self.scratchpad):
            for row in range(0, REGION_ROWS, cols):
                self.add(Command(MVIN, INPUT + number * 1024 + row * 32, local(region + row, cols, dim)))
        for number, region in enumerate(self.accumulator):
            for row in range(0, REGION_ROWS, cols):
                dram = INPUT + number * 2048 + row * 32 + 4
                self.add(Command(MVIN3, dram, local(ACCUMULATOR | region + row, cols, dim)))

    # ------------------------------------------------------------ configuration

    def config(self) -> None:
        rng, dim = self.rng, self.dim
        kind = rng.randrange(3)
        if kind == 0:
            strides = {"a_stride": rng.choice([1, 1, 2, 3]), "c_stride": rng.choice([1, 1, 2])}
            self.add(self.features.execute(relu=rng.randrange(2), **strides))
        elif kind == 1:
            scale = rng.choice([1.0, 1.0, 0.5, -1.0, 0.3, 3.7, 100.0, 1 / 16])
            stride, block_stride = rng.choice([0, 4, 16, 64, 100, 128]), rng.choice([dim, dim, dim + 1])
            self.add(config_ld(rng.randrange(3), stride, scale, block_stride, rng.random() < 0.3))
        else:
            scale = rng.choice([1.0, 0.5, 1 / 64, 0.037, 9.0])
            self.add(config_st(rng.choice([16, 48, 64, 100, 128]), scale, rng.randrange(2)))

    # ------------------------------------------------------------ moves and products

    def region(self, rows: int) -> int:
        """So many rows within one region of the scratchpad."""
        require(rows <= REGION_ROWS, "more than there is")
        return self.rng.choice(self.scratchpad) + self.rng.randint(0, REGION_ROWS - rows)

    def sums(self, rows: int) -> int:
        require(rows <= REGION_ROWS, "more than there is")
        return ACCUMULATOR | self.rng.choice(self.accumulator) + self.rng.randint(0, REGION_ROWS - rows)

    def source(self, size: int, item: int = 1) -> int:
        """DRAM with so many bytes of input behind it."""
        require(size <= INPUT_BYTES, "more than there is")
        item = max(item, self.item)
        return INPUT + self.rng.randint(0, (INPUT_BYTES - size) // item) * item

    def target(self, size: int) -> int:
        require(size <= RANDOM_OUTPUT_BYTES, "more than there is")
        return OUTPUT + self.rng.randint(0, (RANDOM_OUTPUT_BYTES - size) // 4) * 4

    def columns(self) -> int:
        most = self.array.blocks * self.dim
        return self.rng.choice([self.rng.randint(1, most), self.dim, most])

    def load(self) -> None:
        rng, dim = self.rng, self.dim
        number = rng.randrange(3)
        load = self.oracle.loads[number]
        rows, cols = rng.randint(1, dim), self.columns()
        if load.repeats > 1:
            cols = rng.randint(1, max(1, dim // load.repeats))
        while (reach := load.block_stride * ((cols - 1) // dim) + rows) > REGION_ROWS:
            cols -= dim
        wide = rng.random() < 0.4 and load.repeats == 1
        address = self.sums(reach) | rng.choice([0, ACCUMULATE]) if wide else self.region(reach)
        item = self.wide_item if wide and not load.shrunk else self.item
        dram = self.source((rows - 1) * load.stride + cols * item, item) if rng.random() > 0.15 else 0
        self.add(Command([MVIN, MVIN2, MVIN3][number], dram, local(address, cols, rows)))

    def size(self) -> int:
        return self.rng.choice([self.dim, self.dim, self.dim, self.rng.randint(1, self.dim)])

    def nothing(self) -> int:
        return local(GARBAGE, self.dim, self.dim)

    def operand(self, rows: int, cols: int, stride: int = 1, transposed: bool = False) -> int:
        lying = cols if transposed else rows
        return local(self.region((lying - 1) * stride + 1), cols, rows)

    def pair(self) -> None:
        rng, e = self.rng, self.oracle.execute
        if e is None or not e.dataflow:
            return self.features.output_stationary()
        m, n, k = self.size(), self.size(), self.size()
        reach = (m - 1) * e.c_stride + 1
        c = self.sums(reach) | rng.choice([0, ACCUMULATE]) if rng.random() < 0.75 else self.region(reach)
        if rng.random() < 0.05:
            c = GARBAGE
        reuse = self.oracle.stationary is not None and rng.random() < 0.4
        no_weights = reuse or rng.random() < 0.05
        rows = m if no_weights or rng.random() < 0.8 else self.size()  # of A: C may have more, or fewer
        d = self.operand(m if rng.random() < 0.8 else self.size(), n) if rng.random() < 0.3 else self.nothing()
        b = self.nothing() if no_weights else self.operand(k, n, transposed=e.b_transpose)
        self.add(Command(PRELOAD, b, local(c, n, m)))
        a = self.operand(rows, k, e.a_stride, e.a_transpose)
        self.add(Command(COMPUTE_ACCUMULATED if reuse else COMPUTE_PRELOADED, a, d))
        return None

    def store(self) -> None:
        rng, dim, stride = self.rng, self.dim, self.oracle.store.stride or 0
        if rng.random() < 0.1:
            return self.add(Command(FLUSH, 0, 0))
        rows = rng.randint(1, dim)
        full = rng.random() < 0.25
        cols = rng.randint(1, dim) if full or rng.random() < 0.6 else rng.randint(1, self.array.blocks * dim)
        reach = dim * ((cols - 1) // dim) + rows
        address = self.sums(reach) | (FULL_WIDTH if full else 0) if rng.random() < 0.7 or full else self.region(reach)
        self.add(Command(MVOUT, self.target((rows - 1) * stride + cols * 4), local(address, cols, rows)))
        return None

    def final_stores(self) -> None:
        """Every region, one block of rows at a time."""
        stride, at = FINAL_ROW_BYTES, OUTPUT + RANDOM_OUTPUT_BYTES
        self.add(config_st(stride, 1.0, RELU), config_st(stride))  # twice: only another activation ends softmax
        regions = [*self.scratchpad, *(row | ACCUMULATOR | FULL_WIDTH for row in self.accumulator)]
        for region in regions:
            for row in range(0, REGION_ROWS, self.dim):
                self.add(Command(MVOUT, at, local(region + row, self.dim, self.dim)))
                at += self.dim * stride
