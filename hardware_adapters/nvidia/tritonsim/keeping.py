"""That a kernel's file keeps nothing between calls of `launch`: whatever its names lead to is followed and compared.

The judge calls `launch` a few times; one that counts its calls, or knows its tensors again, could do all its work in
these and none later.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

from .errors import KernelFault

_PLAIN = (int, float, str, bytes, bool, complex, type(None), range)


class Keeping:
    """What the names of a module hold when it was loaded. Raises KernelFault for iterators: they change unseen."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = {name: value for name, value in names.items() if not name.startswith("__")}
        self._before = {name: self._picture(name) for name in self._names}

    def check(self) -> None:
        """Raises KernelFault where something has changed."""
        for name, before in self._before.items():
            if self._picture(name) != before:
                raise KernelFault(
                    "forbidden", f"launch keeps something in {name} between its calls: every call does all the work"
                )

    def _picture(self, name: str) -> Any:
        return _picture(self._names[name], name, {})


def _picture(value: Any, name: str, seen: dict[int, int]) -> Any:
    """What can be compared. `seen`: numbers of what is being followed, by identity."""
    if isinstance(value, _PLAIN):
        return type(value).__name__, repr(value)
    if id(value) in seen:
        return "again", seen[id(value)]
    seen[id(value)] = len(seen)
    if hasattr(value, "__next__"):
        raise KernelFault("forbidden", f"{name} keeps an iterator, which counts the calls: write a list")
    parts = _parts(value)
    pictures = [_picture(part, name, seen) for part in parts]
    if isinstance(value, (set, frozenset)):
        return type(value).__name__, frozenset(map(repr, pictures))
    return type(value).__name__, tuple(pictures)


def _parts(value: Any) -> list[Any]:
    """What it leads to; nothing for Triton's own and for types."""
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    if isinstance(value, dict):
        return [part for pair in value.items() for part in pair]
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if _filled(cell)]
        return [*cells, value.__defaults__, value.__kwdefaults__]
    if isinstance(value, (types.BuiltinMethodType, types.MethodType)):
        holder = value.__self__
        return [] if holder is None or isinstance(holder, (types.ModuleType, type)) else [holder]
    if isinstance(value, (types.ModuleType, type)) or not type(value).__module__.startswith("triton."):
        return []
    # A decorated function, or what a tl.constexpr holds.
    return [getattr(value, name) for name in ("fn", "value") if hasattr(value, name)]


def _filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - empty ones raise
    except ValueError:
        return False
    return True
