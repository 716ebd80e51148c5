"""How long calls are expected to take, and where the next one is expected to end first."""

from __future__ import annotations

import pytest
from autocomp_mcp.agent.servers.pace import Kind, Pace, finish_s
from hypothesis import given
from hypothesis import strategies as st

KIND = Kind("simulate_kernel", "gemsim")
SECONDS = st.floats(0.01, 1e4)


def paced(*seconds: float) -> Pace:
    pace = Pace()
    for taken in seconds:
        pace.note(KIND, taken)
    return pace


def test_nothing_is_known_of_other_calls() -> None:
    pace = paced(1.0)
    assert pace.mean_s(Kind("profile_kernel", "gemsim")) is None is pace.overdue_s(Kind("simulate_kernel", "spike"))


def test_the_first_times_count_alike_and_later_ones_by_an_eighth() -> None:
    assert paced(1.0, 2.0, 3.0).mean_s(KIND) == pytest.approx(2.0)
    long = paced(*[1.0] * 50)
    assert long.mean_s(KIND) == pytest.approx(1.0)
    long.note(KIND, 9.0)
    assert long.mean_s(KIND) == pytest.approx(1.0 + 8.0 / 8)


@given(st.lists(SECONDS, min_size=1, max_size=30))
def test_the_mean_lies_between_the_times_and_no_usual_call_is_overdue(times: list[float]) -> None:
    pace = paced(*times)
    mean, overdue = pace.mean_s(KIND), pace.overdue_s(KIND)
    assert mean is not None and overdue is not None
    assert min(times) * 0.999 <= mean <= max(times) * 1.001
    assert overdue >= 3 * mean


def test_what_was_given_up_says_only_that_it_took_longer() -> None:
    pace = paced(4.0)
    pace.note_at_least(KIND, 1.0)
    assert pace.mean_s(KIND) == 4.0
    pace.note_at_least(KIND, 40.0)
    assert pace.mean_s(KIND) == pytest.approx(22.0)


@given(SECONDS, st.integers(0, 40), st.integers(1, 16))
def test_one_more_call_waits_for_those_beyond_the_places(mean: float, calls: int, places: int) -> None:
    found = finish_s(mean, calls, places)
    assert found == mean if calls < places else found == pytest.approx(mean + mean * (calls + 1 - places) / places)
    assert found <= finish_s(mean, calls + 1, places)


def test_the_slow_server_is_right_once_the_quick_one_has_a_queue() -> None:
    quick, slow = 1.0, 10.0
    assert finish_s(quick, 10, 2) < finish_s(slow, 0, 2) < finish_s(quick, 24, 2)
