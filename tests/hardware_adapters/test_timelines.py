"""Timelines that Perfetto opens, and the same in few numbers, of targets with times in ns; else test_profile.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import EnvironmentLackError, HardwareAdapter, Profile
from autocomp_mcp.hardware_adapters.nvidia.adapter import NvidiaAdapter
from autocomp_mcp.hardware_adapters.nvidia.cuda.ncu import KernelCounters
from autocomp_mcp.hardware_adapters.nvidia.cuda.profile import TIME
from autocomp_mcp.hardware_adapters.nvidia.cuda.profile import launches as measured_launches
from autocomp_mcp.hardware_adapters.nvidia.machines import machine
from autocomp_mcp.hardware_adapters.nvidia.over_time import MAX_SPANS, spans, write_timeline
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.hardware_adapters.trainium.adapter import TrainiumAdapter
from autocomp_mcp.hardware_adapters.trainium.machines import machines
from traces import check_trace

TWO_LAUNCHES = """\
__global__ void copy(const float *x, float *y, long n) {
    long i = blockIdx.x * (long)blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i];
}
__global__ void rows(const float *x, float *y, long r, long c) {
    long row = blockIdx.x * (long)blockDim.x + threadIdx.x;
    if (row >= r) return;
    float most = x[row * c], sum = 0;
    for (long k = 1; k < c; k++) most = fmaxf(most, x[row * c + k]);
    for (long k = 0; k < c; k++) sum += expf(x[row * c + k] - most);
    for (long k = 0; k < c; k++) y[row * c + k] = expf(x[row * c + k] - most) / sum;
}
extern "C" int launch(void **p, const int64_t *d, cudaStream_t stream) {
    copy<<<(d[0] * d[1] + 127) / 128, 128, 0, stream>>>((const float *)p[0], (float *)p[1], d[0] * d[1]);
    rows<<<(d[0] + 63) / 64, 64, 0, stream>>>((const float *)p[0], (float *)p[1], d[0], d[1]);
    return 0;
}
"""


def profiled(adapter: HardwareAdapter, problem_id: str, timeline: Path, source: str | None = None) -> Profile:
    problem = adapter.problem(problem_id)
    text = source or adapter.baseline(problem)
    found = anyio.run(lambda: adapter.profile(problem, text, timeline=timeline, timeout_s=120))
    assert isinstance(found, Profile), found
    assert found.timeline == str(timeline)
    return found


def test_nki_kernels(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "timeline.json"
    profile = profiled(TrainiumAdapter(home), "trainium/gemm-256x512x512", path)
    events = check_trace(path)
    tracks = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    slices = [event for event in events if event["ph"] == "X"]
    assert len(slices) == sum(profile.commands.values())
    assert max(event["ts"] + event["dur"] for event in slices) == pytest.approx(profile.latency.value / 1000, abs=1e-3)
    assert {"pe", "vector", "load", "load 2", "store"} <= set(tracks.values())
    # The same call in few numbers: percent of each interval, of transfers the time in which any is under way.
    for unit in profile.activity:
        assert len(unit.busy) == -(-round(profile.latency.value) // unit.interval) <= 64
        own = [e for e in slices if tracks[e["tid"]].split(" ")[0] == unit.unit]
        busy = sorted((1000 * e["ts"], 1000 * (e["ts"] + e["dur"])) for e in own)
        for window in range(len(unit.busy)):
            low, high = window * unit.interval, min((window + 1) * unit.interval, profile.latency.value)
            covered, at = 0.0, low
            for start, end in busy:
                covered, at = covered + max(0.0, min(end, high) - max(start, at)), max(at, min(end, high))
            assert 10 * int(unit.busy[window], 16) == pytest.approx(100 * covered / (high - low), abs=5.6), window
    live = {memory.memory: memory for memory in profile.occupancy}
    counted = [event["args"]["bytes"] for event in events if event["ph"] == "C" and "SBUF" in event["name"]]
    assert tuple(counted) == live["SBUF"].live and live["SBUF"].capacity == machines()["trn2"].sbuf_bytes
    assert 0 < live["PSUM"].peak <= machines()["trn2"].psum_bytes and live["SBUF"].unit == "bytes of each partition"
    assert 0 < live["SBUF"].peak <= live["SBUF"].capacity


def test_the_roofline_of_nki_kernels(home: Home, tmp_path: Path) -> None:
    adapter = TrainiumAdapter(home)
    profile = profiled(adapter, "trainium/gemm-256x512x512", tmp_path / "t.json")
    line, core = profile.roofline, machines()["trn2"]
    assert line is not None and (line.work, line.time) == ("MACs", "ns")
    assert line.peaks == {"bfloat16": core.macs_per_ns("bfloat16"), "float32": core.macs_per_ns("float32")}
    assert line.memories == {"HBM": core.dma_rate} and line.intensities == {"HBM": line.intensity}
    macs, moved = 256 * 512 * 512, sum(entry.bytes_moved for entry in profile.traffic)
    assert line.intensity == pytest.approx(macs / moved, rel=1e-3)
    assert line.achieved == pytest.approx(macs / profile.latency.value, rel=1e-3)
    assert line.bound == "HBM" and line.attainable == pytest.approx(macs / moved * core.dma_rate, rel=1e-3)
    assert line.achieved < line.attainable
    # Without products there is no work to place under a roofline: unknown, not zero.
    assert profiled(adapter, "trainium/rmsnorm-256x256", tmp_path / "u.json").roofline is None


def test_launches_of_an_estimate(tmp_path: Path, make_home: Callable[[Path], Path]) -> None:
    path, adapter = tmp_path / "timeline.json", NvidiaAdapter(Home(make_home(tmp_path / "home")))
    profile = profiled(adapter, "nvidia/softmax-64x96", path, TWO_LAUNCHES)
    events = check_trace(path)
    tracks = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    slices = [event for event in events if event["ph"] == "X"]
    assert [(tracks[e["tid"]], e["name"]) for e in slices] == [
        ("launch overhead", "launch"), ("kernels", "copy"), ("launch overhead", "launch"), ("kernels", "rows"),
    ]  # fmt: skip
    assert slices[0]["dur"] == machine().launch_ns / 1000
    assert sum(e["dur"] for e in slices) == pytest.approx(profile.latency.value / 1000, rel=1e-3)
    assert slices[1]["args"]["blocks"] == 64 * 96 / 128 and slices[1]["args"]["dram_ns"] > 0
    assert [(s.name, 1000 * s.start) for s in profile.spans] == [
        (e["name"], pytest.approx(1e6 * e["ts"], abs=1e3)) for e in slices
    ]  # fmt: skip
    (title,) = [event["args"]["name"] for event in events if event["name"] == "process_name"]
    assert "estimate" in title
    with pytest.raises(EnvironmentLackError, match="cannot be written"):
        profiled(adapter, "nvidia/softmax-64x96", tmp_path / "nowhere" / "t.json", TWO_LAUNCHES)


def counted(name: str, ns: float | None) -> KernelCounters:
    return KernelCounters(name, (4, 2, 1), (128, 1, 1), {TIME: ns, "dram__bytes_read.sum": float("nan"), "x": None})


def test_launches_that_were_measured(tmp_path: Path) -> None:
    """What a profiler read of each kernel; a name may be anything, a figure may be none."""
    path = tmp_path / "timeline.json"
    hostile = 'void k<"\\u0041">(\x1b[31m</script>\u2028"\n)'
    found = measured_launches([counted(hostile, 1500.0), counted("b", 2500.5), counted("none", None)])
    write_timeline(found, path, "x")
    events = [event for event in check_trace(path) if event["ph"] == "X"]
    assert [(e["name"], e["ts"], e["dur"]) for e in events] == [
        (hostile, 0, 1.5),
        ("b", 1.5, 2.5005),
        ("none", 4.0005, 0),
    ]
    assert events[0]["args"] == {"blocks": 8, "threads_per_block": 128, TIME: 1500}
    many = measured_launches([counted("k", 1.0)] * 1000)
    assert len(spans(many)) == MAX_SPANS and spans(many)[0].detail == {}


@pytest.mark.parametrize(
    ("event", "broken"),
    [
        ({"ph": "X", "name": "a", "pid": 1, "tid": 1, "ts": 5, "dur": 10}, "lies across"),
        ({"ph": "X", "name": "a", "pid": 1, "tid": 2, "ts": 5, "dur": 10}, "without a name"),
        ({"ph": "B", "name": "a", "pid": 1, "tid": 1, "ts": 50}, "never end"),
        ({"ph": "E", "name": "a", "pid": 1, "tid": 1, "ts": 50}, "ends nothing"),
        ({"ph": "X", "name": "a", "pid": 1, "tid": 1, "ts": float("nan"), "dur": 1}, "no JSON"),
        ({"ph": "Q", "name": "a", "pid": 1, "tid": 1, "ts": 50}, "no event that we write"),
    ],
)
def test_what_a_viewer_would_drop_is_found(tmp_path: Path, event: dict[str, object], broken: str) -> None:
    """The check that the tests above rely on."""
    events = [
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": 1, "args": {"name": "t"}},
        {"ph": "X", "name": "first", "pid": 1, "tid": 1, "ts": 0, "dur": 10},
    ]
    path = tmp_path / "t.json"
    path.write_text(json.dumps(events))
    check_trace(path)
    path.write_text(json.dumps([*events, event]))
    with pytest.raises(AssertionError, match=broken):
        check_trace(path)
