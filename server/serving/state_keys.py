"""Keys for state that a client carries from one request to the next: sealed by one process, opened by another."""

from __future__ import annotations

import os
from pathlib import Path

from .auth import TokenError

KEY_VARIABLE = "AUTOCOMP_STATE_KEY"
MIN_KEY_BYTES = 32


def state_keys(file: Path | None) -> tuple[bytes, ...]:
    """From the file, one a line, or AUTOCOMP_STATE_KEY, which is then taken out of the environment; none where neither
    is given. The first seals, all open: so a key can be replaced while servers run. Raises TokenError."""
    given = os.environ.pop(KEY_VARIABLE, None)
    if file is None:
        return () if given is None else (_key(given, KEY_VARIABLE),)
    try:
        lines = file.expanduser().read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise TokenError(f"cannot read the key file {str(file)!r}: {reason}") from error
    keys = tuple(_key(line, f"{file}:{number}") for number, line in enumerate(lines, 1) if line.strip())
    if not keys:
        raise TokenError(f"{file}: there is no key in it")
    return keys


def _key(text: str, where: str) -> bytes:
    key = text.strip().encode()
    if len(key) < MIN_KEY_BYTES:
        raise TokenError(
            f"{where}: a key is at least {MIN_KEY_BYTES} characters; make one with: "
            "python -c 'import secrets; print(secrets.token_hex(32))'"
        )
    return key
