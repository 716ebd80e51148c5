"""How a launcher is called, with the tensors in order and with the scratch area if it has a parameter for it, and what
it starts: the same where it is compiled and where it is interpreted."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from .addressed import Addressed
from .errors import KernelFault

# Others go to the compiler and the assembler, and some of these name files.
OPTIONS = ("num_warps", "num_stages", "num_ctas", "maxnreg", "enable_fp_fusion")
MAX_GRID = (2**31 - 1, 65535, 65535)
MAX_LAUNCHES = 10_000


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


def grid_size(grid: Any, bound: dict[str, Any]) -> tuple[int, int, int]:
    """Raises KernelFault."""
    found = grid(bound) if callable(grid) else grid
    sizes: list[Any] = list(found) if isinstance(found, (tuple, list)) else [found]
    if not 1 <= len(sizes) <= 3 or not all(isinstance(size, int) for size in sizes):
        raise KernelFault("bad_launch", f"the grid is {found!r}: one to three integers are wanted")
    x, y, z = (*sizes, 1, 1)[:3]
    if any(not 0 <= size <= most for size, most in zip((x, y, z), MAX_GRID, strict=True)):
        raise KernelFault("bad_launch", f"the grid is {(x, y, z)}: at most {MAX_GRID}, and not negative")
    return x, y, z


class Started:
    """The launches of a call of `launch`, for comparison."""

    def __init__(self) -> None:
        self._count = 0
        self._made = hashlib.sha256()

    def launch(
        self,
        kernel: str,
        line: int,
        grid: tuple[int, int, int],
        bound: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> None:
        """`line`: of the kernel's `def`. Raises KernelFault."""
        self._count += 1
        if self._count > MAX_LAUNCHES:
            raise KernelFault("limit_exceeded", f"more than {MAX_LAUNCHES} launches in a call")
        for name, value in options.items():
            if value is not None and not isinstance(value, int):
                raise KernelFault("bad_launch", f"the option {name} is {value!r}, which is no integer")
        arguments = [(name, _text(value)) for name, value in sorted(bound.items())]
        self._made.update(repr((kernel, line, grid, arguments, sorted(options.items()))).encode())

    @property
    def digest(self) -> str:
        return self._made.hexdigest()


def _text(value: Any) -> str:
    """Without addresses, which differ."""
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(_text, value))})"
    if isinstance(value, (Addressed, int, float, str)) or value is None:
        return repr(value)
    return str(getattr(value, "value", getattr(value, "__name__", value)))
