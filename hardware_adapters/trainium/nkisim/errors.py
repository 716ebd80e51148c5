"""What a kernel does wrong, in words that name the API, the argument, the limit and the line."""

from __future__ import annotations

import sys
from typing import NoReturn

KERNEL_FILE = "<kernel>"  # the file name that the kernel's code is compiled with


class KernelFault(Exception):
    """A rule of NKI or of the machine is broken. `line` is the kernel's, from 1; None where none of it runs."""

    def __init__(self, kind: str, message: str, line: int | None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.line = line


# The first fault stands, whatever the kernel does with the exception.
_first: list[KernelFault] = []


def forget() -> None:
    _first.clear()


def first_fault() -> KernelFault | None:
    return _first[0] if _first else None


def fail(kind: str, message: str) -> NoReturn:
    """Raises KernelFault for the line of the kernel that is running."""
    fault = KernelFault(kind, message, kernel_line())
    if not _first:
        _first.append(fault)
    raise fault


def kernel_line() -> int | None:
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename == KERNEL_FILE:
            return frame.f_lineno
        frame = frame.f_back
    return None
