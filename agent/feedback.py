"""What tools said, as text for a prompt: short, delimited, and only ever data.

Whatever a kernel or a compiler can influence (messages, source lines) passes through `block`, which caps its length
and takes away the means to end the block early.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..hardware_adapters.base import Evaluation, Profile
from .candidate import Attempt

MAX_BLOCK = 4_000
MAX_SOURCE = 60_000


def block(tag: str, text: str, limit: int = MAX_BLOCK) -> str:
    """`text` between <tag> and </tag>; a closing tag inside it is defused, what exceeds `limit` characters cut."""
    bare = re.sub(rf"<(?=/\s*{re.escape(tag)}\b)", "<\u200b", text.replace("\x00", ""), flags=re.IGNORECASE)
    if len(bare) > limit:
        bare = bare[:limit] + f"\n... {len(bare) - limit} characters left out"
    return f"<{tag}>\n{bare}\n</{tag}>"


def diagnosis(profile: Profile | None, evaluation: Evaluation | None) -> str:
    """Why a passing kernel is as slow as it is, from the counters."""
    lines: list[str] = []
    if evaluation is not None and evaluation.latency is not None:
        latency = evaluation.latency
        used = f", {evaluation.utilisation:.1%} of the bound" if evaluation.utilisation is not None else ""
        lines.append(f"latency: {latency.value:.10g} {latency.unit} ({evaluation.source}){used}")
    if profile is not None:
        for found in profile.bottlenecks[:4]:
            evidence = ", ".join(f"{name}={value:.4g}" for name, value in sorted(found.evidence.items()))
            lines.append(f"bottleneck {found.id}: {found.explanation} [{evidence}]")
        lines += [f"unit {unit.unit}: busy {unit.share:.0%}" for unit in profile.units]
        lines += [f"stall {s.cause}: {s.share:.1%} of the time" for s in profile.stalls if s.share >= 0.01]
        lines += [f"tensor {t.tensor}: moved {t.reloads:.2f} times what is needed" for t in profile.traffic]
        lines += [f"line {c.line}: {c.cycles} cycles: {c.text.strip()[:100]}" for c in profile.lines[:6]]
    return block("diagnosis", "\n".join(lines) or "no profile available")


def failure(evaluation: Evaluation) -> str:
    """Why a kernel does not pass."""
    lines = [f"verdict: {evaluation.verdict}", evaluation.message]
    if evaluation.compilation is not None:
        wanted = [d for d in evaluation.compilation.diagnostics if d.severity == "error"][:8]
        lines += [f"line {d.line}: {d.message}" if d.line else d.message for d in wanted]
    if evaluation.fault is not None:
        fault = evaluation.fault
        where = f" at line {fault.line}" if fault.line else ""
        lines.append(f"{fault.kind}{where}: {fault.message} ({fault.instruction or 'no instruction known'})")
    lines += [m.text for m in evaluation.mismatches[:8]]
    if evaluation.wrong_elements is not None:
        lines.append(f"{evaluation.wrong_elements} elements are wrong")
    return block("failure", "\n".join(lines))


def tried(attempts: Iterable[Attempt], limit: int = 16) -> str:
    """What was done to this kernel before, the latest last."""
    lines = []
    for attempt in list(attempts)[-limit:]:
        what = attempt.option + (f"/{attempt.variant}" if attempt.variant else "")
        result = f"{attempt.ratio:.2f}x" if attempt.ratio is not None else attempt.verdict
        lines.append(f"{what}: {result}")
    return block("tried", "\n".join(lines)) if lines else ""
