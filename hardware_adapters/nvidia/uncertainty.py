"""How far an estimate may be off because some blocks of a launch ran only, one drawn of each equal part of the grid.

Of the blocks drawn the runtime tells by how much neighbours differ. Half the mean square of that is the variance of a
block within its part (von Neumann's estimator: what changes slowly along the grid is no uncertainty), and divided by
their number that of the mean, less where many of all blocks ran. The latency follows the means by the estimate itself:
its derivatives, by trying, make a standard error of what the means' errors are together.

What none of the blocks drawn did is not known: of n of them, all alike, follows with 95 % confidence that fewer than
3 / n of all blocks are different.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .counts import LaunchCounts, Site

AMOUNTS = (
    "requests", "sectors", "shared requests", "wavefronts", "threads", "read sectors", "written sectors", "barriers",
)  # fmt: skip
STEP = 0.02  # of an amount, when a derivative is tried out


def covariance(
    work: Sequence[float], differences: Sequence[float], run: int, blocks: int
) -> tuple[tuple[float, ...], ...]:
    """`work` and `differences`: as the runtime reports them (see its `Launch`)."""
    if not differences or not 1 < run < blocks:
        return ()
    factor = run / (2 * (run - 1)) * (1 - run / blocks)
    rows = []
    for k, of_k in enumerate(work):
        first = k * (k + 1) // 2
        row = zip(differences[first : first + k + 1], work, strict=False)
        rows.append(tuple(factor * squares / (of_k * of_l) if of_k and of_l else 0.0 for squares, of_l in row))
    return tuple(tuple(rows[max(k, m)][min(k, m)] for m in range(len(rows))) for k in range(len(rows)))


def relative_error(launches: Sequence[LaunchCounts], latency: Callable[[Sequence[LaunchCounts]], float]) -> float:
    """The standard error of `latency` (ns, of launches as counted) as a share of it; the launches' errors add up, as
    one seed draws for all. Infinite where one block was to tell of several."""
    total = 0.0
    for number, launch in enumerate(launches):
        if launch.blocks_run == 1 < launch.blocks:
            return math.inf
        if not launch.covariance:
            continue
        slopes = []
        for amount in AMOUNTS:
            low, high = (
                latency([*launches[:number], scaled(launch, amount, 1 + sign * STEP), *launches[number + 1 :]])
                for sign in (-1, 1)
            )
            slopes.append((high - low) / (2 * STEP))
        matrix = launch.covariance
        variance = sum(a * b * matrix[k][m] for k, a in enumerate(slopes) for m, b in enumerate(slopes))
        total += math.sqrt(max(0.0, variance))
    return total / latency(launches)


def stated(launches: Sequence[LaunchCounts], error: float) -> str:
    """For people; empty where every block ran."""
    launch = min(launches, key=lambda launch: launch.blocks_run / max(1, launch.blocks), default=None)
    if launch is None or launch.blocks_run >= launch.blocks:
        return ""
    counted = f"counted in {launch.blocks_run} of {launch.blocks} blocks, drawn"
    if error == math.inf:
        return f"{counted}: how much others differ is not known"
    return f"{counted}: standard error {100 * error:.1f} %" if error else f"{counted}, all alike"


def scaled(launch: LaunchCounts, amount: str, factor: float) -> LaunchCounts:
    """With so much more of it."""
    match amount:
        case "read sectors":
            return launch._replace(block_read_sectors=launch.block_read_sectors * factor)  # type: ignore[arg-type]
        case "written sectors":
            return launch._replace(block_write_sectors=launch.block_write_sectors * factor)  # type: ignore[arg-type]
        case "barriers":
            return launch._replace(barriers=launch.barriers * factor)  # type: ignore[arg-type]
    return launch._replace(sites=tuple(_scaled_site(site, amount, factor) for site in launch.sites))


def _scaled_site(site: Site, amount: str, factor: float) -> Site:
    fields = {
        "requests": ("requests", "ideal_sectors") if site.space == "global" else (),
        "sectors": ("sectors",) if site.space == "global" else (),
        "shared requests": ("requests", "ideal_wavefronts") if site.space == "shared" else (),
        "wavefronts": ("wavefronts",) if site.space == "shared" else (),
        "threads": ("threads",),
    }[amount]
    return site._replace(**{name: getattr(site, name) * factor for name in fields})
