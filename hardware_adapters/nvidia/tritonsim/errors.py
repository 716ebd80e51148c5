"""How a kernel fails here: with its kind, and the line of its source."""

from __future__ import annotations

import sys
import traceback
from types import FrameType

KERNEL = "kernel.py"
MAX_WORDS = 600


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
    line, chain = None, [error]
    while (cause := chain[-1].__cause__) is not None and all(cause is not known for known in chain):
        chain.append(cause)
    cause = chain[-1]
    for each in chain:
        for entry in traceback.extract_tb(each.__traceback__):
            if entry.filename.endswith(KERNEL):
                line = entry.lineno
    if isinstance(cause, KernelFault):
        return cause.kind, words(cause), line
    if isinstance(cause, NotImplementedError):
        return "unsupported", f"Triton's interpreter does not run this: {words(cause)}", line
    if isinstance(cause, PermissionError):
        return "forbidden", words(cause), line
    if isinstance(cause, MemoryError):
        return "limit_exceeded", "out of memory", line
    return "exception", f"{type(cause).__name__}: {words(cause)}", line


def words(error: BaseException, most: int = MAX_WORDS) -> str:
    """What it says. Kernels choose that: it may be endless, hold halves of characters, or fail in its turn."""
    try:
        said = str(error)
    except Exception as failed:
        said = f"what it says cannot be shown ({type(failed).__name__})"
    return said[:most].encode("utf-8", "replace").decode()
