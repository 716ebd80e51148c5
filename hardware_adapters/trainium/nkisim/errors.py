"""What a kernel does wrong, in words that name the API, the argument, the limit and the line."""

from __future__ import annotations

import sys
from typing import NoReturn

KERNEL_FILE = "<kernel>"  # the file name that the kernel's code is compiled with
MAX_MESSAGE = 1000  # characters; messages quote arguments, which are the kernel's


class KernelFault(Exception):
    """A rule of NKI or of the machine is broken. `line` is the kernel's, from 1; None where none of it runs."""

    def __init__(self, kind: str, message: str, line: int | None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.line = line


# The first fault stands, whatever the kernel does with the exception: what is kept is not the object that it can catch.
FIRST: list[KernelFault] = []
INTERRUPTED = KernelFault(
    "python_error",
    "an exception left an instruction half done: it came from an argument (its repr, its type), or from a stack or a "
    "memory without room",
    None,
)


def forget() -> None:
    FIRST.clear()


def first_fault() -> KernelFault | None:
    return FIRST[0] if FIRST else None


def fail(kind: str, message: str) -> NoReturn:
    """Raises KernelFault for the line of the kernel that is running."""
    line = kernel_line()
    if not FIRST:
        FIRST.append(KernelFault(kind, message[:MAX_MESSAGE], line))
    raise KernelFault(kind, message[:MAX_MESSAGE], line)


def kernel_line() -> int | None:
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename == KERNEL_FILE:
            return frame.f_lineno
        frame = frame.f_back
    return None
