"""Random legal command streams for Gemmini, and the kernel that replays them from a table.

A stream fills a few regions of scratchpad and accumulator, does random things to them, and ends by storing all of them,
so that two models agree exactly when their outputs do. The plain set is loads, weight-stationary products and stores;
each of FEATURES adds one more part of the ISA.
"""

from __future__ import annotations

import copy
import random
import struct
from collections.abc import Callable, Collection
from typing import NamedTuple

import numpy as np
from command_encoding import config_ex, config_ld, config_st, local
from gemmini_isa import (
    ACCUMULATE,
    ACCUMULATOR,
    COMPUTE_ACCUMULATED,
    COMPUTE_PRELOADED,
    FLUSH,
    FULL_WIDTH,
    GARBAGE,
    MVIN,
    MVIN2,
    MVIN3,
    MVOUT,
    PRELOAD,
    RELU,
)
from gemmini_oracle import Buffer, Command, GemminiOracle, IllegalCommand
from stream_features import FEATURES, Features
from stream_layout import DIM, INPUT, INPUT_BYTES, OUTPUT, OUTPUT_BYTES, RANDOM_OUTPUT_BYTES, REGION_ROWS

__all__ = ["FEATURES", "INPUT_BYTES", "OUTPUT_BYTES", "REPLAY", "Stream", "make_stream"]

REPLAY = """
#include <stdint.h>
#define ISSUE(f) case f: asm volatile(".insn r 0x7b, 3, " #f ", x0, %0, %1" ::"r"(a), "r"(b)); break;
static uint64_t place(uint64_t a, const int8_t *in, int8_t *out) {
  return a >> 40 == 1 ? (uint64_t)in + (uint32_t)a : a >> 40 == 2 ? (uint64_t)out + (uint32_t)a : a;
}
void solution(const uint64_t *program, const int8_t *in, int8_t *out) {
  for (uint64_t n = *program++; n; n--, program += 3) {
    uint64_t f = program[0], a = program[1], b = program[2], unused;
    if (f == 1 || f == 2 || f == 3 || f == 14) a = place(a, in, out);
    if (f == 10 || f == 11 || f == 20 || f == 21) a = place(a, in, out), b = place(b, in, out);
    switch (f) {
      ISSUE(0) ISSUE(1) ISSUE(2) ISSUE(3) ISSUE(4) ISSUE(5) ISSUE(6) ISSUE(7) ISSUE(8) ISSUE(9) ISSUE(10) ISSUE(11)
      ISSUE(12) ISSUE(13) ISSUE(14) ISSUE(15) ISSUE(16) ISSUE(17) ISSUE(18) ISSUE(19) ISSUE(20) ISSUE(21)
      case 126: asm volatile(".insn r 0x7b, 7, 126, %0, %1, %2" : "=r"(unused) : "r"(a), "r"(b)); break;
    }
  }
}
"""


class Stream(NamedTuple):
    commands: list[Command]
    data: np.ndarray  # uint8, INPUT_BYTES
    prologue: int  # commands of the fixed beginning and end
    epilogue: int

    def table(self) -> bytes:
        """What the replaying kernel reads: a count and three words per command."""
        words = [len(self.commands), *(word for command in self.commands for word in command)]
        return struct.pack(f"<{len(words)}Q", *words)

    def expected(self, poison: int) -> np.ndarray:
        """The output buffer after the stream, if it held `poison` before."""
        out = np.full(OUTPUT_BYTES, poison, np.uint8)
        _machine(self.data, out).run(self.commands)
        return out

    def prefix(self, length: int) -> Stream:
        """The first commands and the final stores: for finding the command that goes wrong."""
        commands = [*self.commands[: self.prologue + length], *self.commands[-self.epilogue :]]
        return self._replace(commands=commands)

    @property
    def length(self) -> int:
        return len(self.commands) - self.prologue - self.epilogue


def _machine(data: np.ndarray, out: np.ndarray) -> GemminiOracle:
    return GemminiOracle([Buffer(INPUT, data.copy()), Buffer(OUTPUT, out)])


def make_stream(seed: int, length: int, features: Collection[str] = ()) -> Stream:
    """A stream of about `length` random commands between its fixed beginning and end.

    Loops bring up to a few dozen commands at once, so a stream with features can be longer. Raises KeyError for a
    feature that FEATURES lacks.
    """
    return Maker(random.Random(seed), features).stream(length)


class Maker:
    """One stream in the making. An action that the oracle refuses is taken back: no stream is illegal."""

    def __init__(self, rng: random.Random, features: Collection[str]) -> None:
        self.rng = rng
        self.features = Features(self, features)
        edges = [0, 4096 - 32, 4096, 8192 + 17, 12288 - 64, 16384 - REGION_ROWS]
        self.scratchpad = sorted(rng.sample([*edges, *(rng.randrange(16384 - REGION_ROWS) for _ in range(6))], 6))
        accumulator = [0, 480, 512, 1024 - REGION_ROWS, *(rng.randrange(1024 - REGION_ROWS) for _ in range(3))]
        self.accumulator = sorted(rng.sample(accumulator, 4))
        if self.features.loops:  # their operands lie at the edges of the halves
            self.scratchpad[:4] = [0, 8192 - REGION_ROWS, 8192, 16384 - REGION_ROWS]
            self.accumulator[:2] = [0, 512]
        data = np.frombuffer(rng.randbytes(INPUT_BYTES), np.uint8).copy()
        if rng.random() < 0.5:  # small values: sums that do not saturate
            data = (data.view(np.int8) // 24).view(np.uint8)
        self.data = data
        self.oracle = _machine(data, np.zeros(OUTPUT_BYTES, np.uint8))
        self.commands: list[Command] = []

    def add(self, *commands: Command) -> None:
        for command in commands:
            self.oracle.step(command)
            self.commands.append(command)

    def attempt(self, action: Callable[[], None]) -> None:
        length, oracle = len(self.commands), copy.deepcopy(self.oracle)
        try:
            action()
        except IllegalCommand:
            del self.commands[length:]
            self.oracle = oracle

    def stream(self, length: int) -> Stream:
        rng = self.rng
        self.add(config_ex(), config_ld(0, 64), config_ld(1, 16), config_ld(2, 256), config_st(64))
        for number, row in enumerate(self.scratchpad):
            self.add(Command(MVIN, INPUT + number * 1024, local(row, 64, DIM)))
        for number, row in enumerate(self.accumulator):
            self.add(Command(MVIN3, INPUT + number * 2048 + 4, local(ACCUMULATOR | row, 64, DIM)))
        prologue = len(self.commands)
        common = [self.config, self.load, self.load, self.pair, self.pair, self.pair, self.store, self.store]
        while len(self.commands) < prologue + length:
            self.attempt(rng.choice([*common, *self.features.actions]))
        middle = len(self.commands)
        self.final_stores()
        return Stream(self.commands, self.data, prologue, len(self.commands) - middle)

    # ------------------------------------------------------------ configuration

    def config(self) -> None:
        rng = self.rng
        kind = rng.randrange(3)
        if kind == 0:
            strides = {"a_stride": rng.choice([1, 1, 2, 3]), "c_stride": rng.choice([1, 1, 2])}
            self.add(self.features.execute(relu=rng.randrange(2), **strides))
        elif kind == 1:
            scale = rng.choice([1.0, 1.0, 0.5, -1.0, 0.3, 3.7, 100.0, 1 / 16])
            stride, block_stride = rng.choice([0, 4, 16, 64, 100, 128]), rng.choice([16, 16, 17])
            self.add(config_ld(rng.randrange(3), stride, scale, block_stride, rng.random() < 0.3))
        else:
            scale = rng.choice([1.0, 0.5, 1 / 64, 0.037, 9.0])
            self.add(config_st(rng.choice([16, 48, 64, 100, 128]), scale, rng.randrange(2)))

    # ------------------------------------------------------------ moves and products

    def region(self, rows: int) -> int:
        """So many rows within one region of the scratchpad."""
        return self.rng.choice(self.scratchpad) + self.rng.randint(0, REGION_ROWS - rows)

    def sums(self, rows: int) -> int:
        return ACCUMULATOR | self.rng.choice(self.accumulator) + self.rng.randint(0, REGION_ROWS - rows)

    def source(self, size: int, item: int = 1) -> int:
        """DRAM with so many bytes of input behind it."""
        if size > INPUT_BYTES:
            raise IllegalCommand("more than there is")
        return INPUT + self.rng.randint(0, (INPUT_BYTES - size) // item) * item

    def target(self, size: int) -> int:
        if size > RANDOM_OUTPUT_BYTES:
            raise IllegalCommand("more than there is")
        return OUTPUT + self.rng.randint(0, (RANDOM_OUTPUT_BYTES - size) // 4) * 4

    def load(self) -> None:
        rng = self.rng
        number = rng.randrange(3)
        load = self.oracle.loads[number]
        rows, cols = rng.randint(1, DIM), rng.choice([rng.randint(1, 64), 16, 64])
        if load.repeats > 1:
            cols = rng.randint(1, DIM // load.repeats)
        while (reach := load.block_stride * ((cols - 1) // DIM) + rows) > REGION_ROWS:
            cols -= DIM
        wide = rng.random() < 0.4 and load.repeats == 1
        address = self.sums(reach) | rng.choice([0, ACCUMULATE]) if wide else self.region(reach)
        item = 4 if wide and not load.shrunk else 1
        dram = self.source((rows - 1) * load.stride + cols * item, item) if rng.random() > 0.15 else 0
        self.add(Command([MVIN, MVIN2, MVIN3][number], dram, local(address, cols, rows)))

    def size(self) -> int:
        return self.rng.choice([DIM, DIM, DIM, self.rng.randint(1, DIM)])

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
        d = self.operand(m, n) if rng.random() < 0.3 else local(GARBAGE, DIM, DIM)
        reuse = self.oracle.stationary is not None and rng.random() < 0.4
        nothing = reuse or rng.random() < 0.05
        b = local(GARBAGE, DIM, DIM) if nothing else self.operand(k, n, transposed=e.b_transpose)
        self.add(Command(PRELOAD, b, local(c, n, m)))
        a = self.operand(m, k, e.a_stride, e.a_transpose)
        self.add(Command(COMPUTE_ACCUMULATED if reuse else COMPUTE_PRELOADED, a, d))
        return None

    def store(self) -> None:
        rng, stride = self.rng, self.oracle.store.stride or 0
        if rng.random() < 0.1:
            return self.add(Command(FLUSH, 0, 0))
        rows = rng.randint(1, DIM)
        full = rng.random() < 0.25
        cols = rng.randint(1, DIM) if full or rng.random() < 0.6 else rng.randint(1, 64)
        reach = DIM * ((cols - 1) // DIM) + rows
        address = self.sums(reach) | (FULL_WIDTH if full else 0) if rng.random() < 0.7 or full else self.region(reach)
        self.add(Command(MVOUT, self.target((rows - 1) * stride + cols * 4), local(address, cols, rows)))
        return None

    def final_stores(self) -> None:
        self.add(config_st(64, 1.0, RELU), config_st(64))  # twice: only another activation ends softmax
        at = OUTPUT + RANDOM_OUTPUT_BYTES
        for row in self.scratchpad:
            for half in (0, 32):
                self.add(Command(MVOUT, at, local(row + half, 32, DIM)))
                at += 16 * 64
        for row in self.accumulator:
            for block in range(0, REGION_ROWS, DIM):
                self.add(Command(MVOUT, at, local(row + block | ACCUMULATOR | FULL_WIDTH, DIM, DIM)))
                at += 16 * 64
