"""Answers of a language model that never asks twice the same way: many different kernels for the real target, some
that do not compile or do not fit, each a function of the request alone, so that a search can be repeated."""

from __future__ import annotations

import hashlib
import re
import time
from typing import Any

from autocomp_mcp.hardware_adapters.gemmini.emit import emit
from autocomp_mcp.hardware_adapters.gemmini.problems import Gemm
from autocomp_mcp.hardware_adapters.gemmini.schedule import CapacityError, Schedule, ScheduleError, baseline_schedule
from messages_api import Answer, asked, is_plan, plan_json

STEPS: tuple[dict[str, Any], ...] = (
    {"fences": "none"}, {"ti": 32}, {"tj": 32}, {"tk": 32}, {"ti": 64}, {"tj": 64}, {"tk": 64}, {"a_width": 64},
    {"b_width": 64}, {"init": "overwrite"}, {"inner": "ijk"}, {"order": "ji"}, {"weight_reuse": True}, {"c_width": 64},
)  # fmt: skip
BROKEN = 8  # one code of so many does not compile at first


class WanderingAuthor:
    def __init__(self, problem: str, delay_s: float = 0.05) -> None:
        self._gemm = Gemm.of(problem)
        self._known: dict[str, Schedule] = {}
        self._delay_s = delay_s
        self._write(baseline_schedule(self._gemm))

    def _write(self, schedule: Schedule) -> str:
        """The kernel without the line that carries its schedule: models are not shown that."""
        text = emit(self._gemm, schedule).partition("\n")[2].strip()
        self._known[text] = schedule
        return text

    def __call__(self, body: dict[str, Any]) -> Answer:
        time.sleep(self._delay_s)
        text = asked(body)
        standing = text.partition("<kernel>\n")[2].partition("\n</kernel>")[0].strip()
        if is_plan(body):
            option = re.search(r"Menu \(id.*\n- ([a-z-]+):", text)[1]  # type: ignore[index]
            slot = re.search(r"plan (\d+) of", text)[1]  # type: ignore[index]
            return plan_json(option, f"Take step {_number(standing, slot) % len(STEPS)}.")
        step = int(re.search(r"Take step (\d+)", text)[1])  # type: ignore[index]
        if _number(standing, "broken", str(step)) % BROKEN == 0 and "does not compile" not in text:
            return f"```c\n{standing}\nint step_{step} = ;\n```"
        try:
            return f"```c\n{self._write(self._known[standing].with_(**STEPS[step]))}\n```"
        except (CapacityError, ScheduleError):
            return f"```c\n{standing}\n```"


def _number(*words: str) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(words).encode()).digest()[:4], "big")
