"""What the bandit believes: bounds, monotonicity, and that nothing is ruled out."""

from __future__ import annotations

import math
from collections import Counter
from random import Random
from typing import ClassVar

import pytest
from autocomp_mcp.agent.runs.candidate import Attempt
from autocomp_mcp.agent.search.bandit import (
    ADDRESSING,
    PRIOR_GAIN,
    SCORES,
    ModelUse,
    OptionBandit,
    Tally,
    choose_model,
    reward,
    tallies,
)
from hypothesis import given
from hypothesis import strategies as st

OPTIONS = ("a", "b", "c")
CAUSES = ("load_bound", "fence", None)
ratios = st.one_of(st.none(), st.floats(0.01, 100))
attempts_ = st.builds(
    Attempt,
    option=st.sampled_from(OPTIONS),
    variant=st.none(),
    verdict=st.just("passed"),
    ratio=ratios,
    bottleneck=st.sampled_from(CAUSES),
)
histories = st.lists(attempts_, max_size=30)
addresses = st.one_of(st.none(), st.integers(0, 5))


def attempt(option: str, ratio: float | None, bottleneck: str | None = None) -> Attempt:
    return Attempt(option=option, variant=None, verdict="passed", ratio=ratio, bottleneck=bottleneck)


@pytest.mark.parametrize(
    ("ratio", "octaves"), [(None, 0.0), (0.5, 0.0), (1.0, 0.0), (2**0.5, 0.5), (2.0, 1.0), (9.0, 1.0)]
)
def test_a_reward_is_the_gain_in_octaves(ratio: float | None, octaves: float) -> None:
    assert reward(attempt("a", ratio)) == pytest.approx(octaves)


@given(histories)
def test_tallies_count_every_attempt_once_whatever_the_order(history: list[Attempt]) -> None:
    found = tallies(history)
    assert sum(t.tries for t in found) == len(history)
    assert math.isclose(sum(t.gained for t in found), sum(map(reward, history)), abs_tol=1e-9)
    again = tallies(history[::-1])
    assert [(t.option, t.bottleneck, t.tries) for t in found] == [(t.option, t.bottleneck, t.tries) for t in again]


@given(histories, st.sampled_from(OPTIONS), st.sampled_from(CAUSES), addresses)
def test_expectations_and_scores_are_bounded(
    history: list[Attempt], option: str, cause: str | None, place: int | None
) -> None:
    bandit = OptionBandit(history)
    assert 0.0 < bandit.expected(option, cause, place) <= 1.0, "nothing is ruled out"
    assert SCORES[0] <= bandit.score(option, cause, place) <= SCORES[1]


@given(
    histories, st.sampled_from(OPTIONS), st.sampled_from(CAUSES), addresses, st.floats(1.0, 4.0), st.floats(1.0, 4.0)
)
def test_more_gain_is_never_held_against_an_option(
    history: list[Attempt], option: str, cause: str | None, place: int | None, one: float, other: float
) -> None:
    less, more = sorted((one, other))
    low = OptionBandit([*history, attempt(option, less, cause)]).expected(option, cause, place)
    high = OptionBandit([*history, attempt(option, more, cause)]).expected(option, cause, place)
    assert low <= high + 1e-12


@given(histories, st.sampled_from(OPTIONS), st.sampled_from(CAUSES))
def test_a_failure_never_raises_what_is_expected(history: list[Attempt], option: str, cause: str | None) -> None:
    before = OptionBandit(history).expected(option, cause, 0)
    after = OptionBandit([*history, attempt(option, None, cause)]).expected(option, cause, 0)
    assert after <= before + 1e-12


def test_options_for_the_costliest_bottleneck_come_first_until_they_disappoint() -> None:
    fresh = OptionBandit()
    assert fresh.expected("a", "load_bound", None) == PRIOR_GAIN
    assert fresh.expected("a", "load_bound", 0) == pytest.approx(PRIOR_GAIN * (1 + ADDRESSING))
    order = [fresh.expected("a", "load_bound", place) for place in (0, 1, 2, None)]
    assert order == sorted(order, reverse=True)
    tired = OptionBandit([attempt("a", 1.0, "load_bound")] * 20)
    assert tired.expected("a", "load_bound", 0) < fresh.expected("b", "load_bound", None)


def test_what_was_learned_against_one_bottleneck_counts_less_against_another() -> None:
    bandit = OptionBandit([attempt("a", 2.0, "load_bound")] * 3)
    here, there = (bandit.expected("a", cause, None) for cause in ("load_bound", "fence"))
    assert here > there > OptionBandit().expected("a", "fence", None)


def test_earlier_runs_weigh_as_a_few_tries_however_many_they_were() -> None:
    def learned(tries: int) -> float:
        return OptionBandit((), [Tally(option="a", bottleneck=None, tries=tries, gained=tries)]).expected(
            "a", None, None
        )

    assert learned(1) < learned(6) == pytest.approx(learned(600))
    refuted = OptionBandit(
        [attempt("a", None)] * 30, [Tally(option="a", bottleneck=None, tries=600, gained=600)]
    ).expected("a", None, None)
    assert refuted < 0.25, "this run's own experience prevails"


def test_samples_scatter_less_the_more_was_tried() -> None:
    def spread(tries: int) -> float:
        bandit, rng = OptionBandit([attempt("a", 1.2)] * tries), Random(0)
        drawn = [bandit.sample("a", None, None, rng) for _ in range(400)]
        mean = sum(drawn) / len(drawn)
        return math.sqrt(sum((value - mean) ** 2 for value in drawn) / len(drawn))

    assert spread(0) > 2 * spread(30) > 0


class TestChooseModel:
    weights: ClassVar = {"cheap": 1.0, "dear": 1.0}

    def chosen(self, uses: dict[str, ModelUse], *, adaptive: bool = True, count: int = 400) -> Counter[str]:
        rng = Random(1)
        return Counter(choose_model(self.weights, uses, rng, adaptive=adaptive) for _ in range(count))

    def test_a_single_model_needs_no_choice(self) -> None:
        assert choose_model({"x": 0.1}, {}, Random(0), adaptive=True) == "x"

    def test_unknown_models_share(self) -> None:
        assert min(self.chosen({}).values()) > 150

    def test_equal_gain_goes_to_the_cheaper(self) -> None:
        uses = {
            "cheap": ModelUse(calls=20, usd=0.2, tries=20, gained=4.0),
            "dear": ModelUse(calls=20, usd=2.0, tries=20, gained=4.0),
        }
        assert self.chosen(uses)["cheap"] > 350
        assert min(self.chosen(uses, adaptive=False).values()) > 150, "by weight nothing is learned"

    def test_a_dear_model_that_gains_enough_is_used(self) -> None:
        uses = {
            "cheap": ModelUse(calls=40, usd=0.4, tries=40, gained=0.0),
            "dear": ModelUse(calls=40, usd=0.8, tries=40, gained=20.0),
        }
        assert self.chosen(uses)["dear"] > 350

    def test_without_prices_gains_decide(self) -> None:
        uses = {
            "cheap": ModelUse(calls=40, usd=0.0, tries=40, gained=16.0),
            "dear": ModelUse(calls=40, usd=0.0, tries=40, gained=0.0),
        }
        assert self.chosen(uses)["cheap"] > 350

    def test_a_model_that_failed_at_first_gets_further_chances(self) -> None:
        uses = {"cheap": ModelUse(calls=4, tries=4, gained=0.0), "dear": ModelUse(calls=4, tries=4, gained=0.8)}
        assert self.chosen(uses)["cheap"] > 20


def test_an_option_that_was_used_up_here_promises_less_and_is_not_ruled_out() -> None:
    bandit = OptionBandit([attempt("a", 1.5), attempt("b", 1.5)])

    def wins(worn: int) -> int:
        rng = Random(0)
        draws = (
            (bandit.sample("a", None, None, rng, worn=worn), bandit.sample("b", None, None, rng)) for _ in range(400)
        )
        return sum(one > other for one, other in draws)

    assert 150 < wins(0) < 250
    assert wins(0) > wins(1) > wins(3) > 0
