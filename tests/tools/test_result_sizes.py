"""Results stay short: every byte is paid for by the model that reads it, and hosts divert what is too long."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.agent.calls import ClientCalls
from autocomp_mcp.agent.toolbox import Toolbox
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.menus.menu import load_menu
from autocomp_mcp.server.app import build_server
from autocomp_mcp.tools.bench import Bench
from mcp import Client

PROBLEM = "gemmini/gemm-512x512x512"
SMALL = "gemmini/gemm-32x32x32"
USUAL_BYTES = 8 * 1024
MAX_BYTES = 40 * 1024
IDS = [option.id for option in load_menu("gemmini").select("gemm")]
FITTING = [option.id for option in load_menu("gemmini").select("gemm", traits=[])]  # what can be done to PROBLEM


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def connected(folder: Path) -> AsyncIterator[Client]:
    async with Client(build_server(Bench(Home(folder)))) as client:
        yield client


async def sized(client: Client, tool: str, **arguments: object) -> tuple[Any, int]:
    """Structured content, or None for an error, and the bytes of it and its text copy."""
    result = await client.call_tool(tool, arguments)
    texts = sum(len(block.text.encode()) for block in result.content)
    data = result.structured_content
    return data, texts + (len(json.dumps(data, separators=(",", ":")).encode()) if data else 0)


@pytest.mark.anyio
async def test_default_answers_are_short(make_home: Callable[[Path], Path], tmp_path: Path) -> None:
    sizes: dict[str, int] = {}
    async with connected(make_home(tmp_path / "home")) as client:

        async def ask(tool: str, **arguments: object) -> Any:
            data, size = await sized(client, tool, **arguments)
            assert data is not None, (tool, arguments)
            sizes[tool] = max(size, sizes.get(tool, 0))
            return data

        await ask("list_targets")
        listed = await ask("list_problems")
        for suite in listed["suites"]:
            await ask("list_problems", suite=suite)
        for target in listed["further"]:
            await ask("list_problems", target=target)
        source = (await ask("get_problem", problem=PROBLEM))["baseline"]
        await ask("list_optimizations", target="gemmini")
        await ask("list_optimizations", target="trainium")
        await ask("list_optimizations", target="nvidia")
        await ask("list_optimizations", problem=PROBLEM, source=source)
        for option in IDS:
            await ask("get_optimization", option=option, problem=PROBLEM, source=source)
        for tool in ("compile_kernel", "simulate_kernel", "profile_kernel"):
            await ask(tool, problem=PROBLEM, source=source)
            await ask(tool, problem=PROBLEM, source=source.replace("mvin(", "mvin_(", 1))
            await ask(tool, problem=PROBLEM, source=source.replace("mvout(", "if (0) mvout(", 1))
        await ask("simulate_kernel", problem=PROBLEM, sources=[source, source.replace("mvout(", "if (0) mvout(", 1)])
        await ask("compare_kernels", problem=PROBLEM, a=source, b=f"{source}// again")
        run = (await ask("start_search", problem=SMALL, model="offline", settings={"iterations": 2}))["run_id"]
        while (await ask("get_search", run=run, wait_s=20))["state"] == "running":
            pass
        await ask("cancel_search", run=run)
        # run_kernel needs hardware; what it returns is what simulate_kernel returns.
        assert {*sizes, "run_kernel"} == {tool.name for tool in (await client.list_tools()).tools}
    assert {tool: size for tool, size in sizes.items() if size > USUAL_BYTES} == {}


@pytest.mark.anyio
async def test_no_answer_is_ever_long(make_home: Callable[[Path], Path], tmp_path: Path) -> None:
    sizes: list[tuple[str, int]] = []
    async with connected(make_home(tmp_path / "home")) as client:

        async def ask(tool: str, **arguments: object) -> Any:
            data, size = await sized(client, tool, **arguments)
            sizes.append((tool, size))
            return data

        data = await ask("list_optimizations", problem=PROBLEM, limit=100)
        assert [option["id"] for option in data["options"]] == FITTING
        source = (await ask("get_problem", problem=SMALL))["baseline"]
        wordy = source + "\n".join(f'int f{n}(void) {{ return "é{n} \\" {"w" * 300}"; }}' for n in range(900))
        for tool in ("compile_kernel", "simulate_kernel", "profile_kernel"):
            await ask(tool, problem=SMALL, source=wordy)
            await ask(tool, problem=SMALL, source=source + "\nnonsense;" * 2000)
        await ask(
            "simulate_kernel", problem=SMALL, sources=[wordy, *(f"{source}\nnonsense{n};" * 20 for n in range(7))]
        )
        await ask("compare_kernels", problem=SMALL, a=wordy, b=source + "\nnonsense;" * 2000)
        much = "é" * 100_000
        await ask("get_problem", problem="gemmini/" + much)
        await ask("list_problems", target=much)
        await ask("list_problems", suite=much)
        await ask("list_optimizations", problem=SMALL, bottlenecks=[much])
        await ask("get_optimization", option=much)
        await ask("get_optimization", option=IDS[0], problem=SMALL, source=source, variant=much)
        await ask("simulate_kernel", problem=SMALL, source=source, engine=much)
        await ask("profile_kernel", problem=SMALL, source=source, engine=much, seed=much)
        await ask("start_search", problem=SMALL, model=much)
        await ask("start_search", problem=SMALL, settings={much: 1})
        await ask("start_search", problem=SMALL, settings={"engine": much})
        await ask("get_search", run="r" * 64)
        long = source + "\n/* é" + "\n \\ " * 40_000 + "*/"
        run = (await ask("start_search", problem=SMALL, source=long, model="offline", settings={"iterations": 1}))[
            "run_id"
        ]
        while (await ask("get_search", run=run, wait_s=20))["state"] == "running":
            pass
        assert await ask("get_search", run=run, offset=1000)
    assert [entry for entry in sizes if entry[1] > MAX_BYTES] == []


@pytest.mark.anyio
async def test_the_menu_in_pages_is_the_whole_menu(make_home: Callable[[Path], Path], tmp_path: Path) -> None:
    async with connected(make_home(tmp_path / "home")) as client:
        first, _ = await sized(client, "list_optimizations", problem=PROBLEM, bottlenecks=["load_bound"])
        ids = [option["id"] for option in first["options"]]
        promised = ids + first["further"]
        assert len(promised) == first["total"] > len(ids)
        page = first
        while page["next_offset"] is not None:
            offset = page["next_offset"]
            page, _ = await sized(
                client, "list_optimizations", problem=PROBLEM, bottlenecks=["load_bound"], offset=offset
            )
            ids += [option["id"] for option in page["options"]]
        assert ids == promised
        assert set(ids) == set(FITTING)


@pytest.mark.anyio
async def test_every_family_has_options(make_home: Callable[[Path], Path], tmp_path: Path) -> None:
    async with connected(make_home(tmp_path / "home")) as client:
        brief, _ = await sized(client, "list_problems")
        listed = {}
        for target in {name.partition("/")[0] for name in brief["families"]}:
            listed[target], _ = await sized(client, "list_problems", target=target)
            shown = [problem for problem in brief["problems"] if problem["target"] == target]
            assert len(listed[target]["problems"]) == len(shown) + brief["further"].get(target, 0)
        examples = {f"{p['target']}/{p['family']}": p["id"] for found in listed.values() for p in found["problems"]}
        assert set(examples) == set(brief["families"])
        for problem in examples.values():
            options, _ = await sized(client, "list_optimizations", problem=problem)
            assert options["total"] >= 8, problem


@pytest.mark.anyio
async def test_the_list_of_targets_leaves_room_for_more(make_home: Callable[[Path], Path], tmp_path: Path) -> None:
    """Two more engines, or a few longer reasons, must not make it long."""
    async with connected(make_home(tmp_path / "home")) as client:
        data, size = await sized(client, "list_targets")
        facts = (await Toolbox(ClientCalls(client)).machine("gemmini")).facts
    assert facts.at_once is not None and facts.at_once >= 2
    assert len(facts.conditions["gemmini/gemsim"]) == 12, "what several servers are compared by, and no model reads"
    assert size < USUAL_BYTES - 512
    assert all(engine["reason"] for target in data["targets"] for engine in target["engines"])
    nvidia = next(target for target in data["targets"] if target["name"] == "nvidia")
    lacking = {engine["name"]: engine["reason"] for engine in nvidia["engines"] if not engine["available"]}
    if {"cuda", "cuda-sanitizer"} <= lacking.keys():
        assert lacking["cuda-sanitizer"] == "as cuda" and "NVIDIA" in lacking["cuda"]


@pytest.mark.anyio
async def test_what_only_pages_draw_reaches_the_controller_and_not_the_model(
    make_home: Callable[[Path], Path], tmp_path: Path
) -> None:
    async with connected(make_home(tmp_path / "home")) as client:
        source = (await client.call_tool("get_problem", {"problem": SMALL})).structured_content["baseline"]
        result = await client.call_tool("profile_kernel", {"problem": SMALL, "source": source})
        assert result.structured_content["profile"]["activity"] == []
        outcome = await Toolbox(ClientCalls(client)).profile(SMALL, source)
    whole = outcome.profile
    assert whole is not None and {unit.unit for unit in whole.activity} == {"load", "store", "execute"}
    assert whole.roofline is not None and whole.roofline.peaks == {"array": 256}
    assert len(whole.occupancy[0].live) > len(result.structured_content["profile"]["occupancy"][0]["live"])
