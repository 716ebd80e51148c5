"""How a browser, which sends no Authorization header by itself, shows that it may look: a cookie, sealed by the server.

The cookie says who and until when, and opens reports only. It is not the caller's token: cookies are sent to every
server of the same host, whatever its port.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Sequence

COOKIE = "autocomp_report"
LASTS_S = 12 * 3600
_PURPOSE = b"autocomp report "


class Passes:
    """Seals with the first key, opens with any."""

    def __init__(self, keys: Sequence[bytes] = (), clock: Callable[[], float] = time.time) -> None:
        self._keys = [hashlib.sha256(_PURPOSE + key).digest() for key in keys or (secrets.token_bytes(32),)]
        self._clock = clock
        self._tickets: set[str] = set()

    def seal(self, caller: str) -> str:
        said = f"{int(self._clock()) + LASTS_S}:{caller}".encode()
        return f"{base64.urlsafe_b64encode(said).decode()}.{_mark(self._keys[0], said)}"

    def opens(self, cookie: str) -> bool:
        body, dot, mark = cookie.partition(".")
        try:
            said = base64.urlsafe_b64decode(body.encode())
            until = int(said.partition(b":")[0])
        except ValueError:
            return False
        known = [hmac.compare_digest(_mark(key, said).encode(), mark.encode()) for key in self._keys]
        return bool(dot) and any(known) and self._clock() < until

    def ticket(self) -> str:
        """For one visit: who shows it first gets a cookie."""
        ticket = secrets.token_urlsafe(24)
        self._tickets.add(ticket)
        return ticket

    def takes(self, ticket: str) -> bool:
        if ticket not in self._tickets:
            return False
        self._tickets.discard(ticket)
        return True


def _mark(key: bytes, said: bytes) -> str:
    return hmac.new(key, said, hashlib.sha256).hexdigest()
