"""A Claude model improves a kernel with our tools, driven by the anthropic SDK's tool runner.

    pip install autocomp-mcp            # brings anthropic and mcp
    export ANTHROPIC_API_KEY=...
    python anthropic_tool_runner.py gemmini/gemm-512x512x512

This costs money: every step is a model call. `autocomp-mcp optimize` does the same with a budget, a journal and a beam.
"""

import os
import sys

import anyio
from anthropic import AsyncAnthropic
from anthropic.lib.tools.mcp import async_mcp_tool, mcp_message
from mcp import Client, StdioServerParameters

MODEL = os.environ.get("MODEL", "claude-sonnet-5-5")
MAX_STEPS = 60  # of the model: each plans, calls tools, or both


async def main(problem: str) -> None:
    # The server is a child process here. Client("http://127.0.0.1:8321/mcp") would do as well. A child over stdio gets
    # only a few variables, so those that it needs are named.
    variables = {name: os.environ[name] for name in ("AUTOCOMP_HOME",) if name in os.environ}
    server = StdioServerParameters(
        command=sys.executable,
        # No search: this model does the work itself, and fewer tools are fewer tokens.
        args=["-m", "autocomp_mcp", "serve", "--toolsets", "problems,menu,kernels"],
        env=variables,
    )
    async with Client(server) as mcp:
        tools = [async_mcp_tool(tool, mcp) for tool in (await mcp.list_tools()).tools]
        # Our prompt walks a model through the method; the guide is all that it needs to know of the machine.
        walk = await mcp.get_prompt("optimize_kernel", {"problem": problem})
        guide = await mcp.read_resource(f"reference://{problem.partition('/')[0]}/guide")
        runner = AsyncAnthropic().beta.messages.tool_runner(
            model=MODEL,
            max_tokens=16_000,
            max_iterations=MAX_STEPS,
            system="\n\n".join(part.text for part in guide.contents),
            messages=[mcp_message(message) for message in walk.messages],
            tools=tools,
            cache_control={"type": "ephemeral"},  # the conversation is sent again with every step: pay for it once
            thread=False,  # the API could keep it instead, but gateways and other clouds do not
        )
        async for message in runner:
            for block in message.content:
                if block.type == "text":
                    print(block.text)
                elif block.type == "tool_use":
                    print(f"-> {block.name}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    anyio.run(main, sys.argv[1])
