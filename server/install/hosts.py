"""The hosts that `install` knows: where each keeps its MCP servers, and in which words."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...hardware_adapters.store import HOME_VARIABLE

NAME = "autocomp"


class Machine(NamedTuple):
    """What the places of files depend on."""

    home: Path
    macos: bool
    environment: Mapping[str, str]

    @classmethod
    def this(cls) -> Machine:
        return cls(Path.home(), platform.system() == "Darwin", os.environ)

    def settings(self) -> Path:
        """The folder in which desktop programs keep theirs."""
        return self.home / "Library" / "Application Support" if self.macos else self.xdg()

    def xdg(self) -> Path:
        return Path(self.environment.get("XDG_CONFIG_HOME") or self.home / ".config")


class Host(NamedTuple):
    title: str
    section: str  # the object of the file that holds the servers
    user: Callable[[Machine], Path] | None  # the file for all projects; None: only its own dialog writes it
    project: str | None  # the file below a project's folder
    after: str  # what the person does next
    typed: bool = False  # entries say "type": "stdio"

    def files(self, machine: Machine, folder: Path) -> dict[str, Path]:
        """By scope."""
        found = {}
        if self.user is not None:
            found["user"] = self.user(machine)
        if self.project is not None:
            found["project"] = folder / self.project
        return found

    def entry(self, command: list[str], environment: Mapping[str, str]) -> dict[str, Any]:
        kind = {"type": "stdio"} if self.typed else {}
        return {
            **kind,
            "command": command[0],
            "args": command[1:],
            **({"env": dict(environment)} if environment else {}),
        }


def _claude_code(machine: Machine) -> Path:
    return Path(machine.environment.get("CLAUDE_CONFIG_DIR") or machine.home) / ".claude.json"


HOSTS = {
    "claude-code": Host(
        "Claude Code", "mcpServers", _claude_code, ".mcp.json",
        "`claude mcp list` shows it. A session that is running finds it after a restart.", typed=True,
    ),
    "claude-desktop": Host(
        "Claude Desktop", "mcpServers", lambda m: m.settings() / "Claude" / "claude_desktop_config.json", None,
        "Quit Claude Desktop and start it again: it reads the file when it starts.",
    ),
    "cursor": Host(
        "Cursor", "mcpServers", lambda m: m.home / ".cursor" / "mcp.json", ".cursor/mcp.json",
        "Cursor's settings list it under MCP, where it can be switched on and off.",
    ),
    "vscode": Host(
        "VS Code", "servers", lambda m: m.settings() / "Code" / "User" / "mcp.json", ".vscode/mcp.json",
        "`MCP: List Servers` in the command palette starts it; VS Code asks once whether it is trusted.", typed=True,
    ),
    "zed": Host(
        "Zed", "context_servers", lambda m: (m.home / ".config" if m.macos else m.xdg()) / "zed" / "settings.json",
        ".zed/settings.json", "Zed starts it at once; a green dot in the agent panel's settings says that it runs.",
    ),
    "windsurf": Host(
        "Windsurf", "mcpServers", lambda m: m.home / ".codeium" / "windsurf" / "mcp_config.json", None,
        "Press the refresh button in Cascade's MCP settings.",
    ),
    "jetbrains": Host(
        "JetBrains AI Assistant", "mcpServers", None, None,
        "Settings | Tools | AI Assistant | Model Context Protocol (MCP): Add, and paste it as the JSON configuration.",
    ),
}  # fmt: skip


def serve_command() -> list[str]:
    """How a program that knows neither our PATH nor our folder starts this installation's server."""
    script = Path(sysconfig.get_path("scripts")) / "autocomp-mcp"
    start = [str(script)] if script.is_file() else [sys.executable, "-m", "autocomp_mcp"]
    return [*start, "serve"]


def fleeting(command: list[str]) -> bool:
    """Whether it lies in uv's cache, where `uvx` puts what it runs, and which uv clears."""
    parts = Path(command[0]).parts
    return "uv" in parts and any(part.startswith("archive-v") for part in parts)


def serve_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What the server needs of our environment, since hosts pass on little of theirs. Never a key."""
    home = environment.get(HOME_VARIABLE)
    return {HOME_VARIABLE: str(Path(home).absolute())} if home else {}
