"""Which public kernels there are to run: entries of public_kernels.yaml, and the kernels that a trace holds."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from nki_traces import replaced, traced

MANIFEST = Path(__file__).parents[1] / "data" / "trainium" / "public_kernels.yaml"


class Kernel(NamedTuple):
    """`group`: collection and folder. `root`: the collection's checkout. `text`: where it is not the file's own."""

    group: str
    root: Path
    path: Path
    facts: dict[str, Any]
    text: str | None = None
    number: int | None = None  # in its trace

    @property
    def file(self) -> str:
        return f"{self.group}/{self.facts['file']}"

    @property
    def name(self) -> str:
        entry = self.facts.get("entry", "")
        number = "" if self.number is None else f"[{self.number}]"
        return f"{self.file}{number}{':' + entry if entry else ''}"

    @property
    def helpers(self) -> Path | None:
        return self.root / self.facts["helpers"] if "helpers" in self.facts else None

    @property
    def measured_ms(self) -> float | None:
        """On the machine on which it is estimated."""
        return self.facts.get("published_ms", {}).get(self.facts.get("machine", "trn2"))


def kernels(folder: Path) -> list[Kernel]:
    """One for each entry; no file is read but the manifest."""
    data = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    found = []
    for group in data["groups"]:
        collection = data["collections"][group["collection"]]
        common = {key: value for key, value in group.items() if key not in ("collection", "folder")}
        title = f"{group['collection']}/{group['folder']}" + (f"@{group['commit'][:7]}" if "commit" in group else "")
        root = folder / collection["folder"]
        for entry in data["kernels"][group["folder"]]:
            found.append(Kernel(title, root, root / group["folder"] / entry["file"], {**common, **entry}))
    return found


def texts(kernel: Kernel) -> Iterator[Kernel]:
    """The kernel with the text that it has at its commit; of a trace every kernel.

    Raises OSError, SyntaxError, ValueError.
    """
    if "commit" in kernel.facts:
        kernel = kernel._replace(text=_at_commit(kernel))
    if not kernel.facts.get("trace"):
        yield kernel
        return
    for number, each in enumerate(traced(kernel.text or kernel.path.read_text(encoding="utf-8"))):
        facts = {**kernel.facts, **kernel.facts.get("numbers", {}).get(number, {})}
        facts["published_ms"] = {facts["trace"]: each.measured_ms}
        yield kernel._replace(facts=facts, text=replaced(each.code, facts.get("replace", [])), number=number)


def _at_commit(kernel: Kernel) -> str:
    name = f"{kernel.facts['commit']}:{kernel.path.relative_to(kernel.root).as_posix()}"
    done = subprocess.run(["git", "-C", str(kernel.root), "show", name], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"git show {name}: {done.stderr.strip()}")
    return done.stdout
