"""What was judged, in words: an evaluation, a compilation, a latency."""

from __future__ import annotations

from ...hardware_adapters.base import Compilation, Evaluation, Latency


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
