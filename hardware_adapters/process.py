"""Runs a program (compiler, simulator, a candidate) so that nothing of it outlives the call, and nothing that it prints
or writes can hurt us. With a `reach` it is confined by all that this machine has for it (see `sandbox/`)."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE
from typing import TYPE_CHECKING, Literal, NamedTuple

import anyio
import anyio.abc
import anyio.to_thread

from .errors import EngineFailure

if TYPE_CHECKING:
    from .sandbox import Reach

# The limits are set by the shell that then becomes the program: no code of ours runs between fork and exec, where
# a threaded parent could deadlock. A limit that a platform does not know is skipped. Units: s, 512-byte blocks, KiB.
# At its processor time a program gets SIGXCPU, so that SIGKILL is nobody's but ours, or of somebody outside.
_LIMITED = 'ulimit -c 0; ulimit -S -t {cpu}; ulimit -H -t {hard}; ulimit -f {file} 2>/dev/null; {memory} exec "$@"'
# Our end of stdin closes when we die, however: then the group goes too. The program itself has an empty stdin.
_WATCHED = "exec 3<&0 </dev/null; (read -r _ <&3; kill -9 -$$) >/dev/null 2>&1 & exec 3<&-; "
CPU_GRACE_S = 2
DRAIN_S = 0.2
LOOK_S = 0.2  # between two looks at what a program has written
FLOOD = 64  # times the output that is kept: nobody honest prints so much
MAX_FILES = 20_000

Limit = Literal["wall", "cpu", "file", "disk", "output"]
_WORDS = {
    "wall": "it was stopped at its limit of time",
    "cpu": "it was stopped at its limit of processor time",
    "file": "it was stopped at its limit of the size of a file",
    "disk": "it was stopped at its limit of disk: it had filled its folder",
    "output": "it was stopped at its limit of output: it printed without end",
}
IDLE_SHARE = 0.1
TELLING_S = 3.0  # on a busy machine less says nothing


class Limits(NamedTuple):
    """What one process may use. Sizes in bytes; output is what we keep of each of stdout and stderr; a program that
    prints FLOOD times as much, or at least 64 MiB, is ended. `disk_bytes`: what its folder may grow by, by default
    four files of the largest size."""

    wall_s: float = 60.0
    file_bytes: int = 128 << 20
    memory_bytes: int | None = 4 << 30
    output_bytes: int = 1 << 20
    processors: int = 1  # that the program may keep busy
    disk_bytes: int | None = None

    @property
    def cpu_s(self) -> int:
        """Processor time that a program gets; longer than it can use before the wall limit."""
        return math.ceil(self.wall_s * self.processors) + 1


class Finished(NamedTuple):
    """`returncode` is negative for a signal, as in subprocess. `timed_out`: killed at the wall limit. `limit`: the one
    that ended it, where one did."""

    returncode: int
    stdout: str
    stderr: str
    timed_out: bool
    truncated: bool
    limit: Limit | None = None
    cpu_s: float | None = None  # that it and its children had used when it was stopped at the wall limit

    @property
    def ended_by(self) -> str:
        """The limit in words; empty where none ended it."""
        return _WORDS.get(self.limit, "") if self.limit else ""

    def hung(self, wall_s: float) -> bool:
        """It was stopped at this wall limit, and had hardly run: the machine kept it from running, or it waited for
        something. No doing of a program that only computes."""
        known = self.timed_out and self.cpu_s is not None and wall_s >= TELLING_S
        return known and (self.cpu_s or 0.0) < IDLE_SHARE * wall_s

    @property
    def killed(self) -> bool:
        """By somebody else: the kernel when memory ran out, a person. No doing of what was run."""
        return self.returncode == -signal.SIGKILL and self.limit is None


async def run(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    limits: Limits,
    reach: Reach | None = None,
) -> Finished:
    """Run to the end, to a limit or to cancellation; in every case its whole process group is gone on return, and
    with a sandbox whatever left the group too.

    So it is when this process is killed. stdin is empty; no descriptor but stdout and stderr is inherited. `reach`:
    what a program that is not ours, or is fed with what is not ours, may reach; None for our own. Raises OSError when
    there is no shell, SandboxLackError when the sandbox is required and not complete, EngineFailure when it does not
    work.
    """
    if reach is None:
        return await _run(_limited(command, limits), cwd, env, limits, looked_at=False)
    from .sandbox import starting

    found = await starting.check_required()
    words = starting.wrapped(found, command, reach, limits, cwd)
    started = _shell('exec "$@"', words) if words else _limited(command, limits)
    done = await _run(started, cwd, env, limits, looked_at=True)
    if words is None:
        return done
    if (said := starting.failure(done.returncode, done.stderr)) is not None:
        raise EngineFailure(f"the sandbox ({found.way}) failed: {said}")
    code = starting.status(found.way, done.returncode)
    return done._replace(returncode=code, limit=done.limit or _limit(code))


def _shell(script: str, command: Sequence[str | Path]) -> list[str]:
    return ["/bin/sh", "-c", _WATCHED + script, "sh", *map(str, command)]


def _limited(command: Sequence[str | Path], limits: Limits) -> list[str]:
    script = _LIMITED.format(
        cpu=limits.cpu_s,
        hard=limits.cpu_s + CPU_GRACE_S,
        file=max(1, limits.file_bytes // 512),
        memory=f"ulimit -v {limits.memory_bytes // 1024} 2>/dev/null;" if limits.memory_bytes else "",
    )
    return _shell(script, command)


def _limit(returncode: int) -> Limit | None:
    return {-signal.SIGXCPU: "cpu", -signal.SIGXFSZ: "file"}.get(returncode)  # type: ignore[return-value]


async def _run(words: list[str], cwd: Path, env: Mapping[str, str], limits: Limits, *, looked_at: bool) -> Finished:
    start = await anyio.to_thread.run_sync(_written, cwd) if looked_at else (0, 0)
    process = await anyio.open_process(
        words, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=cwd, env=dict(env), start_new_session=True
    )
    assert process.stdout is not None and process.stderr is not None
    out, err = _Kept(limits.output_bytes), _Kept(limits.output_bytes)
    room = limits.disk_bytes or 4 * limits.file_bytes
    reached: Limit | None = None
    try:
        with anyio.move_on_after(limits.wall_s) as clock:
            async with anyio.create_task_group() as tasks:

                async def watch() -> None:
                    nonlocal reached
                    while True:
                        await anyio.sleep(LOOK_S)
                        size, files = await anyio.to_thread.run_sync(_written, cwd)
                        if size - start[0] > room or files - start[1] > MAX_FILES:
                            reached = "disk"
                            _kill(process)

                async def read(kept: _Kept, stream: anyio.abc.ByteReceiveStream) -> None:
                    nonlocal reached
                    async for _ in kept.read(stream):
                        reached = "output"
                        _kill(process)

                if looked_at:
                    tasks.start_soon(watch)
                async with anyio.create_task_group() as readers:
                    readers.start_soon(read, out, process.stdout)
                    readers.start_soon(read, err, process.stderr)
                    await process.wait()
                    # A grandchild may hold the pipe open for ever; what the program itself wrote is there already.
                    readers.cancel_scope.deadline = anyio.current_time() + DRAIN_S
                tasks.cancel_scope.cancel()
        timed_out = clock.cancelled_caught
        cpu_s = _cpu_s(process.pid) if timed_out else None
    finally:
        _kill(process)
        with anyio.CancelScope(shield=True):
            await process.wait()
            await process.aclose()
    assert process.returncode is not None
    if timed_out:
        reached = "wall"
    return Finished(
        process.returncode, out.text(), err.text(), timed_out, out.truncated or err.truncated,
        reached or _limit(process.returncode), cpu_s,
    )  # fmt: skip


def _kill(process: anyio.abc.Process) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _written(folder: Path) -> tuple[int, int]:
    """Bytes on disk and number of files in it; what vanishes meanwhile does not count."""
    size = files = 0
    waiting = [str(folder)]
    while waiting and files < 2 * MAX_FILES:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                files += 1
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        size += entry.stat(follow_symlinks=False).st_blocks * 512
    return size, files


def _cpu_s(root: int) -> float | None:
    """Processor time of the process and its living descendants, whatever group they are in; None without /proc."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):  # it has just ended
            fields = path.read_text().rpartition(")")[2].split()
            process = int(path.parent.name)
            parents[process] = int(fields[1])
            ticks[process] = sum(map(int, fields[11:15]))  # its own, and those of children that it waited for
    family, news = {root}, {root}
    while news:
        news = {process for process, parent in parents.items() if parent in news} - family
        family |= news
    return sum(ticks.get(process, 0) for process in family) / os.sysconf("SC_CLK_TCK") if root in ticks else None


class _Kept:
    """The first bytes of a stream; the rest is read and forgotten, so that the writer is not blocked."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()
        self.truncated = False
        self._seen = 0

    async def read(self, stream: anyio.abc.ByteReceiveStream) -> AsyncIterator[None]:
        """To its end; yields where there is too much of it."""
        async for chunk in stream:
            room = self._limit - len(self._data)
            self._data += chunk[:room]
            self._seen += len(chunk)
            self.truncated |= len(chunk) > room
            if self._seen > max(FLOOD * self._limit, FLOOD << 20):
                yield

    def text(self) -> str:
        return self._data.decode(errors="replace")


def minimal_environment(folder: Path, **more: str) -> dict[str, str]:
    """An environment without the user's secrets: PATH, and `folder` as home and temporary directory."""
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "LC_ALL": "C", "HOME": str(folder), "TMPDIR": str(folder), **more}
