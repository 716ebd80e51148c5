"""What an executor, or several servers, add: evaluations a second against workers, and the time that each one costs
besides its own.

    python tests/benchmarks/scale.py local [--rounds 8]                    real evaluations, one and two at a time
    python tests/benchmarks/scale.py overhead [--count 200]                Ray against this process, evaluations of 0 s
    python tests/benchmarks/scale.py ray [--workers 1 2 4 …] [--seconds 2] workers whose evaluation time is given
    python tests/benchmarks/scale.py servers [--seconds 2] [--rounds 8]    one to three servers, and two unlike ones

Simulated workers are real processes of a real cluster on this machine, and everything but the evaluation itself, which
sleeps, is what a search does: so any number of them fits on two cores, as far as their overhead does.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import anyio
from autocomp_mcp.hardware_adapters.base import Compilation, Evaluation, HardwareAdapter
from autocomp_mcp.hardware_adapters.execution import Executor, Job, Local
from autocomp_mcp.hardware_adapters.execution.ray_worker import Order
from autocomp_mcp.hardware_adapters.registry import local_adapter
from autocomp_mcp.hardware_adapters.store import Home

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
import landscape
from ray_machines import ray_machines
from toy_server import ToyServer

PROBLEM = "gemmini/gemm-64x64x64"
WORKERS = (1, 2, 4, 8, 16, 32, 64)


class Rate(NamedTuple):
    """`seconds`: from the first evaluation's start to the last one's end."""

    workers: int
    count: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.count / self.seconds


def job_for(home: Home, seed: int = 0) -> Job:
    adapter = local_adapter("gemmini", home)
    problem = adapter.problem(PROBLEM)
    return Job(kind="evaluate", problem=problem, source=adapter.baseline(problem) or "", engine="gemsim", seed=seed)


def sleeping(seconds: float) -> Any:
    """A worker's function: as the real one, but that a kernel is judged by sleeping so long."""

    def work(order: Order) -> Iterator[Any]:
        from autocomp_mcp.hardware_adapters.execution import ray_worker

        ray_worker._adapter = lambda target: sleeper(seconds)  # pyright: ignore[reportPrivateUsage]
        yield from ray_worker.work(order)

    return work


def sleeper(seconds: float) -> HardwareAdapter:
    class Sleeper:
        target, title = "gemmini", "sleeps"

        async def evaluate(self, problem: Any, source: str, *, recall: Any, **about: Any) -> Evaluation:
            compilation = Compilation(ok=True, compiler="none", seconds=0.0)
            if recall is not None:
                await recall(compilation)
            await anyio.sleep(seconds)
            return Evaluation(
                problem=problem.id, kernel="k", verdict="passed", message="", engine="gemsim", engine_version="1",
                source="estimated", seed=about["seed"], compilation=compilation,
            )  # fmt: skip

    return Sleeper()  # type: ignore[return-value]


async def rate(work: Callable[[int], Awaitable[Any]], workers: int, count: int, at_once: int) -> Rate:
    limiter = anyio.CapacityLimiter(at_once)
    began = time.perf_counter()

    async def one(number: int) -> None:
        async with limiter:
            await work(number)

    async with anyio.create_task_group() as tasks:
        for number in range(count):
            tasks.start_soon(one, number)
    return Rate(workers, count, time.perf_counter() - began)


# ---------------------------------------------------------------- this machine


async def local(home: Home, rounds: int) -> list[Rate]:
    """One and two at a time take turns, so that what else the machine does meets both."""
    adapter, executor = local_adapter("gemmini", home), Local()
    seeds = iter(range(1 << 30))

    async def work(_: int) -> None:
        await executor.run(adapter, job_for(home, next(seeds)), home)

    await work(0)
    taken: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for workers in taken:
            taken[workers].append((await rate(work, workers, 4, workers)).seconds)
    return [Rate(workers, 4, statistics.median(seconds)) for workers, seconds in taken.items()]


# ---------------------------------------------------------------- Ray


async def overhead(address: str, home: Home, count: int) -> dict[str, float]:
    """Median ms of one evaluation after the other that itself takes no time."""
    from autocomp_mcp.hardware_adapters.execution.ray_executor import Ray

    executors: dict[str, tuple[Executor, HardwareAdapter]] = {
        "local": (Local(), sleeper(0.0)),
        "ray": (Ray(address, work=sleeping(0.0)), local_adapter("gemmini", home)),
    }
    job, taken = job_for(home), {name: list[float]() for name in executors}
    for _, (executor, adapter) in executors.items():
        for _ in range(3):
            await executor.run(adapter, job, home)
    for _ in range(count):
        for name, (executor, adapter) in executors.items():
            began = time.perf_counter()
            await executor.run(adapter, job, home)
            taken[name].append(1000 * (time.perf_counter() - began))
    return {name: statistics.median(values) for name, values in taken.items()}


async def simulated(address: str, home: Home, workers: int, seconds: float, rounds: int) -> Rate:
    from autocomp_mcp.hardware_adapters.execution.ray_executor import Ray

    executor, adapter = Ray(address, work=sleeping(seconds)), local_adapter("gemmini", home)
    job = job_for(home)

    async def work(_: int) -> None:
        await executor.run(adapter, job, home)

    # Starting the processes is not what is measured: all of them are busy once, at the same time.
    await rate(work, workers, 2 * workers, 2 * workers)
    return await rate(work, workers, rounds * workers, 2 * workers)


def on_ray(home: Home, what: Callable[[str], Awaitable[Any]], workers: int) -> Any:
    """With a fresh cluster of so many workers."""
    import autocomp_mcp.hardware_adapters.execution.ray_executor as _  # noqa: F401 - before the cluster's clock runs
    import ray

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    # Nothing here uses memory: the need of a kernel must not be the limit.
    os.environ["AUTOCOMP_NEEDS"] = str(home.path / "needs.yaml")
    (home.path / "needs.yaml").write_text("default: {cpus: 1, memory_mib: 1}\n")
    try:
        with ray_machines(home.path, {"num_cpus": workers}) as cluster:
            return anyio.run(what, cluster.address)
    finally:
        del os.environ["AUTOCOMP_NEEDS"]


# ---------------------------------------------------------------- several servers


async def over_servers(servers: list[ToyServer], count: int) -> Rate:
    """`count` evaluations, all of them handed over at once."""
    from autocomp_mcp.agent.servers.offer import Wanted
    from autocomp_mcp.agent.servers.server import Host
    from autocomp_mcp.agent.servers.toolbox import SpreadToolbox
    from autocomp_mcp.agent.toolbox import Toolbox

    async def introduce(toolbox: Toolbox) -> None:
        await toolbox.get_problem(landscape.PROBLEM)

    hosts = [Host(server.url, partial(str, server.url)) for server in servers]
    wanted = Wanted(landscape.PROBLEM, None, introduce)
    async with SpreadToolbox.spread(hosts, wanted, print) as toolbox:
        limit = anyio.CapacityLimiter(toolbox.room(await toolbox.machine("toy")))

        async def work(number: int) -> None:
            async with limit:
                await toolbox.simulate(landscape.PROBLEM, f"{landscape.kernel(width=1)}// {number}\n")

        began = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            for number in range(count):
                tasks.start_soon(work, number)
        return Rate(len(servers), count, time.perf_counter() - began)


def report_servers(folder: Path, seconds: float, rounds: int) -> None:
    """`rounds`: evaluations for each place of a server as quick as the first."""
    folder.mkdir(parents=True, exist_ok=True)
    servers = [ToyServer(folder, f"server{number}") for number in range(3)]
    try:
        for server in servers:
            server.wait()
        print(f"servers, simulated evaluations of {seconds:g} s, two at once at each", flush=True)
        print(f"{'servers':<24}{'evaluations':<16}{'evaluations/s':>15}{'ideal':>8}{'efficiency':>12}", flush=True)
        for name, slower in (("1", [1]), ("2", [1, 1]), ("3", [1, 1, 1]), ("2, one 4 times slower", [1, 4])):
            used = [server.anew(delay_s=times * seconds) for server, times in zip(servers, slower, strict=False)]
            shares = [2 / (times * seconds) for times in slower]
            found = anyio.run(over_servers, used, round(rounds * seconds * sum(shares)))
            each = " + ".join(str(len(server.evaluated)) for server in used)
            rate_, ideal = found.per_second, sum(shares)
            print(f"{name:<24}{each:<16}{rate_:>15.2f}{ideal:>8.2f}{rate_ / ideal:>12.2f}", flush=True)
    finally:
        for server in servers:
            server.kill()


def report_local(home: Home, rounds: int) -> None:
    rates = anyio.run(local, home, rounds)
    print(f"this machine, {PROBLEM}, medians of {rounds} rounds in turns")
    print(f"{'at once':<10}{'evaluations/s':>15}{'ratio':>8}{'efficiency':>12}")
    for found in rates:
        ratio = found.per_second / rates[0].per_second
        print(f"{found.workers:<10}{found.per_second:>15.2f}{ratio:>8.2f}{ratio / found.workers:>12.2f}")


def report_overhead(home: Home, count: int) -> None:
    found = on_ray(home, partial(overhead, home=home, count=count), 1)
    print(f"one evaluation of 0 s after the other, median of {count}, in turns")
    print(f"{'executor':<10}{'ms':>8}")
    for name, ms in found.items():
        print(f"{name:<10}{ms:>8.1f}")
    print(f"overhead of Ray {found['ray'] - found['local']:.1f} ms")


def report_ray(home: Home, workers: list[int], seconds: float, rounds: int) -> None:
    print(f"Ray, simulated workers, {seconds:g} s an evaluation, {rounds} for each worker", flush=True)
    print(f"{'workers':<10}{'evaluations/s':>15}{'ideal':>8}{'efficiency':>12}", flush=True)
    for count in workers:
        found = on_ray(home, partial(simulated, home=home, workers=count, seconds=seconds, rounds=rounds), count)
        ideal = count / seconds if seconds else float("inf")
        share = f"{found.per_second / ideal:.2f}" if seconds else ""
        print(f"{count:<10}{found.per_second:>15.2f}{ideal:>8.1f}{share:>12}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["local", "overhead", "ray", "servers"])
    parser.add_argument("--rounds", type=int, default=8, help="evaluations for each worker")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--workers", type=int, nargs="+", default=list(WORKERS))
    parser.add_argument("--seconds", type=float, default=2.0, help="a simulated evaluation takes")
    parser.add_argument("--home", type=Path, help="with builds; default: AUTOCOMP_HOME, else a fresh one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = Home(given.home or Path(os.environ.get("AUTOCOMP_HOME", scratch)))
        if given.what == "local":
            report_local(home, given.rounds)
        elif given.what == "overhead":
            report_overhead(home, given.count)
        elif given.what == "servers":
            report_servers(Path(scratch) / "servers", given.seconds, given.rounds)
        else:
            report_ray(home, given.workers, given.seconds, given.rounds)


if __name__ == "__main__":
    main()
