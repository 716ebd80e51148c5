"""Commands of autocomp-mcp as processes that start at once: forked from one that has imported everything already.

For tests that kill hundreds of them. Each is a session leader with an environment and files of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

PRELOADED = [
    "anthropic", "mcp", "mcp.client.streamable_http", "numpy", "uvicorn", "pydantic", "typer",
    "autocomp_mcp.server.cli", "autocomp_mcp.server.commands.searching", "autocomp_mcp.server.app",
    "autocomp_mcp.server.serving.http",
    "autocomp_mcp.agent.models.anthropic", "autocomp_mcp.hardware_adapters.gemmini.adapter",
    "autocomp_mcp.hardware_adapters.gemmini.embedded",
]  # fmt: skip


class Command:
    """`said` and `complained` are files, so that nothing blocks when nobody reads."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *words: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.said, self.complained = folder / "stdout", folder / "stderr"
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([*PRELOADED, __name__])
        self.process: BaseProcess = context.Process(
            target=_run, args=(dict(environment), str(self.said), str(self.complained), words)
        )
        self.process.start()

    @property
    def ended(self) -> bool:
        return self.process.exitcode is not None

    def kill(self) -> None:
        self.process.kill()
        self.process.join(30)

    def wait(self, patience_s: float) -> int | None:
        self.process.join(patience_s)
        return self.process.exitcode


def _run(environment: dict[str, str], said: str, complained: str, words: tuple[str, ...]) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    null = os.open(os.devnull, os.O_RDONLY)
    files = [null, *(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600) for name in (said, complained))]
    for place, file in enumerate(files):
        os.dup2(file, place)
    sys.stdin = os.fdopen(0)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    sys.argv = ["autocomp-mcp", *words]
    from autocomp_mcp.__main__ import main

    main()
