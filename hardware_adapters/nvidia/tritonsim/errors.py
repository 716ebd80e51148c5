"""How a kernel fails here: with its kind, and the line of its source."""

from __future__ import annotations

import sys
import traceback
from types import FrameType

KERNEL = "kernel.py"


class KernelFault(Exception):
    """What a kernel did that the device would not forgive."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def line_now() -> int:
    """The line of the kernel's file that is being run; 0 where none is."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.endswith(KERNEL):
            return frame.f_lineno
        frame = frame.f_back
    return 0


def described(error: BaseException) -> tuple[str, str, int | None]:
    """(kind, message, line) of what ended a launch: the first cause, and the innermost line of the kernel's file."""
    line, cause, chain = None, error, [error]
    while cause.__cause__ is not None:
        cause = cause.__cause__
        chain.append(cause)
    for each in chain:
        for entry in traceback.extract_tb(each.__traceback__):
            if entry.filename.endswith(KERNEL):
                line = entry.lineno
    if isinstance(cause, KernelFault):
        return cause.kind, cause.message, line
    if isinstance(cause, NotImplementedError):
        return "unsupported", f"Triton's interpreter does not run this: {cause}", line
    if isinstance(cause, PermissionError):
        return "forbidden", str(cause), line
    if isinstance(cause, MemoryError):
        return "limit_exceeded", "out of memory", line
    return "exception", f"{type(cause).__name__}: {str(cause)[:600]}", line
