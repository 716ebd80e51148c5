"""The timing model against itself and against what RTL is known to do."""

import json
import subprocess
from pathlib import Path

import anyio
import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.hardware_adapters.gemmini.gemsim import BUFFER_BASE, JobCase, job_text, layout
from autocomp_mcp.hardware_adapters.gemmini.hardware_loop import Tiling, hardware_loop_kernel, tiling
from autocomp_mcp.hardware_adapters.gemmini.problems import Gemm
from autocomp_mcp.hardware_adapters.gemmini.toolchain import compile_kernel, cross_compiler
from autocomp_mcp.hardware_adapters.store import Home

CORPUS = Path(__file__).parents[2] / "data" / "gemmini_rtl"
MIXED = [  # kernels in which the units meet: fences, narrow and wide loads, results of two banks, bias, full queues
    ("c01_naive_fence_64x64x128", Gemm(64, 64, 128)),
    ("c05_cfg_each_mvin_144x128x128", Gemm(144, 128, 128)),
    ("c12_edges_77x130x200", Gemm(77, 130, 200)),
    ("c14_w48_144x192x288", Gemm(144, 192, 288)),
    ("c21_bias_256x128x192", Gemm(256, 128, 192, "bias")),
    ("c23_biasmat_128x256x128", Gemm(128, 256, 128, "biasmat")),
    ("c25_large_512x512x64", Gemm(512, 512, 64)),
]
LOOPS = [Gemm(77, 130, 200, "biasmat"), Gemm(160, 208, 96)]


def timed(program: Path, home: Home, source: str, gemm: Gemm, folder: Path, *directives: str) -> str:
    """gemsim's answer to one timed case with random operands."""
    compiled = anyio.run(compile_kernel, home, cross_compiler(), source)
    assert compiled.program is not None, compiled.compilation.diagnostics
    folder.mkdir()
    (folder / "kernel.elf").symlink_to(compiled.program)
    case = JobCase("full", True, layout(gemm.tensors, BUFFER_BASE, "full"))
    for buffer in case.buffers:
        data = np.random.default_rng(1).integers(0, 256, buffer.bytes, np.uint8)
        (folder / buffer.file).write_bytes(data.tobytes())
    text = job_text([case], 10**9, profile=False, timeline=False)
    (folder / "job").write_text("\n".join([*text.splitlines()[:2], *directives, *text.splitlines()[2:], ""]))
    return subprocess.run([program, "job", "job"], cwd=folder, capture_output=True, text=True, check=True).stdout


KERNELS = [((CORPUS / f"{name}.c").read_text(), gemm) for name, gemm in MIXED]
KERNELS += [(hardware_loop_kernel(gemm), gemm) for gemm in LOOPS]


@pytest.mark.parametrize(("source", "gemm"), KERNELS, ids=[*(name for name, _ in MIXED), *(gemm.id for gemm in LOOPS)])
def test_skipping_idle_cycles_changes_no_figure(
    gemsim_program: Path, compiler_home: Home, tmp_path: Path, source: str, gemm: Gemm
) -> None:
    skipping = timed(gemsim_program, compiler_home, source, gemm, tmp_path / "skipping")
    stepping = timed(gemsim_program, compiler_home, source, gemm, tmp_path / "stepping", "constant every_cycle 1")
    assert json.loads(skipping)["cases"][0]["status"] == "ok"
    assert skipping == stepping


@pytest.mark.parametrize(
    ("directive", "named"),
    [
        ("constant bus_width 3", "bus_width"),
        ("constant dram_line_eighths 0", "dram_line_eighths"),
        ("constant every_cycle yes", "yes"),
    ],
)
def test_unknown_constants_are_refused(
    gemsim_program: Path, compiler_home: Home, tmp_path: Path, directive: str, named: str
) -> None:
    source, gemm = KERNELS[0]
    with pytest.raises(subprocess.CalledProcessError) as caught:
        timed(gemsim_program, compiler_home, source, gemm, tmp_path / "job", directive)
    assert named in caught.value.stderr


def test_the_vendors_tiles() -> None:
    assert tiling(Gemm(512, 512, 512)) == Tiling(5, 6, 32)
    assert tiling(Gemm(12544, 64, 256)) == Tiling(8, 4, 16)
    assert all(tiling(gemm).fits() for gemm in (Gemm(1, 1, 1), Gemm(4000, 4000, 4000), Gemm(16, 16, 60000)))


# Share of the array's peak that Gemmini's hardware loop reaches on RTL. None of these runs is part of the corpus, but
# the cost of a write-back to DRAM was set by the third.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("problem", "share"), [("gemm-512x512x512", 0.96), ("gemm-12544x64x256", 0.995), ("gemm-12544x256x64", 0.81)]
)
def test_the_hardware_loop_is_as_fast_as_on_rtl(gemmini: GemminiAdapter, problem: str, share: float) -> None:
    described = gemmini.problem(f"gemmini/{problem}")
    source = hardware_loop_kernel(Gemm.of(described.id))
    result = anyio.run(lambda: gemmini.evaluate(described, source, timeout_s=300))
    assert result.passed, result.message
    assert result.utilisation == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize(
    "gemm", [Gemm(77, 130, 200, "bias", True, 6), Gemm(128, 96, 48, "biasmat"), Gemm(33, 16, 2500), Gemm(5, 3, 7)]
)
def test_the_hardware_loop_computes_every_kind_of_gemm(gemmini: GemminiAdapter, gemm: Gemm) -> None:
    described = gemmini.problem(gemm.id)
    result = anyio.run(lambda: gemmini.evaluate(described, hardware_loop_kernel(gemm)))
    assert result.passed, result.message
