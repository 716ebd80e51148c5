"""Evaluations on a real Ray cluster, all of whose nodes are this machine."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import EngineFailure, EnvironmentLackError, Evaluation, UsageError
from autocomp_mcp.hardware_adapters.evaluator import evaluate
from autocomp_mcp.hardware_adapters.execution import chosen_executor
from autocomp_mcp.hardware_adapters.execution.dispatched import Dispatched
from autocomp_mcp.hardware_adapters.execution.ray_cluster import Cluster
from autocomp_mcp.hardware_adapters.execution.ray_executor import Ray
from autocomp_mcp.hardware_adapters.registry import adapter_for, adapters
from autocomp_mcp.hardware_adapters.store import Home

pytest.importorskip("ray", reason="the extra 'ray' is not installed: nothing of the Ray executor is tested")

from ray_machines import ray_machines

SMALL, LONG = "gemmini/gemm-64x64x64", "gemmini/gemm-768x768x768"
MakeHome = Callable[[Path], Path]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def workers(make_home: MakeHome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("workers") / "home")


@pytest.fixture(scope="module")
def cluster(workers: Path) -> Iterator[Any]:
    with ray_machines(workers, {"num_cpus": 2}) as cluster:
        yield cluster


@pytest.fixture
def on_ray(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOCOMP_EXECUTOR", "ray")
    monkeypatch.setenv("AUTOCOMP_RAY_ADDRESS", cluster.address)


@pytest.fixture
def home(make_home: MakeHome, tmp_path: Path) -> Home:
    return Home(make_home(tmp_path / "home"))


def baseline(problem: str, home: Home) -> str:
    adapter = adapter_for(problem, home)
    return adapter.baseline(adapter.problem(problem)) or ""


def remembered(home: Home) -> dict[str, Evaluation]:
    with closing(sqlite3.connect(home.database)) as database:
        rows = database.execute("SELECT key, evaluation FROM evaluations").fetchall()
    return {key: Evaluation.model_validate_json(text) for key, text in rows}


def same(evaluation: Evaluation) -> Any:
    """What does not depend on how long it took, or where the log is."""
    kept = evaluation.model_copy(update={"seconds": {}, "log": None})
    return kept.model_copy(
        update={"compilation": kept.compilation and kept.compilation.model_copy(update={"seconds": 0})}
    )


def simulators(workers: Path) -> list[int]:
    """Processes of the workers' simulator that run."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if words.startswith(str(workers).encode()) and b"\0job\0" in words:
            found.append(int(path.name))
    return found


def parent(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("PPid:"))


async def until(found: Callable[[], Any]) -> Any:
    with anyio.fail_after(90):
        while not (value := found()):  # noqa: ASYNC110 - other processes tell nobody
            await anyio.sleep(0.01)
    return value


@asynccontextmanager
async def evaluating(problem: str, home: Home, done: list[Evaluation]) -> AsyncIterator[anyio.CancelScope]:
    source = baseline(problem, home)

    async def work() -> None:
        done.append(await evaluate(problem, source, home=home))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        yield tasks.cancel_scope


@pytest.mark.anyio
async def test_an_evaluation_on_the_cluster_is_the_local_one(
    cluster: Any, make_home: MakeHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, caches, artifacts, profiles = [], [], [], []
    for executor in ("local", "ray"):
        monkeypatch.setenv("AUTOCOMP_EXECUTOR", executor)
        monkeypatch.setenv("AUTOCOMP_RAY_ADDRESS", cluster.address)
        home = Home(make_home(tmp_path / executor))
        assert chosen_executor().name == executor
        right, wrong = baseline(SMALL, home), "int solution(void) { return undeclared; }"
        found.append([await evaluate(SMALL, text, home=home, seed=3) for text in (right, wrong)])
        again = await evaluate(SMALL, right, home=home, seed=3)
        assert again.cached
        caches.append({key: same(value) for key, value in remembered(home).items()})
        artifacts.append({path.name: path.read_bytes() for path in home.artifacts.rglob("*.elf")})
        adapter, timeline = adapter_for(SMALL, home), tmp_path / f"{executor}.json"
        profiles.append(await adapter.profile(adapter.problem(SMALL), right, timeline=timeline, detail=True))
        assert timeline.stat().st_size > 1000 and profiles[-1].timeline == str(timeline)
    assert [e.verdict for e in found[1]] == ["passed", "compile_error"]
    assert [same(e) for e in found[0]] == [same(e) for e in found[1]]
    assert caches[0] == caches[1] and len(caches[0]) == 3
    assert artifacts[0] == artifacts[1] and artifacts[0], "what the workers compiled is in the driver's home"
    assert profiles[0].model_copy(update={"timeline": None}) == profiles[1].model_copy(update={"timeline": None})


@pytest.mark.anyio
async def test_the_same_machine_code_is_simulated_once(on_ray: None, home: Home) -> None:
    source = baseline(SMALL, home)
    first = await evaluate(SMALL, source, home=home)
    other = source.replace("solution", "solution /* laid out, */\n#define unused 1\n", 1)
    second = await evaluate(SMALL, other, home=home)
    assert not first.cached and second.cached and second.kernel != first.kernel
    assert second.latency == first.latency


@pytest.mark.anyio
async def test_a_killed_worker_is_replaced_and_the_evaluation_counted_once(
    on_ray: None, workers: Path, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[Evaluation] = []
    async with evaluating(LONG, home, done):
        process = (await until(lambda: simulators(workers)))[0]
        worker = parent(process)
        os.kill(worker, signal.SIGKILL)
        await until(lambda: process not in simulators(workers))
        second = (await until(lambda: simulators(workers)))[0]
        assert parent(second) != worker
    assert [e.verdict for e in done] == ["passed"]
    assert {e.kernel for e in remembered(home).values()} == {done[0].kernel}
    assert capsys.readouterr().out == "", "stdout may belong to a protocol"


@pytest.mark.anyio
async def test_a_cancelled_evaluation_leaves_no_process(on_ray: None, workers: Path, home: Home) -> None:
    done: list[Evaluation] = []
    async with evaluating(LONG, home, done) as scope:
        worker = parent((await until(lambda: simulators(workers)))[0])
        scope.cancel()
    assert done == [] and remembered(home) == {}
    await until(lambda: not simulators(workers))
    os.kill(worker, 0)  # it lives: worker is not at fault, and takes the next job
    assert (await evaluate(SMALL, baseline(SMALL, home), home=home)).passed


@pytest.mark.anyio
async def test_a_resource_that_no_node_has_is_named(
    on_ray: None, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with anyio.fail_after(30):
        with pytest.raises(EnvironmentLackError, match="neuron_cores"):
            await evaluate("trainium/rmsnorm-128x64", "def solution(): ...", engine="neuron", home=home)
        with pytest.raises(EnvironmentLackError, match="gemmini_firesim"):
            await evaluate(SMALL, "void solution() {}", engine="firesim", home=home)
        with pytest.raises(EnvironmentLackError, match=r"'GPU' .*'accelerator_type:L40S'"):
            await evaluate("nvidia/softmax-64x64", "int launch() {}", engine="cuda", home=home)
    listed = {engine.name: engine for engine in adapters(home)["gemmini"].engines()}
    assert listed["gemsim"].available and not listed["firesim"].available
    assert "gemmini_firesim" in listed["firesim"].reason
    here = adapters(home)["gemmini"]
    assert isinstance(here, Dispatched)
    patient = Ray(os.environ["AUTOCOMP_RAY_ADDRESS"], patience_s=300.0)
    with anyio.fail_after(30):
        listed = {engine.name: engine for engine in await anyio.to_thread.run_sync(patient.engines, here.here)}
    assert listed["gemsim"].available and listed["firesim"].available, "a node may yet come; a list waits for none"
    assert "gemmini_firesim" in listed["firesim"].reason and "up to 300 s" in listed["firesim"].reason
    assert listed["firesim"].patience_s > 300.0
    more = tmp_path / "needs.yaml"
    more.write_text("gemmini/gemsim: {cpus: 1000}\n")
    monkeypatch.setenv("AUTOCOMP_NEEDS", str(more))
    with anyio.fail_after(30):
        with pytest.raises(EnvironmentLackError, match="the resource 'CPU'"):
            await evaluate(SMALL, baseline(SMALL, home), home=home)


@pytest.mark.anyio
async def test_a_failure_of_the_infrastructure_is_tried_again_and_never_the_kernels(
    on_ray: None, workers: Path, home: Home
) -> None:
    killed: set[int] = set()

    async def kill(most: int) -> None:
        while len(killed) < most:
            for process in simulators(workers):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
                killed.add(process)
            await anyio.sleep(0.005)

    done: list[Evaluation] = []
    async with evaluating(LONG, home, done):
        await kill(1)
    assert [e.verdict for e in done] == ["passed"], "a simulator that was killed is no kernel's fault"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kill, 1000)
        with pytest.raises(EngineFailure, match="failed 4 times on the Ray cluster"):
            await evaluate(LONG, baseline(LONG, home), home=home, seed=1)
        tasks.cancel_scope.cancel()
    assert {e.seed for e in remembered(home).values()} == {0}
    with pytest.raises(UsageError):
        await evaluate(SMALL, "", home=home)


def test_an_address_that_cannot_work_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="client protocol"):
        Cluster("ray://127.0.0.1:10001")._init(None)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "ray", None)
        with pytest.raises(EnvironmentLackError, match=r"autocomp-mcp\[ray\]"):
            Cluster("auto").connect()


def test_without_a_cluster_the_command_says_how_to_start_one(home: Home, tmp_path: Path) -> None:
    kernel = tmp_path / "kernel.c"
    kernel.write_text(baseline(SMALL, home))
    command = [sys.executable, "-m", "autocomp_mcp", "evaluate", SMALL, str(kernel)]
    environment = os.environ | {"AUTOCOMP_HOME": str(home.path)}
    environment.pop("RAY_ADDRESS", None)
    ran = subprocess.run(
        [*command, "--executor", "ray", "--ray-address", "127.0.0.1:1"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 3 and "ray start --head" in ran.stderr and ran.stdout == "", ran.stderr[-2000:]
