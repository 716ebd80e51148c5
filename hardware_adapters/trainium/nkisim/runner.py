"""The process in which a kernel runs: reads a job, simulates every input set, writes outputs and a report.

Started as `python -I -m …`, in a folder of its own. Nothing the kernel can name leads to files, processes or this
module; limits and an audit hook stand behind that.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import types
from pathlib import Path
from typing import Any

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def _leave_the_network() -> None:
    """A network name space of its own, where the system allows that; before any library starts a thread."""
    try:
        import ctypes

        ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    except (OSError, AttributeError):
        return


_FORBIDDEN = ("open", "os.", "socket.", "subprocess.", "ctypes.", "shutil.", "import", "pty.", "fcntl.", "mmap.")


class _Guard:
    """While it is armed, what touches the host is refused, whoever calls it. An audit hook cannot be taken away."""

    def __init__(self) -> None:
        self.armed = False
        sys.addaudithook(self._look)

    def _look(self, event: str, arguments: Any) -> None:
        if self.armed and event.startswith(_FORBIDDEN):
            raise PermissionError(f"a kernel may not {event}")


def main() -> int:
    folder = Path(sys.argv[1])
    _leave_the_network()
    from .modules import kernel_globals
    from .session import run_job  # with NumPy, and all that it imports when first used

    job = json.loads((folder / "job.json").read_text())
    source = (folder / "kernel.py").read_text(encoding="utf-8")
    sys.modules["kernel"] = types.ModuleType("kernel")  # dataclasses look it up
    for limit, value in ((resource.RLIMIT_NPROC, 0), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(limit, (value, value))
    sys.setrecursionlimit(400)
    guard = _Guard()

    def confined(call: Any, *arguments: Any) -> Any:
        files = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, files[1]))
        guard.armed = True
        try:
            return call(*arguments)
        finally:
            guard.armed = False
            resource.setrlimit(resource.RLIMIT_FSIZE, files)

    report = run_job(job, source, folder, confined, kernel_globals)
    (folder / "report.json").write_text(json.dumps(report))
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)
