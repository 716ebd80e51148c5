"""Profiles: consistent counters, traffic, lines, and bottlenecks by rule."""

from itertools import pairwise
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import EnvironmentLackError, Evaluation, Profile, Traffic
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.hardware_adapters.gemmini.bottlenecks import find_bottlenecks
from traces import check_trace

PROBLEM = "gemmini/gemm-64x64x64"
# The ids that menu options name as triggers.
KNOWN = {
    "load_bound", "store_bound", "issue_bound", "dependency", "bank_conflict_spad", "bank_conflict_acc", "config_drain",
    "fence", "dram_bound", "reload_traffic", "array_bound", "startup", "accumulator_zero_fill",
    "weights_alone", "array_unused",
}  # fmt: skip


def profiled(gemmini: GemminiAdapter, source: str | None = None, timeline: Path | None = None) -> Profile | Evaluation:
    problem = gemmini.problem(PROBLEM)
    text = source or gemmini.baseline(problem)
    return anyio.run(lambda: gemmini.profile(problem, text, timeline=timeline))


def test_the_baseline_is_profiled(gemmini: GemminiAdapter) -> None:
    profile = profiled(gemmini)
    assert isinstance(profile, Profile)
    assert profile.source == "estimated"
    cycles = profile.counters["cycles"]
    assert cycles == profile.latency.value
    array = next(unit for unit in profile.units if unit.unit == "array")
    accounted = array.busy + sum(stall.cycles for stall in profile.stalls)
    assert accounted == pytest.approx(cycles, abs=2), "array time and stalls are exclusive"
    assert {bottleneck.id for bottleneck in profile.bottlenecks} <= KNOWN
    assert profile.bottlenecks[0].id in ("load_bound", "fence")
    assert len(profile.model_dump_json()) < 8192


def test_traffic_counts_reloads(gemmini: GemminiAdapter) -> None:
    """16x16 blocks: A and B are loaded once per block column and row of C, C is stored once."""
    profile = profiled(gemmini)
    assert isinstance(profile, Profile)
    assert {t.tensor: (t.bytes_moved, t.bytes_needed, t.reloads, t.reuse) for t in profile.traffic} == {
        "A": (4 * 4096, 4096, 4.0, 16.0),
        "B": (4 * 4096, 4096, 4.0, 16.0),
        "C": (4096, 4096, 1.0, 64.0),
    }


def test_the_roofline_sees_the_bytes_that_moved(gemmini: GemminiAdapter) -> None:
    """9 x 4096 bytes for 64^3 MACs, through a port of 16 bytes a cycle to an array of 256 MACs a cycle."""
    profile = profiled(gemmini)
    assert isinstance(profile, Profile) and profile.roofline
    roofline = profile.roofline
    assert roofline.intensity == round(64**3 / (9 * 4096), 2)
    assert roofline.ridge == 16
    assert roofline.bound == "port"
    assert roofline.attainable == pytest.approx(16 * roofline.intensity, abs=0.1)
    assert roofline.achieved == pytest.approx(64**3 / profile.latency.value, abs=0.1)
    assert roofline.achieved < roofline.attainable
    assert roofline.dram_intensity and roofline.dram_ridge and roofline.dram_ridge > 32


ALL_LOADED_FIRST = """#include "gemmini_api.h"
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_ld(64, 1.0f, 16, 0);
  config_st(64);
  for (int r = 0; r < 4; r++) mvin(A + r * 16 * 64, r * 64, 64, 16);
  for (int r = 0; r < 4; r++) mvin(B + r * 16 * 64, 8192 + r * 64, 64, 16);
  fence();
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++)
      for (int k = 0; k < 4; k++) {
        preload(8192 + k * 64 + j * 16, (k ? ACCADD : ACC) + i * 64 + j * 16, 16, 16, 16, 16);
        compute_preloaded(i * 64 + k * 16, NONE, 16, 16, 16, 16);
      }
  fence();
  for (int i = 0; i < 4; i++) mvout(C + i * 16 * 64, ACC + i * 64, 64, 16);
  fence();
}
"""


def test_rows_are_live_from_their_write_to_their_last_use(gemmini: GemminiAdapter) -> None:
    profile = profiled(gemmini, ALL_LOADED_FIRST)
    assert isinstance(profile, Profile), profile.message
    scratchpad, accumulator = profile.occupancy
    assert (scratchpad.capacity, accumulator.capacity) == (16384, 1024)
    assert (scratchpad.peak, accumulator.peak) == (512, 256)
    assert 32 < len(scratchpad.live) == len(accumulator.live) <= 64
    assert 0 <= len(scratchpad.live) * scratchpad.interval - profile.latency.value < scratchpad.interval
    full = scratchpad.live.index(512)
    assert list(scratchpad.live[:full]) == sorted(scratchpad.live[:full]), "loads fill it"
    assert scratchpad.live[accumulator.live.index(256)] == 0, "results are complete when no operand is needed any more"
    assert scratchpad.live[-1] == accumulator.live[-1] == 0
    used = sum(scratchpad.live) * scratchpad.interval
    baseline = profiled(gemmini)
    assert isinstance(baseline, Profile)
    assert baseline.occupancy[0].peak <= 32 and baseline.occupancy[1].peak <= 16
    assert used > 512 * 1024, "512 rows wait for at least the 1,024 cycles of the computes, on average for half"


def test_lines_are_lines_of_the_source(gemmini: GemminiAdapter) -> None:
    profile = profiled(gemmini)
    assert isinstance(profile, Profile)
    source = gemmini.baseline(gemmini.problem(PROBLEM)).split("\n")
    assert profile.lines
    for cost in profile.lines:
        assert cost.text == source[cost.line - 1].strip()[:100]
    assert [cost.cycles for cost in profile.lines] == sorted((cost.cycles for cost in profile.lines), reverse=True)
    assert sum(cost.cycles for cost in profile.lines) <= profile.latency.value
    assert any("fence" in cost.text for cost in profile.lines[:3])


def test_a_kernel_that_fails_gives_its_evaluation(gemmini: GemminiAdapter) -> None:
    result = profiled(gemmini, "void solution(void) {}\n")
    assert isinstance(result, Evaluation)
    assert result.verdict == "wrong_result"


def test_a_timeline_is_written_where_asked(gemmini: GemminiAdapter, tmp_path: Path) -> None:
    target = tmp_path / "a timeline.json"
    profile = profiled(gemmini, timeline=target)
    assert isinstance(profile, Profile)
    assert profile.timeline == str(target)
    events = check_trace(target)
    tracks = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    (process,) = [event for event in events if event["name"] == "process_name"]
    assert "a cycle" in process["args"]["name"] and "estimated" in process["args"]["name"]
    assert set(tracks.values()) == {"rocket", "load", "store", "execute"}
    for name in ("mvin", "mvout", "preload", "compute"):
        assert sum(event["name"] == name for event in events) == profile.commands[name]
    for tid in tracks:  # a track shows slices that nest or follow each other
        spans = sorted({(e["ts"], e["ts"] + e["dur"]) for e in events if e["ph"] == "X" and e["tid"] == tid})
        assert spans
        assert all(end <= start for (_, end), (start, _) in pairwise(spans)), tracks[tid]
    # The same call in few numbers: what the profile says of each unit over time is the timeline's, averaged.
    names = {name: tid for tid, name in tracks.items()}
    for unit in profile.activity:
        windows = len(unit.busy)
        assert windows == -(-int(profile.latency.value) // unit.interval) <= 64
        slices = {(e["ts"], e["ts"] + e["dur"]) for e in events if e["ph"] == "X" and e["tid"] == names[unit.unit]}
        for window in range(windows):
            low, high = window * unit.interval, min((window + 1) * unit.interval, int(profile.latency.value))
            busy = sum(max(0, min(end, high) - max(start, low)) for start, end in slices)
            assert 10 * int(unit.busy[window], 16) == pytest.approx(100 * busy / (high - low), abs=5.6), window
    assert {unit.unit for unit in profile.activity} == {"load", "store", "execute"}
    waits = [e["dur"] for e in events if e["name"] == "fence"]
    assert sum(waits) > profile.counters["stall_fence"]
    live = {e["name"]: [] for e in events if e["ph"] == "C"}
    for event in events:
        if event["ph"] == "C":
            live[event["name"]].append(event["args"]["rows"])
    assert [tuple(rows) for rows in live.values()] == [occupancy.live for occupancy in profile.occupancy]
    assert max(event["ts"] + event["dur"] for event in events if event["ph"] == "X") <= profile.latency.value
    with pytest.raises(EnvironmentLackError, match="cannot be written"):
        profiled(gemmini, timeline=tmp_path / "nowhere" / "t.json")


def counters(**shares: int) -> dict[str, int]:
    """Counters of a call of 100,000 cycles; what is not named was spent in the array."""
    return {**shares, "array_busy_cycles": 100_000 - sum(n for name, n in shares.items() if name.startswith("stall_"))}


@pytest.mark.parametrize(
    ("given", "first"),
    [
        (counters(stall_wait_load=50_000, load_busy_cycles=90_000), "load_bound"),
        (counters(stall_wait_store=30_000, stall_wait_load=20_000), "store_bound"),
        (counters(stall_wait_issue=40_000), "issue_bound"),
        (counters(stall_dependency=40_000), "dependency"),
        (counters(stall_bank_conflict_spad=20_000), "bank_conflict_spad"),
        (counters(stall_weights_alone=20_000, stall_wait_load=10_000), "weights_alone"),
        (counters(stall_dependency=10_000, stall_array_full=20_000, stall_wait_load=25_000), "dependency"),
        (counters(stall_wait_store=20_000, store_bank_wait_cycles=30_000), "bank_conflict_acc"),
        (counters(stall_wait_load=20_000, load_bank_wait_cycles=20_000), "bank_conflict_acc"),
        (counters(stall_config_ex=20_000), "config_drain"),
        (counters(stall_fence=20_000), "fence"),
        (counters(stall_wait_load=10_000), "array_bound"),
        (counters(), "array_bound"),
        ({"array_busy_cycles": 0, "instret": 99_000, "stall_wait_issue": 100_000}, "array_unused"),
    ],
)
def test_the_largest_cause_comes_first(given: dict[str, int], first: str) -> None:
    found = find_bottlenecks(given, 100_000, 99_000, 40_000, ())
    assert found[0].id == first
    assert len({bottleneck.id for bottleneck in found}) == len(found)
    assert {bottleneck.id for bottleneck in found} <= KNOWN
    assert all(bottleneck.explanation for bottleneck in found)


def test_a_store_that_waits_for_a_bank_costs_what_the_array_waits_for_it() -> None:
    free = counters(stall_wait_load=50_000, store_bank_wait_cycles=40_000)
    assert "bank_conflict_acc" not in {bottleneck.id for bottleneck in find_bottlenecks(free, 100_000, None, 1_000, ())}


def test_special_causes_need_their_evidence() -> None:
    waiting = counters(stall_wait_load=50_000, l2_misses=9_000, zero_fill_rows=6_000)
    moved = (Traffic(tensor="A", bytes_moved=8000, bytes_needed=1000, reloads=8.0),)
    ids = [bottleneck.id for bottleneck in find_bottlenecks(waiting, 100_000, 99_000, 40_000, moved)]
    assert set(ids) == {"load_bound", "dram_bound", "reload_traffic", "accumulator_zero_fill"}
    assert ids[0] == "load_bound" or ids[0] == "dram_bound"
    small = find_bottlenecks({"stall_wait_load": 5_000, "array_busy_cycles": 1_000}, 20_000, 12_000, 1_000, ())
    assert small[0].id == "startup"
    assert find_bottlenecks({}, 100_000, None, 1_000, ()) == ()
