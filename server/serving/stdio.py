"""stdio without a thread that waits for the next line: the SDK's own reader can only be ended by ending the process."""

from __future__ import annotations

import codecs
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
import anyio.lowlevel
from mcp.server.stdio import stdio_server

CHUNK_BYTES = 1 << 16


@asynccontextmanager
async def stdio_streams() -> AsyncIterator[tuple[Any, Any]]:
    """The SDK's streams for stdin and stdout. Meanwhile descriptor 0 is the null device, so that no child reads what
    the client sends; descriptor 1 the SDK points at stderr."""
    wire = os.dup(0)
    try:
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        lines = cast("anyio.AsyncFile[str]", _Lines(wire))
        async with stdio_server(stdin=lines) as streams:
            yield streams
    finally:
        os.dup2(wire, 0)
        os.close(wire)


class _Lines:
    """The lines of a descriptor, as UTF-8. Waiting for one can be cancelled."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._ready = False

    async def __aiter__(self) -> AsyncIterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        parts: list[str] = []
        while True:
            await self._wait()
            data = os.read(self._descriptor, CHUNK_BYTES)
            first, *more = decoder.decode(data, final=not data).split("\n")
            parts.append(first)
            for line in more:
                yield "".join(parts)
                parts = [line]
            if not data:
                if last := "".join(parts):
                    yield last
                return

    async def _wait(self) -> None:
        if not self._ready:
            try:
                await anyio.wait_readable(self._descriptor)
                return
            except PermissionError:
                self._ready = True  # a file, or the null device: always ready, and not to be waited for
        await anyio.lowlevel.checkpoint()
