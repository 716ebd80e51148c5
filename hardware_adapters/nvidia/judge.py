"""From what emulations report to a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..base import Fault, Latency, Mismatch
from ..simulating import LOST, Judgement
from .counts import LaunchCounts, complete
from .estimate import BASIS, Estimate, touched_bytes
from .machines import Machine
from .operators import Operator, Right, bound, moved_bytes
from .profile import counters

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

MAX_MISMATCHES = 8
# Sampled blocks may touch less than the average one does.
LEAST_TOUCHED, LEAST_TOUCHED_BY_ALL = 0.5, 0.99
TRUST = (
    "A roofline over counts of an emulation on the CPU, never compared with a GPU by us: go by the order within a "
    "family; a factor of two is no surprise."
)


POISON = 0xFFFFFFFF  # what every engine fills an output with before a call: a NaN, but none that arithmetic makes


class Case(NamedTuple):
    """One emulated call: what it was given, and in which order its threads ran."""

    inputs: str
    order: int


def faulted(case: Case, said: Fault, source: str, detail: str = "") -> Judgement:
    lines = source.split("\n")
    text = lines[said.line - 1].strip()[:120] if said.line and said.line <= len(lines) else None
    where = f"; line {said.line}: {text}" if text else ""
    message = f"{said.kind.replace('_', ' ')}: {said.message}{detail} (inputs {case.inputs!r}){where}"
    return Judgement("crashed", message, said.model_copy(update={"instruction": text}))


def unwritten(values: Array) -> Array:
    """Which of these float32 still hold what was there before the call."""
    import numpy as np

    return np.ascontiguousarray(values).view(np.uint32) == POISON


def compared(
    operator: Operator,
    case: Case,
    expected: Mapping[str, Right],
    outputs: Mapping[str, Array],
    rows: Array | None = None,
    *,
    complete: bool = False,
) -> Judgement | None:
    """What is wrong with the outputs, or None. `rows`: which ones these are, where not all are compared; unless
    `complete`, what the blocks that ran did not write is not looked at."""
    import numpy as np

    for name, right in expected.items():
        got = outputs[name].astype(np.float64)
        with np.errstate(invalid="ignore"):
            bad = ~(np.abs(got - right.values) <= operator.closeness * right.scale)
        if rows is not None and not complete:
            bad &= ~unwritten(outputs[name])
        wrong = int(bad.sum())
        if wrong:
            return _wrong(case, name, got, right.values, bad, rows, complete)
    return None


def _wrong(
    case: Case, name: str, got: Array, expected: Array, bad: Array, rows: Array | None, complete: bool
) -> Judgement:
    import numpy as np

    wrong, mismatches = int(bad.sum()), []
    for flat in np.flatnonzero(bad)[:MAX_MISMATCHES]:
        index = tuple(int(i) for i in np.unravel_index(flat, expected.shape))
        value = float(got[index])
        found = value if np.isfinite(value) else None
        place = index if rows is None else (int(rows[index[0]]), *index[1:])
        mismatches.append(Mismatch(output=name, index=place, got=found, expected=float(expected[index])))
    message = f"{wrong} of {expected.size} elements of {name} are wrong with the inputs {case.inputs!r}"
    if rows is not None:
        where = "" if complete else " where the blocks that ran wrote something"
        text = f"{message}, of which {rows.size} rows were compared{where}"
        if lost := int(np.isnan(got[bad]).sum()):
            text += f"; {lost} are not a number: {LOST}"
        return Judgement("wrong_result", text, mismatches=tuple(mismatches), wrong_elements=wrong)
    lost = int(np.isnan(got[bad]).sum())
    if lost == wrong:
        message += f"; they are not a number: {LOST}"
    elif lost:
        message += f"; {lost} are not a number: {LOST}"
    if wrong < expected.size:
        hit = np.argwhere(bad)
        box = "".join(f"[{a}..{b}]" for a, b in zip(hit.min(0), hit.max(0), strict=True))
        message += f"; all wrong ones lie in {box}"
        if (tail := _tail(hit, expected.shape)) is not None:
            message += f": {tail}"
    return Judgement("wrong_result", message, mismatches=tuple(mismatches), wrong_elements=wrong)


def _tail(hit: Array, shape: tuple[int, ...]) -> str | None:
    """Whether only the end of a dimension is wrong."""
    for axis, size in enumerate(shape):
        first = int(hit[:, axis].min())
        if first > size // 2 and int(hit[:, axis].max()) == size - 1:
            return f"only the last {size - first} of dimension {axis}, which is {size}: check what a partial tile does"
    return None


def timed(
    operator: Operator,
    launches: Sequence[LaunchCounts],
    found: Estimate,
    machine: Machine,
    checked: str,
    drawn: str = "",
) -> Judgement:
    """`checked`: what was compared, for the message; `drawn`: what the estimate owes to the draw of the blocks."""
    least = bound(operator, machine)
    touched, needed = touched_bytes(launches), moved_bytes(operator)
    if touched < (LEAST_TOUCHED_BY_ALL if complete(launches) else LEAST_TOUCHED) * needed:
        text = (
            f"at the shape of the id the kernels touch about {touched:.0f} bytes, but inputs and outputs have "
            f"{needed}: the work is not done there"
        )
        return Judgement("rejected", text)
    latency_ns = round(found.latency_ns, 1)
    utilisation = min(1.0, least.value / latency_ns)
    held = found.main.residency
    return Judgement(
        "passed",
        f"correct {checked}; about {latency_ns / 1000:.1f} us on {machine.title} (estimated), "
        f"{100 * utilisation:.1f} % of the bound; occupancy {100 * held.occupancy:.0f} %",
        latency=Latency(value=latency_ns, unit="ns", statistic="; ".join(filter(None, (BASIS, drawn)))),
        utilisation=utilisation,
        counters=counters(found),
    )


def unsound(found: Estimate) -> str | None:
    """Why the device could not run a launch, by ptxas' figures; None when it can."""
    for launch in found.launches:
        if launch.residency.blocks == 0:
            limits = ", ".join(f"{name} {blocks}" for name, blocks in launch.residency.limits.items())
            return f"no SM can hold a block of {launch.counts.kernel} (blocks allowed by {limits})"
    return None
