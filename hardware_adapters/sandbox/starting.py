"""From a command and what it may reach to the command that starts it confined."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread

from .layers import (
    SPACES,
    Found,
    Mode,
    Sandbox,
    SandboxLackError,
    chosen,
    mode,
    sandbox_required,
    try_bubblewrap,
    try_launcher,
)
from .reach import Place, Reach, places

if TYPE_CHECKING:
    from ..process import Limits
    from ..store import Home
    from ..toolchain import HostProgram

SOURCES = Path(__file__).parent / "launcher"
BUILD_FLAGS = ("-O2", "-std=gnu11")
FAILED = 125  # the launcher's status when it is at fault itself
SAYS = "autocomp-sandbox: "
_known: dict[tuple[Path, Mode], Sandbox] = {}


async def sandbox() -> Sandbox:
    """How programs are confined here. At first use the launcher is built, and each layer tried."""
    from ..store import Home

    home, wanted = Home(), mode()
    key = (home.path, wanted)
    if key not in _known:
        _known[key] = chosen(await _tried(home, wanted), wanted)
    return _known[key]


async def check_required() -> Sandbox:
    """Raises SandboxLackError where the sandbox is required and not complete."""
    found = await sandbox()
    if sandbox_required() and found.missing:
        raise SandboxLackError(found.layers)
    return found


def host_program() -> HostProgram:
    """The launcher."""
    from ..toolchain import HostProgram

    sources = sorted(path for path in SOURCES.iterdir() if path.suffix in (".c", ".h"))
    return HostProgram("launcher", sources, (*BUILD_FLAGS, "-I", str(SOURCES)))


async def _tried(home: Home, wanted: Mode) -> Found:
    from ..errors import AdapterError
    from ..toolchain import build_host_program

    if sys.platform != "linux" or wanted == "limits":
        return Found(None, {}, None)
    why = ""
    try:
        launcher = await build_host_program(home, host_program())
    except (AdapterError, OSError) as error:
        launcher, why = None, f"the launcher cannot be built: {str(error)[:300]}"
    errors = await anyio.to_thread.run_sync(try_launcher, launcher) if launcher else {}
    found = Found(launcher, errors, None, why)
    if wanted == "own" or (wanted == "auto" and os.geteuid() == 0 and found.own_spaces):
        return found
    return found._replace(bubblewrap=await anyio.to_thread.run_sync(try_bubblewrap))


def wrapped(
    found: Sandbox, command: Sequence[str | Path], reach: Reach, limits: Limits, folder: Path
) -> list[str] | None:
    """The command that starts `command` in `folder` confined; None where there is nothing here but limits."""
    words = [str(word) for word in command]
    launcher = found.found.launcher
    if found.way == "bubblewrap":
        assert found.found.bubblewrap is not None
        inner = [str(launcher), *_limits(found, limits, reach), "--folder", str(folder), "--"] if launcher else []
        shown = places(reach._replace(read=(*reach.read, launcher)) if launcher else reach, folder)
        return [str(found.found.bubblewrap), *_bubblewrapped(shown, reach, folder), *inner, *words]
    if launcher is None or mode() == "limits":
        return None
    options = _limits(found, limits, reach)
    if found.way == "own":
        spaces = ",".join(name for name in SPACES if found.found.works(name))
        options += ["--spaces", spaces, "--proc", *(["--wide"] if reach.wide else [])]
        options += _placed(places(reach, folder))
    elif found.found.works("landlock"):
        options += ["--landlock", *_placed(_allowed(places(reach, folder), reach))]
    return [str(launcher), *options, "--folder", str(folder), "--", *words]


def _limits(found: Sandbox, limits: Limits, reach: Reach) -> list[str]:
    options = ["--cpu", str(limits.cpu_s), "--file-bytes", str(limits.file_bytes)]
    if limits.memory_bytes:
        options += ["--memory", str(limits.memory_bytes)]
    if found.found.works("filter"):
        options.append("--filter")
    if not reach.processes:
        options.append("--no-processes")
    if reach.debugging:
        options.append("--debugging")
    if found.way == "limits":
        options.append("--no-network")
    elif found.way == "bubblewrap" or found.found.works("user"):
        options += ["--tasks", str(reach.tasks)]
    return options


def _placed(shown: Sequence[Place]) -> list[str]:
    words: list[str] = []
    for place in shown:
        words += [f"--{place.kind}", *([place.target] if place.kind == "link" else []), place.path]
    return words


def _allowed(shown: Sequence[Place], reach: Reach) -> list[Place]:
    """For rules that can only allow: what is not hidden, of a program that is shown everything."""
    if not reach.wide:
        return list(shown)
    hidden = {place.path for place in shown if place.kind == "empty"}
    top = [str(path) for path in Path("/").iterdir()]
    rest = [name for name in top if not any(h == name or h.startswith(name + "/") for h in hidden) and name != "/proc"]
    beside = [
        str(path)
        for name in top
        if name not in hidden and name not in rest and name != "/proc"
        for path in Path(name).iterdir()
        if str(path) not in hidden
    ]
    return [*(Place("read", name) for name in (*rest, *beside)), *shown]


def _bubblewrapped(shown: Sequence[Place], reach: Reach, folder: Path) -> list[str]:
    words = ["--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--die-with-parent"]
    words += ["--ro-bind", "/", "/"] if reach.wide else []
    for place in shown:
        match place.kind:
            case "read":
                words += ["--ro-bind-try", place.path, place.path]
            case "write":
                words += ["--bind", place.path, place.path]
            case "device":
                words += ["--dev-bind-try", place.path, place.path]
            case "link":
                words += ["--symlink", place.target, place.path]
            case "empty":
                words += ["--tmpfs", place.path]
            case "blank":
                words += ["--ro-bind-try", "/dev/null", place.path]
    return [
        *words,
        "--proc",
        "/proc",
        "--remount-ro",
        "/proc",
        "--remount-ro",
        "/",
        "--chdir",
        str(folder),
        "--cap-drop",
        "ALL",
        "--",
    ]


def failure(returncode: int, stderr: str) -> str | None:
    """What the launcher, or bubblewrap, says of itself when it could not do its work."""
    if returncode == FAILED and stderr.startswith(SAYS):
        return stderr.partition("\n")[0].removeprefix(SAYS)
    if returncode == 1 and stderr.startswith("bwrap: "):
        return stderr.partition("\n")[0]
    return None


def status(way: str, returncode: int) -> int:
    """bubblewrap tells of a signal as a shell does."""
    return 128 - returncode if way == "bubblewrap" and 128 < returncode < 193 else returncode
