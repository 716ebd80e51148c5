"""Parts of a problem: a few elements of the outputs, and no more of the inputs than decide them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

Axes = tuple["Array | None", ...]  # what is taken of each dimension: indices in order; None: all of it


class Part(NamedTuple):
    """By the tensors' names. `Operator.expected` makes of these inputs these outputs."""

    inputs: Mapping[str, Axes]
    outputs: Mapping[str, Axes]


def some(rng: np.random.Generator, size: int, most: int) -> Array:
    """Of one dimension: at most so many, drawn."""
    import numpy as np

    return np.sort(rng.choice(size, min(size, most), replace=False))


def extent(shape: Sequence[int], axes: Axes) -> tuple[int, ...]:
    """The shape of what is taken of a tensor."""
    return tuple(size if taken is None else len(taken) for size, taken in zip(shape, axes, strict=True))


def elements(shape: Sequence[int], axes: Axes) -> Array:
    """Their numbers in the whole, row-major tensor: int64, of the part's shape."""
    import numpy as np

    grid = np.ix_(*(np.arange(size) if taken is None else taken for size, taken in zip(shape, axes, strict=True)))
    return np.broadcast_to(np.ravel_multi_index(grid, tuple(shape)), extent(shape, axes)).astype(np.int64)


def drawn(rng: np.random.Generator, shape: Sequence[int], axes: Axes, count: int) -> tuple[Array, Array]:
    """So many elements of the part, some perhaps more than once: their numbers in the whole tensor and in the part."""
    import numpy as np

    within = extent(shape, axes)
    numbers = rng.integers(math.prod(within), size=count)
    places = np.unravel_index(numbers, within)
    whole = (place if taken is None else taken[place] for place, taken in zip(places, axes, strict=True))
    return np.ravel_multi_index(tuple(whole), tuple(shape)), numbers
