"""Random legal command streams for Gemmini, for every array configuration.

A stream fills a few regions of scratchpad and accumulator, does random things to them, and ends by storing all of them,
so that two models agree exactly when their outputs do. The plain set is loads, weight-stationary products and stores;
each of FEATURES adds one more part of the ISA.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from gemmini_isa import DEFAULT, Array, Buffer, Command
from gemmini_oracle import GemminiOracle
from stream_features import FEATURES
from stream_layout import INPUT, INPUT_BYTES, OUTPUT, OUTPUT_BYTES, POISON
from stream_maker import Maker

__all__ = ["FEATURES", "INPUT_BYTES", "OUTPUT_BYTES", "Stream", "make_stream"]


class Stream(NamedTuple):
    commands: list[Command]
    data: np.ndarray  # uint8, INPUT_BYTES
    prologue: int  # commands of the fixed beginning and end
    epilogue: int
    array: Array
    output: np.ndarray | None = None  # what making it left in the output buffer

    def table(self) -> bytes:
        """What the replaying kernel reads: a count and three words per command."""
        words = [len(self.commands), *(word for command in self.commands for word in command)]
        return struct.pack(f"<{len(words)}Q", *words)

    def expected(self) -> np.ndarray:
        """The output buffer after the stream, if it was full of POISON before."""
        return self.replayed() if self.output is None else self.output

    def replayed(self) -> np.ndarray:
        """The same from a new oracle, which sees nothing but the commands."""
        out = np.full(OUTPUT_BYTES, POISON, np.uint8)
        GemminiOracle([Buffer(INPUT, self.data.copy()), Buffer(OUTPUT, out)], self.array).run(self.commands)
        return out

    def prefix(self, length: int) -> Stream:
        """The first commands and the final stores: for finding the command that goes wrong."""
        commands = [*self.commands[: self.prologue + length], *self.commands[-self.epilogue :]]
        return self._replace(commands=commands, output=None)

    @property
    def length(self) -> int:
        return len(self.commands) - self.prologue - self.epilogue


def make_stream(seed: int, length: int, features: Collection[str] = (), array: Array = DEFAULT) -> Stream:
    """A stream of about `length` random commands between its fixed beginning and end.

    Loops bring up to a few dozen commands at once, so a stream with features can be longer. Raises KeyError for a
    feature that FEATURES lacks.
    """
    maker = Maker(random.Random(seed), features, array)
    return Stream(*maker.stream(length), array, maker.output)
