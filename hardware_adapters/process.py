"""Runs a program (compiler, simulator) so that nothing of it outlives the call and nothing it prints can hurt us."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE
from typing import NamedTuple

import anyio
import anyio.abc

# The limits are set by the shell that then becomes the program: no code of ours runs between fork and exec, where
# a threaded parent could deadlock. A limit that a platform does not know is skipped. Units: s, 512-byte blocks, KiB.
# At its processor time a program gets SIGXCPU, so that SIGKILL is nobody's but ours, or of somebody outside.
_LIMITED = 'ulimit -c 0; ulimit -S -t {cpu}; ulimit -H -t {hard}; ulimit -f {file} 2>/dev/null; {memory} exec "$@"'
# Our end of stdin closes when we die, however: then the group goes too. The program itself has an empty stdin.
_WATCHED = "exec 3<&0 </dev/null; (read -r _ <&3; kill -9 -$$) >/dev/null 2>&1 & exec 3<&-; "
CPU_GRACE_S = 2
DRAIN_S = 0.2
IDLE_SHARE = 0.1
TELLING_S = 3.0  # on a busy machine less says nothing


class Limits(NamedTuple):
    """What one process may use. Sizes in bytes; output is what we keep of each of stdout and stderr."""

    wall_s: float = 60.0
    file_bytes: int = 128 << 20
    memory_bytes: int | None = 4 << 30
    output_bytes: int = 1 << 20
    processors: int = 1  # that the program may keep busy


class Finished(NamedTuple):
    """`returncode` is negative for a signal, as in subprocess. `timed_out`: killed at the wall limit."""

    returncode: int
    stdout: str
    stderr: str
    timed_out: bool
    truncated: bool
    cpu_s: float | None = None  # that its group had used when it was stopped at the wall limit; None: not known

    def hung(self, wall_s: float) -> bool:
        """It was stopped at this wall limit, and had hardly run: the machine kept it from running, or it waited for
        something. No doing of a program that only computes."""
        known = self.timed_out and self.cpu_s is not None and wall_s >= TELLING_S
        return known and (self.cpu_s or 0.0) < IDLE_SHARE * wall_s

    @property
    def killed(self) -> bool:
        """By somebody else: the kernel when memory ran out, a person. No doing of what was run."""
        return self.returncode == -signal.SIGKILL and not self.timed_out


async def run(command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str], limits: Limits) -> Finished:
    """Run to the end, to the limit or to cancellation; in every case its whole process group is gone on return.

    So it is when this process is killed. stdin is empty; no descriptor but stdout and stderr is inherited. Raises
    OSError when there is no shell.
    """
    cpu = math.ceil(limits.wall_s * limits.processors) + 1
    script = _WATCHED + _LIMITED.format(
        cpu=cpu,
        hard=cpu + CPU_GRACE_S,
        file=max(1, limits.file_bytes // 512),
        memory=f"ulimit -v {limits.memory_bytes // 1024} 2>/dev/null;" if limits.memory_bytes else "",
    )
    process = await anyio.open_process(
        ["/bin/sh", "-c", script, "sh", *map(str, command)],
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        cwd=cwd,
        env=dict(env),
        start_new_session=True,
    )
    assert process.stdout is not None and process.stderr is not None
    out, err = _Kept(limits.output_bytes), _Kept(limits.output_bytes)
    timed_out = False
    try:
        with anyio.move_on_after(limits.wall_s) as clock:
            async with anyio.create_task_group() as readers:
                readers.start_soon(out.read, process.stdout)
                readers.start_soon(err.read, process.stderr)
                await process.wait()
                # A grandchild may hold the pipe open for ever; what the program itself wrote is there already.
                readers.cancel_scope.deadline = anyio.current_time() + DRAIN_S
        timed_out = clock.cancelled_caught
        cpu_s = _group_cpu_s(process.pid) if timed_out else None
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with anyio.CancelScope(shield=True):
            await process.wait()
            await process.aclose()
    assert process.returncode is not None
    return Finished(process.returncode, out.text(), err.text(), timed_out, out.truncated or err.truncated, cpu_s)


def _group_cpu_s(group: int) -> float | None:
    """Processor time of the group's processes that are alive; None where there is no /proc."""
    ticks, seen = 0, False
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):  # it has just ended
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                seen = True
                ticks += sum(map(int, fields[11:15]))  # its own, and those of children that it waited for
    return ticks / os.sysconf("SC_CLK_TCK") if seen else None


class _Kept:
    """The first bytes of a stream; the rest is read and forgotten, so that the writer is not blocked."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()
        self.truncated = False

    async def read(self, stream: anyio.abc.ByteReceiveStream) -> None:
        async for chunk in stream:
            room = self._limit - len(self._data)
            self._data += chunk[:room]
            self.truncated |= len(chunk) > room

    def text(self) -> str:
        return self._data.decode(errors="replace")


def minimal_environment(folder: Path, **more: str) -> dict[str, str]:
    """An environment without the user's secrets: PATH, and `folder` as home and temporary directory."""
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "LC_ALL": "C", "HOME": str(folder), "TMPDIR": str(folder), **more}
