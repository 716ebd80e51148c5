"""A latency from counts: a roofline with one term per unit, for every launch.

Terms, in ns, of a launch whose blocks are spread evenly over the SMs (the fullest SM counts):

  fp32     the operator's least floating-point work at the peak rate of the lanes that are there: those that take part
           in requests to memory, of an SM's four quarters those that have a warp; launches share it by such requests
  lsu      global loads and stores through the SM's load/store path: a request takes a pass per 128 bytes if its sectors
           lie side by side, and one per sector beyond the ideal number, as scattered sectors lie in lines of their own;
           at least the cycles in which the load/store units take the addresses of 32 lanes
  shared   wavefronts in shared memory, one per cycle, or likewise; through the same path as `lsu`, so the two add up
  l2       different sectors that each block reads (what it reads again hits in its L1), and all that it writes, for
           the L1 passes stores on one by one, at the rate of the L2
  dram     every operand byte that is touched once; and again, for each further round of blocks, what such a round
           touches beyond the size of the L2
  latency  what the warps of an SM wait for loads, 4 of which a warp has under way, and for barriers

Loads of shared memory that ptxas makes one are one request where nvcc's output shows that they can be (`merging`).
Units overlap, but not perfectly: a launch takes (sum of term^3)^(1/3), which is the largest term when it dominates,
plus the device's time for a launch, and for what cudaMemsetAsync fills. No result is below the problem's bound. Not
modelled: instructions other than memory accesses and the least arithmetic, local memory, L1 misses of what a block
touches again, atomics that collide, power limits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .counts import LaunchCounts, Site, total
from .machines import SECTOR_BYTES, WARP, Machine
from .nvcc import KernelFacts
from .occupancy import Residency, residency
from .operators import Operator, bound, moved_bytes

OVERLAP = 3.0
LOADS_UNDER_WAY = 4
L1_LATENCY_CYCLES = 35
BARRIER_CYCLES = 40
QUARTERS = 4  # of an SM, each with a scheduler and lanes of its own
UNITS = ("fp32", "lsu", "shared", "l2", "dram", "latency")
BASIS = "of one call of launch, by a roofline over counts of an emulation: not measured"


class LaunchEstimate(NamedTuple):
    """Times in ns; `idle`: share of the SMs' time in which they have no block; `given`: blocks of the fullest SM."""

    counts: LaunchCounts
    facts: KernelFacts | None
    residency: Residency
    units: dict[str, float]
    body_ns: float
    idle: float
    given: int
    read_bytes: float  # different ones of each block, summed over blocks
    l2_bytes: float
    dram_bytes: float


class Estimate(NamedTuple):
    latency_ns: float
    raw_ns: float  # before it is raised to the bound
    launch_ns: float  # of all launches, their fixed cost
    launches: tuple[LaunchEstimate, ...]
    units: dict[str, float]

    @property
    def main(self) -> LaunchEstimate:
        return max(self.launches, key=lambda launch: launch.body_ns)


def lsu_passes(site: Site) -> float:
    """Cycles of the load/store path that its requests take."""
    if site.space == "shared":
        return site.wavefronts
    return max(site.requests, site.ideal_sectors / 4 + max(0, site.sectors - site.ideal_sectors))


def path_cycles(site: Site, merged: Mapping[int, float], machine: Machine) -> float:
    """Of the SM's load/store path, for the site's requests. `merged`: share of a line's loads of shared memory that
    are left when neighbours are loaded together, which also ends conflicts between lanes that lie as far apart."""
    addresses = site.requests * WARP / machine.lsu_lanes
    if site.space == "global":
        return max(addresses, lsu_passes(site) * 128 / machine.lsu_bytes_per_cycle)
    share = merged.get(site.line, 1.0) if site.op == "load" and site.width == 4 else 1.0
    return max(addresses * share, min(site.wavefronts, max(site.ideal_wavefronts, site.wavefronts * share)))


def estimate(
    operator: Operator,
    launches: Sequence[LaunchCounts],
    facts: Mapping[str, KernelFacts],
    machine: Machine,
    *,
    fills: int = 0,
    filled_bytes: int = 0,
) -> Estimate:
    """Of the shape of the operator's id, which the counts must be of. `fills`: calls that set memory."""
    requests = [launch.scale * sum(site.requests for site in launch.sites) for launch in launches]
    every = sum(requests) or 1.0
    made = tuple(
        _launch(operator, launch, facts.get(launch.kernel), machine, of_all / every)
        for launch, of_all in zip(launches, requests, strict=True)
    )
    fixed = machine.launch_ns * len(made)
    filling = machine.launch_ns * fills + filled_bytes / machine.l2_rate
    filling += max(0, filled_bytes - machine.l2_bytes) / (machine.dram_rate * machine.dram_efficiency)
    raw = fixed + filling + sum(launch.body_ns for launch in made)
    units = {unit: sum(launch.units[unit] for launch in made) for unit in UNITS}
    return Estimate(max(raw, bound(operator, machine).value), raw, fixed, made, units)


def touched_bytes(launches: Sequence[LaunchCounts]) -> float:
    """Of inputs and outputs, each sector of a block once: what all blocks would touch."""
    return sum(launch.scale * SECTOR_BYTES * launch.operand_sectors for launch in launches)


def _launch(
    operator: Operator, counts: LaunchCounts, facts: KernelFacts | None, machine: Machine, share: float
) -> LaunchEstimate:
    shared_bytes = max(counts.static_shared, facts.shared_bytes if facts else 0) + counts.dynamic_shared
    held = residency(machine, counts.threads, facts.registers if facts else None, shared_bytes)
    cycle = 1.0 / machine.clock_ghz
    on_fullest = math.ceil(counts.blocks / machine.sms)
    even = counts.blocks / machine.sms / on_fullest
    per_block = on_fullest / max(1, counts.blocks_run)
    peak = machine.tf32_flops_per_ns if operator.tensor_cores else machine.fp32_flops_per_ns
    merged = facts.merged if facts else {}
    path = {
        space: sum(path_cycles(site, merged, machine) for site in counts.sites if site.space == space)
        * per_block
        * cycle
        for space in ("global", "shared")
    }
    block_bytes = SECTOR_BYTES * (counts.block_read_sectors + counts.block_write_sectors) / max(1, counts.blocks_run)
    stored = sum(site.sectors for site in counts.sites if site.space == "global" and site.op != "load")
    l2_sectors = counts.block_read_sectors + max(stored, counts.block_write_sectors)
    l2_bytes = SECTOR_BYTES * l2_sectors * counts.scale
    dram_bytes = _dram_bytes(operator, counts, held, machine, block_bytes)
    units = {
        "fp32": share * operator.flops / peak / even / _lanes(counts, held, on_fullest),
        "lsu": path["global"],
        "shared": path["shared"],
        "l2": l2_bytes / machine.l2_rate,
        "dram": dram_bytes / (machine.dram_rate * machine.dram_efficiency),
        "latency": _latency(counts, held, machine, on_fullest, l2_bytes, dram_bytes) * cycle,
    }
    others = (time for unit, time in units.items() if unit not in ("lsu", "shared"))
    body = sum(time**OVERLAP for time in (*others, sum(path.values()))) ** (1 / OVERLAP)
    read_bytes = SECTOR_BYTES * counts.block_read_sectors * counts.scale
    return LaunchEstimate(counts, facts, held, units, body, 1 - even, on_fullest, read_bytes, l2_bytes, dram_bytes)


def _lanes(counts: LaunchCounts, held: Residency, on_fullest: int) -> float:
    """Share of the fullest SM's lanes that the launch can keep busy."""
    requests = WARP * total(counts.sites, lambda site: site.requests, "global", "shared")
    taking_part = total(counts.sites, lambda site: site.threads, "global", "shared") / requests if requests else 1.0
    there = counts.threads / (WARP * counts.warps)
    warps = min(on_fullest, max(1, held.blocks)) * counts.warps
    return min(taking_part, there) * min(1.0, warps / QUARTERS)


def _dram_bytes(
    operator: Operator, counts: LaunchCounts, held: Residency, machine: Machine, block_bytes: float
) -> float:
    """Blocks that run at once find in the L2 what another one fetched; later ones find what has room there."""
    tensors = moved_bytes(operator)
    everything = min(block_bytes * counts.blocks, tensors)
    at_once = min(counts.blocks, machine.sms * max(1, held.blocks))
    again = max(0.0, min(at_once * block_bytes, tensors) - machine.l2_bytes)
    return everything + (counts.blocks / at_once - 1) * again


def _latency(
    counts: LaunchCounts, held: Residency, machine: Machine, on_fullest: int, l2_bytes: float, dram_bytes: float
) -> float:
    """Cycles in which the fullest SM's warps, as many as it holds, wait in turn."""
    loads = total(counts.sites, lambda site: site.requests, "global", op="load")
    sectors = SECTOR_BYTES * total(counts.sites, lambda site: site.sectors, "global")
    beyond_l1 = min(1.0, l2_bytes / max(1.0, sectors * counts.scale))
    beyond_l2 = min(1.0, dram_bytes / max(1.0, l2_bytes))
    outside = beyond_l2 * machine.dram_latency_cycles + (1 - beyond_l2) * machine.l2_latency_cycles
    each = beyond_l1 * outside + (1 - beyond_l1) * L1_LATENCY_CYCLES
    at_once = min(on_fullest, max(1, held.blocks))
    of_a_warp = loads / max(1, counts.blocks_run) / counts.warps
    barriers = BARRIER_CYCLES * counts.barriers / max(1, counts.blocks_run)
    return on_fullest / at_once * (of_a_warp * each / LOADS_UNDER_WAY + barriers)
