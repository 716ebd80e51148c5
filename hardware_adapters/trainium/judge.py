"""From what the simulator reports to a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..base import Fault, Latency, Mismatch
from ..simulating import LOST, Judgement
from .machines import ENGINES, machines
from .operators import Closeness, InputSet, Operator, bound

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

MAX_MISMATCHES = 8
PIECE = 1 << 24  # elements compared at once
STATISTIC = "one call, by a cost model whose Vector costs are uncertain by about 25 %"
TRUST = (
    "Documented instruction costs (Vector +-25 %), never compared with hardware by us: go by the order within a family."
)


def judge(
    operator: Operator,
    engine: str,
    sets: Sequence[InputSet],
    expected: Sequence[Mapping[str, Array]],
    outputs: Sequence[Mapping[str, Array]],
    report: Mapping[str, Any],
    source: str,
) -> Judgement:
    """Every set counts: a fault or a wrong element anywhere fails the kernel."""
    for chosen, fault in zip(sets, report["faults"], strict=False):
        if fault is not None:
            return _faulted(chosen.name, fault, source)
    if (wrong := compared(operator, sets, expected, outputs)) is not None:
        return wrong
    return _timed(operator, engine, report["schedule"], sets[report["slowest"]])


def compared(
    operator: Operator,
    sets: Sequence[InputSet],
    expected: Sequence[Mapping[str, Array]],
    outputs: Sequence[Mapping[str, Array]],
    *,
    published: bool = False,
) -> Judgement | None:
    """None where every element of every set is within the tolerance. `published`: that, not float32's, where the
    arithmetic is a device's, whose accuracy is not known to us."""
    for chosen, right, got in zip(sets, expected, outputs, strict=True):
        for name, values in got.items():
            near = operator.near(right[name], published=published)
            if (wrong := _compared(chosen.name, name, values, right[name], near)) is not None:
                return wrong
    return None


def _faulted(case: str, said: Mapping[str, Any], source: str) -> Judgement:
    line = said["line"]
    lines = source.split("\n")
    text = lines[line - 1].strip()[:120] if line and line <= len(lines) else None
    fault = Fault(kind=said["kind"], message=said["message"], instruction=text, line=line)
    where = f"; line {line}: {text}" if text else ""
    return Judgement("crashed", f"{said['kind'].replace('_', ' ')}: {said['message']}{where}", fault)


def _compared(case: str, name: str, got: Array, expected: Array, near: Closeness) -> Judgement | None:
    import numpy as np

    bad, lost = _wrong_elements(got.ravel(), expected.ravel(), near)
    if not (wrong := bad.size):
        return None
    mismatches = []
    for flat in bad[:MAX_MISMATCHES]:
        index = tuple(int(i) for i in np.unravel_index(flat, expected.shape))
        value = float(got[index])
        found = value if np.isfinite(value) else None
        mismatches.append(Mismatch(output=name, index=index, got=found, expected=float(expected[index])))
    message = f"{wrong} of {expected.size} elements of {name} are wrong with the {case!r} inputs"
    if lost == expected.size:
        message += f"; all are not a number: {LOST}"
    elif lost:
        message += f"; {lost} are not a number: {LOST}"
    elif wrong < expected.size:
        hit = np.unravel_index(bad, expected.shape)
        message += "; all wrong ones lie in " + "".join(f"[{axis.min()}..{axis.max()}]" for axis in hit)
    return Judgement("wrong_result", message, mismatches=tuple(mismatches), wrong_elements=wrong)


def _wrong_elements(got: Array, expected: Array, near: Closeness) -> tuple[Array, int]:
    """Where, and how many are not a number; in pieces, since an output may have a gigabyte in float64."""
    import numpy as np

    found, lost = [], 0
    for first in range(0, expected.size, PIECE):
        right = expected[first : first + PIECE].astype(np.float64)
        values = got[first : first + PIECE].astype(np.float64)
        with np.errstate(invalid="ignore"):
            bad = ~(np.abs(values - right) <= near.absolute + near.relative * np.abs(right))
        found.append(np.flatnonzero(bad) + first)
        lost += int(np.isnan(values).sum())
    return np.concatenate(found), lost


def _timed(operator: Operator, engine: str, schedule: Mapping[str, Any], slowest: InputSet) -> Judgement:
    least = bound(operator, machines()[ENGINES[engine]])
    latency_ns = round(schedule["latency_ns"])
    if latency_ns < least.value:
        message = f"{latency_ns} ns are fewer than the machine can need ({least.reason}): the work was not done"
        return Judgement("rejected", message)
    utilisation = least.value / max(1, latency_ns)
    title = machines()[ENGINES[engine]].title
    longest = "" if slowest.timed else f"; its work depends on the data, and the {slowest.name!r} inputs take longest"
    return Judgement(
        "passed",
        f"correct on all input sets; about {latency_ns} ns on {title} (estimated), "
        f"{100 * utilisation:.1f} % of the bound{longest}",
        latency=Latency(value=latency_ns, unit="ns", statistic=STATISTIC),
        utilisation=utilisation,
        counters=counters(schedule),
    )


def counters(schedule: Mapping[str, Any]) -> dict[str, int | None]:
    """Names end in their unit."""
    dma = schedule["dma"]
    return {
        "instructions": schedule["instructions"],
        "dma_transfers": round(dma["count"]),
        "dma_bytes": round(dma["bytes"]),
        "hbm_bytes_read": sum(ways[0] for ways in schedule["traffic"].values()),
        "hbm_bytes_written": sum(ways[1] for ways in schedule["traffic"].values()),
        "sbuf_bytes_peak": schedule["peak"]["sbuf"],
        "psum_bytes_peak": schedule["peak"]["psum"],
        **{f"{unit}_busy_ns": round(time) for unit, time in schedule["busy_ns"].items()},
    }
