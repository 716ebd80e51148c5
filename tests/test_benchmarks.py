"""Benchmarks are started in their smallest form, and what they report is complete; what it says is not asserted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.gemmini.families import operator_of
from autocomp_mcp.hardware_adapters.gemmini.problems import Gemm
from autocomp_mcp.hardware_adapters.gemmini.rewrites import REWRITES
from autocomp_mcp.hardware_adapters.gemmini.schedule import baseline_schedule
from autocomp_mcp.hardware_adapters.store import Home

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
import ablation
import estimated_cycles as cycles_benchmark
import gemm_tools
import nki_coverage
import nki_manifest
import nvidia_ladder
import pipeline
import scale
import serving

MakeHome = Callable[[Path], Path]
SMALL = "gemmini/gemm-64x64x64"
LADDER = ("2_coalesced", "6_vectors")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_ablation(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["published preset", "default", "later, reuse auto", "offline"]
    arguments = ["--seeds", "2", "--shapes", SMALL, "--variants", *chosen]
    monkeypatch.setattr(sys, "argv", ["ablation.py", *arguments])
    monkeypatch.setattr(ablation, "VARIANTS", tuple(_shortened(v) for v in ablation.VARIANTS))
    ablation.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("8 runs, 2 seeds, 1 shapes")
    assert [line[:24].strip() for line in lines[2:]] == chosen
    assert all(line.count("[") == 4 for line in lines[2:]), "every figure has its interval"


def _shortened(variant: ablation.Variant) -> ablation.Variant:
    return variant._replace(changes={**variant.changes, "iterations": 2})


def test_figures_of_runs_that_never_arrive_count_against_them() -> None:
    def run(variant: int, curve: list[tuple[int, int, float]]) -> ablation.Run:
        return ablation.Run(ablation.Cell(variant, "s", 0), curve, 50, 80, 0.5)

    found = ablation.figures(
        [run(0, [(1, 0, 1000.0), (40, 60, 500.0)]), run(1, [(1, 0, 1000.0), (9, 12, 105.0), (12, 20, 100.0)])]
    )
    assert found[0].evaluations == {("s", 0): ablation.NEVER} and found[0].arrived == 0.0
    assert (found[1].evaluations, found[1].calls) == ({("s", 0): 9}, {("s", 0): 12})
    ratio = ablation.geomean(found[0].evaluations, found[1].evaluations)
    assert ratio.value == pytest.approx(ablation.NEVER / 9) and ratio.low <= ratio.value <= ratio.high


def test_the_pipeline_is_timed_on_a_virtual_clock() -> None:
    times = pipeline.Times(0, pipeline.REGIMES[0])
    found = pipeline.measured(times, "llm", iterations=1)
    assert len(found) == 1
    assert found[0].pipeline >= found[0].critical * (1 - 1e-9), "nothing is faster than its critical path"
    assert found[0].barrier >= found[0].critical * (1 - 1e-9)
    assert found == pipeline.measured(times, "llm", iterations=1), "no real clock has a part in it"


def test_greedy_fills_slots_in_order() -> None:
    assert pipeline.greedy([3.0, 1.0, 1.0, 1.0], 2) == 3.0
    assert pipeline.greedy([1.0, 1.0, 3.0], 2) == 4.0
    assert pipeline.greedy([], 2) == 0.0


def test_estimated_cycles_rank_kernels_as_gemsim_did() -> None:
    known = cycles_benchmark.known()
    for problem in dict.fromkeys(row.problem for row in known):
        mine = [row for row in known if row.problem == problem]
        ranks = cycles_benchmark.rank_correlation(
            [cycles_benchmark.estimated(r) for r in mine], [r.cycles for r in mine]
        )
        assert len(mine) > 20 and ranks > 0.7, problem


@pytest.mark.parametrize("option", ["larger-tile", "wide-loads", "double-buffer-a", "keep-b-resident", "fewer-fences"])
def test_rewrites_without_code_are_those_with(option: str) -> None:
    from autocomp_mcp.hardware_adapters.gemmini import emit

    gemm = operator_of(SMALL)
    assert isinstance(gemm, Gemm)
    schedule = baseline_schedule(gemm)
    real = [(r.name, r.summary) for r in REWRITES.rewrites(SMALL, emit.emit(gemm, schedule), option)]
    assert [(n, summary) for n, (summary, _) in gemm_tools.rewritten(SMALL, schedule, option).items()] == real


@pytest.mark.parametrize("how", ["compile_error", "wrong_result", "unused"])
def test_what_the_synthetic_model_spoils_is_told_and_undone(how: str) -> None:
    tools = gemm_tools.GemmTools()
    good = gemm_tools.kernel(baseline_schedule(operator_of(SMALL)))  # pyright: ignore[reportArgumentType]
    bad = gemm_tools.spoilt(good, how, 7)
    said = tools.simulate_kernel(SMALL, bad)
    assert bad != good and gemm_tools.unspoilt(bad) == good
    assert said["verdict"] == ("passed" if how == "unused" else how)
    if how == "unused":
        assert said["compilation"] == tools.simulate_kernel(SMALL, good)["compilation"], "the same machine code"


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["compile_error", "wrong_result", "unused"])
async def test_gemsim_says_the_same_of_it(how: str, tmp_path: Path, make_home: MakeHome) -> None:
    from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
    from autocomp_mcp.hardware_adapters.store import Home

    adapter = GemminiAdapter(Home(make_home(tmp_path / "home")))
    problem = adapter.problem(SMALL)
    said = await adapter.evaluate(problem, gemm_tools.spoilt(adapter.baseline(problem), how, 7))
    assert said.verdict == ("passed" if how == "unused" else how), said.message


@pytest.mark.slow
def test_the_server_is_timed(tmp_path: Path, make_home: MakeHome, capsys: pytest.CaptureFixture[str]) -> None:
    home = make_home(tmp_path / "home")
    serving.startup(home, 1)
    assert "one tool" in capsys.readouterr().out
    anyio.run(serving.overhead, home, 3)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0].rstrip(",") for line in lines[3:]] == ["get_problem", "simulate_kernel", "add"]
    assert anyio.run(serving.clients, home, 3, 1.0) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7 and lines[-1] == "errors: 0"


PUBLIC = """import torch
import nki
import nki.isa as nisa
import nki.language as nl
from .sizes import WIDTH

LIMIT = 128
torch.manual_seed(1)


def width():
    return WIDTH


@nki.jit
def doubled(x, times=2.0):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.ndarray((LIMIT, width()), dtype=x.dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=t, src=x)
    nisa.tensor_scalar(dst=t, data=t, op0=nl.multiply, operand0=times)
    nisa.dma_copy(dst=out, src=t)
    return out


@nki.jit
def random(x):
    t = nl.ndarray((LIMIT, width()), dtype=x.dtype, buffer=nl.sbuf)
    nisa.dropout(dst=t, data=x, prob=0.5)
    return t
"""
PUBLIC_MANIFEST = """
collections: {mine: {repository: a/b, commit: c, folder: b}}
groups: [{collection: mine, folder: kernels}]
kernels:
  kernels:
    - {file: k.py, entry: doubled, arguments: {x: [float32, [128, 64]]}, reference: 2 * x, tolerance: [0.0, 1.0e-6]}
    - {file: k.py, entry: doubled, arguments: {x: [float32, [128, 64]], times: {value: 3.0}}, reference: 2 * x,
       tolerance: [0.0, 1.0e-6]}
    - {file: k.py, entry: random, arguments: {x: [float32, [128, 64]]}, reference: x, tolerance: {cosine: 0.9}}
    - {file: k.py, entry: missing, arguments: {}, reference: x, tolerance: {cosine: 0.9}}
"""


def test_coverage_of_public_kernels_says_what_each_comes_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kernels are cut out of files that import what is not here, with what they use of other files."""
    folder = tmp_path / "b" / "kernels"
    folder.mkdir(parents=True)
    (folder / "k.py").write_text(PUBLIC)
    (folder / "sizes.py").write_text("import torch\n\nWIDTH = 64\n")
    (tmp_path / "manifest.yaml").write_text(PUBLIC_MANIFEST)
    monkeypatch.setattr(nki_manifest, "MANIFEST", tmp_path / "manifest.yaml")
    monkeypatch.setattr(sys, "argv", ["nki_coverage.py", str(tmp_path)])
    nki_coverage.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["right", "wrong", "refused", "error"]
    assert "unsupported API: nki.isa.dropout" in lines[2] and "missing" in lines[3]
    assert lines[-1].split()[:4] == ["all", "1", "of", "4"]


def test_every_entry_of_the_public_kernels_can_be_made() -> None:
    """References and makers that the manifest names exist; tolerances are of a known kind."""
    import nki_references

    found = nki_manifest.kernels(Path("nowhere"))
    assert len(found) > 30
    for kernel in found:
        facts = kernel.facts
        assert facts["reference"] in nki_references.REFERENCES or not facts["reference"].isidentifier(), kernel.name
        assert isinstance(facts["tolerance"], dict) == ("cosine" in facts["tolerance"]), kernel.name
        for fact in facts["arguments"].values():
            assert isinstance(fact, dict) or len(fact) == 2 or fact[2] in nki_references.MAKERS, (kernel.name, fact)


def test_nvidia_ladder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], make_home: MakeHome, tmp_path: Path
) -> None:
    """Two of its kernels, small: they are right, and stand beside what was published."""
    monkeypatch.setenv("AUTOCOMP_HOME", str(make_home(tmp_path / "home")))
    monkeypatch.setattr(nvidia_ladder, "PUBLISHED", {name: nvidia_ladder.PUBLISHED[name] for name in LADDER})
    monkeypatch.setenv("AUTOCOMP_NVIDIA_DEVICE", "a6000")
    monkeypatch.setattr(sys, "argv", ["nvidia_ladder.py", "--size", "132"])
    anyio.run(nvidia_ladder.main)
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(LADDER)
    assert all(float(row.split("|")[3].replace(",", "")) > 0 for row in rows)


@pytest.mark.slow
def test_scale_of_servers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scale.report_servers(tmp_path, 0.05, 2)
    lines = capsys.readouterr().out.splitlines()[2:]
    assert [line[:24].strip() for line in lines] == ["1", "2", "3", "2, one 4 times slower"]
    done = [sum(map(int, line[24:40].split("+"))) for line in lines]
    assert done == [4, 8, 12, 5] and all(float(line.split()[-1]) > 0 for line in lines)


@pytest.mark.slow
def test_scale(make_home: MakeHome, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    home = Home(make_home(tmp_path / "home"))
    scale.report_local(home, 1)
    scale.report_overhead(home, 3)
    scale.report_ray(home, [2], 0.2, 2)
    words = [line.split() for line in capsys.readouterr().out.splitlines()]
    shown = {line[0]: line[1:] for line in words if len(line) > 1}
    assert len(shown["1"]) == 3 and float(shown["local"][0]) > 0 and float(shown["ray"][0]) > 0
    assert float(shown["2"][0]) > 0 and len(shown["2"]) == 3
