"""What an emulated call did: launches, and memory accesses by source line. Counts are of the blocks that were run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from .machines import WARP


class Site(NamedTuple):
    """One access of the source, in all blocks that were run. `width`: bytes per thread; a request is one instruction of
    one warp; sectors (global memory) are of 32 bytes, wavefronts (shared memory) one pass of the 32 banks; ideal: what
    the same bytes would take side by side."""

    line: int
    kernel: str
    space: Literal["global", "shared"]
    op: Literal["load", "store", "atomic"]
    width: int
    requests: int
    sectors: int
    ideal_sectors: int
    wavefronts: int
    ideal_wavefronts: int
    threads: int


class LaunchCounts(NamedTuple):
    """`block_*_sectors`: different sectors that a block touches, summed over blocks; `unique_*`: over all of them.
    `covariance`: of the errors of the blocks' mean amounts (`uncertainty.AMOUNTS`), as shares of these, by the draw of
    the blocks; empty where they all did the same."""

    kernel: str
    line: int | None
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    static_shared: int
    dynamic_shared: int
    blocks_run: int
    barriers: int
    block_read_sectors: int
    block_write_sectors: int
    unique_read_sectors: int
    unique_write_sectors: int
    operand_sectors: int  # of the blocks' sectors, those in inputs and outputs
    sites: tuple[Site, ...]
    covariance: tuple[tuple[float, ...], ...] = ()

    @property
    def blocks(self) -> int:
        return math.prod(self.grid)

    @property
    def threads(self) -> int:
        return math.prod(self.block)

    @property
    def warps(self) -> int:
        return math.ceil(self.threads / WARP)

    @property
    def shared_bytes(self) -> int:
        return self.static_shared + self.dynamic_shared

    @property
    def scale(self) -> float:
        """Blocks that a counted one stands for."""
        return self.blocks / max(1, self.blocks_run)


def complete(launches: Iterable[LaunchCounts]) -> bool:
    """Whether every block ran."""
    return all(launch.blocks_run == launch.blocks for launch in launches)


def total(sites: Iterable[Site], what: Callable[[Site], int], *spaces: str, op: str | None = None) -> int:
    return sum(what(site) for site in sites if site.space in spaces and op in (None, site.op))
