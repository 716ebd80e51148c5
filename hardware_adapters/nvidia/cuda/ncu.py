"""What Nsight Compute prints, read: counters of every kernel that one call launched.

`ncu --csv` prints one of two tables, whatever the version: a row per kernel with a column per metric and a row of units
(`--page raw`), or a row per metric. Lines of its own (`==PROF==`) come before and between.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ...base import EngineFailure, EnvironmentLackError

METRICS = (
    "gpu__time_duration.sum",
    "sm__throughput.avg.pct_of_peak_sustained_elapsed",
    "gpu__dram_throughput.avg.pct_of_peak_sustained_elapsed",
    "dram__bytes_read.sum",
    "dram__bytes_write.sum",
    "l1tex__t_sector_hit_rate.pct",
    "lts__t_sector_hit_rate.pct",
    "l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum",
    "l1tex__t_requests_pipe_lsu_mem_global_op_ld.sum",
    "l1tex__t_sectors_pipe_lsu_mem_global_op_st.sum",
    "l1tex__t_requests_pipe_lsu_mem_global_op_st.sum",
    "l1tex__data_pipe_lsu_wavefronts_mem_shared_op_ld.sum",
    "l1tex__data_pipe_lsu_wavefronts_mem_shared_op_st.sum",
    "l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_ld.sum",
    "l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_st.sum",
    "sm__warps_active.avg.pct_of_peak_sustained_active",
    "sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_active",
    "launch__registers_per_thread",
    "launch__occupancy_limit_registers",
    "launch__occupancy_limit_shared_mem",
    "launch__occupancy_limit_blocks",
    "launch__occupancy_limit_warps",
    "launch__waves_per_multiprocessor",
    *(
        f"smsp__average_warps_issue_stalled_{cause}_per_issue_active.ratio"
        for cause in (
            "long_scoreboard", "short_scoreboard", "barrier", "mio_throttle", "lg_throttle", "math_pipe_throttle",
            "wait",
        )
    ),
)  # fmt: skip
LOG = "ncu.csv"
PROGRAM = "ncu"
NO_PERMISSION = "ERR_NVGPUCTRPERM"
_UNKNOWN = re.compile(r"Failed to find metric\s+(?:regex:\^?)?([\w.]+)")
# What a printed unit is in the base unit: bytes, ns, and for the rest themselves.
_SCALE = {
    "Kbyte": 1e3, "Mbyte": 1e6, "Gbyte": 1e9, "Tbyte": 1e12,
    "us": 1e3, "usecond": 1e3, "ms": 1e6, "msecond": 1e6, "s": 1e9, "second": 1e9,
}  # fmt: skip
_GROUPED = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")


class KernelCounters(NamedTuple):
    """Of one launch. A metric that this device or version does not have is None."""

    name: str
    grid: tuple[int, ...]
    block: tuple[int, ...]
    metrics: dict[str, float | None]


def command(metrics: Iterable[str] = METRICS) -> tuple[str, ...]:
    """The start of a command line. The runner tells the profiler which call to look at. Clocks stay as they are: a
    profiler that is killed would leave them fixed for everybody."""
    return (
        PROGRAM, "--profile-from-start", "off", "--target-processes", "all", "--cache-control", "all",
        "--clock-control", "none", "--csv", "--page", "raw", "--print-units", "base", "--metrics", ",".join(metrics),
        "--log-file", LOG,
    )  # fmt: skip


def unknown(log: str) -> set[str]:
    """Metrics that this device or version does not have: asked for one of them, ncu measures nothing."""
    return set(_UNKNOWN.findall(log)) & set(METRICS)


def complaint(log: str) -> str | None:
    """What ncu itself could not do. Raises EnvironmentLackError where counters are not allowed."""
    if NO_PERMISSION in log:
        raise EnvironmentLackError(
            f"reading the GPU's counters is not permitted here ({NO_PERMISSION}): an administrator allows it with the "
            "kernel module's option NVreg_RestrictProfilingToAdminUsers=0; root may read them, but not from within the "
            "sandbox (AUTOCOMP_SANDBOX=limits)"
        )
    return next((line for line in log.splitlines() if line.startswith("==ERROR==")), None)


def parse(text: str) -> list[KernelCounters]:
    """Raises EngineFailure for text that is no table."""
    try:
        return _parse(text)
    except (csv.Error, KeyError, ValueError) as error:  # columns that are missing, rows without an end
        raise EngineFailure(f"ncu printed no table that can be read ({error!r}): {_last_words(text)}") from error


def _parse(text: str) -> list[KernelCounters]:
    lines = [line for line in text.splitlines() if line.startswith('"')]
    rows = [row for row in csv.reader(lines) if row]
    if not rows or "Kernel Name" not in rows[0]:
        raise EngineFailure(f"ncu printed no table: {_last_words(text)}")
    header, *body = rows
    if body and len(body[0]) != len(header):
        raise EngineFailure(f"ncu printed a table whose rows do not fit its header: {_last_words(text)}")
    found = _long(header, body) if "Metric Name" in header else _wide(header, body)
    if not found:
        raise EngineFailure(f"ncu saw no kernel: {_last_words(text)}")
    return found


def _wide(header: Sequence[str], body: list[list[str]]) -> list[KernelCounters]:
    units = dict(zip(header, body.pop(0), strict=True)) if body and not body[0][0] else {}
    kernels = []
    for cells in body:
        row = dict(zip(header, cells, strict=False))
        metrics = {name: number(row[name], units.get(name, "")) for name in METRICS if name in row}
        kernels.append(_kernel(row, metrics))
    return kernels


def _long(header: Sequence[str], body: list[list[str]]) -> list[KernelCounters]:
    kernels: dict[str, tuple[dict[str, str], dict[str, float | None]]] = {}
    for cells in body:
        row = dict(zip(header, cells, strict=False))
        _, metrics = kernels.setdefault(row["ID"], (row, {}))
        if row.get("Metric Name") in METRICS:
            metrics[row["Metric Name"]] = number(row.get("Metric Value", ""), row.get("Metric Unit", ""))
    return [_kernel(row, metrics) for row, metrics in kernels.values()]


def _kernel(row: Mapping[str, str], metrics: Mapping[str, float | None]) -> KernelCounters:
    all_of_them = {name: metrics.get(name) for name in METRICS}
    return KernelCounters(
        row["Kernel Name"], _dims(row.get("Grid Size", "")), _dims(row.get("Block Size", "")), all_of_them
    )


def _dims(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)))


def number(text: str, unit: str) -> float | None:
    """In the base unit; None for what is no number (n/a, empty)."""
    plain = text.strip()
    if _GROUPED.fullmatch(plain):
        plain = plain.replace(",", "")
    try:
        value = float(plain) * _SCALE.get(unit.strip(), 1.0)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def total(kernels: Sequence[KernelCounters], metric: str) -> float | None:
    """Of all launches: sums add up, averages and ratios weigh by duration; None where one of them is not known."""
    values = [kernel.metrics[metric] for kernel in kernels]
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    if metric.endswith(".sum"):
        return sum(known)
    if metric.startswith("launch__"):
        durations = [kernel.metrics["gpu__time_duration.sum"] or 0.0 for kernel in kernels]
        return known[durations.index(max(durations))]  # of the longest one
    weights = [kernel.metrics["gpu__time_duration.sum"] for kernel in kernels]
    if any(weight is None for weight in weights) or not sum(filter(None, weights)):
        return sum(known) / len(known)
    return sum(v * w for v, w in zip(known, weights, strict=True) if w is not None) / sum(filter(None, weights))


def ratio(kernels: Sequence[KernelCounters], above: str, below: str) -> float | None:
    a, b = total(kernels, above), total(kernels, below)
    return a / b if a is not None and b else None


def _last_words(text: str) -> str:
    return " / ".join(text.strip().splitlines()[-3:])[-400:] or "nothing at all"
