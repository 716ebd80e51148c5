"""What to try next, learned from what paid: a bandit over menu options and over models.

An arm's reward is the gain over the parent in octaves, log2 of the ratio of latencies, between 0 (no faster, or no
result) and 1; relative to the parent, because late in a search every option gains less than early. A cell is
(option, bottleneck of the parent); cells of one option share what they know, and earlier runs of the operator family
count as some tries of the same. Sampling from the posterior (Thompson 1933) balances trying and using. After
ShinkaEvolve (arXiv 2509.19349) and KernelBand (2511.18868).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from random import Random

from ...hardware_adapters.base import Record
from ..runs.candidate import Attempt

PRIOR_GAIN = 0.05  # octaves that an option not tried yet is expected to gain
PRIOR_TRIES = 2.0
ADDRESSING = 3.0  # times as much more is expected of an option for the costliest bottleneck; half for the next
SPREAD = 0.15  # of single rewards around an arm's mean, octaves
EARLIER_TRIES = 6.0  # tries of earlier runs count as no more than these: another problem is only a hint
SCORES = (0.1, 10.0)
WORN = 0.5  # what is left of an option's promise each time it was used up: most pay once on the way to a kernel


class Tally(Record):
    """Tries of one cell and the octaves they gained together."""

    option: str
    bottleneck: str | None
    tries: float
    gained: float


def reward(attempt: Attempt) -> float:
    """Octaves gained over the parent, 0 to 1."""
    return min(1.0, math.log2(attempt.ratio)) if attempt.ratio is not None and attempt.ratio > 1.0 else 0.0


def tallies(attempts: Iterable[Attempt]) -> tuple[Tally, ...]:
    """By cell, in order of the options' names."""
    sums: dict[tuple[str, str | None], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for attempt in attempts:
        cell = sums[attempt.option, attempt.bottleneck]
        cell[0] += 1
        cell[1] += reward(attempt)
    ordered = sorted(sums.items(), key=lambda item: (item[0][0], item[0][1] or ""))
    return tuple(Tally(option=o, bottleneck=b, tries=n, gained=g) for (o, b), (n, g) in ordered)


class _Sum:
    def __init__(self) -> None:
        self.tries = 0.0
        self.gained = 0.0

    def add(self, tries: float, gained: float) -> None:
        self.tries += tries
        self.gained += gained

    def mean(self, expected: float) -> float:
        return (self.gained + expected * PRIOR_TRIES) / (self.tries + PRIOR_TRIES)


class OptionBandit:
    """What each option is expected to gain on a kernel with a given bottleneck."""

    def __init__(self, attempts: Iterable[Attempt] = (), earlier: Iterable[Tally] = ()) -> None:
        self._options: dict[str, _Sum] = defaultdict(_Sum)
        self._cells: dict[tuple[str, str | None], _Sum] = defaultdict(_Sum)
        known = list(earlier)
        total: dict[str, float] = defaultdict(float)
        for tally in known:
            total[tally.option] += tally.tries
        for tally in known:
            self._add(tally, min(1.0, EARLIER_TRIES / total[tally.option]) if total[tally.option] else 0.0)
        for tally in tallies(attempts):
            self._add(tally, 1.0)

    def _add(self, tally: Tally, weight: float) -> None:
        for arm in (self._options[tally.option], self._cells[tally.option, tally.bottleneck]):
            arm.add(tally.tries * weight, tally.gained * weight)

    def expected(self, option: str, bottleneck: str | None, addresses: int | None) -> float:
        """Octaves. `addresses`: which of the parent's bottlenecks the option is meant for, 0 the costliest."""
        prior = PRIOR_GAIN * (1.0 + (ADDRESSING / 2**addresses if addresses is not None else 0.0))
        pooled = self._options[option].mean(prior) if option in self._options else prior
        cell = self._cells.get((option, bottleneck))
        return cell.mean(pooled) if cell is not None else pooled

    def sample(
        self, option: str, bottleneck: str | None, addresses: int | None, rng: Random, *, worn: int = 0
    ) -> float:
        """A draw from what is believed of it: wide while it was tried little. `worn`: how often it was applied on the
        way to this kernel, or tried on it."""
        cell = self._cells.get((option, bottleneck))
        tries = cell.tries if cell is not None else 0.0
        spread = SPREAD / math.sqrt(tries + PRIOR_TRIES)
        return rng.gauss(WORN**worn * self.expected(option, bottleneck, addresses), spread)

    def score(self, option: str, bottleneck: str | None, addresses: int | None) -> float:
        """`expected` relative to that of an unknown option, bounded so that nothing is ruled out for good."""
        return min(SCORES[1], max(SCORES[0], self.expected(option, bottleneck, addresses) / PRIOR_GAIN))


class ModelUse(Record):
    """What one model was asked, and what that cost and gained. A try is a kernel that it planned or wrote, or an answer
    that brought none."""

    calls: int = 0
    usd: float = 0.0
    tries: int = 0
    gained: float = 0.0


def choose_model(weights: Mapping[str, float], used: Mapping[str, ModelUse], rng: Random, *, adaptive: bool) -> str:
    """One of several models: by weight, or by weight times octaves per dollar, sampled.

    Where nothing has a price, gains alone decide. Models not tried yet are expected to be like the others.
    """
    names = list(weights)
    if len(names) == 1:
        return names[0]
    if not adaptive:
        return rng.choices(names, [weights[name] for name in names])[0]
    uses = {name: used.get(name, ModelUse()) for name in names}
    priced = [use.usd / use.calls for use in uses.values() if use.calls and use.usd]
    typical = sum(priced) / len(priced) if priced else 1.0
    best, chosen = -math.inf, names[0]
    for name in names:
        use = uses[name]
        mean = (use.gained + PRIOR_GAIN * PRIOR_TRIES) / (use.tries + PRIOR_TRIES)
        drawn = max(1e-6, rng.gauss(mean, SPREAD / math.sqrt(use.tries + PRIOR_TRIES)))
        cost = (use.usd + typical) / (use.calls + 1) / typical if priced else 1.0
        value = weights[name] * drawn / max(cost, 1e-3)
        if value > best:
            best, chosen = value, name
    return chosen
