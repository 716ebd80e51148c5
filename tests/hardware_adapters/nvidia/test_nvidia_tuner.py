"""CUDA kernels from schedules: variants are right in the emulator, described, and named after options of the menu."""

import random
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import Evaluation, UsageError
from autocomp_mcp.hardware_adapters.nvidia.adapter import NvidiaAdapter
from autocomp_mcp.hardware_adapters.nvidia.counts import LaunchCounts
from autocomp_mcp.hardware_adapters.nvidia.embedded import evaluate_on_cpu
from autocomp_mcp.hardware_adapters.nvidia.families import operator_of
from autocomp_mcp.hardware_adapters.nvidia.machines import machine
from autocomp_mcp.hardware_adapters.nvidia.matrices import Gemm
from autocomp_mcp.hardware_adapters.nvidia.operators import describe
from autocomp_mcp.hardware_adapters.nvidia.tuner.rewrites import KERNELS, REWRITES
from autocomp_mcp.hardware_adapters.nvidia.tuner.sgemm_counts import counts, expected_ns
from autocomp_mcp.hardware_adapters.nvidia.tuner.sgemm_plans import plans
from autocomp_mcp.hardware_adapters.nvidia.tuner.sgemm_schedule import SgemmSchedule
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.menus.menu import load_menu

options, rewrites, rewrite = REWRITES.options, REWRITES.rewrites, REWRITES.rewrite

# Each is also tried at odd hidden shapes, and with a dimension of 1.
SMALL = {
    "sgemm": "nvidia/sgemm-132x100x68", "softmax": "nvidia/softmax-96x1028", "transpose": "nvidia/transpose-132x200",
}  # fmt: skip
ODD = {
    "sgemm": "nvidia/sgemm-67x131x35", "softmax": "nvidia/softmax-33x301", "transpose": "nvidia/transpose-131x67",
}  # fmt: skip
MARKS = {family: f"// {family} schedule: " for family in KERNELS}


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]) -> NvidiaAdapter:
    # Without nvcc: the emulation is what decides, and what takes less time.
    return NvidiaAdapter(Home(make_home(tmp_path_factory.mktemp("tuner") / "home")), path="/nonexistent")


@pytest.fixture
def judged(adapter: NvidiaAdapter) -> Callable[[str, str], Evaluation]:
    def run(problem: str, source: str) -> Evaluation:
        return anyio.run(lambda: adapter.evaluate(adapter.problem(problem), source, timeout_s=120))

    return run


def baseline(problem: str) -> str:
    return operator_of(problem).baseline()


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
    menu = {option.id: option for option in load_menu("nvidia").options}
    for family, kernels in KERNELS.items():
        for option in kernels.options:
            assert family in menu[option].families, (family, option)


@pytest.mark.parametrize("family", KERNELS)
def test_the_baseline_is_the_kernel_of_the_default_schedule(family: str) -> None:
    operator, kernels = operator_of(SMALL[family]), KERNELS[family]
    default = kernels.parse(operator, f"{MARKS[family]}{{}}\n")
    assert kernels.emit(operator, default) == operator.baseline()


@pytest.mark.parametrize("problem", [*SMALL.values(), *ODD.values()])
def test_variants_are_distinct_described_and_deterministic(problem: str) -> None:
    for source in (baseline(problem), walk(problem, 3, 2)[-1][2]):
        for option in options():
            found = rewrites(problem, source, option)
            assert found == rewrites(problem, source, option)
            texts = [rewrite(problem, source, option, r.name) for r in found]
            assert len({source, *texts}) == len(texts) + 1
            assert all(10 < len(r.summary) < 250 for r in found)


@pytest.mark.parametrize("problem", [*(pytest.param(p, marks=pytest.mark.slow) for p in SMALL.values()), *ODD.values()])
def test_random_walks_stay_right(problem: str, judged) -> None:
    for option, variant, source in walk(problem, 8, 5)[3::4]:
        result = judged(problem, source)
        assert result.passed, (option, variant, result.message, source)


@pytest.mark.slow
@pytest.mark.parametrize("problem", SMALL.values())
def test_every_step_is_right(problem: str, judged, request: pytest.FixtureRequest) -> None:
    whole = "slow" in request.config.option.markexpr
    for steps in (0, 6):
        source = baseline(problem) if steps == 0 else walk(problem, steps, 9)[-1][2]
        found = moves(problem, source)
        for option, variant in found if whole else random.Random(4).sample(found, min(2, len(found))):
            result = judged(problem, rewrite(problem, source, option, variant))
            assert result.passed, (option, variant, result.message)


def test_all_options_are_reached() -> None:
    """Offered somewhere on the way from a baseline."""
    reached = set()
    for family, problem in SMALL.items():
        for seed in range(3):
            for source in (baseline(problem), *(source for *_, source in walk(problem, 10, seed))):
                reached |= {(family, option) for option, _ in moves(problem, source)}
    assert reached == {(family, option) for family, kernels in KERNELS.items() for option in kernels.options}


def test_rows_too_long_for_registers_are_spread_or_not_kept() -> None:
    problem = "nvidia/softmax-64x8192"
    source = rewrite(problem, baseline(problem), "coalesce-accesses", "warp")  # 256 values per lane
    (kept,) = rewrites(problem, source, "keep-row-in-registers")
    assert "256 threads per row, to fit" in kept.summary
    assert "float kept[32]" in rewrite(problem, source, "keep-row-in-registers", "registers")
    longest = "nvidia/softmax-64x131072"
    source = rewrite(longest, baseline(longest), "coalesce-accesses", "block")
    assert rewrites(longest, source, "keep-row-in-registers") == []


def test_tiles_that_do_not_fit_give_way_or_are_not_offered() -> None:
    problem = SMALL["sgemm"]
    source = rewrite(problem, baseline(problem), "shared-tiles", "tile32")
    assert "128x128" not in {r.name for r in rewrites(problem, source, "larger-block-tile")}  # 16,384 threads
    assert rewrites(problem, source, "vector-shared-reads") == []  # of one result per thread
    large = rewrite(problem, source, "register-tile", "8x8-of-128x128")
    (double,) = rewrites(problem, large, "double-buffer-shared")
    assert "16 steps of K per tile, to fit" in double.summary  # 64 KiB of shared memory otherwise
    assert {r.name for r in rewrites(problem, large, "vector-shared-reads")} == {"float4", "float4-padded"}


def test_nothing_for_edited_and_foreign_kernels() -> None:
    problem = SMALL["transpose"]
    source = baseline(problem)
    edited = source.replace("r < R && ", "r < R - 0 && ", 1)
    spoilt = source.replace('"threads": 256', '"threads": -3', 1)
    assert moves(problem, f"{source}\n// a remark\n")
    assert edited != source and spoilt != source
    for text in (edited, spoilt, source.partition("\n")[2], "int launch() { return 0; }"):
        assert moves(problem, text) == []
    assert moves("nvidia/gemv-64x64", baseline("nvidia/gemv-64x64")) == []
    with pytest.raises(UsageError, match=r"'nonsense' on nvidia.*rows4"):
        rewrite(problem, source, "several-loads-under-way", "nonsense")


def plan(problem: str) -> str:
    """The kernel of the first plan."""
    source, option = baseline(problem), "plan-tiles-together"
    return rewrite(problem, source, option, rewrites(problem, source, option)[0].name)


def by_kind(launch: LaunchCounts) -> dict[tuple[str, str, int], tuple[int, ...]]:
    """Requests, sectors and passes of a block, by kind of access."""
    found: dict[tuple[str, str, int], list[int]] = {}
    for site in launch.sites:
        sums = found.setdefault((site.space, site.op, site.width), [0, 0, 0])
        for i, count in enumerate((site.requests, site.sectors, site.wavefronts)):
            sums[i] += count
    return {kind: tuple(count // launch.blocks_run for count in sums) for kind, sums in found.items()}


# Of whole tiles, with rows of whole sectors: nothing is left out of the counts worked out by hand.
COUNTED = [
    {"tm": 8, "tn": 8, "bm": 64, "bn": 128, "bk": 16, "pad": 4, "vector": 4, "reads": 4, "turned": True, "stages": 2},
    {"tm": 4, "tn": 4, "bm": 32, "bn": 64, "bk": 32, "vector": 4, "reads": 4, "turned": True},
    {"tm": 8, "tn": 4, "bm": 128, "bn": 16, "bk": 8, "vector": 1, "reads": 4, "turned": True},
    {"tm": 4, "tn": 4, "bm": 64, "bn": 64, "bk": 16, "pad": 1, "vector": 4},
    {"bm": 32, "bn": 32, "bk": 32},
]  # fmt: skip


@pytest.mark.parametrize("fields", COUNTED)
def test_expected_counts_of_a_product_are_those_of_the_emulator(fields, adapter: NvidiaAdapter) -> None:
    operator = operator_of("nvidia/sgemm-256x256x64")
    assert isinstance(operator, Gemm)
    schedule = SgemmSchedule(staged=True, **fields)
    source = KERNELS["sgemm"].emit(operator, schedule)
    run = anyio.run(lambda: evaluate_on_cpu(adapter.home, "/nonexistent", describe(operator), source, 1, 120.0))
    assert run.estimate is not None, run.evaluation.message
    counted, expected = run.estimate.main.counts, counts(operator, schedule)
    assert by_kind(counted) == by_kind(expected)
    assert counted.barriers == expected.barriers * counted.blocks_run
    assert counted.block_read_sectors == expected.block_read_sectors * counted.blocks_run
    assert (counted.grid, counted.block) == (expected.grid, expected.block)
    assert counted.static_shared == expected.static_shared


@pytest.mark.parametrize("shape", [(256, 256, 256), (1024, 1024, 1024), (1000, 513, 768), (64, 4096, 4096)])
def test_plans_are_ordered_by_what_they_are_expected_to_take(shape: tuple[int, int, int]) -> None:
    operator = operator_of("nvidia/sgemm-{}x{}x{}".format(*shape))
    assert isinstance(operator, Gemm)
    found = plans(operator)
    assert len(found) == 6
    assert [p.expected_ns for p in found] == sorted(p.expected_ns for p in found)
    ordinary = SgemmSchedule(staged=True, tm=4, tn=4, bm=64, bn=64, bk=16, pad=1, vector=4)
    assert found[0].expected_ns < expected_ns(operator, ordinary, machine())


@pytest.mark.parametrize("problem", [SMALL["sgemm"], ODD["sgemm"]])
def test_a_whole_plan_is_right(problem: str, judged) -> None:
    result = judged(problem, plan(problem))
    assert result.passed, result.message


def test_single_loads_where_rows_are_not_aligned() -> None:
    """float4 for the operand whose rows it fits; the kernel is right for other dimensions all the same."""
    both, one = plan("nvidia/sgemm-128x128x128"), plan("nvidia/sgemm-128x129x128")
    assert "float4 next_a[LOADS_A];" in both and "float4 next_b[LOADS_B];" in both
    assert "float4 next_a[LOADS_A];" in one and "float next_b[LOADS_B];" in one
