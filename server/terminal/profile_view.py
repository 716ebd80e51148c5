"""A kernel's profile on a terminal: units at work or waiting, bottlenecks, the source with the time of each line."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from rich.text import Text

from ...hardware_adapters.base import DetailedProfile, HardwareAdapter, Problem, Profile, Stall
from ..inert import inert
from .annotated import source_lines
from .charts import Characters, bar, characters, levels
from .figures import hanging
from .summary import columns
from .verdict import latency_text

MAX_OPTIONS_NAMED = 4  # of each bottleneck
NOTABLE = 0.01  # of the call; waits below are counted and not listed
BAR, CAUSE_BAR = 32, 10
NARROW = 80

Lines = list[Text | str]


def profile_lines(profile: Profile, problem: Problem, source: str, everything: bool) -> Lines:
    """`everything`: all lines and all waits, where the most costly would do."""
    from ...hardware_adapters.registry import adapter_for
    from ...menus.menu import load_menu

    adapter = adapter_for(problem.id)
    width, chars = columns(), characters(sys.stdout)
    ids = [bottleneck.id for bottleneck in profile.bottlenecks]
    options = load_menu(problem.target).addressing(ids, problem.family, problem.traits)
    lines: Lines = [*_head(profile, adapter, width), "", *_units(profile, adapter, everything, width, chars)]
    lines += ["", Text("bottlenecks", "bold")]
    for b in profile.bottlenecks:
        lines += hanging(f"  {b.id}: {b.explanation}", width, 6)
        named = options.get(b.id, ())[:MAX_OPTIONS_NAMED]
        lines += hanging(f"      options: {', '.join(named)}", width, 15) if named else []
    lines += ["", *source_lines(profile, source, everything, width, chars)]
    return [*lines, *_traffic(profile), *_roofline(profile), *_occupancy(profile, chars), *_commands(profile, width)]


def _head(p: Profile, adapter: HardwareAdapter, width: int) -> Lines:
    used = "bound not known" if p.utilisation is None else f"{p.utilisation:.1%} of the bound"
    lines: Lines = [
        Text(line, "bold") for line in hanging(f"{p.problem}: {latency_text(p.latency, p.source)}, {used}", width, 2)
    ]
    lines += hanging(f"{p.source} by engine {p.engine}, {p.latency.statistic}", width, 2)
    if believed := adapter.trust(p.problem, p.engine):
        lines += [Text(line, "dim") for line in hanging(believed, width, 0)]
    return lines


# ---------------------------------------------------------------- units


def _units(p: Profile, adapter: HardwareAdapter, everything: bool, width: int, chars: Characters) -> Lines:
    """A bar per unit: its work, its waits where they are known, and what the engine does not tell."""
    main, waits = (p.main, p.waits) if isinstance(p, DetailedProfile) else (None, {})
    told = ({main: p.stalls} if main else {}) | waits
    legend = [(chars.full, "green"), " works  ", (chars.waits, "yellow"), " waits  ", (chars.empty, "dim"), " not told"]
    lines: Lines = [Text.assemble(("units", "bold"), f" ({p.source})  ", *legend)]
    name = max((len(unit.unit) for unit in p.units), default=0)
    room = min(BAR, width - name - 4 - 26)
    for unit in p.units:
        stalls = [stall for stall in told.get(unit.unit, ()) if stall.cycles]
        work = bar(unit.share, room, chars, trough=False).rstrip() if unit.busy else ""
        waiting = min(room - len(work), round(sum(stall.share for stall in stalls) * room)) if room > 0 else 0
        if stalls and abs(unit.share + sum(stall.share for stall in stalls) - 1) < NOTABLE:
            waiting = room - len(work)  # they fill the call: rounding leaves no gap
        rest = chars.empty * (room - len(work) - waiting)
        lines.append(
            Text.assemble(
                f"  {inert(unit.unit):<{name}}  ",
                (work, "green"),
                (chars.waits * waiting, "yellow"),
                (rest, "dim"),
                f" {unit.share:6.1%}  {unit.busy:,} {p.latency.unit}" if unit.busy else "   no work",
            )
        )
        lines += _causes(stalls, adapter, everything, name + 4, width, chars)
    if main is None and p.stalls:
        lines += ["", Text("waits, not of one unit alone", "bold")]
        lines += _causes(p.stalls, adapter, everything, 2, width, chars)
    return lines


def _causes(
    stalls: Sequence[Stall], adapter: HardwareAdapter, everything: bool, indent: int, width: int, chars: Characters
) -> Iterator[Text | str]:
    shown = [stall for stall in stalls if everything or stall.share >= NOTABLE]
    name = max((len(stall.cause) for stall in shown), default=0)
    meanings = adapter.causes()
    for stall in shown:
        drawn = bar(stall.share, CAUSE_BAR, chars._replace(full=chars.waits, eighths=""), trough=False)
        start = f"{'':<{indent}}{inert(stall.cause):<{name}} {stall.share:6.1%}  "
        meaning = meanings[stall.cause].meaning if stall.cause in meanings else ""
        if width < NARROW:
            yield Text.assemble(start, (drawn, "yellow"))
        else:
            left = max(0, width - len(start) - CAUSE_BAR - 2)
            said = meaning if len(meaning) <= left else f"{meaning[: left - len(chars.more)]}{chars.more}"
            yield Text.assemble(start, (drawn, "yellow"), f"  {said}")
    if hidden := len(stalls) - len(shown):
        yield f"{'':<{indent}}{hidden} more below {NOTABLE:.0%}"


# ---------------------------------------------------------------- the rest


def _traffic(p: Profile) -> Lines:
    if not p.traffic:
        return []
    name = max(len(t.tensor) for t in p.traffic)
    lines: Lines = ["", Text("traffic", "bold")]
    for t in p.traffic:
        reuse = "" if t.reuse is None else f", {t.reuse:.0f} MACs per element moved"
        lines.append(f"  {t.tensor:<{name}}  {t.bytes_moved:,} bytes, {t.reloads:.2f} x what is needed{reuse}")
    return lines


def _roofline(p: Profile) -> Lines:
    if p.roofline is None:
        return []
    r = p.roofline
    lines: Lines = ["", Text("roofline", "bold")]
    lines += [f"  {r.achieved:g} of {r.attainable:g} {r.work} per {r.time} that the traffic allows ({r.bound} bound)"]
    lines += [f"  {r.intensity:g} {r.work} per byte moved, compute bound from {r.ridge:g}"]
    if r.dram_intensity is not None:
        lines += [f"  {r.dram_intensity:g} {r.work} per byte from DRAM, compute bound from {r.dram_ridge:g}"]
    return lines


def _occupancy(p: Profile, chars: Characters) -> Lines:
    if not p.occupancy:
        return []
    name = max(len(o.memory) for o in p.occupancy)
    first = p.occupancy[0]
    lines: Lines = ["", Text(f"{first.unit} in use over time ({first.interval:,} {p.latency.unit} each)", "bold")]
    for o in p.occupancy:
        drawn = Text(levels(o.live, o.capacity, chars), "cyan")
        lines.append(Text.assemble(f"  {o.memory:<{name}}  ", drawn, f"  peak {o.peak:,} of {o.capacity:,}"))
    return lines


def _commands(p: Profile, width: int) -> Lines:
    if not p.commands:
        return []
    counted = ", ".join(f"{name} {count:,}" for name, count in p.commands.items())
    return ["", Text("commands", "bold"), *hanging(f"  {counted}", width, 2)]
