"""Emitted kernels compute the GEMM: compiled for the host, their commands played through the NumPy oracle."""

import random

import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.gemmini.emit import emit
from autocomp_mcp.hardware_adapters.gemmini.problems import Gemm
from autocomp_mcp.hardware_adapters.gemmini.schedule import (
    Schedule,
    ScheduleError,
    baseline_schedule,
    layout,
    parse_line,
)
from gemm_reference import check_on_host, inputs
from host_recorder import RecordedKernels

CHOICES = {
    "ti": [16, 32, 48, 64],
    "tj": [16, 32, 64, 80],
    "tk": [16, 32, 64, 96, 256],
    "order": ["ij", "ji"],
    "inner": ["ijk", "ikj", "jik", "jki", "kij", "kji"],
    "a_keep": ["tile", "panel", "all"],
    "b_keep": ["tile", "panel", "all"],
    "a_buffers": [1, 2],
    "b_buffers": [1, 2],
    "c_buffers": [1, 2],
    "placement": ["packed", "split", "banked"],
    "a_width": [16, 32, 48, 64],
    "b_width": [16, 32, 48, 64],
    "c_width": [16, 32, 48, 64],
    "load_order": ["down", "along"],
    "loads": ["before", "prefetch", "interleave"],
    "stores": ["after", "early", "interleave"],
    "init": ["zero", "overwrite"],
    "weight_reuse": [True, False],
    "config": ["each", "tile", "once"],
    "load_ids": ["one", "separate"],
    "fences": ["all", "step", "tile", "none"],
    "unroll_inner": [1, 2, 4],
    "unroll_k": [1, 2],
    "addressing": ["index", "pointer"],
    "edges": ["checked", "split"],
}
SIZES = [1, 5, 15, 16, 17, 32, 48, 50, 64, 77, 96, 100, 128, 130, 150]
BEST = Schedule(
    ti=128, tj=64, tk=64, inner="kji", a_buffers=2, b_buffers=2, c_buffers=2, placement="banked", a_width=64,
    b_width=64, c_width=64, loads="interleave", stores="interleave", init="overwrite", weight_reuse=True, config="once",
    load_ids="separate", fences="none", unroll_inner=4, edges="split",
)  # fmt: skip


def random_case(rng: random.Random) -> tuple[Gemm, Schedule]:
    gemm = Gemm(
        rng.choice(SIZES), rng.choice(SIZES), rng.choice(SIZES), rng.choice([None, None, "bias", "biasmat"]),
        rng.random() < 0.3, rng.choice([0, 0, 3]),
    )  # fmt: skip
    while True:
        schedule = Schedule(**{field: rng.choice(values) for field, values in CHOICES.items()}).fitted(gemm)
        try:
            layout(gemm, schedule)
            return gemm, schedule
        except ScheduleError:
            continue


def test_known_cases(tmp_path):
    shapes = [Gemm(64, 64, 64), Gemm(1, 1, 1), Gemm(77, 130, 200, "bias"), Gemm(33, 20, 17, "biasmat", True, 3)]
    shapes += [
        Gemm(256, 128, 96, "biasmat"),
        Gemm(256, 144, 64, "bias"),
        Gemm(150, 70, 64, "biasmat"),
    ]  # D loaded ahead
    check_on_host([(g, s) for g in shapes for s in (baseline_schedule(g), BEST)], tmp_path)


def test_random_schedules(tmp_path):
    rng = random.Random(20)
    check_on_host([random_case(rng) for _ in range(40)], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_many_random_schedules(tmp_path, seed):
    rng = random.Random(seed)
    check_on_host([random_case(rng) for _ in range(200)], tmp_path)


def test_a_kernel_carries_its_schedule_and_stays_small():
    rng = random.Random(3)
    for gemm, schedule in [(Gemm(512, 512, 512), BEST), *(random_case(rng) for _ in range(50))]:
        source = emit(gemm, schedule)
        assert parse_line(source) == schedule.fitted(gemm)
        assert len(source) < 8192


def test_an_impossible_schedule_is_refused():
    with pytest.raises(ScheduleError, match="accumulator"):
        emit(Gemm(512, 512, 512), BEST.with_(ti=256))


def commands_of(gemm: Gemm, schedule: Schedule, folder) -> list[int]:
    kernels = RecordedKernels([emit(gemm, schedule)], folder)
    a, b, _ = inputs(gemm, np.random.default_rng(0))
    c = np.zeros((gemm.m, gemm.n), np.int8)
    return [command.funct for command in kernels.commands(0, a.ctypes.data, b.ctypes.data, c.ctypes.data)]


def test_residency_and_width_save_commands(tmp_path):
    """Counts that follow from the schedule alone, for 128x128x128 in tiles of 64x64x64."""
    gemm = Gemm(128, 128, 128)
    plain = Schedule(ti=64, tj=64, tk=64, load_ids="separate", config="once", init="overwrite")
    for name, schedule, mvin_a, mvin_b, mvout in [
        ("plain", plain, 128, 128, 64),
        ("wide", plain.with_(a_width=64, b_width=64, c_width=64), 32, 32, 16),
        ("b", plain.with_(b_keep="all"), 128, 64, 64),
        ("panel", plain.with_(a_keep="panel", tk=128), 64, 128, 64),
    ]:
        (tmp_path / name).mkdir()
        functs = commands_of(gemm, schedule, tmp_path / name)
        assert (functs.count(2), functs.count(1), functs.count(3)) == (mvin_a, mvin_b, mvout), name
        assert functs.count(6) == 512, name


def test_interleaved_moves_stand_between_computes(tmp_path):
    """No two mvouts of the steady state stand together, and loads run ahead by a tile."""
    gemm = Gemm(256, 128, 128)
    functs = commands_of(gemm, BEST, tmp_path)
    steady = functs[functs.index(6) : len(functs) - 1 - functs[::-1].index(4)]
    runs = "".join("m" if f in (1, 2, 3) else "." for f in steady).split(".")
    assert max(len(run) for run in runs) <= 3


def test_d_is_loaded_between_computes(tmp_path):
    """Two C tiles of 128x64 with eight 64-column loads of D each: those of the second follow the first's products."""
    gemm = Gemm(256, 64, 128, "biasmat")
    kernels = RecordedKernels([emit(gemm, BEST)], tmp_path)
    a, b, d = inputs(gemm, np.random.default_rng(0))
    c = np.zeros((gemm.m, gemm.n), np.int8)
    functs = [x.funct for x in kernels.commands(0, *(array.ctypes.data for array in (a, b, d, c)))]
    at = [n for n, funct in enumerate(functs) if funct == 14]
    products = [functs[:n].count(6) for n in at]
    assert products[:8] == [0] * 8
    assert all(128 <= n < 256 for n in products[8:]), products  # the second of the first tile's two steps
    assert len(set(products[8:])) == 8
