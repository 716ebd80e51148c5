"""What tools said, as text for a prompt: short, delimited, and only ever data.

Whatever a kernel or a compiler can influence (messages, source lines) passes through `block`, which caps its length
and takes away the means to end the block early.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from ...hardware_adapters.base import Evaluation, Profile
from ..runs.best_kernel import SCHEDULE
from ..runs.candidate import Attempt, Plan
from ..settings import FEEDBACK, Feedback

MAX_BLOCK = 4_000
MAX_SOURCE = 60_000
MAX_STEP = 400  # characters of a plan in the lineage: the kernel itself says the rest
PATH = "critical_path_"
MAX_EXAMPLE = 2_500  # of a plan that is an example


def block(tag: str, text: str, limit: int = MAX_BLOCK) -> str:
    """`text` between <tag> and </tag>; a closing tag inside it is defused, what exceeds `limit` characters cut."""
    bare = re.sub(rf"<(?=/\s*{re.escape(tag)}\b)", "<\u200b", text.replace("\x00", ""), flags=re.IGNORECASE)
    if len(bare) > limit:
        bare = bare[:limit] + f"\n... {len(bare) - limit} characters left out"
    return f"<{tag}>\n{bare}\n</{tag}>"


def diagnosis(profile: Profile | None, evaluation: Evaluation | None, kinds: Collection[Feedback] = FEEDBACK) -> str:
    """Why a passing kernel is as slow as it is, from the counters; only what `kinds` names."""
    lines: list[str] = []
    if evaluation is not None and evaluation.latency is not None:
        latency = evaluation.latency
        told = [f"latency: {latency.value:.10g} {latency.unit} ({evaluation.source})"] if "latency" in kinds else []
        if "utilisation" in kinds and evaluation.utilisation is not None:
            told.append(f"{evaluation.utilisation:.1%} of the bound")
        lines += [", ".join(told)] if told else []
    if profile is not None:
        for found in profile.bottlenecks[:4] if "bottlenecks" in kinds else ():
            evidence = ", ".join(f"{name}={value:.4g}" for name, value in sorted(found.evidence.items()))
            lines.append(f"bottleneck {found.id}: {found.explanation} [{evidence}]")
        if "units" in kinds:
            lines += [f"unit {unit.unit}: busy {unit.share:.0%}" for unit in profile.units]
        if "stalls" in kinds:
            lines += [f"stall {s.cause}: {s.share:.1%} of the time" for s in profile.stalls if s.share >= 0.01]
            lines += _critical_path(profile)
        if "traffic" in kinds:
            lines += [f"tensor {t.tensor}: moved {t.reloads:.2f} times what is needed" for t in profile.traffic]
        if "lines" in kinds:
            unit = profile.latency.unit
            if profile.lines:
                lines.append(
                    "lines at which the CPU stood longest, most of it waiting for room in a queue that is full:"
                    if unit == "cycles"
                    else "lines that occupy a unit longest (units work beside each other):"
                )
            lines += [f"line {c.line}: {c.cycles} {unit}: {c.text.strip()[:100]}" for c in profile.lines[:6]]
    return block("diagnosis", "\n".join(lines) or "no profile available")


def _critical_path(profile: Profile) -> list[str]:
    """How the chain of instructions that decides the latency divides among units: who waits for whom in the end."""
    named = {name.removeprefix(PATH).removesuffix("_ns"): time for name, time in profile.counters.items()
             if name.startswith(PATH) and time}  # fmt: skip
    if not named:
        return []
    whole = sum(named.values())
    shares = ", ".join(f"{unit} {time / whole:.0%}" for unit, time in sorted(named.items(), key=lambda e: -e[1]))
    return [f"critical path: {shares}; what is not on it can be slower without harm"]


def failure(evaluation: Evaluation) -> str:
    """Why a kernel does not pass."""
    lines = [f"verdict: {evaluation.verdict}", evaluation.message]
    if evaluation.compilation is not None:
        wanted = [d for d in evaluation.compilation.diagnostics if d.severity == "error"][:8]
        told = [f"line {d.line}: {d.message}" if d.line else d.message for d in wanted]
        lines += [line for line in told if line not in evaluation.message]
    if evaluation.fault is not None:
        fault = evaluation.fault
        if fault.message not in evaluation.message:
            lines.append(f"{fault.kind}{f' at line {fault.line}' if fault.line else ''}: {fault.message}")
        if fault.instruction and fault.instruction not in evaluation.message:
            lines.append(f"instruction: {fault.instruction}")
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


def lineage(steps: Iterable[tuple[Plan, float | None]]) -> str:
    """The steps that led to a kernel, each with its gain and the beginning of its plan."""
    lines = [
        f"{plan.option} ({f'{ratio:.2f}x' if ratio is not None else 'gain not known'}): {_short(plan.text, MAX_STEP)}"
        for plan, ratio in steps
    ]
    return block("lineage", "\n".join(lines), 8 * MAX_BLOCK) if lines else ""


def examples(known: Iterable[tuple[str, Plan, float, str]]) -> str:
    """(problem, plan, speed-up, diff) of steps in earlier runs; each a block of its own, none swallows another. Half a
    diff breaks off before what matters: it is left out."""
    return "\n".join(
        block(
            "example",
            f"{problem}, {plan.option}: {ratio:.2f}x. {_short(plan.text, MAX_EXAMPLE)}"
            + ("" if diff.endswith("…") else f"\n{diff}"),
            2 * MAX_BLOCK,
        )
        for problem, plan, ratio, diff in known
    )


def bare_source(source: str) -> str:
    """The line in which rewrites keep their schedule left blank: it tells a model nothing and is soon wrong."""
    return SCHEDULE.sub("", source)


def _short(text: str, limit: int) -> str:
    bare = " ".join(text.split())
    return bare if len(bare) <= limit else bare[:limit].rpartition(" ")[0] + " ..."
