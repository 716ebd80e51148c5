"""Registers of the engines' sequencers, and loops whose bounds they hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

from . import costs
from .checks import api
from .dtypes import is_float
from .errors import fail
from .machine import Access, current
from .tensor import Tensor

INT32 = range(-(1 << 31), 1 << 31)


class Register:
    """A 32-bit number. A kernel can hand it on; Python cannot look at it."""

    __slots__ = ("_value",)

    def __init__(self, value: int | None) -> None:
        object.__setattr__(self, "_value", value)

    def _held(self, where: str) -> int:
        if self._value is None:
            fail("uninitialised_read", f"{where}: a register is read, but nothing was ever put there")
        return self._value

    def _no_value(self, *_: object) -> NoReturn:
        fail("no_value", "a register has no value while the kernel is built: nl.dynamic_range and .ap take it")

    __bool__ = __int__ = __float__ = __index__ = __iter__ = _no_value
    __lt__ = __le__ = __gt__ = __ge__ = __add__ = __radd__ = __sub__ = __mul__ = __rmul__ = __floordiv__ = _no_value
    __hash__ = object.__hash__

    def __setattr__(self, name: str, value: object) -> NoReturn:
        fail("forbidden", "a register cannot be set; nisa.register_move and register_load put numbers there")


def _put(register: Any, value: int, where: str) -> None:
    if not isinstance(register, Register):
        fail("wrong_argument", f"{where}: dst must be a register, not {type(register).__name__}")
    if value not in INT32:
        fail("wrong_argument", f"{where}: {value} does not fit the 32 bits of a register")
    object.__setattr__(register, "_value", value)


def _one(tensor: Any, where: str, argument: str) -> Tensor:
    if not isinstance(tensor, Tensor) or tensor.size != 1 or tensor.buffer == "psum" or is_float(tensor.dtype):
        fail("wrong_argument", f"{where}: {argument}={tensor!r} must be one integer in HBM or SBUF")
    return tensor


@api
def register_alloc(x: Any = None) -> Register:
    where = "nki.isa.register_alloc"
    current(where)
    register = Register(None)
    if isinstance(x, Tensor):
        register_load(register, x)
    elif x is not None:
        register_move(register, x)
    return register


@api
def register_move(dst: Any, imm: Any) -> None:
    where = "nki.isa.register_move"
    if isinstance(imm, Register):
        imm = imm._held(where)
    if isinstance(imm, bool) or not isinstance(imm, int):
        fail("wrong_argument", f"{where}: imm={imm!r} must be an integer")
    _put(dst, imm, where)


@api
def register_load(dst: Any, src: Any) -> None:
    where = "nki.isa.register_load"
    source = _one(src, where, "src")
    _put(dst, int(source._read(where, "src").reshape(-1)[0]), where)
    _issue(where, source, reads=(source._access(),), writes=())


@api
def register_store(dst: Any, src: Any) -> None:
    where = "nki.isa.register_store"
    if not isinstance(src, Register):
        fail("wrong_argument", f"{where}: src must be a register, not {type(src).__name__}")
    target = _one(dst, where, "dst")
    import numpy as np

    target._write(where, np.full(target.shape, src._held(where)))
    _issue(where, target, reads=(), writes=(target._access(),))


def _issue(where: str, moved: Tensor, **accesses: tuple[Access, ...]) -> None:
    name = where.rpartition(".")[2]
    current(where).issue(name, "gpsimd", costs.register(), shape=(1, 1), dtype=moved.dtype.name, **accesses)


@api
def dynamic_range(*bounds: Any) -> Iterator[Register]:
    """As range; bounds may be registers, and each number comes in a register."""
    where = "nki.language.dynamic_range"
    numbers = [bound._held(where) if isinstance(bound, Register) else bound for bound in bounds]
    if not 1 <= len(numbers) <= 3 or any(isinstance(n, bool) or not isinstance(n, int) for n in numbers):
        fail("wrong_argument", f"{where}: bounds are integers or registers, got {bounds}")
    if len(numbers) == 3 and numbers[2] <= 0:
        fail("wrong_argument", f"{where}: step={numbers[2]} must be positive")
    return map(Register, range(*numbers))
