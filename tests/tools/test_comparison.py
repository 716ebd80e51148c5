"""How a difference is accounted for, on profiles made up for the purpose."""

from collections.abc import Mapping

from autocomp_mcp.hardware_adapters.base import Latency, Profile, Stall, StallCause, UnitTime
from autocomp_mcp.tools.comparison import compare
from hypothesis import given
from hypothesis import strategies as st

MEANINGS = {"wait_load": StallCause("operands are not there yet", ("bytes_in", "mvin", "unknown_here"))}
CAUSES = ("wait_load", "fence", "dependency", "bank_conflict")


def profile(
    busy: int, stalls: Mapping[str, int], counters: Mapping[str, int | None] | None = None, error: float | None = None
) -> Profile:
    total = busy + sum(stalls.values())
    return Profile(
        problem="p", kernel=f"{total:x}", engine="e", engine_version="1", source="estimated",
        latency=Latency(value=total, unit="cycles", statistic="first call", error_percent=error), utilisation=0.5,
        counters=dict(counters or {}),
        units=(UnitTime(unit="array", busy=busy, share=0.5), UnitTime(unit="load", busy=10**9, share=0.5)),
        stalls=tuple(Stall(cause=cause, cycles=count, share=0.1) for cause, count in stalls.items() if count),
        bottlenecks=(),
    )  # fmt: skip


counts = st.dictionaries(st.sampled_from(CAUSES), st.integers(1, 10**6), min_size=1)


@given(st.integers(1, 10**6), counts, st.integers(1, 10**6), counts)
def test_the_causes_add_up_to_the_difference(busy_a: int, a: dict[str, int], busy_b: int, b: dict[str, int]) -> None:
    found = compare(profile(busy_a, a), profile(busy_b, b), MEANINGS)
    expected = {cause: b.get(cause, 0) - a.get(cause, 0) for cause in CAUSES} | {"array_busy": busy_b - busy_a}
    assert {cause.cause: cause.difference for cause in found.causes} == {k: v for k, v in expected.items() if v}
    assert found.difference == sum(expected.values())
    assert found.unaccounted == (0 if found.causes else None)
    assert found.faster == (None if not found.difference else "b" if found.difference < 0 else "a")
    mirrored = compare(profile(busy_b, b), profile(busy_a, a), MEANINGS)
    assert [(c.cause, -c.difference) for c in mirrored.causes] == [(c.cause, c.difference) for c in found.causes]


def test_words_name_the_causes_on_both_sides_and_their_evidence() -> None:
    a = profile(1000, {"wait_load": 5000}, {"bytes_in": 800, "mvin": 7, "other": 1})
    b = profile(1000, {"wait_load": 1000, "fence": 900}, {"bytes_in": 100, "mvin": 7, "other": 2})
    found = compare(a, b, MEANINGS)
    because, against = found.summary.split("Against it:")
    assert "wait_load (-4,000, 129%): operands are not there yet (bytes_in 800 -> 100)" in because
    assert "fence (+900, 29%)" in against
    assert [change.name for change in found.causes[0].evidence] == ["bytes_in"]
    assert [cause.share for cause in found.causes] == [1.29, -0.29]


def test_a_difference_below_the_error_is_no_difference() -> None:
    a, b = profile(1000, {"fence": 10}, error=2.0), profile(1000, {"fence": 15}, error=2.0)
    assert "equally fast" in compare(a, b, {}).summary
    assert "equally fast" not in compare(a, profile(1000, {"fence": 900}, error=2.0), {}).summary


def test_an_engine_that_counts_no_stalls_names_no_cause() -> None:
    found = compare(profile(1000, {}), profile(500, {}), {})
    assert found.causes == () and found.unaccounted is None and found.faster == "b"
    assert "no cause can be named" in found.summary


def test_a_counter_that_one_side_lacks_is_unknown_and_not_zero() -> None:
    a = profile(1000, {"wait_load": 500}, {"bytes_in": None, "mvin": 3})
    b = profile(1000, {"wait_load": 100}, {"bytes_in": 64})
    evidence = {change.name: (change.a, change.b) for change in compare(a, b, MEANINGS).causes[0].evidence}
    assert evidence == {"bytes_in": (None, 64), "mvin": (3, None)}
