"""Kernels from schedules: every variant is right, legal, described, and named after an option of the menu."""

import random
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import Evaluation, UsageError
from autocomp_mcp.hardware_adapters.schedules import ScheduleError
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.hardware_adapters.trainium.adapter import TrainiumAdapter
from autocomp_mcp.hardware_adapters.trainium.families import operator_of
from autocomp_mcp.hardware_adapters.trainium.tuner.gemm_emit import emit
from autocomp_mcp.hardware_adapters.trainium.tuner.gemm_schedule import GemmSchedule, parse_line
from autocomp_mcp.hardware_adapters.trainium.tuner.rewrites import KERNELS, REWRITES
from autocomp_mcp.menus.menu import load_menu

options, rewrites, rewrite = REWRITES.options, REWRITES.rewrites, REWRITES.rewrite

ADAPTER = TrainiumAdapter(Home(Path("unused")))
# Ragged in every dimension that is tiled, and more than one tile of each.
RAGGED = (
    "trainium/gemm-260x1030x300", "trainium/gemm-140x600x520-bf16", "trainium/rmsnorm-650x130",
    "trainium/conv1d-3x130x300x4", "trainium/conv1d-5x48x270x3",
)  # fmt: skip
TINY = ("trainium/gemm-1x1x1", "trainium/rmsnorm-1x1", "trainium/conv1d-1x1x1x1", "trainium/conv1d-2x3x20x20")


def baseline(problem: str) -> str:
    return ADAPTER.baseline(ADAPTER.problem(problem))


def judged(problem: str, source: str) -> Evaluation:
    async def run() -> Evaluation:
        return await ADAPTER.evaluate(ADAPTER.problem(problem), source)

    return anyio.run(run)


def moves(problem: str, source: str) -> list[tuple[str, str]]:
    return [(option, found.name) for option in options() for found in rewrites(problem, source, option)]


def walk(problem: str, steps: int, seed: int) -> list[tuple[str, str, str]]:
    """(option, variant, source) of random steps from the baseline; options that were not taken yet go first."""
    rng, source, way = random.Random(seed), baseline(problem), []
    for _ in range(steps):
        if not (found := moves(problem, source)):
            break
        taken = {option for option, *_ in way}
        option, variant = rng.choice([move for move in found if move[0] not in taken] or found)
        source = rewrite(problem, source, option, variant)
        way.append((option, variant, source))
    return way


def test_options_are_those_of_the_menu_for_the_family() -> None:
    menu = {option.id: option for option in load_menu("trainium").options}
    for family, kernels in KERNELS.items():
        for option in kernels.options:
            assert family in menu[option].families, (family, option)


@pytest.mark.parametrize("problem", [*RAGGED, *TINY])
def test_variants_are_distinct_described_and_deterministic(problem: str) -> None:
    for source in (baseline(problem), walk(problem, 2, 2)[-1][2]):
        for option in options():
            found = rewrites(problem, source, option)
            assert found == rewrites(problem, source, option)
            texts = [rewrite(problem, source, option, r.name) for r in found]
            assert len({source, *texts}) == len(texts) + 1
            assert all(10 < len(r.summary) < 250 for r in found)


@pytest.mark.parametrize("problem", [*RAGGED[1:4], *(pytest.param(p, marks=pytest.mark.slow) for p in RAGGED[::4])])
def test_random_walks_stay_right(problem: str) -> None:
    for option, variant, source in walk(problem, 8, 5):
        result = judged(problem, source)
        assert result.passed, (option, variant, result.message, source)


@pytest.mark.parametrize("problem", TINY)
def test_the_smallest_problems_are_right(problem: str) -> None:
    for option, variant, source in walk(problem, 4, 3):
        result = judged(problem, source)
        assert result.passed, (option, variant, result.message, source)


@pytest.mark.slow
@pytest.mark.parametrize("problem", RAGGED)
def test_every_first_step_is_right(problem: str, request: pytest.FixtureRequest) -> None:
    whole = "slow" in request.config.option.markexpr
    for step in (0, 7):
        source = baseline(problem) if step == 0 else walk(problem, step, 9)[-1][2]
        found = moves(problem, source)
        for option, variant in found if whole else random.Random(4).sample(found, min(4, len(found))):
            result = judged(problem, rewrite(problem, source, option, variant))
            assert result.passed, (option, variant, result.message)


@pytest.mark.slow
def test_all_options_are_reached() -> None:
    """Offered somewhere on the way from a baseline."""
    reached = set()
    for problem in (*RAGGED, "trainium/gemm-1200x2100x1300", "trainium/rmsnorm-2048x1024"):
        for source in (baseline(problem), *(source for *_, source in walk(problem, 10, 1))):
            reached |= {(operator_of(problem).family, option) for option, _ in moves(problem, source)}
    in_place = rewrite(RAGGED[2], baseline(RAGGED[2]), "shrink-live-tiles", "in-place")
    reached |= {("rmsnorm", option) for option, _ in moves(RAGGED[2], in_place)}
    assert reached == {(family, option) for family, kernels in KERNELS.items() for option in kernels.options}


def test_what_does_not_fit_is_not_offered() -> None:
    problem = "trainium/gemm-4096x4096x8192"
    offered = {r.name for r in rewrites(problem, baseline(problem), "keep-operand-resident")}
    assert "both" not in offered and "whole-right" not in offered  # 128 MiB each
    (large,) = (r for r in rewrites(problem, baseline(problem), "block-free-dimensions") if r.name == "8x4")
    assert "SBUF" in large.summary  # 32 banks of sums are more than PSUM has
    changed = parse_line(rewrite(problem, baseline(problem), "block-free-dimensions", "8x4"))
    assert changed.sums == "sbuf"


def test_nothing_for_edited_and_foreign_kernels() -> None:
    problem = RAGGED[2]
    source = baseline(problem)
    edited = source.replace("op0=nl.multiply", "op0=nl.add", 1)
    spoilt = source.replace('"group": 1', '"group": -3', 1)
    assert moves(problem, f"{source}\n# a remark\n")
    assert edited != source and spoilt != source
    for text in (edited, spoilt, source.partition("\n")[2], "def solution(x): pass"):
        assert moves(problem, text) == []
    assert moves("trainium/layernorm-130x64", baseline("trainium/layernorm-130x64")) == []
    with pytest.raises(UsageError, match=r"'nonsense' on trainium.*gain"):
        rewrite(problem, source, "hoist-invariant-loads", "nonsense")


def test_a_schedule_that_cannot_be_names_the_field() -> None:
    gemm = operator_of("trainium/gemm-512x2048x512")
    with pytest.raises(ScheduleError, match="'bm'"):
        GemmSchedule().with_(bm=0)
    with pytest.raises(ScheduleError, match="needs 16 banks of the PSUM, which has 8"):
        emit(gemm, GemmSchedule(bm=4, bn=4))  # type: ignore[arg-type]


def test_products_of_two_halves_have_float32_accuracy_on_large_results() -> None:
    """Three bfloat16 products for one of float32: 0.5 million sums."""
    problem = "trainium/gemm-1024x1408x512"
    source = rewrite(problem, baseline(problem), "split-bf16-high-low", "three")
    result = judged(problem, source)
    assert result.passed, result.message
