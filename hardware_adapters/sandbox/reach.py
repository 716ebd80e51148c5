"""What a program is shown of this machine, said as places in the file system."""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

Kind = Literal["read", "write", "device", "link", "empty", "blank"]

# Programs and libraries of the system, no settings and no data of anybody's. NixOS and Guix keep theirs in stores.
SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store",
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives",
)  # fmt: skip
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
# Where people and services keep what is theirs; programs that need the whole machine see these empty.
PRIVATE = (
    "/root",
    "/home",
    "/Users",
    "/run",
    "/var/run",
    "/var/tmp",
    "/var/lib",
    "/var/spool",
    "/mnt",
    "/media",
    "/srv",
)
SECRET_FILES = ("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers", "/etc/krb5.keytab")
KEY_FILE_VARIABLES = ("_KEY_FILE", "_TOKEN_FILE", "_CREDENTIALS", "_CREDENTIALS_FILE", "KUBECONFIG", "NETRC")
SHOW_VARIABLE = "AUTOCOMP_SANDBOX_SHOW"
MAX_LINKS = 40


class Reach(NamedTuple):
    """What a program may reach beside the folder that it runs in, which it may write to.

    `read`: files and folders it is shown; the system's programs and libraries always are. `write`: further places.
    `devices`: device files, by patterns. `wide`: it is shown everything but what is private, read-only: for vendors'
    software whose needs nobody knows. `processes`: whether it may start any; `tasks`: how many, threads included.
    `debugging`: it is a debugger or profiler of its own children.
    """

    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    devices: tuple[str, ...] = ()
    wide: bool = False
    processes: bool = True
    tasks: int = 512
    debugging: bool = False


class Place(NamedTuple):
    kind: Kind
    path: str
    target: str = ""  # of a link


def toolchain(binary: str | Path, *more: Path) -> Reach:
    """For a compiler: its installation and these further files."""
    return Reach((*installation(Path(binary)), *more))


def interpreter(*more: Path, write: tuple[Path, ...] = ()) -> Reach:
    """For a program in this Python: its installation, this package's adapters and these further files; no processes."""
    return Reach((*_python(sys.executable), *more), write, processes=False, tasks=64)


def devices(*patterns: str, read: tuple[Path, ...] = (), debugging: bool = False) -> Reach:
    """For a vendor's software that drives devices with these patterns of names."""
    return Reach(read, devices=patterns, wide=True, debugging=debugging)


@lru_cache
def installation(binary: Path) -> tuple[Path, ...]:
    """Where a program's own files are: the folder above the `bin` it lies in, unless that holds somebody's files."""
    found = []
    for path in (binary, binary.resolve()):
        folder = path.parent.parent if path.parent.name == "bin" else path.parent
        home = Path.home().resolve()
        everything = folder == Path(folder.anchor) or folder in (home, *home.parents) or folder.resolve() == home
        found.append(path.parent if everything else folder)
    return tuple(dict.fromkeys((*found, binary)))  # the last for the links on the way to it


@lru_cache
def _python(executable: str) -> tuple[Path, ...]:
    package = Path(__file__).parents[2]
    folders = [Path(prefix) for prefix in {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}]
    folders += [Path(folder) for folder in site.getsitepackages()]
    folders += installation(Path(executable))
    return (*(f for f in folders if f != Path("/")), package / "__init__.py", package / "hardware_adapters")


def places(reach: Reach, folder: Path) -> list[Place]:
    """In the order in which they have to be set up: what hides comes before what is shown below it."""
    shown = [Path(name) for name in os.environ.get(SHOW_VARIABLE, "").split(os.pathsep) if name]
    found: dict[str, Place] = {}
    for place in (*_wide(), *_private()) if reach.wide else _narrow():
        found[place.path] = place
    for path in (*reach.read, *shown):
        _add(found, "read", path)
    for pattern in reach.devices:
        for path in sorted(Path("/dev").glob(pattern)):
            _add(found, "device", path)
    for path in (*reach.write, folder):
        _add(found, "write", path)
    kept = found.values()
    hidden = [place.path for place in kept if place.kind == "empty"]
    if reach.wide:
        kept = [p for p in kept if p.kind in ("empty", "blank", "device", "write") or _below(p.path, hidden)]
    return sorted(_needed(list(kept), hidden), key=lambda place: place.path)


@lru_cache
def _narrow() -> tuple[Place, ...]:
    found: dict[str, Place] = {}
    for name in SYSTEM:
        _add(found, "read", Path(name))
    for name in DEVICES:
        _add(found, "device", Path(name))
    return (*found.values(), Place("empty", "/tmp"), Place("empty", "/dev/shm"))


@lru_cache
def _wide() -> tuple[Place, ...]:
    homes = {*PRIVATE, str(Path.home()), os.path.realpath(Path.home())}
    hidden = [name for name in homes if Path(name).is_dir() and not Path(name).is_symlink() and name != "/"]
    found = {name: Place("empty", name) for name in (*hidden, "/tmp", "/dev", "/dev/shm")}
    for name in SECRET_FILES:
        if Path(name).is_file():
            found[name] = Place("blank", name)
    for name in DEVICES:
        _add(found, "device", Path(name))
    return tuple(found.values())


def _private() -> Iterator[Place]:
    """This user's state, and files with keys that the environment names."""
    from ..store import Home

    home = Home().path
    if home.is_dir():
        yield Place("empty", os.path.realpath(home))
    for variable, name in os.environ.items():
        if variable.endswith(KEY_FILE_VARIABLES) and Path(name).is_file():
            yield Place("blank", os.path.realpath(name))


def _add(found: dict[str, Place], kind: Kind, path: Path) -> None:
    for place in _resolved(kind, str(path.absolute())):
        before = found.get(place.path)
        if before is None or before.kind in ("read", "empty") or place.kind == "write":
            found[place.path] = place


def _resolved(kind: Kind, path: str) -> Iterator[Place]:
    """The links on the way to a place, and the place they lead to; nothing for what is not there."""
    for _ in range(MAX_LINKS):
        link = _first_link(path)
        if link is None:
            if os.path.lexists(path):
                yield Place(kind, path)
            return
        target = os.readlink(link)  # noqa: PTH115
        yield Place("link", link, target)
        path = os.path.normpath(os.path.join(os.path.dirname(link), target) + path[len(link) :])  # noqa: PTH118, PTH120


@lru_cache(maxsize=4096)
def _is_link(path: str) -> bool:
    return os.path.islink(path)  # noqa: PTH114


def _first_link(path: str) -> str | None:
    end = path.find("/", 1)
    while end > 0:
        if _is_link(path[:end]):
            return path[:end]
        end = path.find("/", end + 1)
    return path if os.path.islink(path) else None  # noqa: PTH114


def _needed(found: Sequence[Place], hidden: Iterable[str]) -> Iterator[Place]:
    """Without what is shown already as a part of another place."""
    read = [place.path for place in found if place.kind == "read"]
    for place in found:
        if place.kind in ("read", "link"):
            above = [path for path in read if _below(place.path, [path])]
            if any(not _hidden_between(place.path, path, hidden) for path in above):
                continue
        yield place


def _hidden_between(path: str, above: str, hidden: Iterable[str]) -> bool:
    """Whether something hides the place from what is above it."""
    return any(_below(path, [name]) and _below(name, [above]) for name in hidden)


def _below(path: str, folders: Iterable[str]) -> bool:
    return any(path != folder and path.startswith(folder.rstrip("/") + "/") for folder in folders)
