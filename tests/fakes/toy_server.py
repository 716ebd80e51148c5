"""The synthetic target as a server process of its own, over HTTP: toy_server.py PORT LOG BEHAVIOUR."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

HOST = "127.0.0.1"
AS_USUAL: dict[str, Any] = {
    "delay_s": 0.02, "failures": 0, "hangs": 0, "refuses_more_than": None, "version": None, "knows": True,
    "rtl_here": True, "conditions": "as usual", "status": None,
}  # fmt: skip


class ToyServer:
    """A server that works on two evaluations at once. `evaluated`: digests of the kernels that it judged, in order."""

    def __init__(self, folder: Path, name: str) -> None:
        self._log = folder / f"{name}.log"
        self._most = folder / f"{name}.most"
        self._behaviour = folder / f"{name}.json"
        self.port = _free_port()
        self.url = f"http://{HOST}:{self.port}/mcp"
        self.anew()
        self.start()

    def start(self) -> None:
        """Also again, at the same address."""
        command = [sys.executable, __file__, str(self.port), str(self._log), str(self._behaviour)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def wait(self) -> Self:
        """Until it listens."""
        for _ in range(6000):
            assert self.process.poll() is None
            with suppress(OSError), socket.create_connection((HOST, self.port), 1):
                return self
            time.sleep(0.01)
        raise AssertionError("it does not listen")

    def anew(self, **behaviour: Any) -> Self:
        """Nothing evaluated yet, and from now on this behaviour: attributes of Landscape besides AS_USUAL."""
        self._log.write_text("")
        self._most.write_text("0")
        fresh = self._behaviour.with_suffix(".new")
        fresh.write_text(json.dumps(AS_USUAL | behaviour | {"told": time.monotonic_ns()}))
        fresh.replace(self._behaviour)
        return self

    @property
    def evaluated(self) -> list[str]:
        return self._log.read_text().split()

    @property
    def most_under_way(self) -> int:
        """Evaluations that it had at once."""
        return int(self._most.read_text())

    @property
    def gone(self) -> bool:
        return self.process.poll() is not None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """It hangs: connections are taken by the system, and nobody answers."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def main(port: int, log: Path, behaviour: Path) -> None:
    import uvicorn
    from landscape import Landscape
    from starlette.responses import Response

    landscape = Landscape(log_file=log, at_once=2)
    landscape.most_file = log.with_suffix(".most")
    inner = landscape.server.streamable_http_app(host=HOST)
    known = ""

    def behave() -> None:
        nonlocal known
        now = behaviour.read_text()
        if now != known:
            landscape.most_under_way = 0
            for name, value in json.loads(now).items():
                setattr(landscape, name, value)
        known = now

    async def app(scope: Any, receive: Any, send: Any) -> None:
        behave()
        if landscape.status is not None and scope["type"] == "http":
            await Response("not now", landscape.status)(scope, receive, send)
            return
        await inner(scope, receive, send)

    config = uvicorn.Config(app, host=HOST, port=port, log_level="error", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
