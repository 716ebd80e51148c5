"""Kernels that were measured on RTL go through a whole evaluation: all right, and counted to the instruction."""

import csv
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.gemmini import toolchain
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter

CORPUS = Path(__file__).parents[2] / "data" / "gemmini_rtl"
ROWS = list(csv.DictReader((CORPUS / "measurements.csv").open()))
QUICK = [row for row in ROWS if int(row["macs"]) < 7_500_000]


def check(gemmini: GemminiAdapter, row: dict[str, str]) -> None:
    problem = gemmini.problem(row["problem"])
    source = (CORPUS / f"{row['kernel']}.c").read_text()
    result = anyio.run(lambda: gemmini.evaluate(problem, source))
    assert result.passed, result.message
    as_measured = toolchain.cross_compiler().kind == toolchain.GCC
    assert result.utilisation == pytest.approx(float(row["utilisation_first"]), rel=0.06 if as_measured else 0.35)
    if as_measured:
        assert result.counters["instret"] == int(row["instret_first"]), "another program than the one measured"


@pytest.mark.parametrize("row", QUICK, ids=[row["kernel"] for row in QUICK])
def test_a_measured_kernel_passes(gemmini: GemminiAdapter, row: dict[str, str]) -> None:
    check(gemmini, row)


@pytest.mark.slow
def test_every_measured_kernel_passes(gemmini: GemminiAdapter) -> None:
    for row in ROWS:
        check(gemmini, row)
