"""Resources and completion, read by a client as a host reads them."""

import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.menus.menu import load_menu
from autocomp_mcp.menus.reference import topics
from autocomp_mcp.server.app import build_server
from autocomp_mcp.tools.bench import Bench
from autocomp_mcp.tools.timeline import summarised
from mcp import Client, MCPError, StdioServerParameters
from mcp.types import PromptReference, ResourceTemplateReference
from synthetic_run import SyntheticRun, evaluation

PROBLEM = "gemmini/gemm-32x32x32"
MAX_BYTES = 8 * 1024


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def connected(home: Home) -> AsyncIterator[Client]:
    async with Client(build_server(Bench(home))) as client:
        yield client


async def read(client: Client, address: str) -> str:
    text = (await client.read_resource(address)).contents[0].text
    assert len(text.encode()) <= MAX_BYTES, address
    return text


async def whole(client: Client, address: str) -> tuple[str, int]:
    """All parts joined, without their last lines, and how many there were."""
    text, count, following = "", 0, address
    while following:
        shown = await read(client, following)
        count += 1
        body, _, last = shown.rstrip("\n").rpartition("\n")
        found = re.search(rf"the next part: ({re.escape(address)}\?offset=\d+)", last)
        following = found[1] if found else None
        text += body + "\n" if found or last.find("; the end") >= 0 else shown
    return text, count


async def refusal(client: Client, address: str) -> str:
    with pytest.raises(MCPError) as caught:
        await client.read_resource(address)
    assert caught.value.error.code == -32602
    assert len(caught.value.error.message) <= 2000
    return caught.value.error.message


async def completed(client: Client, template: str, name: str, value: str, **given: str) -> list[str]:
    ref = ResourceTemplateReference(type="ref/resource", uri=template)
    result = await client.complete(ref, {"name": name, "value": value}, given or None)
    assert len(result.completion.values) <= 100
    return result.completion.values


@pytest.mark.anyio
async def test_problems_and_menus_are_complete(make_home: Callable[[Path], Path], tmp_path: Path) -> None:
    async with connected(Home(make_home(tmp_path / "home"))) as client:
        detail = (await client.call_tool("get_problem", {"problem": PROBLEM})).structured_content
        for address in (f"problem://{PROBLEM}", f"problem://{PROBLEM.replace('/', '%2F')}"):
            text = await read(client, address)
            assert detail["problem"]["signature"] in text and detail["baseline"].rstrip() in text
            assert all(rule in text for rule in detail["problem"]["rules"])
        text, count = await whole(client, "menu://gemmini")
        menu = load_menu("gemmini")
        assert count > 1
        assert all(f"`{option.id}`: {option.title}" in text and option.effect in text for option in menu.options)
        assert all(f"- `{name}`: " in text for name in menu.bottlenecks)
        for summary in (await client.call_tool("list_problems", {"suite": "resnet50-conv"})).structured_content[
            "problems"
        ]:
            assert summary["id"] in (await whole(client, f"problem://{summary['id']}"))[0]


@pytest.mark.anyio
async def test_the_topics_of_a_reference_are_a_resource(make_home: Callable[[Path], Path], tmp_path: Path) -> None:
    async with connected(Home(make_home(tmp_path / "home"))) as client:
        listed = [str(resource.uri) for resource in (await client.list_resources()).resources]
        assert "reference://gemmini" in listed
        found = re.findall(r"reference://gemmini/([\w-]+)", await read(client, "reference://gemmini"))
        assert found == list(topics("gemmini"))
        for topic in found:
            assert await read(client, f"reference://gemmini/{topic}")


@pytest.mark.anyio
async def test_a_run_and_its_kernels(make_home: Callable[[Path], Path], tmp_path: Path) -> None:
    home = Home(make_home(tmp_path / "home"))
    async with connected(home) as client:
        arguments = {"problem": PROBLEM, "model": "offline", "settings": {"iterations": 1, "plans": 2}}
        run = (await client.call_tool("start_search", arguments)).structured_content["run_id"]
        with anyio.fail_after(120):
            while (status := (await client.call_tool("get_search", {"run": run, "wait_s": 20})).structured_content)[
                "state"
            ] == "running":
                pass
        record = json.loads(await read(client, f"run://{run}"))
        assert record["best"] == status["best"] and record["state"] == "finished"
        best, _ = await whole(client, record["best_kernel"])
        assert best.rstrip() == status["best_source"].rstrip()
        assert best == (await whole(client, record["lineage"][-1]["kernel"]))[0]
        baseline, _ = await whole(client, f"kernel://{run}/0")
        judged = (await client.call_tool("simulate_kernel", {"problem": PROBLEM, "source": best})).structured_content
        assert judged["kernel"] not in baseline
        for digest in (judged["kernel"], judged["compilation"]["artifact"], judged["compilation"]["code"]):
            assert (await whole(client, f"kernel://{digest}"))[0].rstrip() == best.rstrip()

        assert await completed(client, "run://{id}", "id", run[:6]) == [run]
        assert (await completed(client, "kernel://{run}/{candidate}{?offset}", "candidate", "", run=run))[:2] == [
            "best",
            "0",
        ]
        assert run in await refusal(client, f"run://{run[:-1]}")
        assert "best" in await refusal(client, f"kernel://{run}/9.9.9.9")


@pytest.mark.anyio
async def test_a_long_kernel_simulated_by_hand_is_read_in_parts(
    make_home: Callable[[Path], Path], tmp_path: Path
) -> None:
    async with connected(Home(make_home(tmp_path / "home"))) as client:
        source = (await client.call_tool("get_problem", {"problem": PROBLEM})).structured_content["baseline"]
        source += "".join(f"/* {n} {'é' * 90} */\n" for n in range(200))
        judged = (await client.call_tool("simulate_kernel", {"problem": PROBLEM, "source": source})).structured_content
        text, count = await whole(client, f"kernel://{judged['kernel']}")
        assert text == source and count > 4
        for offset in (len(source), 10**8, "-1", "x"):
            assert "offset" in await refusal(client, f"kernel://{judged['kernel']}?offset={offset}")


@pytest.mark.anyio
async def test_what_does_not_exist_is_answered_with_what_is_near(
    make_home: Callable[[Path], Path], tmp_path: Path
) -> None:
    home = Home(make_home(tmp_path / "home"))
    (home.path / "secret.kernel").write_text("classified")
    async with connected(home) as client:
        assert "gemmini/gemm-32x32x32" in await refusal(client, "problem://gemmini/gem-32x32x32")
        assert "gemmini" in await refusal(client, "problem://nosuch/gemm-32x32x32")
        assert "mvin" in await refusal(client, "reference://gemmini/mvinn")
        assert "gemmini" in await refusal(client, "reference://gemini")
        assert "gemmini" in await refusal(client, "menu://gemini")
        assert "digest" in await refusal(client, "kernel://0123456789abcdef")
        await refusal(client, "run://nosuch")
        await refusal(client, "kernel://nosuch/0")
        for hostile in ("..%2Fsecret", "%2Fetc%2Fpasswd", "a%00b", "x" * 60_000, "é" * 9000, "../../secret"):
            for address in ("kernel://{}", "kernel://{}/0", "run://{}", "problem://{}", "menu://{}", "reference://{}"):
                assert "classified" not in await refusal(client, address.format(hostile))


@pytest.mark.anyio
async def test_a_run_that_never_began_is_nowhere(make_home: Callable[[Path], Path], tmp_path: Path) -> None:
    """Its process was killed between its entry in the journal and its first event."""
    home = Home(make_home(tmp_path / "home"))
    journal = Journal(home.database)
    journal.release(journal.create("20260101-000000-dead", PROBLEM, "offline", {}, "int x;"))
    async with connected(home) as client:
        assert await completed(client, "run://{id}", "id", "") == []
        assert "never began" in await refusal(client, "run://20260101-000000-dead")
        assert "never began" in await refusal(client, "kernel://20260101-000000-dead/best")
        found = await client.call_tool("get_search", {"run": "20260101-000000-dead"})
        assert found.is_error and "never began" in found.content[0].text


@pytest.mark.anyio
async def test_completion_of_ids(make_home: Callable[[Path], Path], tmp_path: Path) -> None:
    async with connected(Home(make_home(tmp_path / "home"))) as client:
        assert await completed(client, "menu://{target}{?offset}", "target", "gem") == ["gemmini"]
        assert await completed(client, "reference://{target}/{topic}", "topic", "mv", target="gemmini") == [
            "mvin",
            "mvout",
        ]
        assert await completed(client, "reference://{target}/{topic}", "topic", "", target="nosuch") == []
        template = "problem://{+id}{?offset}"
        listed = await completed(client, template, "id", "")
        assert {"gemmini/gemm-512x512x512", "gemmini/tinympc-forward-12x4x9"} <= set(listed)
        assert (await completed(client, template, "id", "gemmini/conv-7x7x5"))[0].startswith("gemmini/conv-7x7x5")
        assert (await completed(client, template, "id", "gemmini/gemm-7x9x11"))[0] == "gemmini/gemm-7x9x11"
        assert "gemmini/gemm-7x9x11" in await completed(client, template, "id", "gemini/gem-7x9x11")
        assert await completed(client, "run://{id}", "id", "") == []
        assert await completed(client, "kernel://{digest}{?offset}", "offset", "") == []
        ref = PromptReference(type="ref/prompt", name="optimize_kernel")
        found = (await client.complete(ref, {"name": "problem", "value": "gemmini/gemm-512"})).completion
        assert found.values == ["gemmini/gemm-512x512x512"] and found.total == 1


@pytest.mark.anyio
async def test_a_broken_database_is_the_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "autocomp.db").write_bytes(b"no database" * 1000)
    async with connected(Home(tmp_path)) as client:
        with pytest.raises(MCPError, match="environment") as caught:
            await client.read_resource("run://any")
        assert caught.value.error.code == -32603
        assert await completed(client, "run://{id}", "id", "") == []


def test_the_newest_of_equal_kernels_is_found(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "autocomp.db")
    for run, source in (("r1", "old"), ("r2", "new")):
        lease = journal.create(run, PROBLEM, "offline", {}, "")
        data = {"id": "0", "iteration": 0, "evaluation": {"kernel": "ab", "compilation": {"artifact": "cd"}}}
        journal.append(lease, "candidate", data, key="candidate/0", source=source)
    assert set(journal.run_ids()) == {"r1", "r2"}
    assert journal.find_kernel("ab") == journal.find_kernel("cd") == ("new", PROBLEM)
    assert journal.find_kernel("ef") is None
    journal.close()


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_resources_and_completion_over_stdio(
    make_home: Callable[[Path], Path], tmp_path: Path, mode: str
) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_"))}
    env["AUTOCOMP_HOME"] = str(make_home(tmp_path / "home"))
    server = StdioServerParameters(command=sys.executable, args=["-m", "autocomp_mcp", "serve"], env=env)
    async with Client(server, mode=mode) as client:
        templates = {t.uri_template for t in (await client.list_resource_templates()).resource_templates}
        assert {"problem://{+id}{?offset}", "run://{id}", "kernel://{digest}{?offset}"} <= templates
        assert PROBLEM in await read(client, f"problem://{PROBLEM}")
        assert await completed(client, "menu://{target}{?offset}", "target", "") == ["gemmini", "nvidia", "trainium"]
        assert "did you mean" in await refusal(client, "problem://gemmini/gem-32x32x32")


@pytest.mark.anyio
async def test_a_timeline_says_when_each_unit_worked(make_home: Callable[[Path], Path], tmp_path: Path) -> None:
    home = Home(make_home(tmp_path / "home"))
    async with connected(home) as client:
        source = (await client.call_tool("get_problem", {"problem": PROBLEM})).structured_content["baseline"]
        judged = (await client.call_tool("simulate_kernel", {"problem": PROBLEM, "source": source})).structured_content
        profile = await client.call_tool("profile_kernel", {"problem": PROBLEM, "source": source})
        shown = json.loads(await read(client, f"timeline://{judged['kernel']}"))
        assert (shown["problem"], shown["kernel"], shown["source"]) == (PROBLEM, judged["kernel"], "estimated")
        assert shown["latency"] == judged["latency"]["value"]
        series = [*shown["busy_percent"].values(), *shown["waiting_percent"].values(), *shown["average"].values()]
        count = -(-int(shown["latency"]) // shown["window"])
        assert count <= 64 and {len(values) for values in series} == {count}
        # The same call, told in two ways.
        units = {u["unit"]: u["share"] for u in profile.structured_content["profile"]["units"]}
        for name in ("load", "store"):
            assert sum(shown["busy_percent"][name]) / count == pytest.approx(100 * units[name], abs=3)
        assert "unknown kernel" in await refusal(client, "timeline://" + "ab" * 8)
        home.keep(source.encode(), ".kernel", "cd" * 8)  # as a version kept it that did not note the problem
        assert "?problem=" in await refusal(client, "timeline://" + "cd" * 8)
        assert json.loads(await read(client, f"timeline://{'cd' * 8}?problem={PROBLEM}"))["kernel"] == judged["kernel"]
        broken = source.replace("mvout(", "mvin(")
        failed = (await client.call_tool("simulate_kernel", {"problem": PROBLEM, "source": broken})).structured_content
        assert "does not pass" in await refusal(client, f"timeline://{failed['kernel']}")


def test_windows_average_what_overlaps_and_what_is_left_over() -> None:
    def span(name: str, tid: int, start: int, length: int) -> dict[str, Any]:
        return {"name": name, "ph": "X", "tid": tid, "ts": start, "dur": length}

    events = [
        {"name": "thread_name", "ph": "M", "tid": 1, "args": {"name": "cpu"}},
        {"name": "thread_name", "ph": "M", "tid": 2, "args": {"name": "load"}},
        span("mvin", 2, 0, 2), span("mvin", 2, 1, 2), span("mvin", 2, 129, 50), span("fence", 1, 4, 4),
        {"name": "rows", "ph": "C", "ts": 2, "args": {"rows": 8}},
        {"name": "rows", "ph": "C", "ts": 128, "args": {"rows": 1}},
    ]  # fmt: skip
    found = summarised(events, 130)
    assert found["window"] == 3 and set(found["busy_percent"]) == {"load"}
    loads = found["busy_percent"]["load"]
    assert len(loads) == 44, "the last window has one cycle of three, and is an average over that one"
    assert loads[0] == 100 and set(loads[1:43]) == {0} and loads[43] == 100
    assert found["waiting_percent"] == {"fence": [0, 67, 67, *[0] * 41]}
    assert found["average"]["rows"][:3] == [3, 8, 8] and found["average"]["rows"][42:] == [6, 1]
    assert summarised([], 7) == {"window": 1, "busy_percent": {}, "waiting_percent": {}, "average": {}}


@pytest.mark.anyio
async def test_references_for_hosts_without_resources(tmp_path: Path) -> None:
    async with connected(Home(tmp_path)) as client:
        listed = (await client.call_tool("list_targets", {})).structured_content
        assert listed["targets"] and "reference" not in listed
        assert listed["topics"] == {name: list(topics(name)) for name in ("gemmini", "trainium", "nvidia")}
        for topic in (f"{target}/{name}" for target, names in listed["topics"].items() for name in names):
            answer = await client.call_tool("list_targets", {"topic": topic})
            assert len(json.dumps(answer.structured_content).encode()) <= MAX_BYTES
            assert answer.structured_content["reference"] == await read(client, f"reference://{topic}")
            assert not answer.structured_content["targets"]
        refused = await client.call_tool("list_targets", {"topic": "gemmini/guides"})
        assert refused.is_error and "guide" in refused.content[0].text


@pytest.mark.anyio
async def test_parts_of_a_python_kernel_stay_python(tmp_path: Path) -> None:
    text = "import nki\n" + "x = 1  # a line\n" * 5000
    run = SyntheticRun(tmp_path, "long", text, "trainium/gemm-128x128x512")
    run.candidate("0", None, text, evaluation(3_000))
    run.end()
    async with connected(Home(tmp_path)) as client:
        parts, following = [], "kernel://long/0"
        while following:
            parts.append(await read(client, following))
            found = re.search(r"# characters .*; the next part: (kernel://long/0\?offset=\d+)\n$", parts[-1])
            following = found[1] if found else ""
    assert len(parts) > 1 and compile("".join(parts), "kernel.py", "exec")
