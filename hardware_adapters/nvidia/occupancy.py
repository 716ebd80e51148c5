"""How many blocks of a kernel one SM holds, and which resource ends it: the rules of CUDA's occupancy calculator."""

from __future__ import annotations

import math
from typing import NamedTuple

from .machines import WARP, Machine


class Residency(NamedTuple):
    """`blocks` per SM (0: the kernel cannot run); `limiter`: registers, shared_memory, warps or blocks, the first of
    those that allow the fewest; `occupancy`: resident warps / the SM's, 0 to 1."""

    blocks: int
    warps: int
    limiter: str
    occupancy: float
    limits: dict[str, int]


def residency(machine: Machine, threads: int, registers: int | None, shared_bytes: int) -> Residency:
    """`shared_bytes`: static and dynamic per block. Registers None: not known, taken to be no limit."""
    warps = max(1, math.ceil(threads / WARP))
    limits = {
        "registers": _by_registers(machine, warps, registers),
        "shared_memory": machine.shared_bytes // _rounded(shared_bytes + machine.shared_reserved, machine.shared_unit),
        "warps": machine.warps // warps,
        "blocks": machine.blocks,
    }
    if threads > machine.threads_per_block:
        limits["warps"] = 0
    if shared_bytes > machine.shared_bytes_per_block:
        limits["shared_memory"] = 0
    limiter = min(limits, key=lambda name: limits[name])
    blocks = limits[limiter]
    return Residency(blocks, blocks * warps, limiter, blocks * warps / machine.warps, limits)


def _by_registers(machine: Machine, warps: int, registers: int | None) -> int:
    if not registers:
        return machine.blocks
    if registers > machine.registers_per_thread:
        return 0
    of_a_warp = _rounded(registers * WARP, machine.register_unit)
    return machine.registers // of_a_warp // machine.warp_unit * machine.warp_unit // warps


def _rounded(size: int, unit: int) -> int:
    return math.ceil(size / unit) * unit
