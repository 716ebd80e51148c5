"""Emitted convolutions compute the convolution, whatever schedule they are made from."""

from __future__ import annotations

import anyio
import pytest
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.hardware_adapters.gemmini.conv import Conv
from autocomp_mcp.hardware_adapters.gemmini.conv_emit import emit
from autocomp_mcp.hardware_adapters.gemmini.conv_schedule import ConvSchedule, baseline_schedule, layout, parse_line
from autocomp_mcp.hardware_adapters.schedules import CapacityError, NoScheduleError, ScheduleError
from autocomp_mcp.hardware_adapters.store import Home
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

BEST = ConvSchedule(
    ty=8, tj=32, tk=64, taps="band", a_keep="panel", b_keep="all", a_buffers=2, c_buffers=2, placement="split",
    a_width=64, b_width=64, loads="interleave", start="taps", stores="interleave", init="overwrite", weight_reuse=True,
    inner="qkj", config="once", fences="none", addressing="word",
)  # fmt: skip
CONVS = st.builds(
    Conv,
    height=st.integers(1, 20), width=st.integers(1, 20), channels_in=st.sampled_from([3, 16, 24, 32, 48]),
    channels_out=st.sampled_from([5, 16, 32, 40, 80]), kernel=st.sampled_from([1, 3, 3, 3, 5]),
    stride=st.integers(1, 3), padding=st.integers(0, 2), batch=st.integers(1, 3), bias=st.booleans(),
    relu=st.booleans(), shift=st.sampled_from([0, 4, 6]),
)  # fmt: skip
CHANNELS = st.sampled_from([16, 32, 48, 64])
SCHEDULES = st.builds(
    ConvSchedule,
    ty=st.integers(1, 20), images=st.integers(1, 3), tj=CHANNELS, tk=CHANNELS,
    taps=st.sampled_from(["each", "band", "band", "band"]), order=st.sampled_from(["yj", "jy"]),
    a_keep=st.sampled_from(["tile", "panel"]), b_keep=st.sampled_from(["tile", "panel", "all"]),
    a_buffers=st.sampled_from([1, 2]), b_buffers=st.sampled_from([1, 2]), c_buffers=st.sampled_from([1, 2]),
    placement=st.sampled_from(["packed", "split", "banked"]), a_width=CHANNELS, b_width=CHANNELS,
    loads=st.sampled_from(["before", "prefetch", "interleave"]), start=st.sampled_from(["whole", "taps"]),
    stores=st.sampled_from(["after", "interleave"]), init=st.sampled_from(["zero", "overwrite", "ahead"]),
    slots=st.sampled_from(["groups", "rows"]), phases=st.booleans(),
    weight_reuse=st.booleans(), merge=st.integers(1, 4), inner=st.sampled_from(["jqk", "qkj"]),
    config=st.sampled_from(["each", "once"]), fences=st.sampled_from(["all", "step", "tile", "none"]),
    unroll=st.sampled_from([1, 2]), addressing=st.sampled_from(["index", "word"]),
)  # fmt: skip


@pytest.fixture(scope="module")
def adapter(tmp_path_factory, make_home):
    return GemminiAdapter(Home(make_home(tmp_path_factory.mktemp("conv") / "home")))


def legal(conv: Conv, schedule: ConvSchedule) -> ConvSchedule | None:
    try:
        fitted = schedule.fitted(conv)
        layout(conv, fitted)
    except ScheduleError:
        return None
    return fitted


def mended(conv: Conv, s: ConvSchedule) -> ConvSchedule:
    """Near to a drawn schedule, with less that is refused: so that most draws are of use."""
    s = s.fitted(conv)
    changes: dict[str, object] = {}
    if s.taps == "each":
        changes |= {"loads": "before", "a_keep": "tile", "b_keep": "tile", "merge": 1, "start": "whole"}
    phases = s.phases and s.taps == "band" and 1 < conv.stride <= conv.kernel
    changes["phases"] = phases
    if s.a_keep == "panel":
        changes["order"] = "yj"
    if s.b_keep == "panel":
        changes |= {"order": "jy", "a_keep": "tile"}
    if s.b_keep == "all":
        changes["b_buffers"] = 1
    if s.start == "taps":
        changes["inner"] = "qkj"
    if s.stores == "interleave":
        changes["c_buffers"] = 2
    elif s.init == "ahead":
        changes["init"] = "zero"
    crowded = conv.stride > 1 or conv.out_width > conv.width + conv.padding
    if (crowded and not phases) or s.merge > s.ty:
        changes["merge"] = 1
    s = s.with_(**changes)
    return s.with_(slots="groups") if s.ty - conv.padding <= s.merge else s


def check(adapter: GemminiAdapter, conv: Conv, schedule: ConvSchedule) -> None:
    problem = adapter.problem(conv.id)
    evaluation = anyio.run(adapter.evaluate, problem, emit(conv, schedule))
    assert evaluation.passed, (conv, schedule, evaluation.message)


def random_case(adapter: GemminiAdapter, conv: Conv, schedule: ConvSchedule) -> None:
    assume(conv.padding < conv.kernel and conv.refused() is None)
    found = legal(conv, mended(conv, schedule))
    assume(found is not None)
    assert found is not None
    check(adapter, conv, found)


SLOW_DRAWS = [HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=SLOW_DRAWS)
@given(conv=CONVS, schedule=SCHEDULES)
def test_random_schedules(adapter, conv, schedule):
    random_case(adapter, conv, schedule)


@pytest.mark.slow
@settings(max_examples=600, deadline=None, suppress_health_check=SLOW_DRAWS)
@given(conv=CONVS, schedule=SCHEDULES)
def test_many_random_schedules(adapter, conv, schedule):
    random_case(adapter, conv, schedule)


@pytest.mark.parametrize(
    "conv",
    [
        Conv(17, 17, 24, 40, 3, 1, 1, bias=True),
        Conv(16, 16, 64, 64, 3, 2, 1, relu=True, shift=6),
        Conv(9, 33, 16, 16, 5, 1, 2, batch=2),
        Conv(7, 7, 128, 32, 3, 1, 1, batch=4, shift=5),
        Conv(12, 12, 32, 32, 1, 2, 0),
    ],
    ids=lambda conv: conv.id,
)
def test_known_cases(adapter, conv):
    check(adapter, conv, baseline_schedule(conv))
    check(adapter, conv, BEST)
    if conv.width == 7:
        check(adapter, conv, BEST.with_(merge=2, images=4, ty=7, tj=16))
    if conv.stride == 2:
        narrow = Conv(15, 13, conv.channels_in, conv.channels_out, conv.kernel, 2, conv.padding, batch=2, bias=True)
        if conv.kernel > 1:
            for merge in (1, 2):
                check(adapter, narrow, BEST.with_(phases=True, merge=merge, images=2, init="ahead", b_keep="tile"))


def test_a_kernel_carries_its_schedule():
    conv = Conv(28, 28, 64, 64, 3, 1, 1)
    assert parse_line(emit(conv, BEST)) == BEST.fitted(conv)
    with pytest.raises(NoScheduleError):
        parse_line("void solution(void) {}")
    with pytest.raises(ScheduleError, match="'ty'"):
        parse_line('// conv schedule: {"ty": 0}')


def test_impossible_schedules_are_refused():
    conv = Conv(56, 56, 64, 64, 3, 1, 1)
    with pytest.raises(CapacityError, match="accumulator"):
        emit(conv, BEST.with_(tj=64))
    for change, words in (
        ({"order": "jy"}, "a_keep"), ({"inner": "jqk"}, "start"), ({"c_buffers": 1}, "stores"), ({"merge": 2}, "merge"),
        ({"phases": True}, "phases"), ({"taps": "each"}, "loads"),
        ({"ty": 4, "images": 2, "b_buffers": 2}, "b_buffers"),
    ):  # fmt: skip
        with pytest.raises(ScheduleError, match=words):
            emit(conv, BEST.with_(tj=16, **change))
