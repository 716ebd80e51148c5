"""Two machines with hardware behind one controller.

On each machine that has accelerators or simulators (here both on this one, for trying it out):

    autocomp-mcp serve --http 127.0.0.1:8321
    autocomp-mcp serve --http 127.0.0.1:8322

This program is a server too. It offers the same tools and passes each call on: to a host that has the problem's target,
and among those to the one with the fewest calls in flight:

    python two_hosts.py 8400 http://127.0.0.1:8321/mcp http://127.0.0.1:8322/mcp

The controller needs to know nothing of it. (For a search alone no such program is needed: `--server` may be given
several times. Assistants know only one.) Let it have more evaluations in flight, since there is more to run them on:

    autocomp-mcp optimize gemmini/gemm-512x512x512 --server http://127.0.0.1:8400/mcp --set max_parallel_engine=4

Hosts listen on their own machine only; reach one elsewhere through a tunnel: ssh -L 8322:127.0.0.1:8321 HOST
"""

import sys
from dataclasses import dataclass

import anyio
import uvicorn
from mcp import Client
from mcp.server.lowlevel import Server
from mcp.types import CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, Tool

# What one call settles. A search is a job of the host that started it: the controller in front of us does that part.
STATELESS = (
    "list_targets", "list_problems", "get_problem", "list_optimizations", "get_optimization", "compile_kernel",
    "simulate_kernel", "profile_kernel", "compare_kernels",
)  # fmt: skip
CALL_TIMEOUT_S = 120


@dataclass
class Host:
    url: str
    targets: frozenset[str] = frozenset()
    in_flight: int = 0
    answered: int = 0

    async def call(self, tool: str, arguments: dict) -> CallToolResult:
        self.in_flight += 1
        print(f"{tool} -> {self.url}", file=sys.stderr, flush=True)
        try:
            # A connection for each call: no session to keep, and a host that goes away takes no other call along.
            async with Client(self.url) as client:
                result = await client.call_tool(tool, arguments, read_timeout_seconds=CALL_TIMEOUT_S)
            self.answered += 1
            return result
        finally:
            self.in_flight -= 1


def target_of(arguments: dict) -> str | None:
    """Ids begin with their target: gemmini/gemm-512x512x512."""
    problem = arguments.get("problem")
    return problem.partition("/")[0] if isinstance(problem, str) else arguments.get("target")


async def answer(hosts: list[Host], tool: str, arguments: dict) -> CallToolResult:
    """From the host with the least to do among those that have the target; the next one where a host is gone."""
    if tool not in STATELESS:
        return failure(f"unknown tool {tool!r}; known: {', '.join(STATELESS)}")
    target = target_of(arguments)
    able = [host for host in hosts if target is None or target in host.targets]
    if not able:
        known = sorted({name for host in hosts for name in host.targets})
        return failure(f"no host has the target {target!r}; known: {', '.join(known)}")
    lost = []
    for host in sorted(able, key=lambda host: (host.in_flight, host.answered)):
        try:
            return await host.call(tool, arguments)
        except Exception as error:  # the connection's, whatever it is: a tool's own errors are results
            lost.append(f"{host.url}: {error!r}")
    # The prefix tells the controller that this is no fault of the kernel, and worth another try.
    return failure(f"environment: no host answered: {'; '.join(lost)}")


def failure(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def pool(hosts: list[Host], tools: list[Tool]) -> Server:
    """The server in front of the hosts."""

    async def list_tools(context: object, params: object) -> ListToolsResult:
        return ListToolsResult(tools=tools)

    async def call_tool(context: object, params: CallToolRequestParams) -> CallToolResult:
        return await answer(hosts, params.name, params.arguments or {})

    return Server("two-hosts", on_list_tools=list_tools, on_call_tool=call_tool)


async def main(port: int, urls: list[str]) -> None:
    hosts = [Host(url) for url in urls]
    for host in hosts:
        async with Client(host.url) as client:
            tools = [tool for tool in (await client.list_tools()).tools if tool.name in STATELESS]
        listed = (await host.call("list_targets", {})).structured_content or {}
        host.targets = frozenset(target["name"] for target in listed["targets"])
        print(f"{host.url} has {', '.join(sorted(host.targets))}", file=sys.stderr)
    app = pool(hosts, tools).streamable_http_app(host="127.0.0.1")
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=3)
    print(f"serving MCP at http://127.0.0.1:{port}/mcp (Ctrl-C stops)", file=sys.stderr, flush=True)
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    anyio.run(main, int(sys.argv[1]), sys.argv[2:])
