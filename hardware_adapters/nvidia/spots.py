"""At the shape of the id only some blocks run: whether they tell enough, and whether what they wrote is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..simulating import Judgement
from .counts import LaunchCounts
from .judge import Case, compared
from .operators import FULL, InputSet, Operator

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

# Of what as many blocks would write on average: those of a kernel that gives others the work write less.
FAIR_SHARE = 0.5


def mixed(launches: Sequence[LaunchCounts]) -> bool:
    """Whether a block's results may be other blocks' as well: of a launch before it, or added up by atomics."""
    sites = (site for launch in launches for site in launch.sites)
    return len(launches) > 1 or any(site.op == "atomic" and site.space == "global" for site in sites)


def fair(launches: Sequence[LaunchCounts], outputs: Mapping[str, Array], least: float = FAIR_SHARE) -> bool:
    """Whether the blocks of the one launch that ran wrote about their share of every output."""
    import numpy as np

    (launch,) = launches
    written = min(float((~np.isnan(values)).mean()) for values in outputs.values())
    return written >= least / launch.scale


def spot_check(
    operator: Operator, whole: InputSet, outputs: Mapping[str, Array], rng: np.random.Generator, *, complete: bool
) -> Judgement | None:
    """What is wrong with rows that were written, at the shape of the id. They are drawn: a kernel that knew which ones
    are compared would compute these alone."""
    import numpy as np

    written = np.zeros(next(iter(outputs.values())).shape[0], bool)
    for values in outputs.values():
        written |= ~np.isnan(values).reshape(values.shape[0], -1).all(axis=1)
    rows = np.arange(written.size) if complete else np.flatnonzero(written)
    if not rows.size:
        return None
    most = operator.spot_rows * (4 if complete else 1)
    chosen = np.sort(rng.choice(rows, min(most, rows.size), replace=False))
    right = operator.expected(operator.rows_of(whole.inputs, chosen))
    got = {name: values[chosen] for name, values in outputs.items()}
    return compared(operator, Case(FULL, 0), right, got, chosen, complete=complete)
