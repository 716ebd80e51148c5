"""A run's snapshots for the page inside a host, which has no network: as a resource that it reads through the host.

The log of a run is a line for the whole as it was when first asked for, and a line for each time something was new: a
snapshot as JSON, deflated, in base64. The page reads on from where it was, in parts that hosts let through.
"""

from __future__ import annotations

import json
import secrets
from collections import OrderedDict
from pathlib import Path
from threading import Lock

from ...agent.runs.journal import Journal
from .following import Following
from .page import pack

MAX_PART = 192 * 1024  # characters
MAX_LOGS = 4


class _Log:
    """`identity`: of this log; another process, or a later one, has another of the same run."""

    def __init__(self, journal: Journal, run_id: str) -> None:
        self.identity = secrets.token_hex(4)
        self.text = ""
        self.lock = Lock()
        self._following = Following(journal, run_id)

    def read_on(self) -> None:
        if (news := self._following.news()) is not None:
            self.text += pack(news.json_text()) + "\n"


class Logs:
    """Those of the runs looked at last. For threads."""

    def __init__(self, place: str | Path) -> None:
        """`place`: of the runs (agent/runs/database.py)."""
        self._place = place
        self._logs: OrderedDict[str, _Log] = OrderedDict()
        self._lock = Lock()

    def part(self, run_id: str, identity: str, offset: int) -> str:
        """JSON: `log`, its identity; `text` from `offset` on; `next`, where to read on; `more`, whether there is more
        now. Of another log than `identity` from its beginning. Raises UnknownRunError."""
        with self._lock:
            log = self._logs.get(run_id)
            if log is None:
                log = self._logs[run_id] = _Log(Journal(self._place), run_id)
            self._logs.move_to_end(run_id)
            while len(self._logs) > MAX_LOGS:
                self._logs.popitem(last=False)
        with log.lock:
            start = offset if identity == log.identity and 0 <= offset <= len(log.text) else 0
            if start == len(log.text):
                log.read_on()
            text = log.text[start : start + MAX_PART]
            end = start + len(text)
            return json.dumps({"log": log.identity, "text": text, "next": end, "more": end < len(log.text)})
