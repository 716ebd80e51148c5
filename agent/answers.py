"""What the answers of a server mean: a result, a refusal, or a failure that is no fault of the call."""

from __future__ import annotations

import re
from typing import Any

# How tools/ begins an error that is the machine's fault and not the caller's.
ENVIRONMENT = "environment:"
# How the SDK begins every error of a tool, its name after it; alone for an exception that the tool did not expect.
SDK_PREFIX = "Error executing tool "
# How tools/ asks to be called again later. It is no failure, and not counted as one, unless it goes on for ever.
BUSY = re.compile(r"^environment: busy, retry after (\d+) s")
BUSY_PATIENCE_S = 1800.0


def text_of(result: Any) -> str:
    return "\n".join(block.text for block in result.content if getattr(block, "text", None))


def said(result: Any, what: str) -> str:
    """Of an error, without what the SDK puts before it."""
    return text_of(result).removeprefix(f"{SDK_PREFIX}{what}").removeprefix(": ")


def retry_after_s(result: Any, what: str) -> float | None:
    """Where the server is busy."""
    later = BUSY.match(said(result, what)) if getattr(result, "is_error", False) else None
    return max(1.0, float(later[1])) if later else None


def failure_of(result: Any, what: str) -> str | None:
    """What failed, where it was the machine: None for a result, and for the refusal of a call that would be refused
    anywhere."""
    if not getattr(result, "is_error", False):
        return None
    words = said(result, what)
    if words and not words.startswith(ENVIRONMENT):
        return None
    return words or "an unexpected error in the tool; the server's log has it"


def is_usage(error: Exception) -> bool:
    """JSON-RPC's invalid params (-32602), resource not found (-32002), method not found (-32601)."""
    return getattr(getattr(error, "error", error), "code", None) in (-32602, -32002, -32601)


def reason(error: BaseException) -> str:
    """One line that names the cause, also out of an exception group."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
