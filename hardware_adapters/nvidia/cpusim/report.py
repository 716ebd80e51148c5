"""What the emulator says about a run, typed."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

Three = tuple[int, int, int]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Fault(_Said):
    """Where and why a run ended. `line` (from 1) is the .cu's, None when unknown; no thread outside of kernels.

    Kinds: out_of_bounds, null_pointer, input_written, misaligned, uninitialised_shared, race_shared, race_global,
    divergent_barrier, missing_lanes, deadlock, timeout, bad_launch, shared_memory (too much), wrong_stream,
    host_access, host_crash, stack_overflow, division_by_zero, assertion, trap, bad_call, unsupported, no_launch,
    crashed.
    """

    kind: str
    message: str
    line: int | None = None
    kernel: str | None = None
    block: Three | None = None
    thread: Three | None = None


class Note(_Said):
    """Something that is no fault but may explain a wrong result (uninitialised_global, trace_incomplete)."""

    kind: str
    message: str
    line: int | None = None


class Launch(_Said):
    """One launch. Sectors are of 32 bytes and counted when traced only: `unique_*` once per launch over the blocks that
    ran, `block_*` once per block, summed, `operand_sectors` those of the latter in
    inputs and outputs. `barriers` is summed over the blocks that ran.

    `work`: requests and sectors, requests and wavefronts of shared memory, threads in requests, sectors read and
    written, barriers, of the blocks that ran; `differences`: of each two such amounts (a triangle, row by row) the sum
    over neighbours of the blocks drawn of the product of what they differ by. Empty where all did the same."""

    kernel: str
    line: int
    grid: Three
    block: Three
    static_bytes: int
    dynamic_bytes: int
    blocks: int
    blocks_run: int
    barriers: int
    unique_read_sectors: int
    unique_write_sectors: int
    block_read_sectors: int
    block_write_sectors: int
    operand_sectors: int
    work: tuple[float, ...] = ()
    differences: tuple[float, ...] = ()


class Site(_Said):
    """Accesses of one line, kernel, space, operation and width, over the blocks that ran.

    `requests` are instructions of a warp. Global: `sectors` touched, `ideal_sectors` if the same bytes lay densely.
    Shared: `wavefronts` needed with bank conflicts, `ideal_wavefronts` without. `threads`: lanes that took part.
    """

    kernel: str
    line: int | None
    space: Literal["global", "shared"]
    op: Literal["load", "store", "atomic"]
    bytes: int
    requests: int
    sectors: int
    ideal_sectors: int
    wavefronts: int
    ideal_wavefronts: int
    threads: int


class Report(_Said):
    """`returned` is what launch() gave back, None when it did not return. `complete`: all sites and launches are
    listed. `fills`: calls that set or copy device memory, `filled_bytes` what they move."""

    fault: Fault | None
    launches: tuple[Launch, ...]
    sites: tuple[Site, ...]
    notes: tuple[Note, ...]
    returned: int | None
    complete: bool = True
    fills: int = 0
    filled_bytes: int = 0


class SiteKey(NamedTuple):
    kernel: str
    line: int | None
    space: str
    op: str
    bytes: int
