"""Tables of Nsight Compute. Their layout, units and oddities are those of output that users of it have published
(versions 2020 to 2025, among it n/a for metrics a device lacks and times in us where base units were not asked for)."""

import pytest
from autocomp_mcp.hardware_adapters.base import EngineFailure, EnvironmentLackError
from autocomp_mcp.hardware_adapters.nvidia.cuda import ncu

HEAD = (
    '"ID","Process ID","Process Name","Host Name","Kernel Name","Context","Stream","Block Size","Grid Size",'
    '"Device","CC"'
)
READ, WRITTEN, DURATION = "dram__bytes_read.sum", "dram__bytes_write.sum", "gpu__time_duration.sum"
SM = "sm__throughput.avg.pct_of_peak_sustained_elapsed"
WIDE = f'''==PROF== Connected to process 77 (/home/u/runner)
==PROF== Profiling "tiled" - 0: 0%....50%....100% - 9 passes
{HEAD},"{READ}","{WRITTEN}","{DURATION}","launch__registers_per_thread","{SM}","sm__unknown.sum"
"","","","","","","","","","","","byte","byte","ns","register/thread","%","inst"
"0","77","runner","127.0.0.1","tiled(const float *, float *, long)","1","13","(16, 16, 1)","(64, 64, 1)","0","8.9","8,388,608","4194304","120,000","40","61.5","7"
"1","77","runner","127.0.0.1","finish<(int)4>(float *)","1","13","(256, 1, 1)","(4096, 1, 1)","0","8.9","1,048,576","n/a","40,000","16","21.5","7"
==PROF== Disconnected from process 77
'''  # noqa: E501
LONG_HEAD = f'{HEAD},"Section Name","Metric Name","Metric Unit","Metric Value"'


def row(number: int, name: str, metric: str, unit: str, value: str) -> str:
    return (
        f'"{number}","77","runner","127.0.0.1","{name}","1","7","(256, 1, 1)","(16384, 1, 1)","0","8.9",'
        f'"Command line profiler metrics","{metric}","{unit}","{value}"'
    )


LONG = "\n".join(
    [
        "==PROF== Connected to process 77",
        LONG_HEAD,
        row(0, "saxpy", DURATION, "us", "211.94"),
        row(0, "saxpy", READ, "Mbyte", "134.25"),
        row(0, "saxpy", SM, "", "n/a"),
        row(1, "saxpy", DURATION, "us", "1,205.00"),
        row(1, "saxpy", READ, "Kbyte", "512"),
    ]
)


def test_a_row_per_kernel() -> None:
    tiled, finish = ncu.parse(WIDE)
    assert (tiled.name, tiled.block, tiled.grid) == ("tiled(const float *, float *, long)", (16, 16, 1), (64, 64, 1))
    assert tiled.metrics[READ] == 8388608 and tiled.metrics[DURATION] == 120_000 and tiled.metrics[SM] == 61.5
    assert finish.metrics[WRITTEN] is None and finish.metrics["lts__t_sector_hit_rate.pct"] is None
    assert "sm__unknown.sum" not in tiled.metrics


def test_a_row_per_kernel_without_units() -> None:
    assert [k.metrics[READ] for k in ncu.parse(WIDE.replace(WIDE.splitlines()[3] + "\n", ""))] == [8388608, 1048576]


def test_a_row_per_metric_in_other_units() -> None:
    first, second = ncu.parse(LONG)
    assert first.metrics[DURATION] == pytest.approx(211_940) and second.metrics[DURATION] == 1_205_000
    assert first.metrics[READ] == pytest.approx(134.25e6) and second.metrics[READ] == 512_000
    assert first.metrics[SM] is None


def test_launches_together() -> None:
    kernels = ncu.parse(WIDE)
    assert ncu.total(kernels, READ) == 8388608 + 1048576 and ncu.total(kernels, DURATION) == 160_000
    assert ncu.total(kernels, WRITTEN) is None  # of one it is not known
    assert ncu.total(kernels, SM) == pytest.approx((61.5 * 120 + 21.5 * 40) / 160)
    assert ncu.total(kernels, "launch__registers_per_thread") == 40  # of the longest
    assert ncu.ratio(kernels, READ, DURATION) == pytest.approx(9437184 / 160_000)


def test_without_permission() -> None:
    said = "==ERROR== ERR_NVGPUCTRPERM - The user does not have permission to access NVIDIA GPU Performance Counters"
    with pytest.raises(EnvironmentLackError, match="NVreg_RestrictProfilingToAdminUsers"):
        ncu.complaint(said)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "nothing at all"),
        ("==WARNING== No kernels were profiled.", "No kernels were profiled"),
        (HEAD, "saw no kernel"),
        ('"a","b"\n"1","2"', "no table"),
        (f'{HEAD},"{READ}"\n"0","77"', "do not fit"),
    ],
)
def test_what_is_no_table_is_the_engines_failure(text: str, why: str) -> None:
    with pytest.raises(EngineFailure, match=why):
        ncu.parse(text)
