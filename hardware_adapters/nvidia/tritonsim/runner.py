"""The process in which a Triton kernel runs: reads a job, interprets or compiles the kernel, writes a report.

Started as `python -I -m …`, in a folder of its own. What the kernel can name was screened before; limits, a network
name space of its own and an audit hook stand behind that.
"""

from __future__ import annotations

import io
import json
import linecache
import os
import resource
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import KERNEL

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_FORBIDDEN = ("open", "os.", "socket.", "subprocess.", "ctypes.", "shutil.", "import", "pty.", "fcntl.", "mmap.")
_BUILTINS = (
    "abs", "all", "any", "bool", "dict", "divmod", "enumerate", "float", "int", "len", "list", "map",
    "max", "min", "pow", "range", "reversed", "round", "set", "sorted", "str", "sum", "tuple", "zip", "ArithmeticError",
    "AssertionError", "IndexError", "KeyError", "NotImplementedError", "RuntimeError", "TypeError", "ValueError",
)  # fmt: skip
IMPORTABLE = ("triton", "triton.language", "math", "typing", "__future__")


def _leave_the_network() -> None:
    """A network name space of its own, where the system allows that; before any library starts a thread."""
    try:
        import ctypes

        ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    except (OSError, AttributeError):
        return


class _Guard:
    """While it is armed, what touches the host is refused, whoever calls it. An audit hook cannot be taken away."""

    def __init__(self) -> None:
        self.armed = False
        sys.addaudithook(self._look)

    def _look(self, event: str, arguments: Any) -> None:
        if self.armed and event.startswith(_FORBIDDEN):
            raise PermissionError(f"a kernel may not {event} {str(arguments[0])[:80] if arguments else ''}".rstrip())

    def __call__(self, call: Callable[..., Any], *arguments: Any) -> Any:
        self.armed = True
        try:
            return call(*arguments)
        finally:
            self.armed = False


def _import(name: str, names: Any = None, locals_: Any = None, wanted: Any = (), level: int = 0) -> Any:
    if level or name not in IMPORTABLE:
        raise ImportError(f"a kernel can import {', '.join(IMPORTABLE)}, not {name}")
    return sys.modules[name if wanted else name.partition(".")[0]]


def load(source: str, path: Path, guard: _Guard) -> dict[str, Any]:
    """The names that the file defines. Raises what the file raises."""
    import builtins

    # Triton reads the text of every kernel again, when no file may be opened any more.
    # Lines as Python counts them: str.splitlines would end some where Python does not.
    linecache.cache[str(path)] = (len(source), None, io.StringIO(source).readlines(), str(path))
    allowed = {name: getattr(builtins, name) for name in _BUILTINS} | {"__import__": _import}
    module = types.ModuleType("kernel")
    sys.modules["kernel"] = module
    names = vars(module)
    names.update({"__builtins__": allowed, "__file__": str(path)})
    guard(exec, compile(source, str(path), "exec"), names)
    return names


def main() -> int:
    folder = Path(sys.argv[1])
    _leave_the_network()
    job = json.loads((folder / "job.json").read_text())
    os.environ["TRITON_INTERPRET"] = "1" if job["mode"] == "interpret" else "0"
    path = folder / KERNEL
    source = path.read_text(encoding="utf-8")
    import math  # noqa: F401 - kernels import these while nothing can be loaded any more
    import typing  # noqa: F401

    if job["mode"] == "interpret":
        from .interpreting import run_job

        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    else:
        from .compiling import run_job
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    guard = _Guard()
    report = run_job(job, folder, guard, lambda: load(source, path, guard))
    (folder / "report.json").write_text(json.dumps(report))
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)
