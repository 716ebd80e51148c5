"""A terminal for the real command: a pty, and what a person would see on its screen."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyte

CONTROL = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")
NOT_OURS = ("COLUMNS", "LINES", "CI", "NO_COLOR", "FORCE_COLOR", "PYTHONIOENCODING")


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_")) and k not in NOT_OURS}
    return kept | {"AUTOCOMP_HOME": str(home), "TERM": "xterm-256color"} | more


# In one process, because starting one costs more than most commands; it ends with the first failure's status.
RUN = """
import sys
from itertools import groupby
from autocomp_mcp.__main__ import main

for between, words in groupby(sys.argv[1:], lambda word: word == ";"):
    if not between:
        sys.argv[1:] = words
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise
"""
FAINT, BLINK = 2, 5


class _Screen(pyte.Screen):
    """pyte knows no faint letters: those blink here, which nothing of ours does."""

    def select_graphic_rendition(self, *attrs: int, **more: Any) -> None:
        super().select_graphic_rendition(*(BLINK if attr == FAINT else attr for attr in attrs), **more)


class Terminal:
    """`autocomp-mcp` on a terminal of its own; with `;` between them several commands, one after the other. `text`: all
    that it has written; `screen`: what is to be seen now."""

    def __init__(
        self,
        args: list[str],
        home: Path,
        columns: int,
        rows: int = 30,
        stdout: int | None = None,
        look: bool = True,
        **more: str,
    ) -> None:
        """`look`: keep its screen, which takes time where megabytes are written."""
        self._look = look
        self._ours, theirs = os.openpty()
        self._screen = _Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._size(columns, rows)
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, *args] if ";" in args else [sys.executable, "-m", "autocomp_mcp", *args],
            stdin=theirs, stdout=theirs if stdout is None else stdout, stderr=theirs, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that ^C reaches it as from a keyboard
            env=environment(home, **more),
        )  # fmt: skip
        os.close(theirs)
        self.text = ""

    def _size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns: int, rows: int) -> None:
        self._screen.resize(rows, columns)
        self._size(columns, rows)

    @property
    def screen(self) -> list[str]:
        return [line.rstrip() for line in self._screen.display]

    def cells(self, row: int) -> list[Any]:
        """Characters with their colours."""
        return [self._screen.buffer[row][column] for column in range(self._screen.columns)]

    @property
    def title(self) -> str:
        return self._screen.title

    @property
    def cursor_shown(self) -> bool:
        return not self._screen.cursor.hidden

    def read(self) -> bool:
        """Take in more of the output; False at its end."""
        try:
            part = os.read(self._ours, 65536)
        except OSError:  # Linux says so when the last process has left the terminal
            part = b""
        if self._look:
            self._stream.feed(part)
        self.text += part.decode(errors="replace")
        return bool(part)

    def read_until(self, found: Callable[[str], object]) -> None:
        """`found`: of all that was written so far."""
        deadline = time.monotonic() + 120
        while not found(self.text):
            assert time.monotonic() < deadline and self.read(), self.text

    def watch_until(self, found: Callable[[str], object]) -> list[str]:
        """The screen, once `found` is true of its text."""
        self.read_until(lambda text: found("\n".join(self.screen)))
        return self.screen

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def end(self) -> int:
        while self.read():
            pass
        os.close(self._ours)
        return self.process.wait()
