"""kill -9 of the controller, the server or a simulator at random moments of a search, again and again; each time it is
resumed. It ends as the undisturbed one does, and what a model answered is never asked for again.
"""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from autocomp_mcp.agent.runs.journal import Journal
from faults import intact, running, until, workers
from forked_command import Command
from messages_api import MessagesApi
from server_process import clean_environment
from wandering_author import WanderingAuthor

pytestmark = pytest.mark.trust
MakeHome = Callable[[Path], Path]
PROBLEM = "gemmini/gemm-48x64x80"
PARALLEL = 2  # calls of models at once
SEARCH = (
    "optimize", PROBLEM, "--model", "anthropic:claude-sonnet-5-5", "--reuse", "none", "--iterations", "4", "--plans",
    "3", "--beam", "2", "--set", "dropout=0", "--set", f"max_parallel_model={PARALLEL}", "--set", "stop_utilisation=1",
)  # fmt: skip
VICTIMS = ("controller", "controller", "server", "simulator")
GIVE_UP = ("controller", "server")  # whose death ends a session with calls of models in flight
SAME = (
    "best", "best_source", "lineage", "speedup", "evaluations", "duplicates", "model_calls", "tokens", "cost_usd",
    "stop_reason", "state", "limit",
)  # fmt: skip
SAMPLED, FULL = 3, 200


class Scene:
    """A search of one process on a server of another, each with a home of its own."""

    def __init__(self, folder: Path, make_home: MakeHome, api: MessagesApi) -> None:
        self._folder, self._api = folder, api
        self.mine, self.theirs = make_home(folder / "mine"), make_home(folder / "theirs")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._turn = 0
        self.server: Command | None = None

    def __exit__(self, *error: object) -> None:
        if self.server is not None:
            self.server.kill()

    def __enter__(self) -> Scene:
        return self

    def serve(self) -> None:
        words = ("serve", "--http", f"127.0.0.1:{self._port}")
        self.server = Command(self._folder / "server", clean_environment(self.theirs), *words)
        assert until(self._listens), self.server.complained.read_text()

    def _listens(self) -> bool:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            return True
        return False

    def search(self) -> Command:
        """From its beginning, or from where it stands."""
        if self.server is None or self.server.ended:
            self.serve()
        begun = bool(self.events())
        words = ("resume", "last") if begun else SEARCH
        environment = clean_environment(self.mine, ANTHROPIC_API_KEY="test", ANTHROPIC_BASE_URL=self._api.url)
        self._turn += 1
        url = f"http://127.0.0.1:{self._port}/mcp"
        return Command(self._folder / f"turn{self._turn}", environment, *words, "--server", url, "--json")

    def events(self) -> list[dict[str, Any]]:
        if not (self.mine / "autocomp.db").exists():
            return []
        journal = Journal(self.mine / "autocomp.db")
        try:
            return next((journal.events(run_id) for run_id in journal.run_ids()), [])
        finally:
            journal.close()

    def seen(self) -> list[tuple[str, list[dict[str, Any]]]]:
        journal = Journal(self.mine / "autocomp.db")
        try:
            return [(run_id, journal.events(run_id)) for run_id in journal.run_ids()]
        finally:
            journal.close()

    def answered(self) -> int:
        """Calls of models whose answers are journalled."""
        return sum(event["kind"] == "model" for event in self.events())

    def outcome(self) -> dict[str, Any]:
        journal = Journal(self.mine / "autocomp.db")
        try:
            (run_id,) = journal.run_ids()
            status = journal.status(run_id).model_dump(mode="json")
            found = {event["key"]: event["data"]["evaluation"] for event in journal.events(run_id) if _judged(event)}
        finally:
            journal.close()
        kernels = {key: (said and (said["verdict"], said["latency"])) for key, said in found.items()}
        return {name: status[name] for name in SAME} | {"kernels": kernels}


def _judged(event: dict[str, Any]) -> bool:
    return event["kind"] == "candidate"


class Session(NamedTuple):
    """One process that drove the search: model calls that it made, and of those the answers that were journalled."""

    victim: str
    asked: int
    answered: int
    status: int | None


def disturbed(scene: Scene, api: MessagesApi, chance: random.Random, kills: int, within_s: float) -> list[Session]:
    """Search to the end, with so many kills at the most; `within_s`: of a session's start."""
    sessions: list[Session] = []
    killed = 0
    while True:
        asked, answered = len(api.requests), scene.answered()
        controller = scene.search()
        victim = chance.choice(VICTIMS) if killed < kills else "nobody"
        if victim != "nobody":
            delay = time.monotonic() + chance.uniform(0.0, within_s)
            until(lambda: controller.ended or time.monotonic() > delay)  # noqa: B023 - asked at once
        if strike(scene, controller, victim):
            killed += 1
        else:
            victim = "nobody"
        status = controller.wait(180)
        assert status is not None, f"it hangs: {controller.complained.read_text()}"
        time.sleep(0.2)  # an API that was being asked when the controller died hears it first
        sessions.append(Session(victim, len(api.requests) - asked, scene.answered() - answered, status))
        if status == 0:
            return sessions
        assert len(sessions) < 4 * kills + 8, controller.complained.read_text()


def strike(scene: Scene, controller: Command, victim: str) -> bool:
    """Whether somebody was killed."""
    if controller.ended or victim == "nobody":
        return False
    if victim == "controller":
        controller.kill()
        return True
    if victim == "server":
        assert scene.server is not None
        scene.server.kill()
        return True
    found = workers(scene.theirs)
    until(lambda: controller.ended or running(found), 20)
    return any(process.kill() for process in running(found)[:1])


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, make_home: MakeHome
) -> Iterator[tuple[dict[str, Any], float, int]]:
    """How the search ends when nobody dies, the seconds it takes, and the calls it makes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with MessagesApi(WanderingAuthor(PROBLEM)) as api, Scene(folder, make_home, api) as scene:
        began = time.monotonic()
        controller = scene.search()
        assert controller.wait(300) == 0, controller.complained.read_text()
        took = time.monotonic() - began
        outcome = scene.outcome()
        assert outcome["evaluations"] >= 8 and outcome["speedup"] > 1 and outcome["model_calls"] == len(api.requests)
        yield outcome, took, len(api.requests)


def test_a_search_that_is_killed_again_and_again(
    undisturbed: tuple[dict[str, Any], float, int], tmp_path: Path, make_home: MakeHome, score, how_many
) -> None:
    wanted, took, calls = undisturbed
    chance = random.Random("kills")
    left, number = how_many(SAMPLED, FULL), 0
    while left > 0:
        with ExitStack() as stack:
            api = stack.enter_context(MessagesApi(WanderingAuthor(PROBLEM)))
            scene = stack.enter_context(Scene(tmp_path / f"search{number}", make_home, api))
            sessions = disturbed(scene, api, chance, left, took / 3)
            outcome, total = scene.outcome(), len(api.requests)
            sound = intact(scene.mine / "autocomp.db") and intact(scene.theirs / "autocomp.db")
            server = scene.server
            assert server is not None
            empty = [run_id for run_id, events in scene.seen() if not events]
            assert not empty, "a run whose controller was killed before its first event is seen"
            server.kill()
            orphans = not until(lambda: not running(workers(scene.theirs)), 10)  # noqa: B023 - asked at once
        repeated = [s for s in sessions if s.asked - s.answered > (PARALLEL if s.victim in GIVE_UP else 0)]
        differing = [name for name in wanted if outcome[name] != wanted[name]]
        struck = sum(s.victim != "nobody" for s in sessions)
        held = not repeated and not differing and sound and not orphans
        lost = total - calls
        score("kills survived", struck * held, struck, f"{lost} of {total} calls of models were lost in flight")
        assert held, (number, differing, repeated, sound, orphans, [json.dumps(s) for s in sessions])
        left -= struck
        number += 1
