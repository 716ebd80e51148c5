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


# --- causes: small kernels in which one thing happens

PAIR = "preload({b}, {c}, 16, 16, 16, {rows}); compute_preloaded({a}, NONE, 16, {rows}, 16, 16);"
FRAME = """#include "gemmini_api.h"
void solution(const int8_t *A, const int8_t *B, int8_t *C) {{
  config_ex(WS, NOACT, 1, 0, 0);
  config_ld(64, 1.0f, 16, 0);
  config_st(64);
  for (int r = 0; r < 4; r++) mvin(A + r * 16 * 64, r * 64, 64, 16);
  for (int r = 0; r < 4; r++) mvin(B + r * 16 * 64, 8192 + r * 64, 64, 16);
  for (int p = 0; p < 4; p++) {{ mvin(0, ACC + p * 16, 16, 16); mvin(0, ACC + 512 + p * 16, 16, 16); }}
  fence();
  {body}
  fence();
}}
"""


def causes(program: Path, home: Home, tmp_path: Path, body: str) -> dict[str, int]:
    """Counters of a call, the same whether or not idle cycles are skipped."""
    gemm, source = Gemm(64, 64, 64), FRAME.format(body=body)
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    folder.mkdir()
    said = timed(program, home, source, gemm, folder / "skipping")
    assert said == timed(program, home, source, gemm, folder / "stepping", "constant every_cycle 1")
    [case] = json.loads(said)["cases"]
    assert case["status"] == "ok", case["fault"]
    counters = case["calls"][0]["counters"]
    stalls = sum(count for name, count in counters.items() if name.startswith("stall_"))
    assert counters["array_busy_cycles"] + stalls == pytest.approx(counters["cycles"], abs=1)
    return counters


def pairs(count: int, between: str = "", rows: int = 16, weights: str = "8192 + (p & 3) * 16", c: str = "ACC") -> str:
    pair = PAIR.format(b=weights, c=f"{c} + (p & 3) * 16", a="(p & 3) * 16", rows=rows)
    return f"#pragma GCC unroll 64\n  for (int p = 0; p < {count}; p++) {{ {between} {pair} }}"


def test_stores_wait_for_the_bank_that_the_array_accumulates_in(
    gemsim_program: Path, compiler_home: Home, tmp_path: Path
) -> None:
    store = "if (p % 4 == 0) mvout(C + p * 64, ACC + {bank} * 512 + 64, 16, 16);"
    body = "for (int r = 0; r < 2; r++) mvin(0, ACC + r * 512 + 64, 16, 16);\n  fence();\n  "
    same, other = (
        causes(
            gemsim_program,
            compiler_home,
            tmp_path,
            body + pairs(48, store.format(bank=bank), c="ACCADD").replace("C + p * 64", "C + p / 4 * 64"),
        )
        for bank in (0, 1)
    )
    assert same["store_bank_wait_cycles"] > 50
    assert other["store_bank_wait_cycles"] == 0
    assert same["load_bank_wait_cycles"] == other["load_bank_wait_cycles"] == 0


@pytest.mark.parametrize(("target", "other"), [("ACC", "ACC + 512"), ("0x3000", "0x2100")])
def test_loads_wait_for_the_bank_that_results_are_written_to(
    gemsim_program: Path, compiler_home: Home, tmp_path: Path, target: str, other: str
) -> None:
    waits = [
        causes(
            gemsim_program,
            compiler_home,
            tmp_path,
            pairs(48, f"if (p % 4 == 0) mvin(0, {to} + 128, 16, 16);", c=target),
        )["load_bank_wait_cycles"]
        for to in (target, other)
    ]
    assert waits[0] > 50
    assert waits[1] == 0


def test_weights_move_in_alone_when_the_next_pair_is_late(
    gemsim_program: Path, compiler_home: Home, tmp_path: Path
) -> None:
    queued = causes(gemsim_program, compiler_home, tmp_path, pairs(48))
    waiting = causes(gemsim_program, compiler_home, tmp_path, pairs(48, "mvin(A, 0, 64, 16);"))
    draining = causes(gemsim_program, compiler_home, tmp_path, pairs(48, "config_ex(WS, NOACT, 1, 0, 0);"))
    assert queued["stall_weights_alone"] <= 2 * 16, "those of the first pairs only"
    assert waiting["stall_weights_alone"] == pytest.approx(48 * 16, abs=2 * 16)
    assert draining["stall_weights_alone"] == 0, "these weights are alone because the array was drained"
    assert draining["stall_config_ex"] > 48 * 32


def test_the_array_holds_few_matmuls_at_a_time(gemsim_program: Path, compiler_home: Home, tmp_path: Path) -> None:
    start = PAIR.format(b="8192", c="ACC", a="0", rows=16)
    short = "preload(NONE, ACC + (p & 3) * 16, 16, 16, 16, 4); compute_accumulated((p & 3) * 16, NONE, 16, 4, 16, 4);"
    loop = f"#pragma GCC unroll 64\n  for (int p = 0; p < 48; p++) {{ {short} }}"
    assert causes(gemsim_program, compiler_home, tmp_path, f"{start}\n  {loop}")["stall_array_full"] > 48
    assert causes(gemsim_program, compiler_home, tmp_path, pairs(48))["stall_array_full"] == 0


def test_operands_of_one_bank_take_turns(gemsim_program: Path, compiler_home: Home, tmp_path: Path) -> None:
    """Every row of A costs a cycle more for the row of weights beside it."""
    apart = causes(gemsim_program, compiler_home, tmp_path, pairs(48))
    together = causes(gemsim_program, compiler_home, tmp_path, pairs(48, weights="(p & 3) * 16"))
    assert apart["stall_bank_conflict_spad"] == 0
    assert together["stall_bank_conflict_spad"] == pytest.approx(47 * 16, abs=16)
    assert together["stall_dependency"] - apart["stall_dependency"] < 16


def test_loop_conv_ws_loads_weights_before_the_input(compiler_home: Home, tmp_path: Path) -> None:
    """As LoopConv's arbiter does; a block of 16 cold rows of weights takes longer than any run of the 4x4 image."""
    adapter, path = GemminiAdapter(compiler_home), tmp_path / "timeline.json"
    problem = adapter.problem("gemmini/conv-4x4x32x32-k3-s1-p1")
    kernel = adapter.reference_kernel(problem)
    assert kernel is not None
    anyio.run(lambda: adapter.profile(problem, kernel, timeline=path))
    moves = [event for event in json.loads(path.read_text()) if event["name"] == "mvin"]
    cycles = [move["dur"] for move in sorted(moves, key=lambda move: move["ts"])]
    fills = 2 * 4  # of 32 channels: one for a row of sums
    long = [number for number, duration in enumerate(cycles) if duration > 50]
    assert len(long) > 2 * 9 - 2  # blocks of weights, all but one at least
    assert long == list(range(fills, fills + len(long)))
