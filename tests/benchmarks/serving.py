"""What it costs to reach the tools: start-up, a call over stdio, and many clients over HTTP.

    python tests/benchmarks/serving.py startup [--rounds 10]     process start to the first tools/list answer
    python tests/benchmarks/serving.py overhead [--calls 200]    calls over stdio, less the work itself
    python tests/benchmarks/serving.py clients [--seconds 60] [--count 50]

Beside ours stands a server of the same SDK that has one tool, which adds two numbers; both take turns, so that what
else the machine does meets both.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import httpx2
from autocomp_mcp.hardware_adapters.evaluator import evaluate
from autocomp_mcp.hardware_adapters.registry import adapter_for
from autocomp_mcp.hardware_adapters.store import Home
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from server_process import INITIALIZE, Serving, clean_environment

PROBLEM = "gemmini/gemm-64x64x64"
OURS = [sys.executable, "-m", "autocomp_mcp", "serve"]
ONE_TOOL = [
    sys.executable, "-c",
    "from mcp.server import MCPServer\nserver = MCPServer('one')\n"
    "@server.tool()\ndef add(a: int, b: int) -> int:\n    return a + b\nserver.run()",
]  # fmt: skip


class Spread(NamedTuple):
    """Of durations, in ms."""

    count: int
    p50: float
    p99: float
    most: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread:
        ordered = sorted(1000 * s for s in seconds)
        return cls(len(ordered), statistics.median(ordered), ordered[int(0.99 * (len(ordered) - 1))], ordered[-1])


# ---------------------------------------------------------------- start-up


class Start(NamedTuple):
    """Seconds from the start of the process to the answer to tools/list; processor time until its end."""

    wall_s: float
    cpu_s: float


def first_answer(command: list[str], environment: dict[str, str]) -> Start:
    messages = [INITIALIZE, {"jsonrpc": "2.0", "method": "notifications/initialized"}]
    messages += [{"jsonrpc": "2.0", "id": 2, "method": "tools/list"}]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdin and process.stdout
    process.stdin.write("".join(json.dumps(message) + "\n" for message in messages))
    process.stdin.flush()
    answered = any(json.loads(line).get("id") == 2 for line in process.stdout)
    took = time.perf_counter() - began
    process.stdin.close()
    process.wait()
    process.stdout.close()
    assert answered
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Start(took, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def startup(home: Path, rounds: int) -> None:
    environment = clean_environment(home)
    for command in (OURS, ONE_TOOL):
        first_answer(command, environment)  # byte code and pages come from the disk once
    ours, other = [], []
    for _ in range(rounds):
        ours.append(first_answer(OURS, environment))
        other.append(first_answer(ONE_TOOL, environment))
    print(f"{rounds} rounds, process start to the first tools/list answer")
    print(f"{'server':<24}{'median s':>10}{'least s':>10}{'processor s':>14}")
    for name, starts in (("autocomp-mcp serve", ours), ("one tool", other)):
        wall, cpu = [start.wall_s for start in starts], [start.cpu_s for start in starts]
        print(f"{name:<24}{statistics.median(wall):>10.2f}{min(wall):>10.2f}{statistics.median(cpu):>14.2f}")
    pairs = list(zip(ours, other, strict=True))
    wall, cpu = (statistics.median(a[kind] - b[kind] for a, b in pairs) for kind in (0, 1))
    print(f"difference {wall:.2f} s, of processor time {cpu:.2f} s")


# ---------------------------------------------------------------- a call


async def timed(work: Callable[[], Awaitable[Any]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


async def overhead(home: Path, calls: int) -> None:
    adapter = adapter_for(PROBLEM, Home(home))
    baseline = adapter.baseline(adapter.problem(PROBLEM))

    async def judge() -> None:
        await evaluate(PROBLEM, baseline, home=Home(home), adapter=adapter)

    async def describe() -> None:
        adapter.baseline(adapter.problem(PROBLEM))

    await judge()  # from here on it is in the cache, for the server too
    asked: dict[str, tuple[dict[str, Any], Callable[[], Awaitable[None]]]] = {
        "get_problem": ({"problem": PROBLEM}, describe),
        "simulate_kernel": ({"problem": PROBLEM, "source": baseline}, judge),
    }
    print(f"{calls} rounds over stdio, in each of which every row is timed once; ms")
    print("work: the same without a server; check: the SDK's client holds the answer against the tool's schema")
    print(f"{'call':<28}{'p50':>8}{'p99':>8}{'work p50':>10}{'check p50':>10}{'overhead p50':>14}{'p99':>8}")
    async with connected(OURS, home) as client, connected(ONE_TOOL, home) as other:
        parts: dict[str, tuple[Callable[[], Awaitable[Any]], ...]] = {}
        for name, (arguments, work) in asked.items():
            result = await client.call_tool(name, arguments)
            assert not result.is_error, result.content
            parts[name] = (
                partial(client.call_tool, name, arguments), work,
                partial(client.session.validate_tool_result, name, result),
            )  # fmt: skip
        parts["add, of the one-tool server"] = (partial(other.call_tool, "add", {"a": 1, "b": 2}),)
        seconds: dict[str, list[list[float]]] = {name: [] for name in parts}
        for _ in range(calls):
            for name, works in parts.items():
                seconds[name].append([await timed(work) for work in works])
    for name, rounds in seconds.items():
        print(line(name, rounds[1:]))  # the first one warms up


def line(name: str, rounds: list[list[float]]) -> str:
    call, *rest = (Spread.of(column) for column in zip(*rounds, strict=True))
    work, check = (part.p50 for part in rest) if rest else (0.0, 0.0)
    over = Spread.of([whole - sum(parts) for whole, *parts in rounds])
    return f"{name:<28}{call.p50:>8.2f}{call.p99:>8.2f}{work:>10.2f}{check:>10.2f}{over.p50:>14.2f}{over.p99:>8.2f}"


def connected(command: list[str], home: Path) -> Client:
    environment = clean_environment(home)
    return Client(StdioServerParameters(command=command[0], args=command[1:], env=environment))


# ---------------------------------------------------------------- many clients


class Sent(NamedTuple):
    """A request as the SDK's client puts it on the wire."""

    url: str
    headers: dict[str, str]
    body: bytes


async def requests(url: str) -> dict[str, Sent]:
    """One of each kind. The clients of the benchmark send these and read the answers themselves: the SDK's client
    checks every answer against its schema, which takes it longer than the server needs to give it."""
    sent: dict[str, Sent] = {}

    async def keep(request: httpx2.Request) -> None:
        message = json.loads(request.content)
        name = message.get("params", {}).get("name", message["method"])
        sent[name] = Sent(str(request.url), dict(request.headers), request.content)

    async with (
        httpx2.AsyncClient(timeout=60, event_hooks={"request": [keep]}) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        problem = await client.call_tool("get_problem", {"problem": PROBLEM})
        source = problem.structured_content["baseline"]
        judged = await client.call_tool("simulate_kernel", {"problem": PROBLEM, "source": source})
        assert judged.structured_content["verdict"] == "passed"
        await client.call_tool("list_optimizations", {"problem": PROBLEM})
        await client.list_tools()
    return {name: sent[name] for name in ("tools/list", "get_problem", "list_optimizations", "simulate_kernel")}


async def clients(home: Path, count: int, seconds: float) -> int:
    """Prints a table; returns the number of errors."""
    taken: dict[str, list[float]] = {}
    errors: list[str] = []
    with Serving(home) as serving:
        mixed = list((await requests(serving.url)).items())
        until = anyio.current_time() + seconds

        async def one(number: int) -> None:
            async with httpx2.AsyncClient(timeout=60, verify=False) as http:  # a connection of its own, kept open
                turn = number
                while anyio.current_time() < until:
                    name, sent = mixed[turn % len(mixed)]
                    turn += 1
                    began = time.perf_counter()
                    try:
                        answer = await http.post(sent.url, headers=sent.headers, content=sent.body)
                        if wrong := complaint(answer):
                            errors.append(f"{name}: {wrong}")
                    except httpx2.HTTPError as error:
                        errors.append(f"{name}: {error!r}")
                    taken.setdefault(name, []).append(time.perf_counter() - began)

        async with anyio.create_task_group() as tasks:
            for number in range(count):
                tasks.start_soon(one, number)
    total = sum(map(len, taken.values()))
    print(f"{count} clients over HTTP for {seconds:g} s: {total} calls, {total / seconds:.0f} a second")
    print(f"{'call':<24}{'count':>8}{'p50 ms':>10}{'p99 ms':>10}{'most ms':>10}")
    for name, spread in sorted((name, Spread.of(values)) for name, values in taken.items()):
        print(f"{name:<24}{spread.count:>8}{spread.p50:>10.1f}{spread.p99:>10.1f}{spread.most:>10.1f}")
    print(f"errors: {len(errors)}")
    for error in errors[:5]:
        print(f"  {error[:300]}")
    return len(errors)


def complaint(answer: httpx2.Response) -> str | None:
    """None for a result; the message may come as JSON or as the last event of a stream."""
    if answer.status_code != 200:
        return f"status {answer.status_code}: {answer.text[:200]}"
    text = answer.text if answer.text.startswith("{") else answer.text.strip().rpartition("data: ")[2]
    message = json.loads(text)
    wrong = "result" not in message or message["result"].get("isError")
    return text[:200] if wrong else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["startup", "overhead", "clients"])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--home", type=Path, help="with builds; default: AUTOCOMP_HOME, else a fresh one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = given.home or Path(os.environ.get("AUTOCOMP_HOME", scratch))
        if given.what == "startup":
            startup(home, given.rounds)
        elif given.what == "overhead":
            anyio.run(overhead, home, given.calls)
        else:
            return 1 if anyio.run(clients, home, given.count, given.seconds) else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
