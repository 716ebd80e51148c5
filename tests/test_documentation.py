"""docs/architecture.md says what there is: its lists are held against the command line and the tools."""

import re
from pathlib import Path
from typing import Any

import anyio
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.server.app import build_server
from autocomp_mcp.server.cli import app
from autocomp_mcp.tools.bench import Bench
from typer.main import get_command

ARCHITECTURE = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text()


def test_every_command_and_option_is_listed_and_no_other() -> None:
    listed: dict[str, set[str]] = {}
    name = ""
    for line in re.findall(r"^    +((?:autocomp-mcp|\[--).*)$", ARCHITECTURE, re.MULTILINE):
        if line.startswith("autocomp-mcp"):
            name = line.split()[1]
        listed.setdefault(name, set()).update(re.findall(r"--[a-z-]+", line))
    assert listed == {name: options(command) for name, command in get_command(app).commands.items()}  # pyright: ignore[reportAttributeAccessIssue]


def options(command: Any) -> set[str]:
    """Those of a group are those of its commands."""
    inner = getattr(command, "commands", {}).values()
    own = {word for parameter in command.params for word in parameter.opts if word.startswith("--")}
    return own.union(*map(options, inner)) - {"--help"}


def test_every_tool_is_listed_and_no_other(tmp_path: Path) -> None:
    tools = anyio.run(build_server(Bench(Home(tmp_path))).list_tools)
    section = ARCHITECTURE.partition("## MCP surface")[2].partition("Resources:")[0]
    named = [
        word for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for word in re.findall(r"`(\w+)`", row)
    ]
    assert sorted(named) == sorted(tool.name for tool in tools)
