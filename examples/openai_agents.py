"""An agent of the OpenAI Agents SDK with our tools: it profiles a kernel and tries what the menu says.

    pip install autocomp-mcp 'openai-agents>=0.24'     # 0.24 and later work with version 2 of the MCP SDK
    export OPENAI_API_KEY=...                          # and OPENAI_BASE_URL for vLLM, Ollama or a gateway
    python openai_agents.py gemmini/gemm-512x512x512

This costs money: every turn is a model call.
"""

import os
import sys

import anyio
from agents import Agent, Runner, set_default_openai_api, set_tracing_disabled
from agents.mcp import MCPServerStdio

MODEL = os.environ.get("MODEL", "gpt-5.5")
MAX_TURNS = 60


async def main(problem: str) -> None:
    set_default_openai_api(
        "chat_completions"
    )  # what all compatible servers speak; OpenAI's own would also take "responses"
    set_tracing_disabled(True)  # otherwise each run is sent to OpenAI's dashboard
    variables = {name: os.environ[name] for name in ("AUTOCOMP_HOME",) if name in os.environ}
    server = MCPServerStdio(
        {
            "command": sys.executable,
            "args": ["-m", "autocomp_mcp", "serve", "--toolsets", "problems,menu,kernels"],
            "env": variables,
        },
        # Two defaults that do not suit tools which simulate: five seconds, and text besides the typed result.
        client_session_timeout_seconds=90,
        use_structured_content=True,
        cache_tools_list=True,  # they do not change while the server runs
    )
    async with server:
        walk = await server.get_prompt("optimize_kernel", {"problem": problem})
        guide = await server.read_resource(f"reference://{problem.partition('/')[0]}/guide")
        agent = Agent(
            name="Kernel engineer",
            model=MODEL,
            instructions="\n\n".join(part.text for part in guide.contents),
            mcp_servers=[server],
        )
        task = "\n\n".join(message.content.text for message in walk.messages)
        result = await Runner.run(agent, task, max_turns=MAX_TURNS)
    print(result.final_output)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    anyio.run(main, sys.argv[1])
