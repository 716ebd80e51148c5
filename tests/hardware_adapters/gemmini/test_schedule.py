"""Schedules: their limits, their line in the source, and where their tiles lie."""

import pytest
from autocomp_mcp.hardware_adapters.gemmini.problems import Gemm
from autocomp_mcp.hardware_adapters.gemmini.schedule import (
    Schedule,
    baseline_schedule,
    format_line,
    layout,
    parse_line,
)
from autocomp_mcp.hardware_adapters.schedules import CapacityError, NoScheduleError, ScheduleError
from hypothesis import given
from hypothesis import strategies as st

SQUARE = Gemm(512, 512, 512)


@given(
    st.builds(
        Schedule,
        ti=st.integers(1, 16).map(lambda n: 16 * n),
        tk=st.integers(1, 64).map(lambda n: 16 * n),
        inner=st.sampled_from(["ijk", "kji"]),
        a_width=st.sampled_from([16, 64]),
        weight_reuse=st.booleans(),
        fences=st.sampled_from(["all", "none"]),
    )
)
def test_line_round_trip(schedule):
    assert parse_line(format_line(schedule) + "\nint x;\n") == schedule


def test_sources_without_a_schedule():
    with pytest.raises(NoScheduleError):
        parse_line("void solution(void) {}\n")
    with pytest.raises(ScheduleError, match="JSON"):
        parse_line("// schedule: {ti: 16}\n")
    with pytest.raises(ScheduleError, match="not an object"):
        parse_line("// schedule: [16]\n")


@pytest.mark.parametrize(
    ("line", "field"),
    [('{"ti": 24}', "ti"), ('{"order": "kk"}', "order"), ('{"unknown": 1}', "unknown"), ('{"tk": 0}', "tk")],
)
def test_wrong_fields_are_named(line, field):
    with pytest.raises(ScheduleError) as caught:
        parse_line(f"// schedule: {line}\n")
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("choices", "field"),
    [
        ({"a_keep": "panel", "tk": 64}, "a_keep"),
        ({"b_keep": "panel", "tk": 512}, "b_keep"),
        ({"a_keep": "all", "a_buffers": 2}, "a_buffers"),
        ({"loads": "prefetch"}, "loads"),
        ({"stores": "interleave"}, "stores"),
        ({"stores": "early", "inner": "kij"}, "stores"),
        ({"weight_reuse": True, "inner": "kij"}, "weight_reuse"),
        ({"config": "once", "load_ids": "one"}, "load_ids"),
    ],
)
def test_contradictions_are_named(choices, field):
    with pytest.raises(ScheduleError) as caught:
        layout(SQUARE, Schedule(**choices))
    assert caught.value.field == field
    assert not isinstance(caught.value, CapacityError)


def test_capacity():
    with pytest.raises(CapacityError) as caught:
        layout(SQUARE, Schedule(ti=128, tj=128, c_buffers=2))
    assert (caught.value.memory, caught.value.needed, caught.value.available) == ("accumulator", 2048, 1024)
    with pytest.raises(CapacityError, match="scratchpad"):
        layout(SQUARE, Schedule(ti=128, tj=64, tk=512, a_keep="all"))
    # 128 x 512 bytes are exactly one bank: two buffers of A leave two banks for B
    where = layout(SQUARE, Schedule(ti=128, tj=64, tk=512, a_buffers=2, b_buffers=2, c_buffers=2, placement="banked"))
    assert (where.a_step, where.b_base, where.b_step, where.c_step) == (4096, 8192, 4096, 512)


def test_tiles_never_exceed_the_problem():
    fitted = Schedule(ti=128, tj=128, tk=128).fitted(Gemm(1, 40, 64))
    assert (fitted.ti, fitted.tj, fitted.tk) == (16, 48, 64)


def test_baseline_is_naive():
    schedule = baseline_schedule(SQUARE)
    assert (schedule.ti, schedule.tj, schedule.tk) == (16, 16, 16)
    assert (schedule.init, schedule.config, schedule.loads, schedule.fences) == ("zero", "each", "before", "tile")
