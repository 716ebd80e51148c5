"""Problems in folders (problem.toml, a first kernel, maybe reference.py), and where folders may be."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

from ..errors import InvalidProblemError, UsageError
from ..kernel_source import MAX_SOURCE_BYTES
from .definition import FIRST_KERNELS, MAX_PYTHON, Definition, OwnProblem, checked, first_kernel, parsed

ROOTS_VARIABLE = "AUTOCOMP_PROBLEMS"
PROBLEM_FILE, REFERENCE_FILE = "problem.toml", "reference.py"
MAX_TOML = 64 << 10
MAX_FOLDERS = 100
MAX_PATH = 1024


class OutsideError(UsageError):
    """A path that leads out of the folders that the operator of this server allowed, or one where none is allowed."""


def roots() -> tuple[Path, ...]:
    """The folders that AUTOCOMP_PROBLEMS names, `:` between them (`serve --problem-root` sets it)."""
    return tuple(Path(name).expanduser() for name in os.environ.get(ROOTS_VARIABLE, "").split(os.pathsep) if name)


def is_path(problem: str) -> bool:
    """Whether it names a folder, not an id: ids have neither a leading dot, slash or tilde nor a backslash."""
    return problem.startswith((".", "/", "~")) or "\\" in problem or "\0" in problem


def allowed(path: str, roots: Sequence[Path]) -> Path:
    """The file or folder, relative to one of the roots, links followed. Raises OutsideError, which tells nothing about
    what lies elsewhere."""
    shown = repr(path if len(path) <= 80 else path[:80] + "…")
    if not roots:
        raise OutsideError(
            f"{shown}: this server reads no problems from files; whoever runs it can allow a folder with "
            f"`serve --problem-root DIR`, or {ROOTS_VARIABLE}"
        )
    named = " or ".join(map(str, roots))
    if len(path) > MAX_PATH or "\0" in path:
        raise OutsideError(f"{shown} is no path below {named}")
    for root in roots:
        try:
            whole = root.resolve(strict=True)
            found = (whole / path).resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            continue
        if found.is_relative_to(whole):
            return found
    raise OutsideError(f"{shown} is no file or folder below {named}")


def read_folder(folder: Path, within: Path | None = None) -> Definition:
    """Raises InvalidProblemError, which names the file and where it can the line. `within`: files that lead out of that
    folder are refused."""
    file = folder / PROBLEM_FILE
    if not os.path.lexists(file):
        hint = "does not exist; `autocomp-mcp problem new NAME` writes a folder to start from"
        raise InvalidProblemError(PROBLEM_FILE, hint, str(folder))
    text = _text(file, MAX_TOML, within)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidProblemError("TOML", str(error), str(file)) from error
    except RecursionError as error:
        raise InvalidProblemError("TOML", "nested too deeply", str(file)) from error
    first = first_kernel(str(data.get("target", "gemmini")))
    for field, instead in (("kernel", first.file), ("reference_file", REFERENCE_FILE)):
        if field in data:
            raise InvalidProblemError(field, f"belongs in the file {instead} beside it", _place(file, text, field))
    python = folder / REFERENCE_FILE
    try:
        given = parsed(data)
        if first.needed or os.path.lexists(folder / first.file):
            given = given.model_copy(update={"kernel": _text(folder / first.file, MAX_SOURCE_BYTES, within)})
        return checked(given, _text(python, MAX_PYTHON, within) if os.path.lexists(python) else None)
    except InvalidProblemError as error:
        if (
            error.field in (REFERENCE_FILE, *(kernel.file for kernel in FIRST_KERNELS.values()))
            and error.file is not None
        ):
            raise
        raise InvalidProblemError(error.field, error.what, _place(file, text, error.field)) from error


def read_inline(given: OwnProblem, roots: Sequence[Path]) -> Definition:
    """Of what a caller sent. Raises InvalidProblemError, OutsideError."""
    if given.reference_file is None:
        return checked(given)
    if given.reference is not None:
        raise InvalidProblemError("reference_file", "give either reference or reference_file")
    if not given.reference_file.endswith(".py"):
        raise InvalidProblemError("reference_file", "names no Python file (.py)")
    return checked(given, _text(allowed(given.reference_file, roots), MAX_PYTHON, None))


def folders(roots: Sequence[Path]) -> list[tuple[Path, Path]]:
    """(root, folder) of the problems below: the root itself and the folders in it, by name."""
    found: list[tuple[Path, Path]] = []
    for root in roots:
        try:
            whole = root.resolve(strict=True)
            inside = [whole, *sorted(path for path in whole.iterdir() if path.is_dir())]
        except OSError:
            continue
        found += [(whole, path) for path in inside if (path / PROBLEM_FILE).is_file()]
    return found[:MAX_FOLDERS]


def _text(file: Path, limit: int, within: Path | None) -> str:
    try:
        if within is not None and not file.resolve(strict=True).is_relative_to(within.resolve(strict=True)):
            raise InvalidProblemError(file.name, "is a link that leads out of the allowed folder", str(file))
        if not file.is_file():
            what = "is no regular file" if file.exists() else "does not exist"
            raise InvalidProblemError(file.name, what, str(file.parent))
        with file.open("rb") as opened:
            data = opened.read(limit + 1)
        if len(data) > limit:
            raise InvalidProblemError(file.name, f"is longer than {limit} bytes", str(file))
        return data.decode()
    except FileNotFoundError as error:
        raise InvalidProblemError(file.name, "does not exist", str(file.parent)) from error
    except OSError as error:
        raise InvalidProblemError(file.name, f"cannot be read: {error.strerror}", str(file)) from error
    except UnicodeDecodeError as error:
        raise InvalidProblemError(file.name, f"is not UTF-8 text (byte {error.start})", str(file)) from error


def _place(file: Path, text: str, field: str) -> str:
    """The file, and the line that the field is on."""
    stem = re.split(r"[\[:]", field)[0]
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*\[?\s*[\"']?{re.escape(stem)}\b", line):
            return f"{file}, line {number}"
    return str(file)
