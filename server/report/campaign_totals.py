"""What the searches of a campaign found and spent together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ...agent.campaign import Standing


class Totals(NamedTuple):
    """`cost_usd`: None where the price of a model is not known. `speedup`: the geometric mean; None without any."""

    evaluations: int
    cost_usd: float | None
    time_s: float
    speedup: float | None


def totals(standings: Sequence[Standing]) -> Totals:
    runs = [standing.status for standing in standings if standing.status is not None]
    speedups = [run.speedup for run in runs if run.speedup is not None]
    costs = [run.cost_usd for run in runs]
    return Totals(
        evaluations=sum(run.evaluations for run in runs),
        cost_usd=None if any(cost is None for cost in costs) else sum(cost or 0.0 for cost in costs),
        time_s=sum(run.wall_s for run in runs),
        speedup=math.exp(sum(map(math.log, speedups)) / len(speedups)) if speedups else None,
    )
