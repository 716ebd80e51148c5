"""What a planner is asked: for each kernel of the beam its profile, a menu, how it came about, and what was learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

from ...hardware_adapters.base import Bottleneck, Profile
from ..each import each
from ..models.base import Ancestor, Example, MenuOffer, Models, PlanRequest
from ..runs.candidate import Attempt, Candidate, Plan, attempts, steps_to
from ..toolbox import OptionSummary, Toolbox
from .bandit import ModelUse, OptionBandit, choose_model, reward
from .judging import Judge
from .lessons import Lessons
from .record import RunRecord

LEAST_OFFERS = 3  # a menu of one dish is no choice
DROPPED = 0.05  # what the weight of a dropped option is multiplied by, where rewrites are drawn by weight
FOLLOWERS = 2  # plans per parent for a step of an earlier run's schedule


class Planner:
    def __init__(self, record: RunRecord, toolbox: Toolbox, models: Models, judge: Judge, lessons: Lessons) -> None:
        self._problem = record.problem
        self._settings = record.settings
        self._record = record
        self._toolbox = toolbox
        self._models = models
        self._judge = judge
        self._lessons = lessons
        self._uses: dict[str, ModelUse] = {}  # before the iteration that was planned last

    async def requests(
        self, iteration: int, iterations: int, beam: Sequence[Candidate], follow: Plan | None = None
    ) -> list[PlanRequest]:
        """For every plan of an iteration; all follow from what was settled before it. `follow`: a step to repeat."""
        known = attempts(self._record.settled())
        history = [entry for entries in known.values() for entry in entries]
        bandit = OptionBandit(history, self._lessons.tallies)
        self._uses = self._model_uses(history, iteration)
        profiles = await each(beam, self._judge.profile)
        options = await each(list(zip(beam, profiles, strict=True)), self._options)
        slots = self._settings.plans if follow is None else min(FOLLOWERS, self._settings.plans)
        made: list[PlanRequest] = []
        for index, parent in enumerate(beam):
            costliest = next((found.id for found in _bottlenecks(profiles[index])), None)
            tried = tuple(known.get(parent.digest, ()))
            lineage = list(steps_to(parent, self._record.candidates))
            worn = Counter(entry.option for entry in tried)
            worn.update(child.plan.option for _, child in lineage if child.plan is not None)
            for slot in range(slots):
                request = PlanRequest(
                    key=f"{iteration}.{index}.{slot}",
                    slot=slot,
                    slots=slots,
                    seed=self._settings.seed,
                    iteration=iteration,
                    iterations=iterations,
                    problem=self._problem,
                    parent=parent,
                    profile=profiles[index],
                    tried=tried,
                    ancestors=self._ancestors(lineage),
                    feedback=self._settings.feedback,
                    translate=iteration <= self._settings.translate_iterations,
                    follow=follow,
                )
                # Rewrites are drawn without repetition over a parent's slots, from one menu.
                shared = f"{request.seed}/{iteration}.{index}/menu"
                rng = Random(shared) if self._models.mechanical else request.rng("menu")
                menu = self._menu(options[index], bandit, costliest, worn, follow, rng)
                planner = self._chosen(self._models.planners, request.rng("model"))
                update = {"menu": menu, "model": planner, "examples": self._examples(menu)}
                made.append(request.model_copy(update=update))
        return made

    def coder(self, request: PlanRequest, code: int) -> str:
        """Which of the models writes this implementation."""
        return self._chosen(self._models.coders, request.rng("code", code))

    def _chosen(self, weights: Mapping[str, float], rng: Random) -> str:
        return choose_model(weights, self._uses, rng, adaptive=self._settings.model_choice == "adaptive")

    async def _options(self, place: tuple[Candidate, Profile | None]) -> tuple[OptionSummary, ...]:
        parent, profile = place
        # A planner that is not to see the diagnosis must not be told it by the menu's order.
        ordered = self._settings.menu_choice == "adaptive" or "bottlenecks" in self._settings.feedback
        return await self._toolbox.list_optimizations(
            self._problem.id,
            source=parent.source if self._models.mechanical else None,
            bottlenecks=tuple(found.id for found in _bottlenecks(profile)) if ordered else (),
        )

    def _menu(
        self,
        options: Sequence[OptionSummary],
        bandit: OptionBandit,
        bottleneck: str | None,
        worn: Mapping[str, int],
        follow: Plan | None,
        rng: Random,
    ) -> tuple[MenuOffer, ...]:
        """The options that stay, each left out with the settings' probability: at random, or those of which the least
        is expected in a draw of what is believed of them. To repeat a step only its option is offered."""
        adaptive, drop = self._settings.menu_choice == "adaptive", self._settings.dropout
        offers = [
            MenuOffer(
                **option.model_dump(), score=bandit.score(option.id, bottleneck, option.addresses) if adaptive else 1.0
            )
            for option in options
        ]
        wanted = [offer for offer in offers if follow is not None and offer.id == follow.option]
        if wanted:
            return tuple(wanted)
        if self._models.mechanical:
            keeps = [rng.random() >= drop for _ in offers]
            return tuple(
                offer if keep else offer.model_copy(update={"score": offer.score * DROPPED})
                for offer, keep in zip(offers, keeps, strict=True)
            )
        if adaptive:
            drawn = {o.id: bandit.sample(o.id, bottleneck, o.addresses, rng, worn=worn.get(o.id, 0)) for o in offers}
            ordered = sorted(offers, key=lambda offer: -drawn[offer.id])
            count = max(LEAST_OFFERS, round(len(offers) * (1 - drop)))
            # The cure for the costliest bottleneck is not left to chance: without it the diagnosis is of no use.
            cures = [offer for offer in ordered[count:] if offer.addresses == 0 and not worn.get(offer.id)]
            return (*ordered[:count], *cures)
        kept = [offer for offer in offers if rng.random() >= drop]
        return tuple(kept or rng.sample(offers, min(1, len(offers))))

    def _ancestors(self, lineage: Sequence[tuple[Candidate, Candidate]]) -> tuple[Ancestor, ...]:
        """Of (parent, child) pairs with the last step first, the newest steps in the order they were taken."""
        steps = [
            Ancestor(plan=child.plan, ratio=parent.latency / child.latency if parent.passed and child.passed else None)
            for parent, child in lineage[: self._settings.ancestors]
            if child.plan is not None
        ]
        return tuple(reversed(steps))

    def _examples(self, menu: Sequence[MenuOffer]) -> tuple[Example, ...]:
        offered = {offer.id for offer in menu}
        fitting = [example for example in self._lessons.examples if example.plan.option in offered]
        return tuple(fitting[: self._settings.examples])

    def _model_uses(self, history: Sequence[Attempt], iteration: int) -> dict[str, ModelUse]:
        uses = self._record.model_uses(before=iteration)
        for attempt in history:
            for name in {attempt.planner, attempt.coder} - {None}:
                use = uses.get(name or "", ModelUse())
                more = {"tries": use.tries + 1, "gained": use.gained + reward(attempt)}
                uses[name or ""] = use.model_copy(update=more)
        return uses


def _bottlenecks(profile: Profile | None) -> tuple[Bottleneck, ...]:
    return profile.bottlenecks if profile is not None else ()
