"""Why one kernel is slower than another: the difference in latency, accounted for by cause. No model is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import Field

from ..hardware_adapters.base import Evaluation, Latency, LatencySource, Profile, Record, StallCause, Verdict
from .results import clip

MAX_CAUSES = 10
MAX_CHANGES = 12
NAMED = 3  # causes that the summary names on either side
NOTABLE = 0.05  # of the difference; what is less goes unnamed in the summary
Side = Literal["a", "b"]


class Change(Record):
    """null: not known for that kernel."""

    name: str
    a: int | None
    b: int | None


class Cause(Record):
    cause: str = Field(description="A cause of stalls, or UNIT_busy: the work of the main unit itself")
    a: int = Field(description="Cycles of kernel a")
    b: int
    difference: int = Field(description="b - a")
    share: float | None = Field(description="difference / difference in latency; negative: it works against it")
    explanation: str = Field(description="What the cause means")
    evidence: tuple[Change, ...] = Field(default=(), description="Counters that explain it, where they changed")


class ComparedKernel(Record):
    kernel: str
    verdict: Verdict
    message: str | None = Field(default=None, description="Why it does not pass")
    latency: Latency | None = None
    utilisation: float | None = None
    bottlenecks: tuple[str, ...] = Field(default=(), description="Most costly first, for list_optimizations")


class Comparison(Record):
    problem: str
    engine: str
    source: LatencySource
    a: ComparedKernel
    b: ComparedKernel
    summary: str
    faster: Side | None = Field(default=None, description="null: equally fast, or one does not pass")
    ratio: float | None = Field(default=None, description="Latency of the slower over that of the faster")
    difference: float | None = Field(default=None, description="Latency of b - a, in the unit of the latencies")
    causes: tuple[Cause, ...] = Field(default=(), description="Disjoint; they add up to the difference; largest first")
    unaccounted: float | None = Field(default=None, description="What is left of the difference after all causes")
    units: tuple[Change, ...] = Field(default=(), description="Busy cycles per unit; units work side by side")
    traffic: tuple[Change, ...] = Field(default=(), description="Bytes moved per tensor")
    commands: tuple[Change, ...] = Field(default=(), description="Commands issued, by type, where they differ")


def compare(a: Profile | Evaluation, b: Profile | Evaluation, meanings: Mapping[str, StallCause]) -> Comparison:
    """Two kernels for the same problem, by the same engine."""
    first, second = _side(a), _side(b)
    about = {"problem": a.problem, "engine": a.engine, "source": a.source, "a": first, "b": second}
    if not isinstance(a, Profile) or not isinstance(b, Profile):
        failed = [
            f"{name} does not pass ({side.verdict})" for name, side in (("a", first), ("b", second)) if side.message
        ]
        return Comparison(**about, summary="; ".join(failed) + ": mend that first, simulate_kernel tells more")
    before, after = a.latency.value, b.latency.value
    difference = after - before
    causes = _causes(a, b, difference, meanings)
    unaccounted = difference - sum(cause.difference for cause in causes) if causes else None
    faster: Side | None = None if not difference else "b" if difference < 0 else "a"
    ratio = max(before, after) / min(before, after)
    return Comparison(
        **about,
        faster=faster,
        ratio=round(ratio, 4),
        difference=difference,
        causes=tuple(causes[:MAX_CAUSES]),
        unaccounted=unaccounted,
        units=_changes({u.unit: u.busy for u in a.units}, {u.unit: u.busy for u in b.units}),
        traffic=_changes({t.tensor: t.bytes_moved for t in a.traffic}, {t.tensor: t.bytes_moved for t in b.traffic}),
        commands=_largest(_changes(a.commands, b.commands, absent=0)),
        summary=_summary(a.latency, b.latency, faster, ratio, causes, unaccounted),
    )


def _side(result: Profile | Evaluation) -> ComparedKernel:
    if isinstance(result, Profile):
        return ComparedKernel(
            kernel=result.kernel,
            verdict="passed",
            latency=result.latency,
            utilisation=result.utilisation,
            bottlenecks=tuple(found.id for found in result.bottlenecks),
        )
    return ComparedKernel(kernel=result.kernel, verdict=result.verdict, message=clip(result.message, 600))


def _causes(a: Profile, b: Profile, difference: float, meanings: Mapping[str, StallCause]) -> list[Cause]:
    """Work of the main unit and its stalls: they exclude each other and fill the whole call. Largest change first."""
    cycles = [_exclusive(profile) for profile in (a, b)]
    names = dict.fromkeys([*cycles[0], *cycles[1]])
    causes = []
    for name in names:
        one, other = cycles[0].get(name, 0), cycles[1].get(name, 0)
        if one == other:
            continue
        meaning = meanings.get(name, StallCause(name.replace("_", " "), ()))
        wanted = {counter: a.counters.get(counter) for counter in meaning.counters}
        evidence = _changes(wanted, {counter: b.counters.get(counter) for counter in wanted})
        causes.append(
            Cause(
                cause=name,
                a=one,
                b=other,
                difference=other - one,
                share=round((other - one) / difference, 3) if difference else None,
                explanation=meaning.meaning,
                evidence=evidence,
            )
        )
    return sorted(causes, key=lambda cause: (-abs(cause.difference), cause.cause))


def _exclusive(profile: Profile) -> dict[str, int]:
    """Cycles by what the main unit did. That is the unit whose work and the stalls together are nearest to the latency;
    empty where the engine counts no stalls."""
    if not profile.stalls or not profile.units:
        return {}
    stalls = {stall.cause: stall.cycles for stall in profile.stalls}
    rest = profile.latency.value - sum(stalls.values())
    main = min(profile.units, key=lambda unit: (abs(unit.busy - rest), unit.unit))
    return {f"{main.unit}_busy": main.busy, **stalls}


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,.0f}"


def _changes(a: Mapping[str, int | None], b: Mapping[str, int | None], absent: int | None = None) -> tuple[Change, ...]:
    """What differs; a name that one side lacks counts as `absent` there."""
    names = dict.fromkeys([*a, *b])
    pairs = [(name, a.get(name, absent), b.get(name, absent)) for name in names]
    return tuple(Change(name=name, a=one, b=other) for name, one, other in pairs if one != other)


def _largest(changes: Iterable[Change]) -> tuple[Change, ...]:
    ordered = sorted(changes, key=lambda change: -abs((change.b or 0) - (change.a or 0)))
    return tuple(ordered[:MAX_CHANGES])


def _summary(
    a: Latency, b: Latency, faster: Side | None, ratio: float, causes: list[Cause], unaccounted: float | None
) -> str:
    difference = b.value - a.value
    if faster is None:
        head = f"a and b take the same {a.value:,.0f} {a.unit}."
    else:
        head = f"{faster} is {ratio:.2f} times as fast: {a.value:,.0f} -> {b.value:,.0f} {a.unit} ({difference:+,.0f})."
    error = max(a.error_percent or 0.0, b.error_percent or 0.0)
    if faster and (ratio - 1) * 100 < error:
        head += f" That is less than the estimate's own error of {error:g} %: take them for equally fast."
    if not causes:
        return head + ("" if faster is None else " This engine does not count stalls, so no cause can be named.")
    notable = [c for c in causes if not difference or abs(c.difference) >= NOTABLE * abs(difference)]
    along = [c for c in notable if not difference or c.difference * difference > 0][:NAMED]
    against = [c for c in notable if difference and c.difference * difference < 0][:NAMED]
    sentences = [head]
    if along:
        sentences.append("Because of " + "; ".join(_named(cause) for cause in along) + ".")
    if against:
        sentences.append("Against it: " + "; ".join(_named(cause) for cause in against) + ".")
    if unaccounted and abs(unaccounted) >= NOTABLE * abs(difference):
        sentences.append(f"{unaccounted:+,.0f} {a.unit} are not accounted for.")
    return " ".join(sentences)


def _named(cause: Cause) -> str:
    share = "" if cause.share is None else f", {abs(cause.share):.0%}"
    changed = ", ".join(f"{change.name} {_count(change.a)} -> {_count(change.b)}" for change in cause.evidence)
    return f"{cause.cause} ({cause.difference:+,}{share}): {cause.explanation}{changed and f' ({changed})'}"
