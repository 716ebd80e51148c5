"""The oracle refuses what the contract refuses, and the rest of those streams is legal."""

from __future__ import annotations

import numpy as np
import pytest
from gemmini_isa import Buffer, IllegalCommand
from gemmini_oracle import GemminiOracle
from refused_commands import REFUSED
from stream_layout import INPUT, OUTPUT


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    """By the last command, and not before."""
    stream = REFUSED[name].stream()
    oracle = GemminiOracle([Buffer(INPUT, stream.data), Buffer(OUTPUT, np.zeros(4096, np.uint8))])
    oracle.run(stream.commands[:-1])
    with pytest.raises(IllegalCommand):
        oracle.step(stream.commands[-1])


def test_what_is_refused_is_legal_but_for_one_thing():
    for name in ("loop_ws spad id 3", "loop_conv_ws spad id 3"):
        stream = REFUSED[name].stream()
        legal = stream.commands[-1]._replace(rs1=stream.commands[-1].rs1 & ~(0xF << 16))
        oracle = GemminiOracle([Buffer(INPUT, stream.data), Buffer(OUTPUT, np.zeros(4096, np.uint8))])
        oracle.run([*stream.commands[:-1], legal])
