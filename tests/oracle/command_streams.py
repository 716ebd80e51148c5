"""Random legal command streams for Gemmini's weight-stationary subset, and the kernel that replays them from a table.

A stream fills a few regions of scratchpad and accumulator, does random things to them, and ends by storing all of them,
so that two models agree exactly when their outputs do.
"""

from __future__ import annotations

import random
import struct
from typing import NamedTuple

import numpy as np
from gemmini_oracle import (
    ACCUMULATE,
    ACCUMULATOR,
    COMPUTE_ACCUMULATED,
    COMPUTE_PRELOADED,
    CONFIG,
    DIM,
    FLUSH,
    FULL_WIDTH,
    GARBAGE,
    MVIN,
    MVIN2,
    MVIN3,
    MVOUT,
    PRELOAD,
    Buffer,
    Command,
    GemminiOracle,
)

INPUT_BYTES, OUTPUT_BYTES = 16384, 49152
RANDOM_OUTPUT_BYTES = 16384  # where the random mvouts go; the final stores of all regions lie behind
REGION_ROWS = 64
_INPUT, _OUTPUT = 1 << 40, 2 << 40  # DRAM addresses in a table are relative to one of the kernel's arguments

REPLAY = """
#include <stdint.h>
#define ISSUE(f) case f: asm volatile(".insn r 0x7b, 3, " #f ", x0, %0, %1" ::"r"(a), "r"(b)); break;
void solution(const uint64_t *program, const int8_t *in, int8_t *out) {
  for (uint64_t n = *program++; n; n--, program += 3) {
    uint64_t a = program[1], b = program[2];
    if (program[0] != 0 && program[0] != 6 && program[0] != 4 && program[0] != 5) {
      if (a >> 40 == 1) a = (uint64_t)in + (uint32_t)a;
      else if (a >> 40 == 2) a = (uint64_t)out + (uint32_t)a;
    }
    switch (program[0]) {
      ISSUE(0) ISSUE(1) ISSUE(2) ISSUE(3) ISSUE(4) ISSUE(5) ISSUE(6) ISSUE(7) ISSUE(14)
    }
  }
}
"""


class Stream(NamedTuple):
    commands: list[Command]
    data: np.ndarray  # uint8, INPUT_BYTES

    def table(self) -> bytes:
        """What the replaying kernel reads: a count and three words per command."""
        words = [len(self.commands), *(word for command in self.commands for word in command)]
        return struct.pack(f"<{len(words)}Q", *words)

    def expected(self, poison: int) -> np.ndarray:
        """The output buffer after the stream, if it held `poison` before."""
        out = np.full(OUTPUT_BYTES, poison, np.uint8)
        GemminiOracle([Buffer(_INPUT, self.data.copy()), Buffer(_OUTPUT, out)]).run(self.commands)
        return out

    def prefix(self, length: int) -> Stream:
        """The first commands and the final stores: for finding the command that goes wrong."""
        return Stream([*self.commands[: self.prologue + length], *self.commands[-self.epilogue :]], self.data)

    @property
    def epilogue(self) -> int:
        return 1 + 2 * 6 + 4 * 4

    @property
    def prologue(self) -> int:
        return 4 + 6 + 4

    @property
    def length(self) -> int:
        return len(self.commands) - self.prologue - self.epilogue


def make_stream(seed: int, length: int, transposes: bool = False) -> Stream:
    """A stream of `length` random commands between its fixed beginning and end."""
    return _Maker(random.Random(seed), transposes).stream(length)


def _local(address: int, cols: int, rows: int) -> int:
    return rows << 48 | cols << 32 | address


def _float_bits(value: float) -> int:
    return int(np.float32(value).view(np.uint32))


class _Maker:
    def __init__(self, rng: random.Random, transposes: bool) -> None:
        self.rng, self.transposes = rng, transposes
        edges = [0, 4096 - 32, 4096, 8192 + 17, 12288 - 64, 16384 - REGION_ROWS]
        self.scratchpad = sorted(rng.sample([*edges, *(rng.randrange(16384 - REGION_ROWS) for _ in range(6))], 6))
        accumulator = [0, 480, 512, 1024 - REGION_ROWS, *(rng.randrange(1024 - REGION_ROWS) for _ in range(3))]
        self.accumulator = sorted(rng.sample(accumulator, 4))
        self.loads = {0: (16, False, 16), 1: (16, False, 16), 2: (64, False, 16)}  # stride, shrunk, block stride
        self.a_stride = self.c_stride = 1
        self.weights = False
        self.commands: list[Command] = []

    def add(self, funct: int, rs1: int, rs2: int) -> None:
        self.commands.append(Command(funct, rs1, rs2))

    def stream(self, length: int) -> Stream:
        rng = self.rng
        self.execute(plain=True)
        self.load_config(0, 64, 1.0, 16, False)
        self.load_config(1, 16, 1.0, 16, False)
        self.load_config(2, 256, 1.0, 16, False)
        for number, row in enumerate(self.scratchpad):
            self.add(MVIN, _INPUT + number * 1024, _local(row, 64, DIM))
        for number, row in enumerate(self.accumulator):
            self.add(MVIN3, _INPUT + number * 2048 + 4, _local(ACCUMULATOR | row, 64, DIM))
        prologue = len(self.commands)
        self.store_config_needed = True
        while len(self.commands) < prologue + length:
            choices = [self.random_config, self.random_load, self.random_load, self.random_pair, self.random_pair]
            rng.choice([*choices, self.random_pair, self.random_store, self.random_store])()
        del self.commands[prologue + length :]
        self.final_stores()
        data = np.frombuffer(rng.randbytes(INPUT_BYTES), np.uint8).copy()
        if rng.random() < 0.5:  # small values: sums that do not saturate
            data = (data.view(np.int8) // 24).view(np.uint8)
        return Stream(self.commands, data)

    # ------------------------------------------------------------ configuration

    def execute(self, plain: bool = False) -> None:
        rng = self.rng
        self.a_stride = 1 if plain else rng.choice([1, 1, 2, 3])
        self.c_stride = 1 if plain else rng.choice([1, 1, 2])
        shift = 0 if plain else rng.choice([0, 1, 4, 7])
        relu = 0 if plain else rng.randrange(2)
        a_transpose, b_transpose = (0, rng.randrange(2)) if self.transposes and not plain else (0, 0)
        rs1 = _float_bits(1.0) << 32 | self.a_stride << 16 | b_transpose << 9 | a_transpose << 8 | relu << 3 | 1 << 2
        self.add(CONFIG, rs1, self.c_stride << 48 | shift)

    def load_config(self, number: int, stride: int, scale: float, block_stride: int, shrunk: bool) -> None:
        self.loads[number] = (stride, shrunk, block_stride)
        rs1 = _float_bits(scale) << 32 | block_stride << 16 | 1 << 8 | number << 3 | shrunk << 2 | 1
        self.add(CONFIG, rs1, stride)

    def random_config(self) -> None:
        rng = self.rng
        kind = rng.randrange(3)
        if kind == 0:
            self.execute()
        elif kind == 1:
            scale = rng.choice([1.0, 1.0, 0.5, -1.0, 0.3, 3.7, 100.0, 1 / 16])
            self.load_config(
                rng.randrange(3),
                rng.choice([0, 4, 16, 64, 100, 128]),
                scale,
                rng.choice([16, 16, 17]),
                rng.random() < 0.3,
            )
        else:
            self.store_config(
                rng.choice([16, 48, 64, 100, 128]), rng.choice([1.0, 0.5, 1 / 64, 0.037, 9.0]), rng.randrange(2)
            )

    def store_config(self, stride: int, scale: float, relu: int) -> None:
        self.store_config_needed = False
        self.add(CONFIG, relu << 2 | 2, _float_bits(scale) << 32 | stride)

    # ------------------------------------------------------------ moves and products

    def random_load(self) -> None:
        rng = self.rng
        number = rng.randrange(3)
        stride, shrunk, block_stride = self.loads[number]
        rows, cols = rng.randint(1, DIM), rng.choice([rng.randint(1, 64), 16, 64])
        reach = block_stride * ((cols - 1) // DIM) + rows
        while reach > REGION_ROWS:
            cols -= DIM
            reach = block_stride * ((cols - 1) // DIM) + rows
        into_accumulator = rng.random() < 0.4
        if into_accumulator:
            row = rng.choice(self.accumulator) + rng.randint(0, REGION_ROWS - reach)
            address = row | ACCUMULATOR | rng.choice([0, ACCUMULATE])
            size = 1 if shrunk else 4
        else:
            address = rng.choice(self.scratchpad) + rng.randint(0, REGION_ROWS - reach)
            size = 1
        dram = 0
        if rng.random() > 0.15:
            span = (rows - 1) * stride + cols * size
            dram = _INPUT + rng.randint(0, (INPUT_BYTES - span) // size) * size
        self.add([MVIN, MVIN2, MVIN3][number], dram, _local(address, cols, rows))

    def random_pair(self) -> None:
        rng = self.rng

        def size() -> int:
            return rng.choice([DIM, DIM, DIM, rng.randint(1, DIM)])

        def operand(rows: int, cols: int, stride: int = 1) -> int:
            reach = (rows - 1) * stride + 1
            return _local(rng.choice(self.scratchpad) + rng.randint(0, REGION_ROWS - reach), cols, rows)

        m, n, k = size(), size(), size()
        reach = (m - 1) * self.c_stride + 1
        if rng.random() < 0.75:
            c = rng.choice(self.accumulator) + rng.randint(0, REGION_ROWS - reach)
            c |= ACCUMULATOR | rng.choice([0, ACCUMULATE])
        else:
            c = rng.choice(self.scratchpad) + rng.randint(0, REGION_ROWS - reach)
        if rng.random() < 0.05:
            c = GARBAGE
        d = operand(m, n) if rng.random() < 0.3 else _local(GARBAGE, DIM, DIM)
        reuse = self.weights and rng.random() < 0.4
        b = operand(k, n) if not reuse and rng.random() > 0.05 else _local(GARBAGE, DIM, DIM)
        self.add(PRELOAD, b, _local(c, n, m))
        self.add(COMPUTE_ACCUMULATED if reuse else COMPUTE_PRELOADED, operand(m, k, self.a_stride), d)
        self.weights = True

    def random_store(self) -> None:
        rng = self.rng
        if self.store_config_needed:
            self.store_config(64, 1.0, 0)
        if rng.random() < 0.1:
            self.add(FLUSH, 0, 0)
            return
        rows = rng.randint(1, DIM)
        full = rng.random() < 0.25
        cols = rng.randint(1, DIM) if full or rng.random() < 0.6 else rng.randint(1, 64)
        reach = DIM * ((cols - 1) // DIM) + rows
        if rng.random() < 0.7 or full:
            address = rng.choice(self.accumulator) + rng.randint(0, REGION_ROWS - reach) | ACCUMULATOR
            address |= FULL_WIDTH if full else 0
        else:
            address = rng.choice(self.scratchpad) + rng.randint(0, REGION_ROWS - reach)
        dram = _OUTPUT + rng.randrange(RANDOM_OUTPUT_BYTES - 15 * 128 - 256) // 4 * 4
        self.add(MVOUT, dram, _local(address, cols, rows))

    def final_stores(self) -> None:
        self.store_config(64, 1.0, 0)
        at = _OUTPUT + RANDOM_OUTPUT_BYTES
        for row in self.scratchpad:
            for half in (0, 32):
                self.add(MVOUT, at, _local(row + half, 32, DIM))
                at += 16 * 64
        for row in self.accumulator:
            for block in range(0, REGION_ROWS, DIM):
                self.add(MVOUT, at, _local(row + block | ACCUMULATOR | FULL_WIDTH, DIM, DIM))
                at += 16 * 64
