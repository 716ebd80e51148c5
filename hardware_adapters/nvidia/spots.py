"""At the shape of the id only some blocks run: whether they tell enough, and whether what they wrote is right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..simulating import Judgement
from .counts import LaunchCounts
from .judge import Case, compared, unwritten
from .operators import FULL, InputSet, Operator
from .uncertainty import AMOUNTS

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

# Of what as many blocks would write on average: those of a kernel that gives others the work write less.
FAIR_SHARE = 0.5
EVEN_SHARE = 0.999  # below, blocks differ, or each leaves out a part
ERRORS = 3  # standard errors that the draw of the blocks may be off


def mixed(launches: Sequence[LaunchCounts]) -> bool:
    """Whether a block's results may be other blocks' as well: of a launch before it, or added up by atomics."""
    sites = (site for launch in launches for site in launch.sites)
    return len(launches) > 1 or any(site.op == "atomic" and site.space == "global" for site in sites)


def share(launches: Sequence[LaunchCounts], outputs: Mapping[str, Array]) -> float:
    """What the blocks of the one launch that ran wrote, of what as many write on average where every element of every
    output is written once."""

    (launch,) = launches
    return launch.scale * min(1 - float(unwritten(values).mean()) for values in outputs.values())


def by_the_draw(launches: Sequence[LaunchCounts], found: float) -> bool:
    """Whether blocks differ so much in what they write that another draw may well give a whole share."""
    (launch,) = launches
    written = AMOUNTS.index("written sectors")
    variance = launch.covariance[written][written] if launch.covariance else 0.0
    return found >= FAIR_SHARE and 1 - found <= ERRORS * math.sqrt(max(0.0, variance))


def spot_check(
    operator: Operator, whole: InputSet, outputs: Mapping[str, Array], rng: np.random.Generator, *, complete: bool
) -> Judgement | None:
    """What is wrong with rows that were written, at the shape of the id. They are drawn: a kernel that knew which ones
    are compared would compute these alone. `complete`: every block ran, so what was not written is wrong."""
    import numpy as np

    lost = {name: unwritten(values).reshape(values.shape[0], -1) for name, values in outputs.items()}
    if complete:
        rows = np.flatnonzero(np.any([gaps.any(axis=1) for gaps in lost.values()], axis=0))
        rows = rows if rows.size else np.arange(next(iter(outputs.values())).shape[0])
    else:
        rows = np.flatnonzero(np.any([~gaps.all(axis=1) for gaps in lost.values()], axis=0))
    if not rows.size:
        return None
    most = operator.spot_rows * (4 if complete else 1)
    chosen = np.sort(rng.choice(rows, min(most, rows.size), replace=False))
    right = operator.expected(operator.rows_of(whole.inputs, chosen))
    got = {name: values[chosen] for name, values in outputs.items()}
    return compared(operator, Case(FULL, 0), right, got, chosen, complete=complete)
