"""The grid of programs that `kernel[grid](...)` launches: one after the other on the core, HBM shared among them."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Any

from ..errors import fail
from ..machine import Machine, current

MAX_PROGRAMS = 4096


class Grid:
    """`at` is the running program; tensors in shared HBM are the same for each of them, in the order of allocation."""

    def __init__(self, sizes: tuple[int, ...] = (), at: tuple[int, ...] = ()) -> None:
        self.sizes, self.at = sizes, at
        self._shared: list[Any] = []
        self._next = 0

    def start(self, at: tuple[int, ...]) -> None:
        self.at, self._next = at, 0

    def shared(self, make: Callable[[], Any]) -> Any:
        if not self.sizes:
            return make()
        if self._next == len(self._shared):
            self._shared.append(make())
        self._next += 1
        return self._shared[self._next - 1]


_grids: weakref.WeakKeyDictionary[Machine, Grid] = weakref.WeakKeyDictionary()
_NONE = Grid()


def grid_of(machine: Machine) -> Grid:
    return _grids.get(machine, _NONE)


def launch(function: Callable[..., Any], grid: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """Runs the kernel once for each program; what the last one returns."""
    sizes = tuple(grid) if isinstance(grid, (tuple, list)) else (grid,)
    if not sizes or not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in sizes):
        fail("wrong_argument", f"kernel[grid]: grid={grid!r} must be positive integers")
    count = 1
    for n in sizes:
        count *= n
    if count > MAX_PROGRAMS:
        fail("limit_exceeded", f"kernel[grid]: {count} programs; at most {MAX_PROGRAMS}")
    machine = current("kernel[grid]")
    before = _grids.get(machine)
    running = Grid(tuple(int(n) for n in sizes))
    _grids[machine] = running
    returned = None
    try:
        for at in itertools.product(*(range(n) for n in sizes)):
            running.start(at)
            returned = function(*args, **named)
    finally:
        if before is None:
            del _grids[machine]
        else:
            _grids[machine] = before
    return returned


def program_id(axis: int = 0) -> int:
    """Which program runs, along an axis of the grid; 0 without a grid."""
    grid = grid_of(current("nki.language.program_id"))
    if not grid.sizes:
        return 0
    if isinstance(axis, bool) or not isinstance(axis, int) or not 0 <= axis < len(grid.sizes):
        fail("wrong_argument", f"nki.language.program_id: axis={axis!r} of a grid of {len(grid.sizes)} axes")
    return grid.at[axis]


def num_programs(axes: Any = None) -> int:
    grid = grid_of(current("nki.language.num_programs"))
    chosen = range(len(grid.sizes)) if axes is None else axes if isinstance(axes, (tuple, list)) else (axes,)
    count = 1
    for axis in chosen:
        count *= grid.sizes[axis] if grid.sizes else 1
    return count


def program_ndim() -> int:
    return len(grid_of(current("nki.language.program_ndim")).sizes)


class Kernel:
    """What nki.jit makes of a function: callable, and indexed by a grid."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __setattr__(self, name: str, value: object) -> None:
        fail("forbidden", f"{name!r} of a kernel cannot be set")

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self._function(*args, **named)

    def __getitem__(self, grid: Any) -> Callable[..., Any]:
        function = self._function
        return lambda *args, **named: launch(function, grid, args, named)
