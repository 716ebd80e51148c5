"""Inputs for a problem of the user's own: the whole range, few entries, and so small that outputs do not saturate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..results import Tensor
from .definition import FLOATS, Definition

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

MAX_LEVEL = 19
FLOAT_LEVEL = 4
SPARSE = 0.125  # share of entries that are not zero
# What inputs range over where the user does not say: an int32 is mostly a bias beside sums of products of int8.
RANGES = {"int8": (-128.0, 127.0), "int32": (-16384.0, 16384.0), "float32": (-1.0, 1.0), "bfloat16": (-1.0, 1.0)}


def limits(definition: Definition, tensor: Tensor) -> tuple[float, float]:
    return definition.ranges.get(tensor.name, RANGES[tensor.dtype])


def whole(definition: Definition, rng: np.random.Generator) -> dict[str, Array]:
    """Uniform over each input's range."""
    return {t.name: _uniform(rng, t, *limits(definition, t)) for t in definition.inputs}


def sparse(definition: Definition, rng: np.random.Generator) -> dict[str, Array]:
    """As `whole`, but most entries are what is nearest to zero."""
    return {name: _thinned(rng, definition, name, data, SPARSE) for name, data in whole(definition, rng).items()}


def dense(definition: Definition, rng: np.random.Generator, level: int) -> dict[str, Array]:
    """Every level halves the range, towards zero; from where an integer's has come down to one, the entries' number."""
    return {t.name: one_dense(definition, t, rng, level) for t in definition.inputs}


def one_dense(definition: Definition, tensor: Tensor, rng: np.random.Generator, level: int) -> Array:
    import numpy as np

    low, high = limits(definition, tensor)
    nearest = min(max(0.0, low), high)
    if tensor.dtype in FLOATS:
        scale = 2.0**-level
        return _uniform(rng, tensor, nearest - (nearest - low) * scale, nearest + (high - nearest) * scale)
    reach = max(nearest - low, high - nearest)
    below, above = (int(side) >> level for side in (nearest - low, high - nearest))
    if max(below, above) >= 1:
        return _uniform(rng, tensor, nearest - below, nearest + above)
    spare = level - int(np.log2(reach))  # halvings for which the range was too short
    least = _uniform(rng, tensor, nearest - min(1, nearest - low), nearest + min(1, high - nearest))
    return _thinned(rng, definition, tensor.name, least, 2.0**-spare)


def _uniform(rng: np.random.Generator, tensor: Tensor, low: float, high: float) -> Array:
    import numpy as np

    if tensor.dtype in FLOATS:
        drawn = rng.random(tensor.shape, dtype=np.float32) * np.float32(high - low) + np.float32(low)
        return np.clip(drawn, low, high).astype(_numpy_type(tensor))
    return rng.integers(int(low), int(high), tensor.shape, dtype=tensor.dtype, endpoint=True)


def _thinned(rng: np.random.Generator, definition: Definition, name: str, data: Array, share: float) -> Array:
    import numpy as np

    low, high = limits(definition, next(t for t in definition.inputs if t.name == name))
    kept = rng.random(data.shape, dtype=np.float32) < share
    return np.where(kept, data, data.dtype.type(min(max(0.0, low), high)))


def zeroed(definition: Definition, tensor: Tensor) -> Array:
    """Nothing but what is nearest to zero."""
    import numpy as np

    low, high = limits(definition, tensor)
    return np.full(tensor.shape, min(max(0.0, low), high), _numpy_type(tensor))


def _numpy_type(tensor: Tensor) -> np.dtype:
    import numpy as np

    if tensor.dtype == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(tensor.dtype)


def describe(definition: Definition, level: int) -> str:
    """For those who write kernels."""
    ranges = "; ".join(
        f"{t.name} {low:g}..{high:g}" for t in definition.inputs for low, high in [limits(definition, t)]
    )
    smaller = "the same again" if not level else f"ranges 2^{level} times smaller"
    if level and definition.tolerance is None:
        smaller += ", so that few outputs saturate"
    return (
        f"Three sets, different for every kernel and seed: 'full' (uniform: {ranges}), 'sparse' (one entry in eight is "
        f"not zero, or not the nearest value to it) and 'dense' ({smaller})."
    )
