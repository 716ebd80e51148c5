"""Compare gemsim with the RTL: `python tests/benchmarks/calibration.py [--cross-validate] [--kernel NAME ...]`.

Compiles every kernel of tests/data/gemmini_rtl with the flags it was measured with (needs riscv64-unknown-elf-gcc),
lets gemsim time two calls, and prints measured against simulated cycles, the errors, and the rank correlation of
utilisation. `--cross-validate` leaves out one family of kernels after the other, chooses the model's fitted constants
(most are read off the hardware's structure instead) on the rest, and prints the errors of those left out.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import NamedTuple

import autocomp_mcp
import numpy as np

DATA = Path(__file__).parents[1] / "data" / "gemmini_rtl"
CALIBRATION = Path(__file__).parents[2] / "hardware_adapters" / "gemmini" / "calibration.yaml"
PACKAGE = Path(autocomp_mcp.__file__).parent / "hardware_adapters" / "gemmini"
FLAGS = [
    "-O2", "-ffast-math", "-fno-builtin", "-fno-tree-loop-distribute-patterns", "-march=rv64gc", "-mabi=lp64d",
    "-mcmodel=medany", "-ffreestanding",
]  # fmt: skip

# Constants whose values were fitted, one at a time around those in config.c.
SETTINGS: list[dict[str, int]] = [
    {},
    *({"dram_line_eighths": value} for value in (64, 66, 70, 72, 76)),
    *({"dram_latency_cycles": value} for value in (24, 32)),
    *({"dram_jump_eighths": value} for value in (0, 16)),
    *({"command_queue": value} for value in (8, 9, 11)),
    *({"load_write_cycles": value} for value in (4, 6)),
    *({"array_latency_cycles": value} for value in (36, 40)),
    *({"l2_hit_cycles": value} for value in (5, 7)),
    *({"l2_misses": value} for value in (10, 14)),
]


class Row(NamedTuple):
    kernel: str
    family: str
    ideal: float
    measured: tuple[int, int]
    simulated: tuple[int, int]
    instret: tuple[int, int]
    counters: dict[str, int]

    @property
    def errors(self) -> tuple[float, float]:
        """Signed relative errors of the first and the second call."""
        first, second = (s / m - 1 for s, m in zip(self.simulated, self.measured, strict=True))
        return first, second


def operand_bytes(row: dict[str, str]) -> list[tuple[str, int]]:
    """Name and bytes of each argument of a measured kernel, in order."""
    m, n, k = int(row["M"]), int(row["N"]), int(row["K"])
    conv = re.search(r"conv-(\d+)x(\d+)x(\d+)x(\d+)", row["problem"])
    if conv:
        h, w, ci, co = (int(x) for x in conv.groups())
        return [("A", h * w * ci), ("B", 9 * ci * co), ("C", m * n)]
    bias = {"-bias": 4 * n, "-biasmat": 4 * m * n}
    extra = next((bias[key] for key in ("-biasmat", "-bias") if key in row["problem"]), 0)
    return [("A", m * k), ("B", k * n), *([("D", extra)] if extra else []), ("C", m * n)]


def compile_kernel(source: Path, work: Path) -> Path:
    """An ELF as the corpus was built: the kernel is an object of its own."""
    elf = work / f"{source.stem}.elf"
    objects = []
    for file in (source, PACKAGE / "runtime.c"):
        objects.append(work / f"{file.stem}.o")
        command = ["riscv64-unknown-elf-gcc", *FLAGS, "-I", PACKAGE, "-c", file, "-o", objects[-1]]
        subprocess.run(command, check=True)
    link = ["riscv64-unknown-elf-gcc", "-nostdlib", "-static", "-T", PACKAGE / "kernel.ld", *objects, "-o", elf]
    subprocess.run(link, check=True, stderr=subprocess.DEVNULL)
    return elf


def simulate(gemsim: Path, row: dict[str, str], work: Path, constants: Mapping[str, int] = MappingProxyType({})) -> Row:
    elf = compile_kernel(DATA / f"{row['kernel']}.c", work)
    rng = np.random.default_rng(1)
    lines = [f"elf {elf}", "entry solution", *(f"constant {name} {value}" for name, value in constants.items())]
    lines.append("case cold timed")
    address = 0x90000000
    for name, size in operand_bytes(row):
        path = work / name
        if name == "C":
            lines.append(f"buffer C {address:#x} {size} output {work / 'C.out'}")
        else:
            values = rng.integers(-128, 128, size, dtype=np.int8) if name != "D" else np.zeros(size, np.int8)
            path.write_bytes(values.tobytes())
            lines.append(f"buffer {name} {address:#x} {size} input {path}")
        address = (address + size + 63) // 64 * 64 + 64
    lines += ["calls 2", ""]
    (work / "job").write_text("\n".join(lines))
    (work / "C.out").unlink(missing_ok=True)
    run = subprocess.run([gemsim, "job", work / "job"], capture_output=True, text=True, check=True)
    case = json.loads(run.stdout)["cases"][0]
    if case["status"] != "ok":
        raise SystemExit(f"{row['kernel']}: {case['fault']}")
    cycles = tuple(call["cycles"] for call in case["calls"])
    instret = tuple(call["instret"] for call in case["calls"])
    measured = (int(row["cycles_first"]), int(row["cycles_second"]))
    return Row(
        row["kernel"], row["family"], int(row["macs"]) / 256, measured, cycles,
        (instret[0], int(row["instret_first"])), case["calls"][1]["counters"],
    )  # fmt: skip


def spearman(x: list[float], y: list[float]) -> float:
    def ranks(values: list[float]) -> np.ndarray:
        return np.argsort(np.argsort(values)).astype(float)

    return float(np.corrcoef(ranks(x), ranks(y))[0, 1])


def calibrate(
    gemsim: Path, kernels: list[str] | None = None, constants: Mapping[str, int] = MappingProxyType({})
) -> list[Row]:
    with (DATA / "measurements.csv").open() as f:
        rows = [row for row in csv.DictReader(f) if not kernels or any(row["kernel"].startswith(k) for k in kernels)]
    with tempfile.TemporaryDirectory() as work:
        return [simulate(gemsim, row, Path(work), constants) for row in rows]


def summary(rows: list[Row]) -> dict[str, float]:
    """Median and worst absolute error in percent (first and second call), rank correlation of utilisation."""
    first, second = ([abs(row.errors[i]) * 100 for row in rows] for i in (0, 1))
    measured = [r.ideal / r.measured[0] for r in rows]
    simulated = [r.ideal / r.simulated[0] for r in rows]
    return {
        "median_first": median(first), "worst_first": max(first),
        "median_second": median(second), "worst_second": max(second),
        "spearman": spearman(measured, simulated) if len(rows) > 1 else 1.0,
    }  # fmt: skip


def cross_validate(gemsim: Path, kernels: list[str] | None = None) -> list[tuple[str, list[Row], dict[str, int]]]:
    """For each family: its kernels, simulated with the setting that is best for the other families; that setting."""
    tried = {json.dumps(setting): calibrate(gemsim, kernels, setting) for setting in SETTINGS}
    families = sorted({row.family for row in next(iter(tried.values()))})
    folds = []
    for family in families:

        def error(setting: str, family: str = family) -> float:
            others = [abs(e) for row in tried[setting] if row.family != family for e in row.errors]
            return sum(others) / len(others)

        best = min(tried, key=error)
        folds.append((family, [row for row in tried[best] if row.family == family], json.loads(best)))
    return folds


def print_folds(folds: list[tuple[str, list[Row], dict[str, int]]]) -> None:
    print(
        f"{'family left out':18}{'kernels':>8}{'median cold':>13}{'worst':>8}{'median warm':>13}{'worst':>8}  constants"
    )
    for family, rows, setting in folds:
        result = summary(rows)
        figures = [result[f"{what}_{call}"] for call in ("first", "second") for what in ("median", "worst")]
        print(
            f"{family:18}{len(rows):8}"
            + "".join(f"{figure:12.1f}%" for figure in figures)
            + "  "
            + (", ".join(f"{name} {value}" for name, value in setting.items()) or "as they are")
        )
    result = summary([row for _, rows, _ in folds for row in rows])
    print("left-out kernels, all families:", {key: round(value, 3) for key, value in result.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gemsim", type=Path, help="a simulator binary; by default the installed one is built")
    parser.add_argument("--kernel", nargs="*", help="only kernels whose name starts so")
    parser.add_argument("--cross-validate", action="store_true", help="leave one family out")
    parser.add_argument("--write", action="store_true", help="record the errors in calibration.yaml of the checkout")
    parser.add_argument("--counters", action="store_true", help="print the counters of the second call as well")
    args = parser.parse_args()
    if not shutil.which("riscv64-unknown-elf-gcc"):
        raise SystemExit("riscv64-unknown-elf-gcc is not on PATH; the corpus was measured with it")
    gemsim = args.gemsim
    if gemsim is None:
        import anyio
        from autocomp_mcp.hardware_adapters.gemmini.gemsim import simulator
        from autocomp_mcp.hardware_adapters.store import Home

        gemsim = anyio.run(simulator, Home())
    if args.cross_validate:
        return print_folds(cross_validate(gemsim, args.kernel))
    rows = calibrate(gemsim, args.kernel)
    print(f"{'kernel':38}{'RTL cold':>10}{'gemsim':>10}{'error':>8}{'RTL warm':>10}{'gemsim':>10}{'error':>8}  instret")
    for r in rows:
        same = "=" if r.instret[0] == r.instret[1] else f"{r.instret[0]} != {r.instret[1]}"
        print(
            f"{r.kernel:38}{r.measured[0]:10}{r.simulated[0]:10}{r.errors[0]:+8.1%}"
            f"{r.measured[1]:10}{r.simulated[1]:10}{r.errors[1]:+8.1%}  {same}"
        )
        if args.counters:
            print("   ", {k: v for k, v in r.counters.items() if v})
    result = summary(rows)
    print({key: round(value, 3) for key, value in result.items()})
    if args.write:
        write(result, len(rows))


def write(result: dict[str, float], kernels: int) -> None:
    """Put the errors of the first call, which is what an Evaluation reports, where the engine quotes them from."""
    figures = {
        "median_error_percent": round(result["median_first"], 1),
        "worst_error_percent": round(result["worst_first"], 1),
        "spearman": round(result["spearman"], 3),
        "kernels": kernels,
    }
    text = CALIBRATION.read_text()
    for key, value in figures.items():
        text = re.sub(rf"(?m)^{key}:.*$", f"{key}: {value}", text)
    CALIBRATION.write_text(text)


if __name__ == "__main__":
    main()
