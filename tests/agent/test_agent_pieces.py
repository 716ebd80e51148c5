"""Selection, budget, settings, prices, feedback, retries: the pieces by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from autocomp_mcp.agent.errors import AgentUsageError, InfrastructureError, LimitExceeded, ToolUsageError
from autocomp_mcp.agent.models.answers import fenced_source
from autocomp_mcp.agent.models.anthropic import AnthropicOptions
from autocomp_mcp.agent.models.budget import Budget, Use
from autocomp_mcp.agent.models.feedback import block, failure
from autocomp_mcp.agent.models.prices import price_of
from autocomp_mcp.agent.runs.candidate import Candidate, Plan, attempts
from autocomp_mcp.agent.runs.status import Step, Tokens, gains, search_seconds, wall_seconds
from autocomp_mcp.agent.search.beam import select
from autocomp_mcp.agent.search.permits import Permits
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.agent.toolbox import Toolbox
from autocomp_mcp.hardware_adapters.base import Evaluation
from landscape import PROBLEM, Landscape, evaluation, kernel
from pydantic import ValidationError


def candidate(identity: str, latency: float | None, *, parent: str | None = "0", mark: str = "") -> Candidate:
    data = evaluation(kernel(), 0)
    if latency is None:
        data |= {"verdict": "wrong_result", "latency": None}
    else:
        data["latency"]["value"] = latency
    return Candidate(
        id=identity,
        iteration=int(identity[0]),
        parent=parent,
        plan=Plan(option="more-width", text="raise", variant="by-1"),
        source=mark or f"int k = {identity.replace('.', '')};",
        evaluation=Evaluation.model_validate(data),
    )


def ids(chosen: list[Candidate]) -> list[str]:
    return [c.id for c in chosen]


class TestSelect:
    root = candidate("0", 100.0, parent=None)

    def test_ties_go_by_place_not_by_order_of_arrival(self) -> None:
        children = [candidate(f"1.0.{n}.0", 90.0) for n in (10, 2, 1)]
        settings = SearchSettings(beam=2)
        assert ids(select([self.root], children, 1, settings)) == ["1.0.1.0", "1.0.2.0"]
        assert ids(select([self.root], children[::-1], 1, settings)) == ["1.0.1.0", "1.0.2.0"]

    def test_slack_lasts_as_long_as_it_says(self) -> None:
        slower = [candidate("1.0.0.0", 105.0)]
        settings = SearchSettings(beam=4, slack=0.1, slack_iterations=2)
        assert ids(select([self.root], slower, 2, settings)) == ["0", "1.0.0.0"]
        assert ids(select([self.root], slower, 3, settings)) == ["0"]
        assert ids(select([self.root], [candidate("3.0.0.0", 100.0)], 3, settings)) == ["0"], "as fast is not faster"

    def test_what_does_not_pass_stays_out(self) -> None:
        assert ids(select([self.root], [candidate("1.0.0.0", None)], 1, SearchSettings())) == ["0"]

    def test_one_text_has_one_place(self) -> None:
        twins = [candidate("1.0.0.0", 80.0, mark="int x; // a"), candidate("1.0.1.0", 80.0, mark="int  x;")]
        assert ids(select([self.root], twins, 1, SearchSettings())) == ["1.0.0.0", "0"]

    def test_a_spent_kernel_gives_its_place_to_the_best_of_the_rest(self) -> None:
        others = [candidate("1.0.0.0", 130.0), candidate("1.0.1.0", 120.0), candidate("1.0.2.0", None)]
        settings = SearchSettings(beam=2)
        spent = {self.root.digest}
        assert ids(select([self.root], [], 5, settings, spent=spent, reserve=others)) == ["1.0.1.0", "1.0.0.0"]
        assert ids(select([self.root], [], 5, settings, spent=(), reserve=others)) == ["0"]
        everything = {c.digest for c in [self.root, *others]}
        assert select([self.root], [], 5, settings, spent=everything, reserve=others) == []


def test_attempts_count_a_duplicate_by_what_it_duplicates() -> None:
    root, child = candidate("0", 100.0, parent=None), candidate("1.0.0.0", 50.0)
    twin = child.model_copy(update={"id": "1.0.1.0", "evaluation": None, "duplicate_of": "1.0.0.0"})
    failed = candidate("1.0.2.0", None)
    found = attempts([failed, twin, child, root])[root.digest]
    assert [(a.verdict, a.ratio) for a in found] == [("passed", 2.0), ("duplicate", 2.0), ("wrong_result", None)]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("limit", "most", "used"),
    [("cost", Use(usd=0.4), Use(usd=0.125)), ("tokens", Use(tokens=400), Use(usd=9.0, tokens=125))],
)
async def test_a_call_waits_while_those_in_flight_may_use_up_the_budget(limit: str, most: Use, used: Use) -> None:
    budget = Budget(usd=1.0) if limit == "cost" else Budget(tokens=1000)
    whole = 1.0 if limit == "cost" else 1000
    running = most_running = done = 0

    async def one() -> None:
        nonlocal running, most_running, done
        async with budget.call(most) as spending:
            running += 1
            most_running = max(most_running, running)
            await anyio.lowlevel.checkpoint()
            spending.used = used
            running -= 1
            done += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(one)
    assert (most_running, done) == (2, 8)
    with pytest.raises(LimitExceeded) as caught:
        async with budget.call(Use()):
            pass
    assert (caught.value.type, caught.value.limit) == (limit, whole) and caught.value.value == pytest.approx(whole)


@pytest.mark.anyio
async def test_permits_go_to_the_lowest_places_whoever_asks_first() -> None:
    permits, granted, refused = Permits(limit=5, done=2, needs=[2, 1, 1, 1]), [], []

    async def take(unit: int) -> None:
        try:
            while not permits.granted(unit):
                await permits.change()
        except LimitExceeded:
            refused.append(unit)
        else:
            granted.append(unit)

    async with anyio.create_task_group() as tasks:
        for unit in (3, 2, 1, 0):
            tasks.start_soon(take, unit)
        await anyio.wait_all_tasks_blocked()
        assert granted == [1, 0], "three are left, of which the first unit may want two"
        with permits.settled(0):
            pass  # it needs no second one
        await anyio.wait_all_tasks_blocked()
        assert (sorted(granted), refused) == ([0, 1, 2], []), "three are in flight, and one may not count"
        permits.end(counts=True)
        permits.end(counts=False)
        await anyio.wait_all_tasks_blocked()
        assert sorted(granted) == [0, 1, 2, 3], "its permit went on"
        tasks.start_soon(take, 3)
        await anyio.wait_all_tasks_blocked()
        for _ in range(2):
            permits.end(counts=True)
    assert refused == [3]


def test_without_scarcity_no_permit_is_waited_for() -> None:
    for permits in (Permits(limit=None, done=0, needs=[9, 9]), Permits(limit=100, done=81, needs=[9, 9])):
        assert permits.granted(1)
        assert permits.granted(0)


@pytest.mark.parametrize("bad", [{"iterations": 0}, {"beam": 0}, {"dropout": 1.0}, {"max_cost_usd": -1}, {"plan": 3}])
def test_settings_are_checked(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        SearchSettings.model_validate(bad)


def test_prices(tmp_path: Path) -> None:
    price = price_of("claude-haiku-4-5-20251001")
    assert price is not None
    tokens = Tokens(input=1_000_000, output=100_000, cache_write=1_000_000, cache_read=2_000_000)
    assert price.cost(tokens) == pytest.approx(1 + 0.5 + 1.25 + 0.2)
    assert price.cost(tokens, cached_for_an_hour=True) == pytest.approx(1 + 0.5 + 2 + 0.2)
    assert price.cost(tokens, batch=True) == pytest.approx(price.cost(tokens) / 2)
    assert price_of("claude-haiku-4") is None
    mine = tmp_path / "mine.yaml"
    mine.write_text("models: {m: {input: -1, output: 1, cache_write: 1, cache_write_1h: 1, cache_read: 1, as_of: x}}")
    with pytest.raises(AgentUsageError, match=r"mine.yaml: prices of m"):
        price_of("m", mine)
    with pytest.raises(AgentUsageError, match="nowhere"):
        price_of("m", tmp_path / "nowhere.yaml")


def test_every_listed_price_is_complete() -> None:
    import yaml
    from autocomp_mcp.agent.models.prices import DEFAULT

    for name in yaml.safe_load(DEFAULT.read_text())["models"]:
        price = price_of(name)
        assert price is not None and price.cache_read < price.input < price.cache_write < price.output
        assert price.batch == 0.5


def test_every_model_of_the_sdk_has_a_price_or_a_reason() -> None:
    from typing import get_args

    import yaml
    from anthropic.types import Model
    from autocomp_mcp.agent.models.prices import DEFAULT

    unpriced = yaml.safe_load(DEFAULT.read_text())["unpriced"]
    named = {name for part in get_args(Model) for name in get_args(part)}
    assert len(named) > 10
    for name in named:
        assert (price_of(name) is not None) != (name in unpriced), name


def test_a_block_cannot_be_left_and_has_an_end() -> None:
    text = block("failure", "a</failure>b</ FAILURE >c" + "x" * 9000, 100)
    assert text.lower().count("</failure>") == 1 and "</ failure" not in text.lower()
    assert len(text) < 250 and "characters left out" in text


def test_a_failure_names_lines_and_elements() -> None:
    data = evaluation("syntax error", 0) | {
        "compilation": {
            "ok": False, "compiler": "cc", "seconds": 0.1,
            "diagnostics": [{"severity": "error", "message": "no such name", "line": 7}],
        },
        "fault": {"kind": "illegal_address", "message": "8 bytes past the end of C", "line": 12},
        "mismatches": [{"output": "C", "index": [3, 4], "got": 1, "expected": 2}],
        "wrong_elements": 9,
    }  # fmt: skip
    text = failure(Evaluation.model_validate(data))
    for fact in ("line 7: no such name", "at line 12: 8 bytes past", "C[3, 4]: got 1, expected 2", "9 elements"):
        assert fact in text


def test_the_longest_fenced_block_is_the_kernel() -> None:
    assert fenced_source("```c\nint a;\n```\nand\n```\nint a; int b;\n```\n") == ("int a; int b;\n", None)
    assert fenced_source('```c\nchar *s = "```";\n```\n')[0] == 'char *s = "```";\n'


def test_options_of_the_model_are_checked() -> None:
    with pytest.raises(ValidationError):
        AnthropicOptions.model_validate({"max_tokens": 500_000})


@pytest.mark.anyio
async def test_the_toolbox_tells_usage_from_infrastructure() -> None:
    land = Landscape()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with Toolbox.connect(land.server, sleep=sleep, retry_delays_s=(1.0, 2.0)) as toolbox:
        with pytest.raises(ToolUsageError, match=r"^get_problem: unknown problem 'x'"):
            await toolbox.get_problem("x")
        with pytest.raises(ToolUsageError, match="no-such"):
            await toolbox.get_optimization("no-such", PROBLEM)
        with pytest.raises(ToolUsageError):
            await toolbox.reference("elsewhere", "guide")
        assert slept == []
        land.failures = 2
        assert (await toolbox.simulate(PROBLEM, kernel())).passed
        assert slept == [1.0, 2.0]
        land.failures = 3
        with pytest.raises(InfrastructureError, match=r"the last: environment: .*the kernel is not at fault"):
            await toolbox.simulate(PROBLEM, kernel())
        land.defect = RuntimeError("a defect of the server")
        with pytest.raises(InfrastructureError, match=r"the last: an unexpected error in the tool; the server's log"):
            await toolbox.simulate(PROBLEM, kernel())


@pytest.mark.anyio
async def test_an_engine_is_waited_for_as_long_as_it_takes() -> None:
    land = Landscape(delay_s=0.5)
    async with Toolbox.connect(land.server, call_timeout_s=0.1, retry_delays_s=()) as toolbox:
        assert (await toolbox.simulate(PROBLEM, kernel(), engine="toysim")).passed  # which says 60 s
        with pytest.raises(InfrastructureError, match="simulate_kernel failed"):
            await toolbox.simulate(PROBLEM, kernel(), engine="toysim", timeout_s=0.1)


@pytest.mark.anyio
async def test_a_server_that_is_not_there() -> None:
    with pytest.raises(InfrastructureError, match="cannot connect"):
        async with Toolbox.connect("http://127.0.0.1:9/mcp"):
            pass


def test_a_step_gains_over_the_last_latency_that_is_known() -> None:
    steps = [Step(candidate=str(n), option=None, latency=known) for n, known in enumerate([8.0, 4.0, None, 2.0])]
    assert list(gains(steps)) == [None, 2.0, None, 2.0]


def test_seconds_between_sessions_count_for_nothing_and_confirming_not_for_the_limit() -> None:
    written = [("session", 0), ("model", 4), ("searched", 6), ("confirm", 10), ("limits", 1000), ("session", 1001)]
    events = [{"kind": kind, "at": float(at)} for kind, at in [*written, ("model", 1005)]]
    assert wall_seconds(events, None) == 10 + 4
    assert search_seconds(events) == 6 + 4
    again = [{"kind": kind, "at": float(at)} for kind, at in [*written[:4], ("session", 100), ("confirm", 300)]]
    assert (wall_seconds(again, None), search_seconds(again)) == (210, 6)
