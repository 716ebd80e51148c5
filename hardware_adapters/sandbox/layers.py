"""Which layers of confinement this machine has: found out by trying them, once per process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from ..errors import EnvironmentLackError

Mode = Literal["auto", "own", "bubblewrap", "limits"]
MODE_VARIABLE = "AUTOCOMP_SANDBOX"
REQUIRE_VARIABLE = "AUTOCOMP_REQUIRE_SANDBOX"
SPACES = ("user", "mount", "pid", "net", "ipc", "uts")
TRIAL_S = 10.0
_OWN_PROC = "--security-opt systempaths=unconfined (Docker: or unmask=ALL, Podman; Kubernetes: procMount: Unmasked)"
_USER_SPACES = (
    "allow user name spaces: in a container with --security-opt seccomp=PROFILE (deploy/seccomp.json, or unconfined) "
    f"and {_OWN_PROC}, on Ubuntu `sysctl kernel.apparmor_restrict_unprivileged_userns=0` or install bubblewrap with "
    "its AppArmor profile, elsewhere `sysctl user.max_user_namespaces=10000`"
)


class Layer(NamedTuple):
    """`by`: what it is made of here, or why there is none. `mend`: how to get it."""

    name: str
    active: bool
    by: str
    mend: str = ""


class Found(NamedTuple):
    """What trying has shown. `errors`: by name of what was tried, 0 where it works. `launcher` is None where it could
    not be built, `why` then tells; `bubblewrap` where it is not there or does not work."""

    launcher: Path | None
    errors: Mapping[str, int]
    bubblewrap: Path | None
    why: str = ""

    def works(self, name: str) -> bool:
        return self.launcher is not None and self.errors.get(name, 1) == 0

    @property
    def own_spaces(self) -> bool:
        return all(self.works(name) for name in ("mount", "pid", "net", "ipc", "proc"))


class Sandbox(NamedTuple):
    """How programs are confined here. `way`: who makes the name spaces; "limits" for nobody."""

    way: Literal["own", "bubblewrap", "limits"]
    found: Found
    layers: tuple[Layer, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(layer.name for layer in self.layers if not layer.active)

    @property
    def active(self) -> tuple[str, ...]:
        return tuple(layer.name for layer in self.layers if layer.active)


class SandboxLackError(EnvironmentLackError):
    """The sandbox was required, and this machine does not have all of its layers."""

    def __init__(self, layers: tuple[Layer, ...]) -> None:
        self.missing = tuple(layer.name for layer in layers if not layer.active)
        why = "; ".join(f"{layer.name} ({layer.by})" for layer in layers if not layer.active)
        super().__init__(
            f"the sandbox is required ({REQUIRE_VARIABLE} or --require-sandbox), and this machine lacks: {why}. "
            "`autocomp-mcp doctor` says how to get each"
        )


def mode() -> Mode:
    """Raises EnvironmentLackError for a word that is none."""
    word = os.environ.get(MODE_VARIABLE) or "auto"
    if word not in ("auto", "own", "bubblewrap", "limits"):
        raise EnvironmentLackError(f"{MODE_VARIABLE}={word!r} is none of auto, own, bubblewrap, limits")
    return word  # type: ignore[return-value]


def sandbox_required() -> bool:
    return os.environ.get(REQUIRE_VARIABLE, "") not in ("", "0")


def chosen(found: Found, wanted: Mode) -> Sandbox:
    """bubblewrap is preferred where it works, but for root: only a process name space of our own limits how many
    processes he starts."""
    root = sys.platform == "linux" and os.geteuid() == 0
    if wanted == "limits" or sys.platform != "linux":
        way = "limits"
    elif wanted == "own":
        way = "own" if found.own_spaces else "limits"
    elif found.bubblewrap is not None and (wanted == "bubblewrap" or not root or not found.own_spaces):
        way = "bubblewrap"
    else:
        way = "own" if found.own_spaces and wanted != "bubblewrap" else "limits"
    return Sandbox(way, found, tuple(_layers(found, way, wanted, root)))


def _layers(found: Found, way: str, wanted: Mode, root: bool) -> list[Layer]:
    reason = _reason(found, wanted)
    filtered = found.works("filter") and wanted != "limits"
    landlock = found.works("landlock") and wanted != "limits"
    inside = way != "limits"
    maker = "bubblewrap" if way == "bubblewrap" else "a name space of its own"
    files = Layer("files", True, f"{maker}: read-only but for a scratch folder")
    if not inside:
        files = Layer("files", landlock, "Landlock rules" if landlock else reason)
    network = Layer("network", True, f"{maker}: nothing but its own loopback")
    if not inside:
        by = "system calls are filtered: no sockets but local ones" if filtered else reason
        network = Layer("network", filtered, by)
    space = Layer("processes", inside, f"{maker}: sees no other, and all end with it" if inside else reason)
    calls = Layer("system calls", filtered, "a seccomp filter" if filtered else reason)
    privileges = Layer("privileges", filtered, "no_new_privs, no capabilities" if filtered else reason)
    counted = inside and not (root and way == "bubblewrap")
    counting = "their number is limited" if counted else "their number is not limited but where none may be started"
    if sys.platform != "linux":
        counting = "their number is not limited"
    limits = Layer(
        "limits", True, f"memory, processor time, file size, disk, output, wall clock; processes: {counting}"
    )
    bare = Layer("environment", True, "minimal, no descriptors")
    made = (files, space, network, calls, privileges, limits, bare)
    return [layer._replace(mend="" if layer.active else _mend(found, wanted)) for layer in made]


def _reason(found: Found, wanted: Mode) -> str:
    if sys.platform != "linux":
        return f"not on {sys.platform}: limits of resources only"
    if wanted == "limits":
        return f"switched off by {MODE_VARIABLE}=limits"
    if found.launcher is None:
        return found.why or "the launcher was not built"
    wrong = [f"{name}: {os.strerror(number)}" for name, number in found.errors.items() if number]
    return "not allowed here: " + (", ".join(wrong) or "bubblewrap does not work")


def _mend(found: Found, wanted: Mode) -> str:
    if sys.platform != "linux":
        return "run it on Linux, or in a Linux container or virtual machine"
    if wanted == "limits":
        return f"unset {MODE_VARIABLE}"
    if all(map(found.works, SPACES)) and not found.works("proc"):
        return f"something is mounted over parts of /proc, as containers have it: start them with {_OWN_PROC}"
    return _USER_SPACES


# ------------------------------------------------------------ trying


def try_launcher(launcher: Path) -> dict[str, int]:
    answer = _asked([str(launcher), "probe"])
    if answer is None or answer.returncode != 0:
        return {}
    words = (line.split() for line in answer.stdout.splitlines())
    return {name: int(number) for name, number in words}


def try_bubblewrap() -> Path | None:
    """Where it is, when a trial run with all that we ask of it works."""
    path = shutil.which("bwrap")
    if path is None:
        return None
    command = [
        path, "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--die-with-parent",
        "--ro-bind", "/", "/", "--tmpfs", "/tmp", "--proc", "/proc", "--dev", "/dev", "--remount-ro", "/tmp", "/bin/sh",
        "-c", "exit 42",
    ]  # fmt: skip
    answer = _asked(command)
    return Path(path) if answer is not None and answer.returncode == 42 else None


def _asked(command: list[str]) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=TRIAL_S, stdin=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
