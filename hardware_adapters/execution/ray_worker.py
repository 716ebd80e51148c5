"""What a worker of a Ray cluster does: one job with the adapters of its own machine. Everything that comes in or goes
out is plain data or a type of this package, which must be installed there in the same version."""

from __future__ import annotations

import os
import queue
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import anyio
from anyio.from_thread import start_blocking_portal

from ..base import (
    AdapterError,
    Compilation,
    EngineFailure,
    EngineStatus,
    EnvironmentLackError,
    Evaluation,
    HardwareAdapter,
    InvalidSourceError,
    SandboxStatus,
    UsageError,
)
from ..custom import shelf
from ..custom.definition import is_own
from ..sandbox.layers import REQUIRE_VARIABLE as REQUIRE_SANDBOX
from ..store import Home
from .executor import Job, Result, confinement

# Ray cancels a task by raising KeyboardInterrupt in the worker's main thread, which no lock and no event loop that
# sleeps will notice: so nothing there may wait longer than this.
NOTICE_S = 0.05
# The first that fits is what an exception is, so the narrower one comes first.
Kind = Literal["usage", "source", "lack", "engine"]
_KINDS: dict[Kind, type[AdapterError]] = {
    "source": InvalidSourceError, "usage": UsageError, "lack": EnvironmentLackError, "engine": EngineFailure,
}  # fmt: skip


class TryAgain(Exception):
    """The engine failed on this machine, whatever the kernel: Ray is told to try again after this one."""


class File(NamedTuple):
    """An artefact of a home, whole."""

    digest: str
    suffix: str
    content: bytes


class Expected(NamedTuple):
    """Of the engine, by which the driver has looked for the kernel in its cache."""

    version: str | None
    configuration: str


class Order(NamedTuple):
    job: Job
    expected: Expected | None  # None: nothing is looked up by it
    shelf: bytes | None  # a problem of the user's own, as his home keeps it
    require_sandbox: bool


class Refusal(NamedTuple):
    """An adapter's exception as data: not every one of them can be pickled."""

    kind: Kind
    message: str

    def error(self) -> AdapterError:
        return _KINDS[self.kind](self.message)


class Compiled(NamedTuple):
    """The first answer: what the kernel compiled to, where the job says it before it is done."""

    compilation: Compilation
    files: tuple[File, ...]


class Done(NamedTuple):
    """The last answer. `log`, `timeline`: what the engine wrote, where it did."""

    result: Result | Refusal
    files: tuple[File, ...] = ()
    log: bytes | None = None
    timeline: bytes | None = None


class Engine(NamedTuple):
    """What a machine says of an engine; `package`: the version of this package there."""

    status: EngineStatus
    configuration: str
    package: str


def refusal(error: AdapterError) -> Refusal:
    for kind, of in _KINDS.items():
        if isinstance(error, of):
            return Refusal(kind, str(error))
    return Refusal("engine", str(error))


def describe(target: str, engine: str) -> Engine | Refusal:
    """What this machine says of the engine."""
    from ... import __version__

    try:
        adapter = _adapter(target)
        return Engine(adapter.engine(engine), adapter.configuration(engine), __version__)
    except AdapterError as error:
        return refusal(error)


def confined() -> SandboxStatus | Refusal:
    """How this machine confines programs."""
    try:
        return anyio.run(confinement)
    except AdapterError as error:
        return refusal(error)


def work(order: Order) -> Iterator[Compiled | Done | None]:
    """Two answers, always: what was compiled, or None; and the end. Stopped by KeyboardInterrupt, it leaves no process.

    Raises TryAgain.
    """
    answers: queue.SimpleQueue[Compiled | Done | TryAgain | None] = queue.SimpleQueue()
    with start_blocking_portal() as portal:
        running = portal.start_task_soon(_carry_out, order, answers)
        try:
            for number in range(2):
                answer = _next(answers)
                if isinstance(answer, TryAgain):
                    raise answer
                if isinstance(answer, Done) and not number:
                    yield None
                    yield answer
                    return
                yield answer
        finally:
            # Done already, or to be stopped: the portal then waits until the simulators are gone.
            running.cancel()


def _next(
    answers: queue.SimpleQueue[Compiled | Done | TryAgain | None],
) -> Compiled | Done | TryAgain | None:
    while True:
        try:
            return answers.get(timeout=NOTICE_S)
        except queue.Empty:
            continue


async def _carry_out(order: Order, answers: queue.SimpleQueue[Compiled | Done | TryAgain | None]) -> None:
    """Answers whatever happens, unless it is cancelled."""
    job, home = order.job, Home()
    told = False

    async def compiled(compilation: Compilation) -> Evaluation | None:
        nonlocal told
        if not told:  # an engine may ask more than once
            told = True
            answers.put(Compiled(compilation, _program(home, compilation)))
        return None

    try:
        if order.require_sandbox:
            os.environ[REQUIRE_SANDBOX] = "1"
        _shelve(home, order)
        adapter = _adapter(job.problem.target)
        if order.expected is not None:
            _check(adapter, job.engine, order.expected)
        with tempfile.TemporaryDirectory(prefix="autocomp-job-") as scratch:
            timeline = Path(scratch) / "timeline.json"
            result = await job.on(adapter, recall=compiled, timeline=timeline if job.timeline else None)
            answers.put(_done(home, result, timeline))
    except EngineFailure as error:
        answers.put(TryAgain(f"{os.uname().nodename}: {error}"))
    except AdapterError as error:
        answers.put(Done(refusal(error)))
    except Exception as error:
        answers.put(TryAgain(f"{os.uname().nodename}: {type(error).__name__}: {error}"))


def _done(home: Home, result: Result, timeline: Path) -> Done:
    log = None
    if isinstance(result, Evaluation) and result.log is not None:
        log = Path(result.log).read_bytes()
    compilation = result if isinstance(result, Compilation) else getattr(result, "compilation", None)
    files = _program(home, compilation) if compilation is not None else ()
    return Done(result, files, log, timeline.read_bytes() if timeline.is_file() else None)


def _program(home: Home, compilation: Compilation) -> tuple[File, ...]:
    """What was compiled, where the home keeps it by the digest that the compilation names."""
    if compilation.artifact is None:
        return ()
    folder = home.artifact(compilation.artifact, "").parent
    found = sorted(folder.glob(f"{compilation.artifact}.*")) if folder.is_dir() else []
    return tuple(File(compilation.artifact, "".join(path.suffixes), path.read_bytes()) for path in found)


def _shelve(home: Home, order: Order) -> None:
    """Keep the user's problem here too. What is kept here and proven stays: its proof is of the same definition."""
    if order.shelf is None or not is_own(order.job.problem.id):
        return
    given = shelf.Kept.model_validate_json(order.shelf)
    known = shelf.kept(home, given.definition)
    if known is None or (given.proven and not known.proven):
        shelf.keep(home, given)


def _check(adapter: HardwareAdapter, engine: str, expected: Expected) -> None:
    """Latencies of a search are compared with one another, and kept under what was expected: so it must be that."""
    found = Expected(adapter.engine(engine).version, adapter.configuration(engine))
    if found != expected:
        raise EngineFailure(
            f"engine {engine!r} is another one here ({found.version}) than on the machine that was asked first "
            f"({expected.version}), or its compilers are: give the nodes that have it one image"
        )


def _adapter(target: str) -> HardwareAdapter:
    """Of this machine: whatever executor the environment names, work ends here."""
    from ..registry import local_adapter

    return local_adapter(target, Home())
