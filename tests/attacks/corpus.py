"""The corpus: one file per kernel, its header says what it is and what must become of it.

    tests/attacks/TARGET/NAME.c|py|cu          an attack: must be refused
    tests/attacks/TARGET/honest/NAME.c|py|cu   an honest kernel, however unusual: must pass

The header is the leading block of comment lines `key: value` and is cut off before anyone else sees the source:

    // row: 7                        of the table in tests/attacks/README.md; attacks only
    // what: reads the output of the kernel before it
    // problem: nvidia/sgemm-64x64x64
    // verdict: wrong_result         attacks only: the verdict, or the type of the error that refuses the source
    // says: never written           attacks only, optional: a part of the message
    // engine: cpusim                optional: not the target's default
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
KINDS = {".c": "//", ".cu": "//", ".py": "#"}
_LINE = re.compile(r"(?://|#) *(row|what|problem|verdict|says|engine): *(.+)")


class Kernel(NamedTuple):
    path: Path
    target: str
    what: str
    problem: str
    source: str
    row: int | None = None
    verdict: str | None = None
    says: str | None = None
    engine: str | None = None

    @property
    def name(self) -> str:
        return self.path.relative_to(HERE).with_suffix("").as_posix()

    @property
    def triton(self) -> bool:
        return self.target == "nvidia" and self.path.suffix == ".py"


class HeaderError(ValueError):
    """A file of the corpus that does not say what it is."""


def attacks(target: str | None = None) -> list[Kernel]:
    return [kernel for kernel in _all(target) if kernel.path.parent.name != "honest"]


def honest(target: str | None = None) -> list[Kernel]:
    return [kernel for kernel in _all(target) if kernel.path.parent.name == "honest"]


def read(path: Path) -> Kernel:
    """Raises HeaderError."""
    lines = path.read_text().splitlines(keepends=True)
    fields: dict[str, str] = {}
    for line in lines:
        if not (match := _LINE.fullmatch(line.rstrip())):
            break
        fields[match[1]] = match[2]
    wanted = {"what", "problem"} if path.parent.name == "honest" else {"row", "what", "problem", "verdict"}
    if missing := wanted - set(fields):
        raise HeaderError(f"{path}: the header lacks {', '.join(sorted(missing))}")
    row = fields.pop("row", None)
    return Kernel(
        path=path,
        target=path.relative_to(HERE).parts[0],
        source="".join(lines[len(fields) + (row is not None) :]),
        row=int(row) if row else None,
        **fields,
    )


def _all(target: str | None) -> Iterator[Kernel]:
    for path in sorted((HERE / target if target else HERE).rglob("*")):
        if path.suffix in KINDS and path.parent != HERE:
            yield read(path)
