"""evaluate, profile and compile: straight to the adapters, without a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..hardware_adapters.base import Compilation, Evaluation, Latency, Occupancy, Problem, Profile
from .own import known
from .shell import DONE, KERNEL_FAILED, emit, guarded, read_source, run, say

MAX_OPTIONS_NAMED = 4  # of each bottleneck


def evaluate(problem: str, file: Path, engine: str | None, seed: int, as_json: bool) -> int:
    def command() -> int:
        from ..hardware_adapters.evaluator import evaluate
        from ..hardware_adapters.registry import adapter_for

        wanted = known(problem)
        adapter = adapter_for(wanted)
        adapter.problem(wanted)  # a typo is refused before the file is read
        source = read_source(file)

        async def judge() -> Evaluation:
            await adapter.prepare(engine, _building)
            return await evaluate(wanted, source, engine=engine, seed=seed)

        evaluation = run(judge)
        if as_json:
            emit(evaluation.model_dump(mode="json"))
        else:
            print("\n".join(evaluation_lines(evaluation)))
        return DONE if evaluation.passed else KERNEL_FAILED

    return guarded(command, as_json)


def compile_kernel(problem: str, file: Path, as_json: bool) -> int:
    def command() -> int:
        from ..hardware_adapters.registry import adapter_for

        wanted = known(problem)
        adapter = adapter_for(wanted)
        found = adapter.problem(wanted)
        source = read_source(file)
        compilation = run(lambda: adapter.compile(found, source))
        if as_json:
            emit(compilation.model_dump(mode="json"))
        else:
            print("\n".join(compilation_lines(compilation)))
        return DONE if compilation.ok else KERNEL_FAILED

    return guarded(command, as_json)


def profile(problem: str, file: Path, engine: str | None, timeline: Path | None, as_json: bool) -> int:
    def command() -> int:
        from ..hardware_adapters.registry import adapter_for

        wanted = known(problem)
        adapter = adapter_for(wanted)
        found = adapter.problem(wanted)
        source = read_source(file)

        async def look() -> Profile | Evaluation:
            await adapter.prepare(engine, _building)
            patience_s = adapter.engine(engine).patience_s
            return await adapter.profile(found, source, engine=engine, timeline=timeline, timeout_s=patience_s)

        result = run(look)
        if as_json:
            emit(result.model_dump(mode="json"))
        else:
            print("\n".join(_profiled(result, found) if isinstance(result, Profile) else evaluation_lines(result)))
        if timeline is not None and isinstance(result, Profile):
            say(f"timeline: {timeline} (open it at https://ui.perfetto.dev)")
        return DONE if isinstance(result, Profile) else KERNEL_FAILED

    return guarded(command, as_json)


def _building(what: str) -> None:
    say(f"building {what} (first use)")


def latency_text(latency: Latency, source: str) -> str:
    error = "" if latency.error_percent is None else f", stated median error {latency.error_percent:g} %"
    return f"{latency.value:,.0f} {latency.unit} ({source}{error})"


def evaluation_lines(e: Evaluation) -> list[str]:
    lines = [f"{e.verdict}: {e.message}"]
    if e.latency:
        lines.append(f"  latency      {latency_text(e.latency, e.source)}, {e.latency.statistic}")
    if e.warm_latency:
        lines.append(f"  warm         {e.warm_latency.value:,.0f} {e.warm_latency.unit}, {e.warm_latency.statistic}")
    if e.utilisation is not None:
        lines.append(f"  utilisation  {e.utilisation:.1%} of the bound")
    if e.fault:
        where = f" at line {e.fault.line}" if e.fault.line else ""
        lines.append(f"  fault        {e.fault.kind}{where}: {e.fault.message}")
        if e.fault.instruction:
            lines.append(f"               {e.fault.instruction}")
    for m in e.mismatches[:5]:
        lines.append(f"  wrong        {m.text}")
    if e.compilation:
        lines += [f"  {line}" for line in compilation_lines(e.compilation)[1:]]
    lines.append(f"  engine       {e.engine} {e.engine_version}; input sets: {', '.join(e.input_sets) or 'none'}")
    took = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in e.seconds.items())
    lines.append(f"  took         {took}{' (from the cache)' if e.cached else ''}")
    return lines


def compilation_lines(c: Compilation) -> list[str]:
    lines = [f"{'compiled' if c.ok else 'does not compile'} ({c.compiler}, {c.seconds:.2f} s)"]
    for d in c.diagnostics:
        place = (
            "" if d.line is None else f"line {d.line}: " if d.column is None else f"line {d.line}, column {d.column}: "
        )
        lines.append(f"{d.severity}: {place}{d.message}")
    if c.ok and c.facts:
        lines.append(", ".join(f"{name} {value}" for name, value in c.facts.items()))
    return lines


def profile_lines(p: Profile, options: Mapping[str, Sequence[str]]) -> list[str]:
    """`options`: those that address each bottleneck."""
    used = ", bound not known" if p.utilisation is None else f", {p.utilisation:.1%} of the bound"
    lines = [f"{p.problem}: {latency_text(p.latency, p.source)}{used}", "", "units"]
    lines += [f"  {u.unit:<12}{_bar(u.share)} {u.share:6.1%}  {u.busy:,} {p.latency.unit}" for u in p.units]
    lines += ["", "the main unit waits for"]
    lines += [f"  {s.cause:<26}{_bar(s.share)} {s.share:6.1%}" for s in p.stalls if s.cycles]
    lines += ["", "bottlenecks"]
    for b in p.bottlenecks:
        lines += [f"  {b.id}: {b.explanation}"]
        lines += [f"      options: {', '.join(options[b.id][:MAX_OPTIONS_NAMED])}"] if options.get(b.id) else []
    lines += ["", "traffic"]
    for t in p.traffic:
        reuse = "" if t.reuse is None else f", {t.reuse:.0f} MACs per element moved"
        lines += [f"  {t.tensor:<12}{t.bytes_moved:,} bytes, {t.reloads:.2f} x what is needed{reuse}"]
    if p.roofline:
        r = p.roofline
        lines += [
            "",
            "roofline",
            f"  {r.achieved:g} of {r.attainable:g} {r.work} per {r.time} that the traffic allows ({r.bound} bound)",
        ]
        lines += [f"  {r.intensity:g} {r.work} per byte moved, compute bound from {r.ridge:g}"]
        if r.dram_intensity is not None:
            lines += [f"  {r.dram_intensity:g} {r.work} per byte from DRAM, compute bound from {r.dram_ridge:g}"]
    if p.occupancy:
        lines += ["", f"{p.occupancy[0].unit} in use over time ({p.occupancy[0].interval:,} {p.latency.unit} each)"]
        lines += [f"  {o.memory:<12}{_levels(o)} peak {o.peak:,} of {o.capacity:,}" for o in p.occupancy]
    lines += ["", "commands", "  " + ", ".join(f"{name} {count:,}" for name, count in p.commands.items())]
    lines += ["", "costly lines"]
    lines += [f"  {c.line:>5}  {c.cycles:>10,}  {c.text.strip()[:90]}" for c in p.lines[:10]]
    return lines


def _profiled(result: Profile, problem: Problem) -> list[str]:
    from ..menus.menu import load_menu

    menu = load_menu(problem.target)
    return profile_lines(result, menu.addressing([b.id for b in result.bottlenecks], problem.family, problem.traits))


def _levels(occupancy: Occupancy) -> str:
    """One block character per interval, of nine heights up to the memory's capacity."""
    heights = " ▁▂▃▄▅▆▇█"
    return "".join(heights[-(-live * (len(heights) - 1) // occupancy.capacity)] for live in occupancy.live)


def _bar(share: float, width: int = 24) -> str:
    full = round(max(0.0, min(1.0, share)) * width)
    return "█" * full + "·" * (width - full)
