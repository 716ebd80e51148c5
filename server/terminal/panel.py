"""The picture of a search at one moment, line by line, for the size that the terminal has now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.text import Text

from ...agent.runs.events import SearchEvent
from ...agent.runs.progress import PHASES, Work
from ...agent.runs.status import Step, gains
from ..inert import inert
from .charts import BLOCKS, Characters, bar, curve
from .figures import count, tokens_line

RECENT = 6
WORKS = 6
STEPS = 12
LABEL = 12  # columns
NARROW = 70  # with fewer, lists stand below their label and not beside it
MAX_BAR = 30
MAX_CURVE = 60
LEAST_COLUMNS = 20
VERDICTS = {"passed": "green", "duplicate": "dim"}

Lines = list[Text]


@dataclass
class Seen:
    """What the panel is made of: the last event, and what earlier ones said."""

    problem: str
    doing: str = "preparing"
    event: SearchEvent | None = None
    note: str = ""  # which schedule is replayed first
    phase: str = "first kernel"
    confirming: str = ""
    recent: list[SearchEvent] = field(default_factory=list)
    bests: list[float] = field(default_factory=list)  # the best latency after each candidate
    most_works: int = 0  # rows kept for them, so that what is below does not jump


def picture(seen: Seen, elapsed_s: float, since_s: float, width: int, height: int, chars: Characters = BLOCKS) -> Lines:
    """`elapsed_s`: since the command began; `since_s`: since the last event. At most `height` lines of `width` - 1
    columns: what is left out first is what was tried last, then what is under way, then the older steps."""
    room = max(LEAST_COLUMNS, width - 1)
    event = seen.event
    if event is None:
        lines = _entry("problem", [seen.problem], room, chars) + _entry("now", [seen.doing], room, chars)
        return [*lines, *_entry("time", [_seconds(elapsed_s)], room, chars)][:height]
    fixed = [*_head(seen, event, room, chars), *_phases(event, room, chars), *_budget(event, since_s, room, chars)]
    best = _best(seen, event, room, chars)
    left = height - len(fixed) - len(best)
    rows = _shares(left, (len(event.lineage), min(WORKS, seen.most_works), len(seen.recent)), heads=int(room < NARROW))
    lists = [
        _list("steps", _steps(event.lineage, rows[0], chars), room, chars),
        _list("in flight", _works(event, since_s, rows[1], room, chars), room, chars),
        _list("tried last", _recent(seen.recent[-rows[2] :] if rows[2] else [], room), room, chars),
    ]
    blocks = [fixed, best + lists[0], *filter(None, lists[1:])]
    airy = sum(map(len, blocks)) + len(blocks) - 1 <= height
    lines = [line for block in blocks for line in ([Text(), *block] if airy and block is not fixed else block)]
    return lines[: max(1, height)]


def _shares(left: int, wanted: Sequence[int], heads: int) -> list[int]:
    """Rows for the lineage, for what is under way and for what was tried last, of so many that are left. `heads`: what
    each list needs besides."""
    rows = [min(want, most) for want, most in zip(wanted, (STEPS, WORKS, RECENT), strict=True)]
    for least in ((3, 3, 2), (3, 2, 1), (2, 1, 0), (0, 0, 0)):
        for part in (2, 1, 0):
            over = sum(rows) + heads * sum(map(bool, rows)) - max(0, left)
            rows[part] -= max(0, min(rows[part] - least[part], over))
    return rows


# ---------------------------------------------------------------- lines


def _line(label: str, text: Text | str, room: int, chars: Characters, style: str = "") -> Text:
    line = Text.assemble((f"{label:<{LABEL}}", "dim"), text if isinstance(text, Text) else (text, style))
    return _cut(line, room, chars)


def _cut(line: Text, room: int, chars: Characters) -> Text:
    line.no_wrap = True
    if line.cell_len > room:
        line.truncate(max(1, room - len(chars.more)))
        line.append(chars.more)
    return line


def _entry(label: str, parts: Sequence[str | Text], room: int, chars: Characters) -> Lines:
    """The parts with commas between them, on as many lines as they need; only one that is too long alone is cut."""
    lines: Lines = []
    row = Text()
    for part in parts:
        text = part if isinstance(part, Text) else Text(inert(part))
        if row and LABEL + row.cell_len + 2 + text.cell_len > room:
            lines.append(_line("" if lines else label, row, room, chars))
            row = Text()
        row = Text.assemble(row, ", ", text) if row else text
    return [*lines, _line("" if lines else label, row, room, chars)]


def _head(seen: Seen, event: SearchEvent, room: int, chars: Characters) -> Lines:
    lines = _entry("problem", [Text(inert(seen.problem), "bold")], room, chars)
    lines += _entry("run", [event.run_id], room, chars)
    if seen.note:
        lines += _entry("reuse", [seen.note], room, chars)
    if seen.confirming:
        return [*lines, *_entry("confirming", [seen.confirming], room, chars)]
    profiling = event.works and all(work.phase == "profile" for work in event.works)
    phase = "profile" if profiling else seen.phase
    return [*lines, *_entry("iteration", [f"{event.iteration} of {event.iterations}", phase], room, chars)]


def _phases(event: SearchEvent, room: int, chars: Characters) -> Lines:
    """A bar per phase of this iteration, and how much of it is under way."""
    lines: Lines = []
    for phase in PHASES:
        tally = event.tallies.get(phase)
        works = [work for work in event.works if work.phase == phase]
        if not works and (tally is None or not tally.expected):
            continue
        running = sum(not work.waits for work in works)
        words = ("running", "waiting") if room >= NARROW else ("run", "wait")
        counts = zip((running, len(works) - running), words, strict=True)
        under_way = ", ".join(f"{number} {word}" for number, word in counts if number)
        if tally is None:
            lines.append(_line(phase, under_way, room, chars))
            continue
        count = f"{tally.done}/{tally.expected}"
        columns = min(MAX_BAR, room - LABEL - 29)
        drawn = bar(tally.done / max(1, tally.expected), columns, chars) + " " if columns >= 6 else ""
        lines.append(_line(phase, Text.assemble((drawn, "cyan"), f"{count:>7}  ", (under_way, "dim")), room, chars))
    return lines


def _budget(event: SearchEvent, since_s: float, room: int, chars: Characters) -> Lines:
    limit = f" of {event.max_evaluations:,}" if event.max_evaluations else ""
    lines = _entry("evaluations", [f"{event.evaluations:,}{limit}", f"{event.model_calls:,} model calls"], room, chars)
    left = [] if event.time_left_s is None else [f"{_seconds(max(0.0, event.time_left_s - since_s))} left"]
    lines += _entry("time", [_seconds(event.elapsed_s + since_s), *left], room, chars)
    lines += _entry("cost", [*cost(event), *_tokens(event)], room, chars)
    return lines


def cost(event: SearchEvent) -> list[str]:
    if event.cost_usd is None:
        return ["price not known"]
    left = [] if event.cost_left_usd is None else [f"{event.cost_left_usd:.2f} USD left"]
    return [f"{event.cost_usd:.2f} USD", *left]


def _tokens(event: SearchEvent) -> list[str]:
    used, most = event.tokens, event.max_tokens
    parts = [tokens_line(used)] if used.total else []
    return parts if most is None else [*parts, f"{count(max(0, most - used.total))} tokens left"]


def _seconds(seconds: float) -> str:
    if seconds < 600:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def _best(seen: Seen, event: SearchEvent, room: int, chars: Characters) -> Lines:
    best, first = event.best, event.baseline
    if best is None or first is None:
        return []
    parts: list[str | Text] = [
        Text(f"{first.latency / best.latency:.2f}x", "bold green"),
        f"{best.latency:,.0f} {best.unit} ({best.source})",
    ]
    parts += [] if best.utilisation is None else [f"{best.utilisation:.1%} of the bound"]
    lines = _entry("best", parts, room, chars)
    speeds = [first.latency / latency for latency in seen.bests]
    if len(speeds) > 1:
        drawn = curve(speeds, min(MAX_CURVE, room - LABEL), chars, low=1.0)
        said = f"  best of the first {len(speeds)}"
        fits = LABEL + len(drawn) + len(said) <= room
        lines.append(_line("", Text.assemble((drawn, "green"), (said if fits else "", "dim")), room, chars))
    return lines


def _list(label: str, rows: Sequence[Text], room: int, chars: Characters) -> Lines:
    if room < NARROW:
        return [
            Text(label, "dim") if row is None else _cut(row, room, chars) for row in ([None, *rows] if rows else [])
        ]
    return [_line("" if number else label, row, room, chars) for number, row in enumerate(rows)]


def _steps(lineage: Sequence[Step], rows: int, chars: Characters) -> Lines:
    """The way to the best kernel, each step with its gain over the one before; of many the last ones."""
    if not rows or not lineage:
        return []
    hidden = max(0, len(lineage) - rows)
    said = hidden > 0 and rows > 1
    hidden += said
    lines = [Text(f"{chars.more} {hidden} before", "dim")] if said else []
    widest = max(len(_latency(step.latency)) for step in lineage[hidden:])
    for step, gained in list(zip(lineage, gains(lineage), strict=True))[hidden:]:
        gain = f"{gained:.2f}x" if gained else ""
        option = inert(step.option or "the first kernel")
        lines.append(Text.assemble(f"{_latency(step.latency):>{widest}}", (f"{gain:>8}", "green"), f"  {option}"))
    return lines


def _latency(latency: float | None) -> str:
    return "" if latency is None else f"{latency:,.0f}"


def _works(event: SearchEvent, since_s: float, rows: int, room: int, chars: Characters) -> Lines:
    """What is under way, nearest to the hardware and oldest first, what waits for its turn last, in as many rows as are
    kept for it."""
    works = sorted(event.works, key=lambda work: (work.waits, -PHASES.index(work.phase)))
    shown = works if len(works) <= rows else works[: max(0, rows - 1)]
    now = event.elapsed_s + since_s
    places = max((len(work.place) for work in shown), default=0) if room >= NARROW else 0
    lines = [_work(work, now, places) for work in shown]
    if rows and len(shown) < len(works):
        lines.append(Text(f"{chars.more} {len(works) - len(shown)} more", "dim"))
    return [*lines, *(Text() for _ in range(rows - len(lines)))]


def _work(work: Work, now: float, places: int) -> Text:
    time = "waits" if work.waits else f"{max(0.0, now - work.began_s):.0f} s"
    place = f"{work.place:<{places}}  " if places else ""
    return Text(f"{place}{work.phase:<8}  {time:>5}  {inert(work.option or '')}", "dim" if work.waits else "")


def _recent(events: Sequence[SearchEvent], room: int) -> Lines:
    """What was tried last; where there is no room, the candidate's place is left out first."""
    verdicts = max((len(event.verdict or "") for event in events), default=0)
    widest = max((len(_latency(event.latency)) for event in events), default=0)
    lines: Lines = []
    for event in events:
        verdict = inert(event.verdict or "")
        row = Text.assemble(
            (f"{verdict:<{verdicts}}", VERDICTS.get(verdict, "red")),
            f"  {_latency(event.latency):>{widest}}  {inert(event.option or 'the first kernel')}",
        )
        place = f"  {event.candidate}"
        if row.cell_len + len(place) + (LABEL if room >= NARROW else 0) <= room:
            row.append(place, "dim")
        lines.append(row)
    return lines
