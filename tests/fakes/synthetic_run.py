"""Writes the journal of a search that never was: as large as wanted, with every verdict, duplicates and profiles."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.hardware_adapters.base import (
    Compilation,
    Diagnostic,
    Evaluation,
    Latency,
    Mismatch,
    Occupancy,
    Profile,
    Roofline,
    Stall,
    Traffic,
    UnitTime,
)

PROBLEM = "gemmini/gemm-512x512x512"
OPTIONS = ("larger-tile", "wide-loads", "k-tile-depth", "separate-banks", "weight-reuse", "double-buffer-b")
FAILURES = ("compile_error", "wrong_result", "crashed", "timed_out", "rejected")


def evaluation(
    cycles: float | None, verdict: str = "passed", message: str = "All outputs are right.", kernel: str = "0" * 16
) -> Evaluation:
    latency = Latency(value=cycles, unit="cycles", statistic="first call") if cycles else None
    compilation = None
    if verdict == "compile_error":
        said = Diagnostic(severity="error", message="use of undeclared identifier 'tile'", line=3, column=5)
        compilation = Compilation(ok=False, compiler="zig cc", diagnostics=(said,), seconds=0.1)
    wrong = (Mismatch(output="C", index=(0, 3), got=7, expected=9),) if verdict == "wrong_result" else ()
    return Evaluation(
        problem=PROBLEM, kernel=kernel, verdict=verdict, message=message, engine="gemsim", engine_version="1", seed=0,  # pyright: ignore[reportArgumentType]
        source="estimated", latency=latency, utilisation=524288 / cycles if cycles else None, compilation=compilation,
        mismatches=wrong,
    )  # fmt: skip


def profile(cycles: float, kernel: str = "0" * 16) -> Profile:
    busy = 524288 / cycles
    return Profile(
        problem=PROBLEM, kernel=kernel, engine="gemsim", engine_version="1", source="estimated",
        latency=Latency(value=cycles, unit="cycles", statistic="first call"), utilisation=busy, counters={},
        units=(UnitTime(unit="array", busy=524288, share=busy), UnitTime(unit="load", busy=1, share=busy / 2)),
        stalls=(Stall(cause="load_bound", cycles=int(cycles - 524288), share=1 - busy),), bottlenecks=(),
        roofline=Roofline(intensity=32 * busy, ridge=16, attainable=256, achieved=256 * busy, bound="array"),
        traffic=(Traffic(tensor="A", bytes_moved=2 << 20, bytes_needed=1 << 18, reloads=8, reuse=64),),
        occupancy=(Occupancy(memory="scratchpad", capacity=16384, peak=900, interval=64, live=(10, 900, 500, 20)),),
    )  # fmt: skip


class SyntheticRun:
    """The writer of one journal."""

    def __init__(self, home: Path, run_id: str, source: str, problem: str = PROBLEM, **changes: Any) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.now = 1_790_000_000.0
        self.journal = Journal(home / "autocomp.db", clock=lambda: self.now)
        settings = SearchSettings.for_model("offline", **changes).model_dump(mode="json")
        self.lease = self.journal.create(run_id, problem, "offline", settings, source)
        self._append("session", {"model": "offline"})

    def _append(self, kind: Any, data: dict[str, Any], **more: Any) -> None:
        self.now += 0.5
        self.journal.append(self.lease, kind, data, **more)

    def candidate(
        self, identity: str, parent: str | None, source: str, judged: Evaluation | None, option: str = "wide-loads",
        plan: str = "Load 64 columns with each command.", duplicate_of: str | None = None,
    ) -> None:  # fmt: skip
        planned = {"option": option, "text": plan, "bottleneck": "load_bound"} if parent is not None else None
        data = {
            "id": identity, "iteration": int(identity.split(".")[0]), "parent": parent, "plan": planned,
            "evaluation": judged and judged.model_dump(mode="json"), "duplicate_of": duplicate_of,
        }  # fmt: skip
        self._append("candidate", data, key=f"candidate/{identity}", source=source)

    def call(self, key: str, usd: float | None = 0.01) -> None:
        usage = {"input": 900, "output": 300, "cache_write": 0, "cache_read": 4000}
        self._append("model", {"reply": {"usage": usage, "cost_usd": usd}}, key=key)

    def profiled(self, source: str, found: Profile) -> None:
        key = f"profile/{hashlib.sha256(source.encode()).hexdigest()[:16]}"
        self._append("profile", {"profile": found.model_dump(mode="json"), "evaluation": None}, key=key)

    def end(self, reason: str = "all 8 iterations done") -> None:
        self.journal.set_state(self.lease, "finished", reason)
        self.journal.release(self.lease)
        self.journal.close()


def large(home: Path, run_id: str, size: int, lines: int = 250, beam: int = 6) -> None:
    """`size` candidates of some 9 KB: each changes a few lines of its parent, the best go on."""
    chance = random.Random(1)
    first = [f"  config_ld({n} * sizeof(elem_t), 1.0f, {n % 16}, {n % 3}); // step {n}" for n in range(lines)]
    run = SyntheticRun(home, run_id, "\n".join(first))
    run.journal._db._run("PRAGMA synchronous = OFF", ())  # pyright: ignore[reportPrivateUsage] - only the writing of the test data
    kernels = {"0": first}
    cycles = {"0": 3_800_000.0}
    run.candidate("0", None, "\n".join(first), evaluation(cycles["0"], kernel="0"))
    members, iteration, made = ["0"], 0, 1
    while made < size:
        iteration += 1
        children: list[str] = []
        for place, parent in enumerate(members):
            run.profiled("\n".join(kernels[parent]), profile(cycles[parent], parent)) if iteration % 5 == 1 else None
            for number in range(min(24, size - made)):
                identity = f"{iteration}.{place}.{number}.0"
                text = list(kernels[parent])
                for _ in range(chance.randint(1, 12)):
                    at = chance.randrange(len(text))
                    text[at : at + 1] = [f"  mvin(A + {chance.randrange(99999)}, {at}, 64, 16); // {identity}"]
                kernels[identity] = text
                option = chance.choice(OPTIONS)
                run.call(f"plan/{identity}")
                if chance.random() < 0.25:
                    verdict = chance.choice(FAILURES)
                    judged = evaluation(None, verdict, f"candidate {identity}: {verdict}, element {made}")
                else:
                    cycles[identity] = max(530_000.0, cycles[parent] * chance.uniform(0.93, 1.2))
                    judged = evaluation(round(cycles[identity]), kernel=identity)
                    children.append(identity)
                plan = f"{option} for {identity}: " + "use more of each loaded block before the next one. " * 4
                run.candidate(identity, parent, "\n".join(text), judged, option, plan)
                made += 1
        members = sorted(children, key=cycles.__getitem__)[:beam] or members
    run.end()
