"""Programs we start end with the call that started them."""

import sys
import time
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.process import Finished, Limits, minimal_environment, run


def python(folder: Path, code: str, **limits: float) -> Finished:
    async def main() -> Finished:
        settings = Limits(wall_s=20)._replace(**limits)  # type: ignore[arg-type]
        return await run([sys.executable, "-c", code], cwd=folder, env=minimal_environment(folder), limits=settings)

    return anyio.run(main)


def alive(pid: int) -> bool:
    """Whether the process still runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pid_file: Path) -> bool:
    pid = int(pid_file.read_text())
    for _ in range(100):
        if not alive(pid):
            return True
        time.sleep(0.05)
    return False


def test_output_and_status(tmp_path: Path) -> None:
    done = python(tmp_path, "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert done == Finished(3, "out\n", "err\n", timed_out=False, truncated=False)


def test_output_is_capped_and_the_writer_not_blocked(tmp_path: Path) -> None:
    done = python(tmp_path, "print('x' * 3_000_000)", output_bytes=1000)
    assert (done.returncode, len(done.stdout), done.truncated) == (0, 1000, True)


def test_the_environment_is_minimal_and_stdin_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary-7fd1")
    done = python(tmp_path, "import os, sys; print(dict(os.environ), repr(sys.stdin.read()))")
    assert "canary-7fd1" not in done.stdout
    assert "''" in done.stdout


SLEEPER = """
import subprocess, sys, time, os
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open("parent", "w").write(str(os.getpid())); open("child", "w").write(str(child.pid))
open("ready", "w").close()
time.sleep(60)
"""


def test_a_timeout_ends_the_whole_group(tmp_path: Path) -> None:
    done = python(tmp_path, SLEEPER, wall_s=3)
    assert done.timed_out
    assert gone(tmp_path / "parent")
    assert gone(tmp_path / "child")


def test_cancellation_ends_the_whole_group(tmp_path: Path) -> None:
    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(
                lambda: run(
                    [sys.executable, "-c", SLEEPER], cwd=tmp_path, env=minimal_environment(tmp_path), limits=Limits()
                )
            )
            while not (tmp_path / "ready").exists():  # noqa: ASYNC110
                await anyio.sleep(0.02)
            tasks.cancel_scope.cancel()

    anyio.run(main)
    assert gone(tmp_path / "parent")
    assert gone(tmp_path / "child")


def test_an_orphan_that_keeps_the_pipe_open_does_not_hold_us(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open('child', 'w').write(str(child.pid)); print('done')"
    )
    done = python(tmp_path, code, wall_s=30)
    assert (done.stdout, done.timed_out) == ("done\n", False)
    assert gone(tmp_path / "child")


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs Linux limits")
def test_files_and_memory_are_limited(tmp_path: Path) -> None:
    code = "f = open('big', 'wb')\nfor _ in range(64): f.write(bytes(1 << 20))"
    assert python(tmp_path, code, file_bytes=4 << 20).returncode != 0
    assert (tmp_path / "big").stat().st_size <= 4 << 20
    assert python(tmp_path, "x = bytearray(3 << 30)", memory_bytes=1 << 30).returncode != 0
