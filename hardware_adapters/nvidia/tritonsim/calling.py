"""How a launcher is called: with the tensors in order, and with the scratch area if it has a parameter for it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from .errors import KernelFault


def arguments_of(launch: Any, tensors: Sequence[Any], scratch: Any) -> list[Any]:
    """Raises KernelFault."""
    wanted = len(inspect.signature(launch).parameters)
    if wanted == len(tensors):
        return list(tensors)
    if wanted == len(tensors) + 1:
        return [*tensors, scratch]
    raise KernelFault(
        "bad_launch",
        f"launch takes {wanted} arguments; it is called with the problem's {len(tensors)} tensors in order, and with a "
        "scratch area if it takes one more",
    )
