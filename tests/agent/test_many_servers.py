"""One search on several servers, which are processes of their own behind real HTTP: they die, hang, lack things, come
back; what the search finds and counts is what it would have found and counted on one that does none of this."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from autocomp_mcp.agent.controller import resume, search
from autocomp_mcp.agent.each import each
from autocomp_mcp.agent.errors import AgentUsageError, InfrastructureError, ToolUsageError
from autocomp_mcp.agent.models.providers import make_models
from autocomp_mcp.agent.runs.events import SearchEvent
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.agent.runs.status import RunStatus
from autocomp_mcp.agent.servers.offer import Wanted
from autocomp_mcp.agent.servers.server import Host, Patience
from autocomp_mcp.agent.servers.toolbox import SpreadToolbox
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.agent.toolbox import Toolbox
from landscape import PROBLEM, TOP, Landscape, kernel
from toy_server import ToyServer

pytestmark = pytest.mark.anyio
SETTINGS = {
    "iterations": 3,
    "plans": 6,
    "beam": 3,
    "stop_utilisation": 1.0,
    "timeout_s": None,
    "max_parallel_engine": 12,
}
PATIENCE = Patience(look=0.2, answer=3.0, again=0.2, alone=1.0)


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ToyServer]]:
    folder = tmp_path_factory.mktemp("servers")
    started = [ToyServer(folder, name) for name in ("a", "b", "c")]
    yield started
    for server in started:
        server.kill()


@pytest.fixture
def servers(processes: list[ToyServer]) -> list[ToyServer]:
    """Three that work as they should, and have judged nothing yet."""
    for server in processes:
        if server.gone:
            server.start()
        server.go_on()
        server.wait().anew()
    return processes


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> RunStatus:
    """What the search comes to without any of this."""

    async def run() -> RunStatus:
        async with Toolbox.connect(Landscape().server) as toolbox:
            return await searched(toolbox, tmp_path_factory.mktemp("alone"))

    return anyio.run(run)


class Spread:
    """`said`: what the user is told."""

    def __init__(self, servers: Sequence[ToyServer], *, engine: str | None = None, **patience: float) -> None:
        self.said: list[str] = []
        self.introduced = 0  # servers that were told of the problem
        self._said_more = anyio.Event()
        self._hosts = [Host(server.url, partial(str, server.wait().url)) for server in servers]
        self._engine = engine
        self._patience = PATIENCE._replace(**patience)

    def connect(self) -> Any:
        async def introduce(toolbox: Toolbox) -> None:
            await toolbox.get_problem(PROBLEM)
            self.introduced += 1

        wanted = Wanted(PROBLEM, self._engine, introduce)
        return SpreadToolbox.spread(self._hosts, wanted, self._say, self._patience)

    def _say(self, text: str) -> None:
        self.said.append(text)
        self._said_more.set()
        self._said_more = anyio.Event()

    async def told(self, text: str) -> None:
        """Wait until the user is told that."""
        with anyio.fail_after(30):
            while text not in self.said:
                await self._said_more.wait()

    async def search(self, home: Path, *, again: str = "", listener: Any = None, **settings: Any) -> RunStatus:
        async with self.connect() as toolbox:
            return await searched(toolbox, home, again, listener, **settings)


async def searched(toolbox: Toolbox, home: Path, again: str = "", listener: Any = None, **settings: Any) -> RunStatus:
    shared: dict[str, Any] = {
        "toolbox": toolbox,
        "models": make_models("offline", toolbox),
        "journal": Journal(place(home)),
        "runs_dir": home / "runs",
        "listener": listener,
    }
    if again:
        return await resume(again, **shared)
    return await search(PROBLEM, SearchSettings.for_model("offline", **(SETTINGS | settings)), **shared)


def place(home: Path) -> Path:
    home.mkdir(exist_ok=True)
    return home / "autocomp.db"


def told(status: RunStatus) -> Any:
    best = status.best and (status.best.candidate, status.best.latency)
    return status.state, best, status.lineage, status.evaluations, status.duplicates, status.model_calls


def after(evaluations: int, act: Callable[[], None]) -> Callable[[SearchEvent], None]:
    """A listener that acts once, when the search has so many."""
    done = False

    def listen(event: SearchEvent) -> None:
        nonlocal done
        if event.evaluations >= evaluations and not done:
            done = True
            act()

    return listen


def kernels(count: int) -> list[str]:
    return [kernel(width=i % TOP, depth=i // TOP % TOP, lanes=i // TOP**2) for i in range(count)]


async def test_the_work_is_shared_and_nothing_is_done_twice(
    tmp_path: Path, servers: list[ToyServer], alone: RunStatus
) -> None:
    spread = Spread(servers)
    status = await spread.search(tmp_path)
    assert told(status) == told(alone)
    evaluated = [digest for server in servers for digest in server.evaluated]
    assert len(evaluated) == len(set(evaluated)) == status.evaluations
    assert all(server.evaluated for server in servers)
    assert spread.said == []


async def test_no_server_is_given_more_than_it_has_room_for(tmp_path: Path, servers: list[ToyServer]) -> None:
    quick, slow = servers[0], servers[1].anew(delay_s=0.2)
    status = await Spread([quick, slow]).search(tmp_path, max_parallel_engine=None)
    assert status.state == "finished"
    assert quick.most_under_way == slow.most_under_way == 2, "what they say to work on at once"


async def test_a_server_that_is_killed(tmp_path: Path, servers: list[ToyServer], alone: RunStatus) -> None:
    victim = servers[1]
    spread = Spread(servers)
    status = await spread.search(tmp_path, listener=after(10, victim.kill))
    assert victim.gone and told(status) == told(alone)
    assert len(spread.said) == 1 and spread.said[0].startswith(f"server {victim.url} set aside: ")
    assert len({digest for server in servers for digest in server.evaluated}) == status.evaluations


async def test_a_server_that_comes_back_works_on(servers: list[ToyServer]) -> None:
    first, second = servers[:2]
    spread = Spread([first, second])
    async with spread.connect() as toolbox:
        second.kill()
        assert all(e.passed for e in await each(kernels(8), partial(toolbox.simulate, PROBLEM)))
        assert len(first.evaluated) == 8 and second.evaluated == []
        second.start()
        await spread.told(f"server {second.url} back")
        await each(kernels(8), partial(toolbox.simulate, PROBLEM))
    assert len(spread.said) == 2 and " set aside: " in spread.said[0]
    assert second.evaluated and spread.introduced == 3, "a server that comes back may have forgotten the problem"


async def test_a_server_whose_proxy_answers_for_it(servers: list[ToyServer]) -> None:
    first, second = servers[:2]
    spread = Spread([first, second])
    async with spread.connect() as toolbox:
        second.anew(status=503)
        assert all(e.passed for e in await each(kernels(8), partial(toolbox.simulate, PROBLEM)))
        second.anew()
        await spread.told(f"server {second.url} back")
    assert f"server {second.url} set aside: " in spread.said[0]
    assert len(first.evaluated) == 8


async def test_a_server_that_hangs_is_steered_around(
    tmp_path: Path, servers: list[ToyServer], alone: RunStatus
) -> None:
    victim = servers[0]
    spread = Spread(servers, answer=2.0, alone=10.0)
    status = await spread.search(tmp_path, listener=after(10, victim.stop))
    assert told(status) == told(alone)
    assert len(victim.evaluated) < min(len(server.evaluated) for server in servers[1:])
    assert [text for text in spread.said if victim.url in text] == [
        f"server {victim.url} set aside: no answer for 2 s; its calls go to others"
    ]


async def test_a_server_that_hangs_at_first_is_taken_in_later(servers: list[ToyServer]) -> None:
    victim = servers[0]
    victim.stop()
    spread = Spread(servers, connect=1.0)
    async with spread.connect() as toolbox:
        assert (await toolbox.simulate(PROBLEM, kernel())).passed
        assert any(f"server {victim.url} not reached: no answer" in text for text in spread.said)
        victim.go_on()
        await spread.told(f"server {victim.url} back")


async def test_a_call_that_does_not_end_is_given_to_another(servers: list[ToyServer]) -> None:
    spread = Spread([servers[0].anew(hangs=1), servers[1]], overdue=0.3)
    async with spread.connect() as toolbox:
        with anyio.fail_after(30):
            said = await each(kernels(12), partial(toolbox.simulate, PROBLEM))
    assert len({evaluation.kernel for evaluation in said}) == 12
    assert spread.said == [], "it answers, so it is not set aside"
    assert servers[0].evaluated and servers[1].evaluated


async def test_the_quicker_server_gets_more(servers: list[ToyServer]) -> None:
    quick, slow = servers[0].anew(delay_s=0.05), servers[1].anew(delay_s=0.5)
    async with Spread([quick, slow]).connect() as toolbox:
        limit = anyio.CapacityLimiter(toolbox.room(await toolbox.machine("toy")))

        async def one(source: str) -> None:
            async with limit:
                await toolbox.simulate(PROBLEM, source)

        await each(kernels(100), one)
        done = len(slow.evaluated)
        await each([f"{source}// last" for source in kernels(3)], one)
        assert len(slow.evaluated) == done, "the quick one ends even the third of them sooner"
    assert len(quick.evaluated) + len(slow.evaluated) == 103
    assert 3 * len(slow.evaluated) < len(quick.evaluated) and len(slow.evaluated) >= 2


async def test_who_cannot_work_on_it_is_left_out(servers: list[ToyServer]) -> None:
    able, without, lacking = servers[0], servers[1].anew(knows=False), servers[2].anew(rtl_here=False)
    spread = Spread(servers, engine="toyrtl")
    async with spread.connect() as toolbox:
        said = await each(kernels(6), partial(toolbox.simulate, PROBLEM, engine="toyrtl"))
    assert all(evaluation.engine == "toyrtl" for evaluation in said)
    lines = {line.split()[1]: line for line in spread.said}
    assert len(spread.said) == 2 and all(" left out: " in line for line in spread.said)
    assert "unknown problem" in lines[without.url] and "engine 'toyrtl' is not available" in lines[lacking.url]
    with pytest.raises(AgentUsageError, match="no server can work on") as caught:
        async with Spread([without, lacking], engine="toyrtl").connect():
            pass
    assert without.url in str(caught.value) and lacking.url in str(caught.value) and able.url not in str(caught.value)


@pytest.mark.parametrize(
    ("differs", "reason"), [({"version": "2"}, "2, not 1"), ({"conditions": "gcc"}, "compiler or settings")]
)
async def test_answers_must_be_comparable(servers: list[ToyServer], differs: dict[str, str], reason: str) -> None:
    first, unlike, other = (
        server.anew(**({"version": "1"} | more)) for server, more in zip(servers, ({}, differs, {}), strict=True)
    )
    spread = Spread(servers)
    async with spread.connect() as toolbox:
        await each(kernels(8), partial(toolbox.simulate, PROBLEM))
    whole = f"engine 'toysim' is another one here than at {first.url} ({reason})"
    assert spread.said == [f"server {unlike.url} left out: {whole}"]
    assert unlike.evaluated == [] and other.evaluated


async def test_an_engine_that_only_one_server_has_is_used_there(tmp_path: Path, servers: list[ToyServer]) -> None:
    spread = Spread([servers[0].anew(rtl_here=False), servers[1]])
    status = await spread.search(tmp_path, confirm="toyrtl", confirm_top=3, iterations=1)
    assert status.state == "finished" and len(status.confirmations) == 3 and spread.said == []


async def test_a_busy_server_is_given_less(servers: list[ToyServer]) -> None:
    spread = Spread([servers[0].anew(refuses_more_than=1), servers[1]])
    async with spread.connect() as toolbox:
        said = await each(kernels(40), partial(toolbox.simulate, PROBLEM))
    assert len(said) == 40 and spread.said == [], "busy is no failure"


async def test_failures_of_the_machine_and_of_kernels(servers: list[ToyServer]) -> None:
    spread = Spread([servers[0].anew(failures=2), servers[1]])
    wrong, broken = kernel(width=TOP + 1), "no kernel"
    async with spread.connect() as toolbox:
        with anyio.fail_after(30):
            assert all(e.passed for e in await each(kernels(8), partial(toolbox.simulate, PROBLEM)))
            judged = await each([wrong, broken], partial(toolbox.simulate, PROBLEM))
        with pytest.raises(ToolUsageError, match="unknown option"):
            await toolbox.get_optimization("no such", PROBLEM)
    assert [evaluation.verdict for evaluation in judged] == ["wrong_result", "compile_error"]
    evaluated = [digest for server in servers for digest in server.evaluated]
    assert [evaluated.count(evaluation.kernel) for evaluation in judged] == [1, 1], "a kernel's failure is a result"
    assert any("set aside: environment: the engine failed" in text for text in spread.said)


async def test_a_call_that_fails_everywhere_is_given_up(servers: list[ToyServer]) -> None:
    failing = [server.anew(failures=1000) for server in servers[:2]]
    async with Spread(failing).connect() as toolbox:
        with anyio.fail_after(30), pytest.raises(InfrastructureError, match="simulate_kernel failed 3 times") as caught:
            await toolbox.simulate(PROBLEM, kernel())
    assert all(server.url in str(caught.value) for server in failing)


async def test_when_all_are_lost_the_run_can_be_resumed(
    tmp_path: Path, servers: list[ToyServer], alone: RunStatus
) -> None:
    def kill() -> None:
        for server in servers[:2]:
            server.kill()

    status = await Spread(servers[:2]).search(tmp_path, listener=after(10, kill))
    assert status.state == "failed" and "no server is left" in status.stop_reason
    assert all(server.url in status.stop_reason for server in servers[:2])
    resumed = await Spread(servers[2:]).search(tmp_path, again=status.run_id)
    assert told(resumed) == told(alone)
    assert status.evaluations + len(servers[2].evaluated) == resumed.evaluations, "nothing finished is done again"
