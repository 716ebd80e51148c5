"""evaluate, profile and compile: straight to the adapters, without a server."""

from __future__ import annotations

from pathlib import Path

from ..hardware_adapters.base import Compilation, Evaluation, Latency, Profile
from .own import known
from .shell import DONE, KERNEL_FAILED, emit, guarded, read_source, run, say, tell


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
            tell(*evaluation_lines(evaluation))
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
            tell(*compilation_lines(compilation))
        return DONE if compilation.ok else KERNEL_FAILED

    return guarded(command, as_json)


def profile(
    problem: str, file: Path, engine: str | None, timeline: Path | None, as_json: bool, *, everything: bool = False
) -> int:
    """`everything`: all lines and all waits, where the most costly would do; in JSON too."""

    def command() -> int:
        from ..hardware_adapters.registry import adapter_for

        wanted = known(problem)
        adapter = adapter_for(wanted)
        found = adapter.problem(wanted)
        source = read_source(file)

        async def look() -> Profile | Evaluation:
            await adapter.prepare(engine, _building)
            patience_s = adapter.engine(engine).patience_s
            detail = everything or not as_json
            return await adapter.profile(
                found, source, engine=engine, timeline=timeline, timeout_s=patience_s, detail=detail
            )

        result = run(look)
        if as_json:
            emit(result.model_dump(mode="json"))
        else:
            from .profile_view import profile_lines

            done = isinstance(result, Profile)
            tell(*(profile_lines(result, found, source, everything) if done else evaluation_lines(result)))
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
