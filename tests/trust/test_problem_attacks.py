"""Problems of one's own as an attack: what a folder, a definition and a reference's Python can try."""

from __future__ import annotations

import os
import random
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.base import InvalidProblemError, UsageError
from autocomp_mcp.hardware_adapters.custom import reference
from autocomp_mcp.hardware_adapters.custom.definition import Definition, checked, parsed
from autocomp_mcp.hardware_adapters.custom.scaffold import write
from autocomp_mcp.hardware_adapters.registry import adapter_for
from autocomp_mcp.hardware_adapters.sandbox import sandbox
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.server.app import build_server
from autocomp_mcp.tools.bench import Bench
from faults import running
from mcp import Client

pytestmark = pytest.mark.trust
ROW = "attacks refused, problems of one's own"
CANARY = "canary-7f3d-of-nobodys-business"
GIVEN: dict[str, Any] = {
    "name": "mean",
    "dims": {"M": 16, "N": 32},
    "inputs": ["A: int8[M, N]", "B: int8[M, N]"],
    "outputs": ["C: int8[M, N]"],
    "kernel": "#include <stdint.h>\nvoid solution(const int8_t *A, const int8_t *B, int8_t *C) {}\n",
}


@pytest.fixture
def home(tmp_path: Path, make_home: Callable[[Path], Path]) -> Home:
    return Home(make_home(tmp_path / "home"))


@pytest.fixture
def server() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def define(python: str | None = None, **changes: Any) -> Definition:
    return checked(parsed({**GIVEN, **changes}), python)


def computed(python: str) -> np.ndarray:
    zeros = np.zeros((16, 32), np.int8)
    return anyio.run(reference.results, define(python), [{"A": zeros, "B": zeros}])[0]["C"]


# ---------------------------------------------------------------- what a reference reaches

# Each sets `got` if it succeeds; all of them are right references otherwise.
REACHES = {
    "reads a key of the user": "got = CANARY in open(SECRET).read()",
    "lists the folder of the key": "got = bool(os.listdir(os.path.dirname(SECRET)))",
    "writes into the home": "open(HOME + '/mine', 'w').write('x')\ngot = True",
    "plants a program": "open(HOME + '/cache/gemsim', 'w').write('x')\ngot = True",
    "reads the server's environment": "got = ENVIRONMENT in open(f'/proc/{SERVER}/environ', 'rb').read()",
    "reads all environments": "got = any(ENVIRONMENT in _environment(n) for n in os.listdir('/proc') if n.isdigit())",
    "looks for it in its own": "got = CANARY in str(dict(os.environ))",
    "finds the server's process": "os.kill(SERVER, 0)\ngot = True",
    "connects to a server": "import socket\nsocket.create_connection(('127.0.0.1', PORT), 2)\ngot = True",
    "asks for a name": "import socket\ngot = bool(socket.getaddrinfo('example.org', 80))",
    "forks": "got = os.fork() >= 0\nos._exit(0) if not got else None",
    "starts a shell": "import subprocess\ngot = subprocess.run(['/bin/sh', '-c', 'true']).returncode == 0",
    "changes the judge's code": "open(JUDGE, 'a').write('# mine')\ngot = True",
    "follows a link it made": "os.symlink(SECRET, 'link')\ngot = CANARY in open('link').read()",
    "uses a descriptor it was left": "got = any(os.write(n, b'x') for n in range(3, 64) if _is_open(n))",
}
HEAD = """
import os
def _is_open(n):
    try:
        return bool(os.readlink(f'/proc/self/fd/{n}'))
    except OSError:
        return False
def _environment(n):
    try:
        return open(f'/proc/{n}/environ', 'rb').read()
    except OSError:
        return b''
def reference(A, B):
    got = False
    try:
"""
END = """
    except Exception:
        got = False
    return (A + B) // 2 + (1 if got else 0)
"""


def chosen(names: Any, how_many: Callable[[int, int], int], sampled: int) -> list[str]:
    ordered = sorted(names)
    return sorted(random.Random(7).sample(ordered, min(len(ordered), how_many(sampled, len(ordered)))))


def test_a_reference_reaches_nothing(
    home: Home, tmp_path: Path, server: int, monkeypatch: pytest.MonkeyPatch, score, how_many
) -> None:
    found = anyio.run(sandbox)
    if found.missing:
        why = f"this machine lacks layers of the sandbox ({found.missing}): what references reach was NOT tested"
        warnings.warn(why, stacklevel=1)
        pytest.skip(why)
    monkeypatch.setenv("ANTHROPIC_API_KEY", CANARY)
    monkeypatch.setenv("AUTOCOMP_HOME", str(home.path))
    (tmp_path / "secrets").mkdir()
    secret = tmp_path / "secrets" / "key"
    secret.write_text(CANARY)
    judge = reference.__file__
    before = Path(judge).read_bytes()
    known: dict[str, object] = {
        "SECRET": str(secret),
        "HOME": str(home.path),
        "SERVER": os.getpid(),
        "PORT": server,
        "JUDGE": judge,
    }
    known["ENVIRONMENT"] = Path("/proc/self/environ").read_bytes()[:400]
    names = "".join(f"{name} = {value!r}\n" for name, value in {**known, "CANARY": CANARY}.items())
    for what in chosen(REACHES, how_many, 10):
        body = "".join(f"        {line}\n" for line in REACHES[what].splitlines())
        result = computed(names + HEAD + body + END)
        held = not result.any()
        score(ROW, held)
        assert held, f"a reference {what}"
    assert Path(judge).read_bytes() == before
    assert not (home.path / "mine").exists()


EXHAUSTS = {
    "loops": ("while True: pass", "stopped after"),
    "sleeps": ("import time; time.sleep(1000)", "stopped after"),
    "prints 100 MB": ("for _ in range(1600): print('x' * (1 << 16))", "printed without end"),
    "takes 8 GiB": ("kept = bytearray(8 << 30)", "MemoryError|memory"),
    "writes 2 GiB": ("f = open('big', 'wb')\nfor _ in range(2048): f.write(bytes(1 << 20))", "size of a file|Errno 27"),
    "makes 30,000 files": ("for n in range(30000): open(str(n), 'w').close()\nimport time; time.sleep(5)", "disk"),
    "recurses": ("def f(): f()\nf()", "RecursionError"),
    "kills itself at its end": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "status -11"),
    "opens many files": ("kept = [open('/dev/null') for _ in range(100000)]", "Too many open files|OSError"),
}


def test_a_reference_exhausts_nothing(monkeypatch: pytest.MonkeyPatch, score, how_many) -> None:
    for what in chosen(EXHAUSTS, how_many, 6):
        text, why = EXHAUSTS[what]
        patient = what.startswith(("loops", "sleeps"))
        monkeypatch.setattr(reference, "WALL_S", 1.5 if patient else 30.0)
        body = "".join(f"    {line}\n" for line in text.splitlines())
        with pytest.raises(InvalidProblemError) as caught:
            computed(f"def reference(A, B):\n{body}    return (A + B) // 2\n")
        held = any(word in str(caught.value) for word in why.split("|"))
        left = running(lambda process: "autocomp-reference-" in process.folder)
        mine = [process for process in left if process.alive and _is_mine(process.pid)]
        score(ROW, held and not mine)
        assert held and not mine, f"a reference that {what}: {caught.value}; left: {mine}"


def _is_mine(pid: int) -> bool:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return int(fields[1]) == os.getpid()


# ---------------------------------------------------------------- what a definition says

DEFINITIONS: dict[str, dict[str, Any]] = {
    "a dimension of a billion": {"dims": {"M": 10**9, "N": 32}},
    "a dimension without end": {"dims": {"M": 10**400, "N": 32}},
    "no extent": {"dims": {"M": 0, "N": 32}},
    "a negative extent": {"dims": {"M": -16, "N": 32}},
    "a shape of large products": {"inputs": ["A: int8[M * M * M * M * N]", "B: int8[M, N]"]},
    "a tower of powers for a shape": {"inputs": ["A: int8[M ** M ** M ** M]", "B: int8[M, N]"]},
    "a tower of powers for the work": {"macs": "M ** M ** M ** M"},
    "a shift without end": {"macs": "1 << (1 << M * N)"},
    "a thousand inputs": {"inputs": [f"X{n}: int8[M]" for n in range(1000)]},
    "forty dimensions": {"inputs": [f"A: int8[{', '.join('1' * 40)}]", "B: int8[M, N]"]},
    "a name that leads elsewhere": {"name": "../../etc/passwd"},
    "a name with a slash": {"name": "gemm/16x16x16"},
    "a name with a NUL": {"name": "mean\0"},
    "a name of a megabyte": {"name": "a" * (1 << 20)},
    "a target that is a path": {"target": "../gemmini"},
    "a tensor with a name of Python's": {"inputs": ["__class__: int8[M, N]", "B: int8[M, N]"]},
    "a tensor named as another": {"inputs": ["A: int8[M, N]", "A: int8[M, N]"]},
    "an expression that imports": {"reference": "__import__('os').system('true')"},
    "an expression that reads": {"reference": "np.fromfile('/etc/passwd')"},
    "an expression that loads code": {"reference": "np.load('x.npy', allow_pickle=True)"},
    "an expression by way of a class": {"reference": "A.__class__.__mro__"},
    "an expression of nothing but brackets": {"reference": "(" * 5000 + "A" + ")" * 5000},
}


@pytest.mark.parametrize("what", DEFINITIONS)
def test_a_definition_is_refused(what: str, home: Home, score) -> None:
    began = time.process_time()
    with pytest.raises(UsageError) as caught:
        definition = define(**{"reference": "(A + B) // 2", **DEFINITIONS[what]})
        adapter_for(f"{definition.target}/{definition.name}", home)
        zeros = {tensor.name: np.zeros(tensor.shape, np.int8) for tensor in definition.inputs}
        anyio.run(reference.results, definition, [zeros])
    held = len(str(caught.value)) < 2500 and time.process_time() - began < 20
    score(ROW, held)
    assert held, str(caught.value)[:3000]


@pytest.mark.parametrize("name", ["gemm", "gemm-16x16x16", "conv", "tinympc-forward-12x4x9", "custom", "custom-gemm"])
def test_a_name_takes_no_other_problems_place(name: str, home: Home, score) -> None:
    adapter = adapter_for("gemmini/gemm-16x16x16", home)
    before = adapter.problem("gemmini/gemm-16x16x16")
    try:
        definition = define(name=name, reference="(A + B) // 2")
    except UsageError:
        score(ROW, True)
        return
    own = definition.id.startswith(f"gemmini/custom-{name}-")
    held = own and adapter.problem("gemmini/gemm-16x16x16") == before
    score(ROW, held)
    assert held, definition.id


# ---------------------------------------------------------------- where a folder leads


def _linked(place: Path, secret: Path, file: str) -> None:
    (place / file).unlink(missing_ok=True)
    (place / file).symlink_to(secret)


def _piped(place: Path, file: str) -> None:
    (place / file).unlink()
    os.mkfifo(place / file)


FOLDERS: dict[str, Callable[[Path, Path], object]] = {
    "the definition is a link": lambda place, secret: _linked(place, secret, "problem.toml"),
    "the kernel is a link": lambda place, secret: _linked(place, secret, "kernel.c"),
    "the reference is a link": lambda place, secret: _linked(place, secret, "reference.py"),
    "the kernel is a link to a device": lambda place, secret: _linked(place, Path("/dev/zero"), "kernel.c"),
    "the kernel is a link to itself": lambda place, secret: _linked(place, place / "kernel.c", "kernel.c"),
    "the kernel is a pipe": lambda place, secret: _piped(place, "kernel.c"),
    "the definition is a pipe": lambda place, secret: _piped(place, "problem.toml"),
    "the kernel has 4 GiB": lambda place, secret: os.truncate(place / "kernel.c", 4 << 30),
    "the definition names a file": lambda place, secret: (place / "problem.toml").write_text(
        (place / "problem.toml").read_text() + f'\nreference_file = "{secret}"\n'
    ),
    "the kernel includes a file": lambda place, secret: (place / "kernel.c").write_text(f'#include "{secret}"\n'),
}  # fmt: skip
PATHS = (
    "../secrets",
    "{secret}",
    "mine/../../secrets/key",
    "link",
    "~",
    "/",
    "/etc",
    "./mine/./../../secrets",
    "mine\0",
)


@pytest.mark.parametrize("what", [*FOLDERS, *PATHS])
def test_a_folder_leads_nowhere_else(what: str, home: Home, tmp_path: Path, score) -> None:
    """Over MCP, where a caller names folders below a root; a user's own command line may read what he may."""
    root = tmp_path / "root"
    write("mine", root / "mine", python=True)
    (tmp_path / "secrets").mkdir()
    secret = tmp_path / "secrets" / "key"
    secret.write_text(f"{CANARY} = 1\n")
    (root / "link").symlink_to(tmp_path / "secrets")
    path = "./mine" if what in FOLDERS else what.format(secret=secret)
    if what in FOLDERS:
        FOLDERS[what](root / "mine", secret)

    async def main() -> tuple[bool, str]:
        async with Client(build_server(Bench(home, roots=(root,)))) as client:
            with anyio.fail_after(60):
                listed = await client.call_tool("list_problems", {})
                result = await client.call_tool("get_problem", {"problem": path})
            return bool(result.is_error), f"{listed.content} {result.content}"

    refused, text = anyio.run(main)
    held = refused and CANARY not in text
    score(ROW, held)
    assert held, text[:3000]
