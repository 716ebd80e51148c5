"""How many public NKI kernels run, unmodified, on the simulator, and how many of them are right.

    python tests/benchmarks/nki_coverage.py FOLDER [--only TEXT] [--latencies] [--timeout S]

FOLDER holds checkouts of the collections of tests/data/trainium/public_kernels.yaml, at the commits named there, with
their histories where an entry names an older commit. `--latencies` runs only kernels whose latency was published, and
sets that beside the estimate for the same machine.
Each kernel runs in a process of its own, as one that is evaluated does, and is compared with a reference in float64.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nki_references
import numpy as np
from autocomp_mcp.hardware_adapters.process import minimal_environment
from autocomp_mcp.hardware_adapters.trainium.embedded import RUNNER
from autocomp_mcp.hardware_adapters.trainium.machines import machines
from autocomp_mcp.hardware_adapters.trainium.operators import numpy_type
from autocomp_mcp.hardware_adapters.trainium.screen import screen
from nki_manifest import Kernel, kernels, texts
from nki_sources import CutError, Source, source_of
from nki_traces import Measured, report

RIGHT, WRONG, REFUSED, ERROR = "right", "wrong", "refused", "error"


class Outcome(NamedTuple):
    state: str
    says: str
    version: str = "?"
    estimate_ms: float | None = None


def run(kernel: Kernel, timeout_s: float) -> Outcome:
    facts = kernel.facts
    if "unreadable" in facts:
        return Outcome(ERROR, facts["unreadable"])
    preamble = facts.get("preamble", "none")
    entry = facts.get("entry", "solution")
    try:
        head = None if preamble == "none" else preamble
        source = source_of(kernel.path, entry, head, kernel.text, kernel.helpers)
    except (CutError, OSError, SyntaxError) as error:
        return Outcome(ERROR, f"{type(error).__name__}: {error}")
    screened = screen(source.text)
    if screened.refused:
        return Outcome(REFUSED, screened.refused, source.version)
    rng = np.random.default_rng(20)
    given, entries = _arguments(facts["arguments"], rng)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for each in entries:
            if "file" in each:
                given[each["name"]].tofile(folder / each["file"])
        job = {
            "machine": machines()[facts.get("machine", "trn2")].job, "sets": [{"inputs": entries}], "outputs": None,
            "entry": entry, "by_name": True, "grid": facts.get("grid"),
        }  # fmt: skip
        (folder / "job.json").write_text(json.dumps(job))
        (folder / "kernel.py").write_text(source.text, encoding="utf-8")
        command = [sys.executable, "-I", "-m", RUNNER, str(folder)]
        environment = minimal_environment(folder, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
        try:
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired:
            return Outcome(ERROR, f"not done after {timeout_s:.0f} s", source.version)
        if done.returncode:
            return Outcome(ERROR, f"the simulator failed: {done.stderr.strip()[-300:]}", source.version)
        report = json.loads((folder / "report.json").read_text())
        if (fault := report["faults"][0]) is not None:
            return _faulted(fault, source)
        outputs = [
            np.fromfile(folder / f"{o['name']}.0.out", numpy_type(o["dtype"])).reshape(o["shape"])
            for o in report["outputs"]
        ]
    state, says = _compared(facts, given, outputs)
    return Outcome(state, says, source.version, report["schedule"]["latency_ns"] / 1e6)


def _arguments(facts: dict[str, Any], rng: np.random.Generator) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Values by name, as the kernel gets them, and the job's entries."""
    given: dict[str, Any] = {}
    entries: list[dict[str, Any]] = []
    for name, fact in facts.items():
        if isinstance(fact, dict):
            given[name] = fact.get("value")
            entries.append({"name": name, **fact})
            continue
        dtype, shape, made, options = (*fact, *("uniform", {})[len(fact) - 2 :])
        given[name] = nki_references.MAKERS[made](rng, shape, **options).astype(numpy_type(dtype))
        entries.append({"name": name, "file": f"{name}.in", "dtype": dtype, "shape": shape})
    return given, entries


def _faulted(fault: dict[str, Any], source: Source) -> Outcome:
    lines = source.text.split("\n")
    where = f" ({lines[fault['line'] - 1].strip()})" if fault["line"] else ""
    text = f"{fault['kind']}: {fault['message']}{where}"
    return Outcome(REFUSED if fault["kind"] == "unsupported" else ERROR, text, source.version)


def _compared(facts: dict[str, Any], given: dict[str, Any], outputs: list[np.ndarray]) -> tuple[str, str]:
    wide = {
        name: value.astype(np.float64) if isinstance(value, np.ndarray) else value
        for name, value in given.items()
        if value is not None or facts["arguments"][name] == {"value": None}
    }
    if facts["reference"] in nki_references.REFERENCES:
        expected = nki_references.REFERENCES[facts["reference"]](**wide)
    else:
        expected = eval(facts["reference"], {"np": np, "ref": nki_references, **wide})
    expected = expected if isinstance(expected, tuple) else (expected,)
    if len(expected) != len(outputs):
        return WRONG, f"{len(outputs)} outputs; the reference has {len(expected)}"
    for number, (got, right) in enumerate(zip(outputs, expected, strict=True)):
        got = got.astype(np.float64)
        if got.size != right.size:
            return WRONG, f"output {number} has the shape {got.shape}, the reference {right.shape}"
        right = np.asarray(right).reshape(got.shape)
        tolerance = facts["tolerance"]
        if isinstance(tolerance, dict):
            norms = np.linalg.norm(got) * np.linalg.norm(right)
            cosine = float((got * right).sum() / norms) if norms else 0.0
            if not cosine >= tolerance["cosine"]:
                return WRONG, f"output {number}: cosine {cosine:.6f} of {tolerance['cosine']}"
            continue
        with np.errstate(invalid="ignore"):
            bad = ~(np.abs(got - right) <= tolerance[0] + tolerance[1] * np.abs(right))
        if bad.any():
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            return WRONG, f"output {number}: {int(bad.sum())} of {bad.size}, first {at}: {got[at]} for {right[at]}"
    return RIGHT, ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--latencies", action="store_true")
    parser.add_argument("--timeout", type=float, default=900.0)
    options = parser.parse_args()
    by_group: dict[str, Counter[str]] = defaultdict(Counter)
    by_version: dict[str, Counter[str]] = defaultdict(Counter)
    measured: dict[str, list[Measured]] = defaultdict(list)
    for kernel in _chosen(options.folder, options.only):
        if options.latencies and kernel.measured_ms is None and "trace" not in kernel.facts:
            continue
        started = time.monotonic()
        outcome = run(kernel, options.timeout)
        by_group[kernel.group][outcome.state] += 1
        by_version[outcome.version][outcome.state] += 1
        print(_said(kernel, outcome, time.monotonic() - started), flush=True)
        if kernel.measured_ms is not None:
            measured[kernel.file].append(Measured(kernel.measured_ms, _estimate(kernel, outcome)))
    print()
    for file, rows in measured.items() if options.latencies else ():
        print(*report(file, rows), "", sep="\n")
    totals: Counter[str] = Counter()
    for title, counts in (*by_group.items(), *((f"NKI {v[-1]}", c) for v, c in sorted(by_version.items()))):
        print(_line(title, counts))
        totals += counts if title in by_group else Counter()
    print(_line("all", totals))


def _chosen(folder: Path, only: str) -> Iterator[Kernel]:
    """Entries, and kernels of traces. One whose file cannot be read stays an entry, and an error when it is run."""
    for entry in kernels(folder):
        if only not in entry.name and not entry.facts.get("trace"):
            continue
        try:
            found = list(texts(entry))
        except (OSError, SyntaxError, ValueError) as error:
            found = [entry._replace(facts={**entry.facts, "unreadable": f"{type(error).__name__}: {error}"})]
        yield from (kernel for kernel in found if only in kernel.name)


def _estimate(kernel: Kernel, outcome: Outcome) -> float | None:
    """Of the published shape, where a part of it was simulated."""
    return None if outcome.estimate_ms is None else outcome.estimate_ms * kernel.facts.get("scale", 1)


def _said(kernel: Kernel, outcome: Outcome, took_s: float) -> str:
    estimate = f"{outcome.estimate_ms:9.3f} ms" if outcome.estimate_ms is not None else " " * 12
    scaled = (
        f"for the published shape {_estimate(kernel, outcome):.3f} ms"
        if outcome.estimate_ms is not None and "scale" in kernel.facts
        else ""
    )
    published = ", ".join(f"{m} {ms} ms" for m, ms in kernel.facts.get("published_ms", {}).items())
    notes = "; ".join(filter(None, (outcome.says, scaled, published and f"published: {published}")))
    return f"{outcome.state:<8}{outcome.version:<6}{took_s:7.1f} s{estimate}  {kernel.name}  {notes}"


def _line(title: str, counts: Counter[str]) -> str:
    total = sum(counts.values())
    parts = ", ".join(f"{counts[state]} {state}" for state in (RIGHT, WRONG, REFUSED, ERROR) if counts[state])
    return f"{title:<64}{counts[RIGHT]:>4} of {total:<4}{100 * counts[RIGHT] / max(1, total):6.1f} %   ({parts})"


if __name__ == "__main__":
    main()
