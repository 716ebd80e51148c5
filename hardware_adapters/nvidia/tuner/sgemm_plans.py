"""Whole schedules of a matrix product, best first by what they are expected to take.

Single changes run into each other: registers pay only once shared memory is read by float4, that only where the tile of
A is kept transposed, and which tile fills the SMs depends on all of them. So tiles, layout and stages are chosen
together here.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import NamedTuple

from ...schedules import ScheduleError
from ..machines import Machine, machine
from ..matrices import Gemm
from .sgemm_counts import expected_ns
from .sgemm_schedule import SgemmSchedule, check

OFFERED = 6
_EDGES, _STEPS, _OF_A_THREAD = (16, 32, 64, 128), (8, 16, 32), (4, 8)


class Plan(NamedTuple):
    schedule: SgemmSchedule
    expected_ns: float

    @property
    def name(self) -> str:
        s = self.schedule
        padded = f"-pad{s.pad}" if s.pad else ""
        return f"{s.tm}x{s.tn}-of-{s.bm}x{s.bn}-k{s.bk}{padded}{'-two' if s.stages == 2 else ''}"

    @property
    def summary(self) -> str:
        s = self.schedule
        stages = "two stages" if s.stages == 2 else "one stage"
        return (
            f"{s.tm} x {s.tn} results per thread, {s.bm} x {s.bn} per block, {s.bk} steps of K per tile, A transposed "
            f"with {s.pad} floats of padding, float4, {stages}: about {self.expected_ns / 1000:.3g} us expected"
        )


def plans(gemm: Gemm) -> tuple[Plan, ...]:
    """The best for every tile of a block, best first: the first few differ in kind, not in padding."""
    return _plans(gemm, machine().model_dump_json())


@lru_cache(maxsize=32)
def _plans(gemm: Gemm, fields: str) -> tuple[Plan, ...]:
    device = Machine.model_validate_json(fields)
    best: dict[tuple[int, ...], Plan] = {}
    for schedule in _schedules():
        try:
            check(gemm, schedule)
        except ScheduleError:
            continue
        plan = Plan(schedule, expected_ns(gemm, schedule, device))
        kind = (schedule.bm, schedule.bn, schedule.tm * schedule.tn)
        if kind not in best or plan.expected_ns < best[kind].expected_ns:
            best[kind] = plan
    return tuple(sorted(best.values(), key=lambda plan: plan.expected_ns)[:OFFERED])


@lru_cache
def _schedules() -> tuple[SgemmSchedule, ...]:
    always = SgemmSchedule(staged=True, turned=True, vector=4, reads=4, restrict=True, unroll=True)
    names = ("bm", "bn", "tm", "tn", "bk", "pad", "stages")
    choices = product(_EDGES, _EDGES, _OF_A_THREAD, _OF_A_THREAD, _STEPS, (0, 4), (1, 2))
    return tuple(always.with_(**dict(zip(names, chosen, strict=True))) for chosen in choices)
