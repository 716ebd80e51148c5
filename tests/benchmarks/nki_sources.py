"""Public NKI kernels as they lie in their repositories: the part of a file that a kernel needs, uncut and unchanged.

A file may import other packages beside NKI, and hold tests: what of it is taken is the entry point and, by name, every
function, class and constant that it leads to, also in other files of its package.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

NKI = ("nki", "neuronxcc")
ALSO = ("math", "numpy", "typing", "functools", "itertools", "operator", "dataclasses", "enum", "__future__")
# What the published harnesses put above a kernel that is printed without its imports.
PREAMBLES = {
    "nki2": "import math\nimport nki\nimport nki.isa as nisa\nimport nki.language as nl\nimport numpy as np\n",
    "nki1": "import math\nimport numpy as np\nfrom neuronxcc import nki\nimport neuronxcc.nki.isa as nisa\n"
    "import neuronxcc.nki.language as nl\nimport neuronxcc.nki.typing as nt\n"
    "from neuronxcc.nki.language import par_dim\n",
}


class Source(NamedTuple):
    text: str
    version: str  # nki1, nki2


class CutError(Exception):
    """The kernel cannot be taken out of its file."""


def source_of(
    path: Path, entry: str, preamble: str | None, text: str | None = None, helpers: Path | None = None
) -> Source:
    """`text`: instead of what the file holds; then nothing is taken from files beside it. `helpers`: a file for names
    that the kernel's own lacks. Raises CutError, OSError, SyntaxError."""
    taken = _Taken(path, text, helpers)
    taken.take(path, entry)
    head = PREAMBLES[preamble] if preamble else ""
    cut = head + "".join(f"{line}\n" for line in sorted(taken.imports)) + "\n\n".join(taken.pieces) + "\n"
    return Source(cut, "nki1" if "neuronxcc" in head + "".join(taken.imports) else "nki2")


class _Taken:
    """Imports and definitions in an order in which they can run."""

    def __init__(self, path: Path, text: str | None, helpers: Path | None) -> None:
        self.imports: set[str] = set()
        self.pieces: list[str] = []
        self._where: dict[str, tuple[Path, ast.stmt]] = {}
        self._files: dict[Path, tuple[str, dict[str, ast.stmt]]] = {}
        self._alone = text is not None
        self._helpers = self._file(helpers)[1] if helpers else {}
        self._helpers_path = helpers
        if text is not None:
            self._files[path] = _parsed(text)

    def take(self, path: Path, name: str) -> None:
        text, names = self._file(path)
        statement = names.get(name)
        if statement is None:
            raise CutError(f"{path.name} has no {name!r}")
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            self._imported(path, statement, name)
            return
        if name in self._where:
            if self._where[name] != (path, statement):
                raise CutError(f"{name!r} of {path.name} and of {self._where[name][0].name} differ")
            return
        for each in _bound(statement):
            self._where[each] = (path, statement)
        for needed in _free(statement):
            if needed in names:
                self.take(path, needed)
            elif needed in self._helpers and self._helpers_path:
                self.take(self._helpers_path, needed)
        first = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", ()))])
        self.pieces.append("\n".join(text.split("\n")[first - 1 : statement.end_lineno]))

    def _file(self, path: Path) -> tuple[str, dict[str, ast.stmt]]:
        if path not in self._files:
            self._files[path] = _parsed(path.read_text(encoding="utf-8"))
        return self._files[path]

    def _imported(self, path: Path, statement: ast.Import | ast.ImportFrom, name: str) -> None:
        alias = next(each for each in statement.names if (each.asname or each.name.split(".")[0]) == name)
        written = f" as {alias.asname}" if alias.asname else ""
        if isinstance(statement, ast.Import):
            if alias.name.split(".")[0] in (*NKI, *ALSO):
                self.imports.add(f"import {alias.name}{written}")
            return
        module = statement.module or ""
        if not statement.level and module.split(".")[0] in (*NKI, *ALSO):
            self.imports.add(f"from {module} import {alias.name}{written}")
            return
        other = None if self._alone else _local(path, module, statement.level)
        if other is None:
            return  # of another package: whatever needs it will say so when it runs
        if alias.asname:
            raise CutError(f"{path.name} imports {alias.name!r} under another name")
        self.take(other, alias.name)


def _parsed(text: str) -> tuple[str, dict[str, ast.stmt]]:
    statements = list(_top(ast.parse(text).body))
    return text, {name: each for each in statements for name in _bound(each)}


def _local(path: Path, module: str, level: int) -> Path | None:
    """The file of the same repository that an import means."""
    tail = Path(*module.split(".")) if module else Path()
    roots = [path.parents[level - 1]] if level else list(path.parents)[:8]
    for root in roots:
        for candidate in (
            root / tail.with_suffix(".py") if module else root / "__init__.py",
            root / tail / "__init__.py",
        ):
            if candidate.is_file():
                return candidate
    return None


def _top(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a module, also those that it guards by try or if."""
    for statement in body:
        guard = isinstance(statement, ast.If) and "__main__" not in ast.unparse(statement.test)
        if isinstance(statement, ast.Try) or guard:
            yield from _top(statement.body)  # type: ignore[attr-defined]
        else:
            yield statement


def _bound(statement: ast.stmt) -> list[str]:
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return [statement.name]
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name.split(".")[0] for alias in statement.names]
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return [node.id for target in targets if target for node in ast.walk(target) if isinstance(node, ast.Name)]


def _free(statement: ast.stmt) -> list[str]:
    """Names that a definition mentions, in the order in which it does."""
    found = [node.id for node in ast.walk(statement) if isinstance(node, ast.Name)]
    texts = [
        node.value for node in ast.walk(statement) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    quoted = [text for text in texts if text.isidentifier()]  # annotations in quotes
    return list(dict.fromkeys((*found, *quoted)))
