"""Text of NKI kernels, line by line; blocks indent what is written inside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_INDENT = "    "
IMPORTS = ("import nki", "import nki.isa as nisa", "import nki.language as nl", "", "")


class Writer:
    def __init__(self) -> None:
        self._lines: list[str] = []
        self._depth = 0

    def put(self, *lines: str) -> None:
        self._lines += [_INDENT * self._depth + line if line else "" for line in lines]

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """`head` without its colon."""
        self.put(f"{head}:")
        self._depth += 1
        yield
        self._depth -= 1

    @contextmanager
    def block_if(self, wanted: bool, head: str) -> Iterator[None]:
        """A block where it is wanted, else its body alone."""
        if wanted:
            with self.block(head):
                yield
        else:
            yield

    def tile(self, name: str, shape: str, dtype: str = "nl.float32", buffer: str = "sbuf") -> None:
        self.put(f"{name} = nl.ndarray(({shape}), dtype={dtype}, buffer=nl.{buffer})")

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"
