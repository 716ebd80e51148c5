"""`autocomp-mcp serve` as a process of its own, for tests that talk to it over real HTTP."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

INITIALIZE = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}},
}  # fmt: skip
# Each turn takes the simulator so long that its limit of instructions is hours away.
ENDLESS = """#include "gemmini_api.h"
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_st_ext(1024, NOACT, 1.0f);
  config_ld(1024, 1.0f, 16, 0);
  config_ld(1024, 1.0f, 16, 1);
  for (;;) gemmini_loop_ws(5, 5, 51, 0, 0, 0, A, B, NULL, C, 1024, 1024, 0, 1024, 0, 0, 0, 0, 0, NOACT, 0, 0, 0);
}
"""
LARGE = "gemmini/gemm-1024x1024x1024"


BUILDS_VARIABLE = "TESTS_BUILDS"  # the cache of builds that the session's tests share


def with_builds(home: Path, builds: Path) -> Path:
    """Makes the folder, which has nothing yet, a home with these builds."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "cache").symlink_to(builds)
    return home


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    """A home that is new gets the shared builds."""
    if BUILDS_VARIABLE in os.environ and not home.exists():
        with_builds(home, Path(os.environ[BUILDS_VARIABLE]))
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_"))}
    return env | {"AUTOCOMP_HOME": str(home)} | more


class Serving:
    """A server that listens. `said` has its stderr, line by line, and goes on growing."""

    def __init__(self, home: Path, *options: str, address: str = "127.0.0.1:0", **env: str) -> None:
        command = [sys.executable, "-m", "autocomp_mcp", "serve", "--http", address, *options]
        self.process = subprocess.Popen(
            command, env=clean_environment(home, **env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.said: list[str] = []
        assert self.process.stderr
        url = None
        for line in self.process.stderr:
            self.said.append(line)
            if found := re.search(r"http://\S+", line):
                url = found[0]
                break
        assert url, "the server did not say where it listens: " + "".join(self.said)
        self.url = url.replace("//0.0.0.0:", "//127.0.0.1:")
        self.port = urlsplit(self.url).port or 0
        self._reader = threading.Thread(target=self.said.extend, args=(self.process.stderr,), daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.terminate()
        self.process.wait(30)
        self._reader.join(10)
        assert self.process.stdout
        self.process.stdout.close()

    def post(self, body: Any = INITIALIZE, **headers: str) -> Answer:
        """Sends JSON; `headers` with `_` for `-`."""
        sent = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", "/mcp", body if isinstance(body, bytes) else json.dumps(body).encode(), sent)

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            with suppress(ConnectionError):  # it may hang up before all has been sent
                connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read().decode())
        finally:
            connection.close()


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: str) -> None:
        self.status, self.headers, self.body = status, headers, body

    def __repr__(self) -> str:
        return f"{self.status} {self.headers} {self.body[:500]}"
