"""Jobs on this machine: how many, when there is memory for them, and what an adapter behind an executor keeps to."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import Evaluation, HardwareAdapter, UsageError
from autocomp_mcp.hardware_adapters.execution import Dispatched, Job, Local, chosen_executor
from autocomp_mcp.hardware_adapters.execution.machine import available_bytes, processors
from autocomp_mcp.hardware_adapters.execution.needs import Needs, needs_of
from autocomp_mcp.hardware_adapters.registry import adapters, local_adapter
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.tools.slots import Slots

PROBLEM = "gemmini/gemm-16x16x16"
MIB = 1 << 20


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Slow(HardwareAdapter):
    """Evaluations that take until they are let go; the other methods are not asked."""

    target, title = "gemmini", "slow"

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = evaluation
        self.begun = 0
        self.go_on = anyio.Event()

    async def evaluate(self, *_: Any, **__: Any) -> Evaluation:
        self.begun += 1
        await self.go_on.wait()
        return self.evaluation


Slow.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    adapter = local_adapter("gemmini", Home(tmp_path))
    return Job(kind="evaluate", problem=adapter.problem(PROBLEM), source="void solution() {}", engine="gemsim")


def evaluation() -> Evaluation:
    return Evaluation(
        problem=PROBLEM, kernel="k", verdict="passed", message="", engine="gemsim", engine_version="1",
        source="estimated", seed=0,
    )  # fmt: skip


async def begun_with(job: Job, tmp_path: Path, available: list[int | None], clock: list[float], after: int = 0) -> int:
    """How many of four jobs begin while this much memory is available."""
    adapter, executor = Slow(evaluation()), Local(4, available=lambda: available[0], clock=lambda: clock[0])
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(executor.run, adapter, job, Home(tmp_path))
        await anyio.sleep(0.05)
        if after:
            clock[0] += after
            await anyio.sleep(0.5)
        begun = adapter.begun
        adapter.go_on.set()
    assert adapter.begun == 4, "those that waited have their turn when there is room"
    return begun


@pytest.mark.anyio
async def test_a_job_begins_only_when_there_is_memory_for_it(job: Job, tmp_path: Path) -> None:
    needed = needs_of("gemmini", "gemsim").memory_bytes
    assert await begun_with(job, tmp_path, [4 * needed], [0.0]) == 4
    assert await begun_with(job, tmp_path, [3 * needed - 1], [0.0]) == 2, "what has begun will take its memory yet"
    assert await begun_with(job, tmp_path, [0], [0.0]) == 1, "one may always"
    assert await begun_with(job, tmp_path, [None], [0.0]) == 4, "a system that does not say is not asked"


@pytest.mark.anyio
async def test_what_a_job_has_taken_is_no_longer_counted_twice(job: Job, tmp_path: Path) -> None:
    needed = needs_of("gemmini", "gemsim").memory_bytes
    assert await begun_with(job, tmp_path, [2 * needed], [0.0]) == 2
    assert await begun_with(job, tmp_path, [2 * needed], [0.0], after=10) == 4


def system(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


MEMINFO = {"proc/meminfo": "MemTotal: 64000000 kB\nMemAvailable:   8388608 kB\n"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        (MEMINFO, 8192 * MIB),
        (
            MEMINFO
            | {
                "proc/self/cgroup": "0::/user/run\n",
                "sys/fs/cgroup/user/run/memory.max": "max\n",
                "sys/fs/cgroup/user/run/memory.current": f"{100 * MIB}\n",
                "sys/fs/cgroup/user/memory.max": f"{1024 * MIB}\n",
                "sys/fs/cgroup/user/memory.current": f"{900 * MIB}\n",
                "sys/fs/cgroup/user/memory.stat": f"anon 1\ninactive_file {300 * MIB}\n",
            },
            424 * MIB,
        ),
        (
            MEMINFO  # a container, whose own path is not there
            | {
                "proc/self/cgroup": "4:memory:/docker/abc\n0::/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2048 * MIB}\n",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{2047 * MIB}\n",
                "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 0\n",
            },
            MIB,
        ),
        (
            MEMINFO
            | {
                "proc/self/cgroup": "4:memory:/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": "5\n",
            },
            8192 * MIB,
        ),
    ],
    ids=["unknown", "machine", "version 2, of a parent", "version 1, in a container", "version 1, without a limit"],
)
def test_available_memory_is_the_least_of_all_limits(
    tmp_path: Path, files: dict[str, str], expected: int | None
) -> None:
    assert available_bytes(system(tmp_path, files)) == expected


@pytest.mark.parametrize(
    "files",
    [
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"},
        {
            "proc/self/cgroup": "3:cpu,cpuacct:/a\n",
            "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "100000\n",
            "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000\n",
        },
    ],
)
def test_a_quota_of_processors_is_kept(tmp_path: Path, files: dict[str, str]) -> None:
    assert processors(system(tmp_path, files)) == 1


def test_without_a_quota_all_processors_are_there(tmp_path: Path) -> None:
    free = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}
    assert processors(system(tmp_path, free)) == processors(tmp_path / "nothing") >= 1


def test_needs_are_those_of_the_engine() -> None:
    assert needs_of("gemmini", "gemsim").amounts == {"CPU": 1, "memory": 512 * MIB}
    assert needs_of("gemmini", "firesim").resources == {"gemmini_firesim": 1}
    assert needs_of("trainium", "neuron").resources == {"neuron_cores": 1}
    cuda = needs_of("nvidia", "cuda")
    assert (cuda.gpus, cuda.accelerator_type, cuda.cpus) == (1, "L40S", 1)
    assert "accelerator_type:L40S" in cuda.amounts and cuda.text == "GPU: 1, accelerator_type:L40S"


def test_the_user_may_say_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "needs.yaml"
    file.write_text("nvidia/cuda: {gpus: 1, accelerator_type: H100}\n")
    monkeypatch.setenv("AUTOCOMP_NEEDS", str(file))
    assert needs_of("nvidia", "cuda") == Needs(gpus=1, accelerator_type="H100")
    assert needs_of("trainium", "neuron").resources == {"neuron_cores": 1}
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("nvidia/cuda: {gpu: 1}\n")
    monkeypatch.setenv("AUTOCOMP_NEEDS", str(wrong))
    with pytest.raises(UsageError, match=r"wrong\.yaml: nvidia/cuda: gpu: "):
        needs_of("nvidia", "cuda")


def test_an_adapter_behind_an_executor_keeps_the_whole_contract() -> None:
    """A method that is added to the contract must not fall back to its default here, but where it has no other."""

    def methods(kind: type) -> set[str]:
        found = {name: member for name, member in vars(kind).items() if inspect.isfunction(member)}
        return {name for name, member in found.items() if name[0] != "_" and not hasattr(member, "__final__")}

    assert methods(HardwareAdapter) <= methods(Dispatched)
    for name in methods(HardwareAdapter):
        expected = inspect.signature(getattr(HardwareAdapter, name)).parameters
        assert list(inspect.signature(getattr(Dispatched, name)).parameters) == list(expected), name


@pytest.mark.parametrize(("name", "value"), [("AUTOCOMP_EXECUTOR", "slurm"), ("AUTOCOMP_RAY_PATIENCE_S", "soon")])
def test_an_executor_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("AUTOCOMP_EXECUTOR", "ray")
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=f"{name}='{value}'"):
        adapters()


def test_the_executor_is_the_machine_unless_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUTOCOMP_EXECUTOR", raising=False)
    assert chosen_executor().name == "local" and chosen_executor().at_once() >= 2


@pytest.mark.anyio
async def test_slots_follow_a_cluster_that_grows() -> None:
    room = [1]
    slots, running, let_go = Slots(lambda: room[0]), [0], anyio.Event()

    async def work() -> None:
        async with slots:
            running[0] += 1
            await let_go.wait()

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(work)
        await anyio.sleep(0.01)
        before = running[0]
        room[0] = 3
        tasks.start_soon(work)
        await anyio.sleep(0.01)
        after = running[0]
        let_go.set()
    assert (before, after, running[0], slots.waiting) == (1, 3, 5, 0)
