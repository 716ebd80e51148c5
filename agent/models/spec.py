"""The models of a run as one string, which the journal keeps.

`A@2,B` is several, the first with twice the weight; `P1,P2 > C1` is planners > coders.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, Self

from ..errors import AgentUsageError

# Below 1000, so that the date of a Vertex name (claude-x@20250929) is none.
_WEIGHT = re.compile(r"^(?P<model>.+)@(?P<weight>\d{1,3}(?:\.\d{1,3})?)$")


class ModelSpec(NamedTuple):
    """Which models may plan and which write code, each with the weight by which it is chosen."""

    planners: dict[str, float]
    coders: dict[str, float]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises AgentUsageError. `replay:FILE` is one model whatever its path holds."""
        if text.strip().startswith("replay:"):
            return cls({text.strip(): 1.0}, {text.strip(): 1.0})
        parts = text.split(">")
        if len(parts) > 2:
            raise AgentUsageError(f"model {text!r} has two '>'; it is PLANNERS > CODERS")
        planners = _weights(parts[0].split(","), text)
        return cls(planners, _weights(parts[1].split(","), text) if len(parts) == 2 else planners)

    @classmethod
    def combined(cls, models: Sequence[str], planners: Sequence[str] = (), coders: Sequence[str] = ()) -> Self:
        """From what a command line gives: `models` do what has no models of its own. Raises AgentUsageError."""
        both = [cls.parse(model) for model in models]
        single = {"--plan-model": planners, "--code-model": coders}
        for option, given in single.items():
            if wrong := next((model for model in given if ">" in model), None):
                raise AgentUsageError(f"{option} {wrong!r}: '>' belongs to --model")
        plan = [cls.parse(model).planners for model in planners] or [spec.planners for spec in both]
        code = [cls.parse(model).coders for model in coders] or [spec.coders for spec in both]
        for kind, option, found in (("plans", "--plan-model", plan), ("writes code", "--code-model", code)):
            if not found:
                raise AgentUsageError(f"no model that {kind}: give {option} or --model too")
        return cls(_merged(plan), _merged(code))

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.planners, *self.coders]))

    def __str__(self) -> str:
        planners, coders = _written(self.planners), _written(self.coders)
        if len(self.models) == 1:
            return self.models[0]
        return planners if self.planners == self.coders else f"{planners} > {coders}"


def _weights(parts: Sequence[str], text: str) -> dict[str, float]:
    found: list[dict[str, float]] = []
    for part in map(str.strip, parts):
        match = _WEIGHT.match(part)
        model, weight = (match["model"], float(match["weight"])) if match else (part, 1.0)
        if not model or model.startswith("@") or weight == 0:
            raise AgentUsageError(f"model {text!r}: {part!r} is no model with a weight above 0; write NAME or NAME@2")
        found.append({model: weight})
    return _merged(found)


def _merged(parts: Sequence[dict[str, float]]) -> dict[str, float]:
    """Raises AgentUsageError for a model named twice."""
    whole: dict[str, float] = {}
    for part in parts:
        if twice := whole.keys() & part.keys():
            raise AgentUsageError(f"model {min(twice)!r} is given twice; give it a weight: {min(twice)}@2")
        whole |= part
    return whole


def _written(weights: dict[str, float]) -> str:
    return ",".join(model if weight == 1 else f"{model}@{weight:g}" for model, weight in weights.items())
