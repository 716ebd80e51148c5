"""neuronxcc.nki.isa: means and variances on the Vector engine, in two steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import costs
from .. import isa as core
from ..checks import api, reals, store
from ..errors import fail
from .indexing import Where, where_holds
from .results import came_from_last, chosen_type, tile
from .tensor import ALL, Tile, fresh
from .views import narrow

STATISTICS_MAX = 512  # elements per partition


@api
def bn_stats(data: Any, *, mask: Any = None, dtype: Any = None) -> Tile:
    """Count, mean and variance x count of the even elements of each partition, and of the odd ones."""
    name = "nki.isa.bn_stats"
    source = tile(data, name, "data")
    n = source._flat()[1]
    if n > STATISTICS_MAX:
        fail(
            "tile_limit", f"{name}: data {list(source.shape)} has {n} elements per partition; at most {STATISTICS_MAX}"
        )

    def computed(values: np.ndarray) -> np.ndarray:
        columns = []
        for half in (values[:, 0::2], values[:, 1::2]):
            count = half.shape[1]
            mean = half.mean(axis=1) if count else np.zeros(len(values), np.float32)
            spread = ((half - mean[:, None]) ** 2).sum(axis=1)
            columns += [np.full(len(values), count, np.float32), mean, spread]
        return np.stack(columns, axis=1)

    return _per_partition(name, source, mask, dtype, 6, computed, costs.elementwise(n))


@api
def bn_aggr(data: Any, *, mask: Any = None, dtype: Any = None) -> Tile:
    """Mean and variance of each partition, from what one or more bn_stats gave."""
    name = "nki.isa.bn_aggr"
    source = tile(data, name, "data")
    n = source._flat()[1]
    if n % 3:
        fail(
            "shape_mismatch",
            f"{name}: data {list(source.shape)} has {n} elements per partition; a multiple of 3 is due",
        )

    def computed(values: np.ndarray) -> np.ndarray:
        counts, means, spreads = values[:, 0::3], values[:, 1::3], values[:, 2::3]
        total = counts.sum(axis=1)
        mean = (counts * means).sum(axis=1) / total
        variance = (spreads + counts * (means - mean[:, None]) ** 2).sum(axis=1) / total
        return np.stack([mean, variance], axis=1)

    return _per_partition(name, source, mask, dtype, 2, computed, max(costs.MIN_INTERVAL, 13 * n / 3))


def _per_partition(name: str, source: Tile, mask: Any, dtype: Any, width: int, compute: Any, cycles: float) -> Tile:
    """A few numbers for each partition; a mask chooses partitions and elements."""
    kind = chosen_type(dtype, name, source)
    where = where_holds(mask, source.shape, name)
    shape = (source.shape[0], width)
    if where is None:
        return fresh(shape, kind, "sbuf", name, None)
    if where.dense is not None:
        fail("unsupported", f"unsupported API: {name} under a mask that is not a box")
    box = (where.box[0], slice(0, width))
    whole = where.box[0] == slice(0, source.shape[0])
    result = fresh(shape, kind, "sbuf", name, ALL if whole else Where(box, None))
    target, part = (result if whole else narrow(result, box)), narrow(source, where.box)
    with np.errstate(all="ignore"):
        store(target, compute(reals(part, name, "data")), name)
    core.issue(name, "vector", cycles, target, part)
    return came_from_last(result)
