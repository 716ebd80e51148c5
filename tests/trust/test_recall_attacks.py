"""A verdict is taken over from a kernel with the same machine code: none may look the same and do something else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import Evaluation
from autocomp_mcp.hardware_adapters.evaluator import evaluate
from autocomp_mcp.hardware_adapters.store import Home

pytestmark = pytest.mark.trust
PROBLEM = "gemmini/gemm-16x16x16"
RIGHT = """  config_ex(WS, NOACT, 1, 0, 0);
  config_st(16);
  config_ld(16, 1.0f, 16, 0);
  mvin(A, 0, 16, 16);
  mvin(B, 16, 16, 16);
  preload(16, ACC, 16, 16, 16, 16);
  compute_preloaded({a}, NONE, 16, 16, 16, 16);
  mvout(C, ACC, 16, 16);
"""
HEAD = '#include "gemmini_api.h"\n'
ARGUMENTS = "(const int8_t *A, const int8_t *B, int8_t *C) {\n"
PAIRS = {
    "a variable in a section of its own": [
        HEAD
        + f'static volatile uint32_t place __attribute__((section(".own"))) = {place};\n'
        + f"void solution{ARGUMENTS}{RIGHT.format(a='place')}}}\n"
        for place in (0, 16)
    ],
    "the entry is another function of the same program": [
        HEAD
        + f"__attribute__((used)) void right{ARGUMENTS}{RIGHT.format(a=0)}}}\n"
        + f"__attribute__((used)) void wrong{ARGUMENTS}{RIGHT.format(a=16)}}}\n"
        + f'asm(".globl solution\\n.set solution, {entry}");\n'
        for entry in ("right", "wrong")
    ],
    "an immediate of one instruction": [
        HEAD + f"void solution{ARGUMENTS}{RIGHT.format(a=place)}}}\n" for place in (0, 16)
    ],
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_the_second_of_two_alike_is_judged_itself(
    pair: list[str], tmp_path: Path, make_home: Callable[[Path], Path], score
) -> None:
    home = Home(make_home(tmp_path / "home"))

    async def main() -> list[Evaluation]:
        return [await evaluate(PROBLEM, source, home=home) for source in pair]

    right, wrong = anyio.run(main)
    held = right.verdict == "passed" and wrong.verdict == "wrong_result" and not wrong.cached
    score("attacks refused, gemmini", held)
    assert held, (right.message, wrong.message)
