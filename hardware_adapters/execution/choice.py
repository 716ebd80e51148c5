"""Which executor this process uses: the command line and the environment say so."""

from __future__ import annotations

import functools
import math
import os

from ..errors import UsageError
from .executor import Executor

VARIABLE = "AUTOCOMP_EXECUTOR"
ADDRESS_VARIABLE = "AUTOCOMP_RAY_ADDRESS"
PATIENCE_VARIABLE = "AUTOCOMP_RAY_PATIENCE_S"
NAMES = ("local", "ray")


def chosen_executor() -> Executor:
    """The same one for the same words. Raises UsageError."""
    name = os.environ.get(VARIABLE) or "local"
    if name not in NAMES:
        raise UsageError(f"{VARIABLE}={name!r}: there are {' and '.join(NAMES)}")
    if name == "local":
        return _local()
    text = os.environ.get(PATIENCE_VARIABLE) or "0"
    try:
        patience_s = float(text)
    except ValueError:
        patience_s = -1.0
    if not math.isfinite(patience_s) or patience_s < 0:
        raise UsageError(f"{PATIENCE_VARIABLE}={text!r}: expected seconds, 0 or more")
    return _ray(os.environ.get(ADDRESS_VARIABLE) or "auto", patience_s)


@functools.cache
def _local() -> Executor:
    from .local import Local

    return Local()


@functools.cache
def _ray(address: str, patience_s: float) -> Executor:
    from .ray_executor import Ray

    return Ray(address, patience_s)
