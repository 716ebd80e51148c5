"""Jobs as tasks of a Ray cluster: Ray finds the node that has what the engine needs, moves kernels and artefacts
through its object store, and tries again where a worker or a node dies."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import anyio
import anyio.to_thread

from ... import __version__
from ..base import (
    EngineFailure,
    EngineStatus,
    EnvironmentLackError,
    Evaluation,
    HardwareAdapter,
    Profile,
    Recall,
    SandboxStatus,
)
from ..custom import shelf
from ..custom.definition import is_own
from ..sandbox.layers import sandbox_required
from ..simulating import deliver, disk_is_infrastructure
from ..store import Home
from . import ray_worker
from .executor import Executor, Job, Result
from .needs import Needs, needs_of
from .ray_cluster import Cluster, lacking
from .ray_worker import Compiled, Done, Engine, Expected, File, Order, Refusal, TryAgain

T = TypeVar("T")
Work = Callable[[Order], Iterator[Compiled | Done | None]]

RETRIES = 3  # of a job whose worker or node died, or whose engine failed
AHEAD = 2  # jobs handed over for each processor: the next one is there when one is done
MOST_AT_ONCE = 10_000
STOPS_WITHIN_S = 3.0  # a job that is cancelled; then its worker is killed, and with it what it started
LOOK_S = 2.0  # between two looks whether a job that waits can still be done
DESCRIBES_WITHIN_S = 60.0  # a machine its engines; the first time on a node Python and this package are loaded
UNAVAILABLE_FOR_S = 30.0  # then it is asked again


class _Known(NamedTuple):
    engine: Engine
    at: float


class Ray(Executor):
    """`patience_s`: how long a job may wait for a resource that no node has, as where an autoscaler brings nodes.
    `work`: what a worker does with an order; a benchmark gives it machines of its own."""

    name = "ray"

    def __init__(self, address: str = "auto", patience_s: float = 0.0, work: Work = ray_worker.work) -> None:
        self._work = work
        self._cluster = Cluster(address)
        self._patience_s = patience_s
        self._known: dict[tuple[str, str], _Known] = {}
        self._lock = threading.Lock()
        self._tasks: dict[tuple[tuple[str, float], ...], Any] = {}

    def at_once(self) -> int:
        return min(MOST_AT_ONCE, max(2, AHEAD * self._cluster.processors()))

    # ------------------------------------------------------------ jobs

    async def run(
        self,
        adapter: HardwareAdapter,
        job: Job,
        home: Home,
        *,
        recall: Recall | None = None,
        timeline: Path | None = None,
    ) -> Result:
        needs = needs_of(adapter.target, job.engine)
        if self._cluster.known_nodes is None:
            await anyio.to_thread.run_sync(self._cluster.nodes)
        order = Order(job, self._expected(adapter, job), _shelved(home, job), sandbox_required())
        answers = self._task(needs).remote(order)
        ended = False
        try:
            first = await self._answer(answers, needs)
            if isinstance(first, Compiled):
                _keep(home, first.files)
                same = await recall(first.compilation) if recall is not None else None
                if same is not None:
                    return same
            done = await self._answer(answers, needs)
            ended = True
        except _Ended as error:
            ended = True
            self._forget(adapter, job)
            raise EngineFailure(str(error)) from error.__cause__
        finally:
            if not ended:
                with anyio.CancelScope(shield=True):
                    await self._stop(answers)
        assert isinstance(done, Done)
        if isinstance(done.result, Refusal):
            raise done.result.error()
        with disk_is_infrastructure():
            return await anyio.to_thread.run_sync(_delivered, done, home, timeline)

    def _expected(self, adapter: HardwareAdapter, job: Job) -> Expected | None:
        """As it was told to whoever asked, for his key of the cache; None where nobody did."""
        known = self._known.get((adapter.target, job.engine))
        return Expected(known.engine.status.version, known.engine.configuration) if known is not None else None

    def _task(self, needs: Needs) -> Any:
        """The worker's function with these needs; made once, as Ray keeps workers for tasks of the same shape."""
        shape = tuple(sorted(needs.amounts.items()))
        if shape not in self._tasks:
            ray = self._cluster.connect()
            self._tasks[shape] = ray.remote(self._work).options(
                **_options(needs), num_returns="streaming", max_retries=RETRIES, retry_exceptions=[TryAgain],
                name="autocomp-mcp evaluation",
            )  # fmt: skip
        return self._tasks[shape]

    async def _answer(self, answers: Any, needs: Needs) -> Compiled | Done | None:
        """The job's next answer. Raises _Ended, EnvironmentLackError."""

        async def wait() -> Compiled | Done | None:
            try:
                return await (await answers.__anext__())
            except StopAsyncIteration as error:
                raise _Ended("the Ray cluster lost the job's answers") from error

        return await self._while_possible(wait(), needs)

    async def _while_possible(self, waiting: Coroutine[Any, Any, T], needs: Needs) -> T:
        """Wait for the cluster, as long as it has a node that could do it. Raises _Ended, EnvironmentLackError."""
        task = asyncio.ensure_future(waiting)
        impossible_since: float | None = None
        try:
            while True:
                nodes = self._cluster.known_nodes
                without = lacking(needs, nodes) if nodes is not None else None
                if without is None:
                    impossible_since = None
                else:
                    impossible_since = impossible_since or time.monotonic()
                    if time.monotonic() - impossible_since >= self._patience_s:
                        raise EnvironmentLackError(self._lacks(without))
                ended, _ = await asyncio.wait([task], timeout=LOOK_S)
                if ended:
                    return task.result()
                with suppress(EngineFailure):  # if the head is gone, the task will say so
                    await anyio.to_thread.run_sync(self._cluster.nodes)
        except (EnvironmentLackError, _Ended):
            raise
        except Exception as error:
            raise _ended(error) from error
        finally:
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task

    def _lacks(self, without: str) -> str:
        return (
            f"the Ray cluster at {self._cluster.address!r} cannot run this: {without}. Start a node that has it "
            "(`ray start --address=HEAD:6379 --num-gpus=…`, or --resources='{\"NAME\": 1}' for what Ray does not find "
            "itself); AUTOCOMP_NEEDS says what engines need, AUTOCOMP_RAY_PATIENCE_S how long to wait for a node"
        )

    async def _stop(self, answers: Any) -> None:
        """End the job, wherever it is, and what it has started. Ray interrupts the worker, which stops its simulators;
        a worker that does not is killed, and its simulators end with it."""
        import ray
        from ray.exceptions import RayError

        with suppress(Exception):  # the cluster may be what failed
            ray.cancel(answers, force=False)
            with anyio.move_on_after(STOPS_WITHIN_S):
                with suppress(RayError):
                    await answers.completed()
                return
            ray.cancel(answers, force=True)

    def _forget(self, adapter: HardwareAdapter, job: Job) -> None:
        """Perhaps the nodes were given another version: who asks next is told anew."""
        with self._lock:
            self._known.pop((adapter.target, job.engine), None)

    # ------------------------------------------------------------ what the machines say

    def engines(self, adapter: HardwareAdapter) -> list[EngineStatus]:
        return [self._listed(adapter, local) for local in adapter.engines()]

    def _listed(self, adapter: HardwareAdapter, local: EngineStatus) -> EngineStatus:
        """As a machine has it. Only who uses an engine has an autoscaler bring a node; to list it must cost nothing."""
        try:
            if self._patience_s:
                without = lacking(needs_of(adapter.target, local.name), self._cluster.nodes())
                if without is not None:
                    reason = f"{without} now; whoever uses it waits up to {self._patience_s:g} s for one"
                    later = {"patience_s": local.patience_s + self._patience_s, "version": None}
                    return local.model_copy(update={"available": True, "reason": reason, **later})
            return self._engine(adapter, local.name).status
        except (EnvironmentLackError, EngineFailure) as error:
            return local.model_copy(update={"available": False, "reason": str(error)})

    def engine(self, adapter: HardwareAdapter, name: str | None) -> EngineStatus:
        return self._engine(adapter, adapter.engine(name).name).status

    def configuration(self, adapter: HardwareAdapter, engine: str) -> str:
        return self._engine(adapter, engine).configuration

    async def prepare(self, adapter: HardwareAdapter, engine: str | None, announce: Callable[[str], None]) -> None:
        """Nodes build what they need with their first job; whether there is one that can is known before."""
        await anyio.to_thread.run_sync(self.engine, adapter, engine)

    async def sandbox(self) -> SandboxStatus:
        ask = self._ask(Needs(cpus=0, memory_mib=0), ray_worker.confined)
        found = await anyio.to_thread.run_sync(ask)
        if isinstance(found, Refusal):
            raise found.error()
        return found

    def _engine(self, adapter: HardwareAdapter, name: str) -> Engine:
        """What a machine that has what the engine needs says of it; it is asked once, and again where it had said that
        the engine is not available. Raises EnvironmentLackError, EngineFailure, UnknownEngineError."""
        key = (adapter.target, name)
        with self._lock:
            known = self._known.get(key)
            if known is not None and (known.engine.status.available or time.monotonic() - known.at < UNAVAILABLE_FOR_S):
                return known.engine
            # Of processors and memory nothing: the answer does not wait for jobs to end. Devices have to be there.
            needs = needs_of(*key).model_copy(update={"cpus": 0, "memory_mib": 0})
            found = self._ask(needs, ray_worker.describe, *key)()
            if isinstance(found, Refusal):
                raise found.error()
            if found.package != __version__:
                raise EnvironmentLackError(
                    f"the Ray cluster's nodes have autocomp-mcp {found.package}, this machine {__version__}: "
                    "install the same version on all"
                )
            self._known[key] = _Known(found, time.monotonic())
            return found

    def _ask(self, needs: Needs, function: Callable[..., T | Refusal], *arguments: str) -> Callable[[], T | Refusal]:
        """The function's result on a machine that has this. The call blocks; it raises EnvironmentLackError,
        EngineFailure."""

        def ask() -> T | Refusal:
            ray = self._cluster.connect()
            nodes = self._cluster.nodes()
            without = lacking(needs, nodes) if needs.amounts or not nodes else None
            if without is not None and not self._patience_s:
                raise EnvironmentLackError(self._lacks(without))
            task = ray.remote(function).options(**_options(needs), max_retries=RETRIES)
            reference = task.remote(*arguments)
            within_s = DESCRIBES_WITHIN_S + self._patience_s
            try:
                return ray.get(reference, timeout=within_s)
            except ray.exceptions.GetTimeoutError as error:
                ray.cancel(reference, force=True)
                if without is not None:
                    raise EnvironmentLackError(self._lacks(without)) from error
                text = f"the Ray cluster did not answer in {within_s:.0f} s: its {needs.text} may be busy with others"
                raise EngineFailure(text) from error
            except Exception as error:
                raise EngineFailure(str(_ended(error))) from error

        return ask


class _Ended(Exception):
    """Why a job brought no result: never its kernel's doing."""


def _ended(error: Exception) -> _Ended:
    from ray.exceptions import RayTaskError

    cause = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, TryAgain):
        return _Ended(f"it failed {RETRIES + 1} times on the Ray cluster, at last on {cause}")
    said = str(cause).strip()
    if isinstance(cause, ImportError) or "ModuleNotFoundError" in said:
        return _Ended(
            f"a node of the Ray cluster cannot load autocomp-mcp: install autocomp-mcp {__version__} with the "
            f"extra 'ray' there ({said.splitlines()[-1] if said else type(cause).__name__})"
        )
    first = said.splitlines()[0] if said else ""
    return _Ended(f"the Ray cluster failed: {type(cause).__name__}: {first}"[:600])


def _options(needs: Needs) -> dict[str, Any]:
    """As Ray's tasks take them."""
    options: dict[str, Any] = {"num_cpus": needs.cpus, "resources": needs.resources}
    if needs.memory_bytes:
        options["memory"] = needs.memory_bytes
    if needs.gpus:
        options["num_gpus"] = needs.gpus
    if needs.accelerator_type is not None:
        options["accelerator_type"] = needs.accelerator_type
    return options


def _shelved(home: Home, job: Job) -> bytes | None:
    """The definition that the job's problem is about, where it is the user's own."""
    if not is_own(job.problem.id):
        return None
    return shelf.find(home, job.problem.id).model_dump_json().encode()


def _keep(home: Home, files: tuple[File, ...]) -> None:
    for file in files:
        home.keep(file.content, file.suffix, file.digest)


def _delivered(done: Done, home: Home, timeline: Path | None) -> Result:
    """The result as if it had been found here: what it names is in this home. Raises EnvironmentLackError, OSError."""
    result = done.result
    assert not isinstance(result, Refusal)
    _keep(home, done.files)
    if isinstance(result, Evaluation) and done.log is not None:
        digest = home.keep(done.log, ".log")
        return result.model_copy(update={"log": str(home.artifact(digest, ".log"))})
    if isinstance(result, Profile) and timeline is not None and done.timeline is not None:
        deliver(done.timeline, timeline)
        return result.model_copy(update={"timeline": str(timeline)})
    return result
