"""Answers of a language model that knows its way up: kernels for the real target, over the fake Messages API.

Its ladder are kernels from the naive one to a good one. A plan says how many rungs to take, the code is that rung.
"""

from __future__ import annotations

import re
from typing import Any

from autocomp_mcp.hardware_adapters.gemmini.emit import emit
from autocomp_mcp.hardware_adapters.gemmini.problems import Gemm
from autocomp_mcp.hardware_adapters.gemmini.schedule import baseline_schedule
from messages_api import Answer, asked, is_plan, plan_json

RUNGS: tuple[dict[str, Any], ...] = (
    {},
    {"fences": "none"},
    {"fences": "none", "ti": 32, "tj": 32, "tk": 32},
    {"fences": "none", "ti": 64, "tj": 64, "tk": 64},
    {"fences": "none", "ti": 64, "tj": 64, "tk": 64, "a_width": 64, "b_width": 64},
    {"fences": "none", "ti": 64, "tj": 64, "tk": 64, "a_width": 64, "b_width": 64, "init": "overwrite"},
)


class KernelAuthor:
    def __init__(self, problem: str) -> None:
        gemm = Gemm.of(problem)
        first = baseline_schedule(gemm)
        # What a model is shown: without the line that carries the schedule.
        self.ladder = [emit(gemm, first.with_(**rung).fitted(gemm)).partition("\n")[2].strip() for rung in RUNGS]

    def __call__(self, body: dict[str, Any]) -> Answer:
        text = asked(body)
        if is_plan(body):
            option = re.search(r"Menu \(id.*\n- ([a-z-]+):", text)[1]  # type: ignore[index]
            slot = re.search(r"plan (\d+) of", text)[1]  # type: ignore[index]
            return plan_json(option, f"Take {slot} rungs.")
        standing = self.ladder.index(text.partition("<kernel>\n")[2].partition("\n</kernel>")[0].strip())
        rungs = int(re.search(r"Take (\d+) rungs", text)[1])  # type: ignore[index]
        return f"```c\n{self.ladder[min(standing + rungs, len(self.ladder) - 1)]}\n```"
