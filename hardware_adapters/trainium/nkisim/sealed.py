"""What a kernel can call or derive from, and cannot change: nothing that it finds keeps anything from call to call."""

from __future__ import annotations

import enum
import functools
import inspect
from collections.abc import Callable
from typing import Any, NoReturn

from .errors import FIRST, INTERRUPTED, KernelFault, fail


def unbroken(function: Callable[..., Any]) -> Callable[..., Any]:
    """What the function begins it ends, or the kernel fails, even if it catches the exception.

    Else an instruction could be stopped between its effect and its entry in the log, and would cost nothing.
    """

    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        try:
            return function(*args, **named)
        except KernelFault:
            raise
        except Exception:
            if not FIRST:
                FIRST.append(INTERRUPTED)  # no function of Python's: at the end of the stack there is no room for one
            raise

    return call


class Sealed:
    """A function without attributes; as `unbroken`, and arguments that it does not take are a fault of the kernel."""

    __slots__ = ("__name__", "_function", "_path")

    def __init__(self, function: Callable[..., Any], path: str) -> None:
        for name, value in (("__name__", path.rpartition(".")[2]), ("_function", function), ("_path", path)):
            object.__setattr__(self, name, value)

    def __call__(self, *args: Any, **named: Any) -> Any:
        try:
            return self._function(*args, **named)
        except KernelFault:
            raise
        except Exception as error:
            trace = error.__traceback__
            if isinstance(error, TypeError) and trace is not None and trace.tb_next is None:
                text = str(error).replace(f"{self._function.__name__}()", "").strip()
                fail("wrong_argument", f"{self._path}: {text}; it takes {_taken(self._function)}")
            if not FIRST:
                FIRST.append(INTERRUPTED)
            raise

    def __setattr__(self, name: str, value: object) -> NoReturn:
        fail("forbidden", f"{self._path} cannot be changed")

    __delattr__ = __setattr__  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<function {self._path}>"


def _taken(function: Callable[..., Any]) -> str:
    """Its parameters, with `=` behind those that can be left out."""
    parameters = inspect.signature(function).parameters.values()
    return ", ".join(p.name if p.default is p.empty else f"{p.name}=" for p in parameters)


class SealedClass(type):
    """Of classes that a kernel may derive from: its own it may change, not these."""

    def __setattr__(cls, name: str, value: object) -> None:
        _own(cls, name)
        super().__setattr__(name, value)

    def __delattr__(cls, name: str) -> None:
        _own(cls, name)
        super().__delattr__(name)


def _own(cls: type, name: str) -> None:
    if cls.__module__ != "kernel":
        fail("forbidden", f"{cls.__name__}.{name} cannot be changed")


class _SealedEnum(enum.EnumMeta):
    def __setattr__(cls, name: str, value: object) -> None:
        if _complete:
            _own(cls, name)
        super().__setattr__(name, value)

    def __delattr__(cls, name: str) -> None:
        if _complete:
            _own(cls, name)
        super().__delattr__(name)


_complete = False


class Enum(enum.Enum, metaclass=_SealedEnum):
    """enum.Enum for kernels."""


class IntEnum(enum.IntEnum, metaclass=_SealedEnum):
    """enum.IntEnum for kernels."""


_complete = True


class Hint:
    """A name of `typing`: for annotations, and for isinstance where that works."""

    __slots__ = ("_origin",)

    def __init__(self, origin: Any) -> None:
        object.__setattr__(self, "_origin", origin)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        fail("forbidden", "a name of typing cannot be changed")

    def __getitem__(self, key: Any) -> Hint:
        return self

    def __or__(self, other: Any) -> Hint:
        return self

    __ror__ = __or__

    def __instancecheck__(self, value: object) -> bool:
        return isinstance(value, self._origin)
