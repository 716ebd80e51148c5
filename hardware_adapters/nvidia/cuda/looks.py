"""Timed calls do the work too: after each, elements of the outputs are looked at that the kernel cannot know before.

Every timed call is given inputs of its own (`Job.given`), so that nothing kept from an earlier call is right. What is
right is worked out here for a part of the problem that few of the inputs decide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..operators import Operator
from ..parts import Part, drawn, elements, extent
from .job import SAMPLES, Job, Report, Trial

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

# Elements of inputs that are made again for one evaluation. Beyond, only some calls are judged: of a kernel that leaves
# out work in half of its calls, so many miss it once in a million.
MOST_ELEMENTS, LEAST_CALLS = 1 << 26, 20


class Look(NamedTuple):
    """At one call. `numbers`: of the elements that are compared within the part's outputs."""

    part: Part
    numbers: Mapping[str, Array]


def looks(operator: Operator, rng: np.random.Generator, calls: int) -> tuple[list[Look], Array]:
    """And the same elements by their numbers in the whole outputs: calls x outputs x SAMPLES."""
    import numpy as np

    _, outputs = operator.shapes(operator.dims)
    picks = np.empty((calls, len(outputs), SAMPLES), np.int64)
    found = []
    for call in range(calls):
        part, numbers = operator.part(rng), {}
        for place, (name, shape) in enumerate(outputs.items()):
            picks[call, place], numbers[name] = drawn(rng, shape, part.outputs[name], SAMPLES)
        found.append(Look(part, numbers))
    return found, picks


def judged_calls(operator: Operator, given: Sequence[Look], rng: np.random.Generator) -> list[int]:
    inputs, _ = operator.shapes(operator.dims)
    part = given[0].part.inputs
    size = sum(math.prod(extent(shape, part[name])) for name, shape in inputs.items())
    count = min(len(given), max(LEAST_CALLS, MOST_ELEMENTS // size))
    return sorted(rng.choice(len(given), count, replace=False).tolist())


def wrong_calls(
    operator: Operator, job: Job, given: Sequence[Look], calls: Sequence[int], folder: Path, report: Report
) -> list[int]:
    """Those of these calls that have a wrong element, by their place among the kernel's timed calls.
    Raises EngineFailure."""
    import numpy as np

    trials, sampled = report.of(0), job.sampled(folder)
    wrong = []
    for call in calls:
        right = operator.expected(_inputs(operator, job, given[call].part, trials[call]))
        for name, numbers in given[call].numbers.items():
            values, scale = (
                np.broadcast_to(array, right[name].values.shape).reshape(-1)[numbers] for array in right[name]
            )
            with np.errstate(invalid="ignore"):
                near = np.abs(sampled[call][name] - values) <= operator.closeness * scale
            if not near.all():
                wrong.append(call)
                break
    return wrong


def _inputs(operator: Operator, job: Job, part: Part, trial: Trial) -> dict[str, Array]:
    inputs, _ = operator.shapes(operator.dims)
    return {
        name: job.given(trial, place, elements(shape, part.inputs[name]))
        for place, (name, shape) in enumerate(inputs.items())
    }
