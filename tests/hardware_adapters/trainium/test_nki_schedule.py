"""How the scheduler places instructions: engines side by side, dependencies, transfers, memory that fills up."""

from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import Profile
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.hardware_adapters.trainium.adapter import TrainiumAdapter
from autocomp_mcp.hardware_adapters.trainium.machines import machines
from autocomp_mcp.hardware_adapters.trainium.nkisim.hazards import overlaps
from autocomp_mcp.hardware_adapters.trainium.nkisim.machine import Access, Limits, Machine
from autocomp_mcp.hardware_adapters.trainium.nkisim.schedule import Schedule, Wires, schedule
from autocomp_mcp.hardware_adapters.trainium.nkisim.spec import spec_of
from hypothesis import given, settings
from hypothesis import strategies as st

KERNELS = Path(__file__).parents[2] / "data" / "trainium"
SPEC = spec_of(machines()["trn2"].job)
ADAPTER = TrainiumAdapter(Home(Path("unused")))
FULL = ((0, 128), (0, 512))


def machine(*tiles: tuple[str, int]) -> Machine:
    """With memories of (space, bytes per partition), numbered from 0."""
    made = Machine(Limits(SPEC.sbuf_bytes, SPEC.psum_bytes, SPEC.generation))
    for space, size in tiles:
        made.allocate(space, space, size, (128, 512))
    return made


def issue(made: Machine, engine: str, reads: list[int], writes: list[int], cycles: float = 960.0, **more) -> None:
    touched = [tuple(Access(n, FULL) for n in numbers) for numbers in (reads, writes)]
    made.issue("toy", engine, cycles, reads=touched[0], writes=touched[1], shape=(128, 512), dtype="float32", **more)


def load(made: Machine, target: int, size: int = 262144) -> None:
    issue(made, "dma", [], [target], 0, bytes=size, run=2048)


def placed(made: Machine) -> Schedule:
    return schedule(made, SPEC)


def test_engines_work_side_by_side_and_each_in_order() -> None:
    made = machine(*[("sbuf", 2048)] * 4)
    issue(made, "vector", [], [0])
    issue(made, "scalar", [], [1], 1200.0)
    issue(made, "vector", [], [2])
    slots = placed(made).slots
    assert [slot.start for slot in slots] == [0, 0, 1000]
    assert [slot.end for slot in slots] == pytest.approx([1000, 1000, 2000])


def test_a_result_is_awaited_longer_on_another_engine() -> None:
    made = machine(*[("sbuf", 2048)] * 3)
    issue(made, "vector", [], [0])
    issue(made, "vector", [0], [1])
    issue(made, "scalar", [1], [2])
    slots = placed(made).slots
    assert slots[1].start == pytest.approx(1000 + SPEC.access_cycles / 0.96)
    assert slots[2].start == pytest.approx(slots[1].end + SPEC.result_latency_cycles / 0.96)
    assert slots[2].cause == "wait_vector" and slots[2].after == 1


def test_sums_in_psum_follow_each_other_without_a_pause() -> None:
    made = machine(("psum", 2048))
    for number in range(3):
        issue(made, "pe", [0] if number else [], [0], 240.0, accumulates=bool(number))
    assert placed(made).latency_ns == pytest.approx(300)


def test_transfers_share_the_rate_and_each_has_its_latency() -> None:
    made = machine(*[("sbuf", 2048)] * 8)
    for target in range(8):
        load(made, target)
    per_transfer = 128 * (2048 + SPEC.dma_run_overhead_bytes) / SPEC.dma_rate
    assert placed(made).latency_ns == pytest.approx(8 * per_transfer + SPEC.dma_latency_ns, rel=1e-6)


def test_a_tile_is_not_loaded_again_before_its_last_reader_is_done() -> None:
    made = machine(("sbuf", 2048), ("sbuf", 2048))
    load(made, 0)
    issue(made, "vector", [0], [1])
    load(made, 0)
    slots = placed(made).slots
    assert slots[2].start == pytest.approx(slots[1].end) and slots[2].cause == "wait_vector"


def test_loads_run_ahead_until_sbuf_is_full() -> None:
    """Tiles of a third of SBUF: the fourth load waits until the first tile has died."""
    made = machine(*[("sbuf", (SPEC.sbuf_bytes - 64) // 3)] * 4, ("sbuf", 64))
    for number in range(4):
        load(made, number)
        issue(made, "vector", [number], [4], 96_000.0)
    slots = placed(made).slots
    assert [slots[2 * n].start for n in range(3)] == [0, 0, 0]
    assert slots[6].start == pytest.approx(slots[1].end) and slots[6].cause == "wait_sbuf_space"


def test_vector_and_gpsimd_share_a_port_on_the_first_generation() -> None:
    made = machine(("sbuf", 64), ("sbuf", 64))
    issue(made, "vector", [], [0], 1120.0)
    issue(made, "gpsimd", [], [1], 1400.0)
    assert schedule(made, spec_of(machines()["trn1"].job)).latency_ns == pytest.approx(2000)
    assert placed(made).slots[1].start == 0


@given(st.lists(st.tuples(st.floats(0, 5000), st.floats(1, 300_000)), min_size=1, max_size=30))
def test_the_wires_never_carry_more_than_their_rate(transfers: list[tuple[float, float]]) -> None:
    wires = Wires(368.0)
    ends = [wires.take(ready, amount) for ready, amount in transfers]
    for end, (ready, amount) in zip(ends, transfers, strict=True):
        assert end >= ready + amount / 368.0 - 1e-6
    first = min(ready for ready, _ in transfers)
    assert max(ends) >= first + sum(amount for _, amount in transfers) / 368.0 - 1e-3


BOX = st.tuples(st.integers(0, 120), st.integers(1, 8), st.integers(0, 6), st.integers(1, 3)).map(
    lambda t: ((t[0], t[0] + t[1]), (t[2], t[2] + t[3]))
)
STEP = st.tuples(
    st.sampled_from(["pe", "vector", "scalar", "gpsimd", "dma"]), st.integers(0, 3), BOX, st.integers(0, 3), BOX,
    st.integers(1, 500),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, min_size=2, max_size=25))
def test_instructions_that_touch_the_same_part_never_overlap(steps: list) -> None:
    made = machine(("sbuf", 256), ("sbuf", 256), ("psum", 256), ("shared_hbm", 4096))
    for engine, source, read, target, write, cycles in steps:
        made.issue(
            "toy", engine, float(cycles), reads=(Access(source, read),), writes=(Access(target, write),), shape=(8, 3),
            dtype="float32", bytes=1024 if engine == "dma" else 0, run=128,
        )  # fmt: skip
    slots = placed(made).slots
    for later, b in enumerate(made.log):
        for earlier, a in enumerate(made.log[:later]):
            pairs = [(x, y) for x in a.writes for y in (*b.reads, *b.writes)] + [
                (x, y) for x in a.reads for y in b.writes
            ]
            if any(x.storage == y.storage and overlaps(x.box, y.box) for x, y in pairs):
                assert slots[later].start >= slots[earlier].end - 1e-6, (earlier, later)


PAIRS = (
    ("trainium/gemm-512x1024x512-bf16", "gemm_blocked"),
    ("trainium/mamba-128x512x4", "mamba_hoisted"),
    ("trainium/mamba-40x700x2", "mamba_hoisted"),
    ("trainium/conv1d-2x128x512x3", "conv1d_rows"),
    ("trainium/conv1d-2x140x200x5", "conv1d_rows"),
    ("trainium/gemm-512x1024x256-bf16", "gemm_grouped"),
    ("trainium/conv1d-2x140x200x5-same", "conv1d_taps_first"),
    ("trainium/conv1d-2x140x200x4-same", "conv1d_taps_wide"),
    ("trainium/attention-1024x128-bf16", "attention_streamed"),
    ("trainium/sdattention-512x64", "sdattention_first"),
    ("trainium/sdattention-512x40", "sdattention_fused"),
)


@pytest.mark.parametrize(("problem_id", "name"), PAIRS)
def test_better_kernels_are_right_and_estimated_to_be_faster(problem_id: str, name: str) -> None:
    problem = ADAPTER.problem(problem_id)

    async def run(source: str) -> Profile:
        result = await ADAPTER.profile(problem, source, engine="nkisim-trn1")
        assert isinstance(result, Profile), result
        return result

    better = anyio.run(run, (KERNELS / f"{name}.py").read_text())
    baseline = anyio.run(run, ADAPTER.baseline(problem))
    assert better.latency.value < baseline.latency.value
    assert sum(t.bytes_moved for t in better.traffic) <= sum(t.bytes_moved for t in baseline.traffic)
