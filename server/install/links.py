"""Links that open an editor and have it offer to add our server."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

Entry = dict[str, Any]


def cursor_link(name: str, entry: Entry) -> str:
    """For the browser or a shell's `open`. Format: Cursor's documentation, "MCP Install Links"."""
    return f"cursor://anysphere.cursor-deeplink/mcp/install?{_cursor_query(name, entry)}"


def cursor_page(name: str, entry: Entry) -> str:
    """The same through a web page, where pages like READMEs allow no other scheme."""
    return f"https://cursor.com/en/install-mcp?{_cursor_query(name, entry)}"


def vscode_link(name: str, entry: Entry) -> str:
    """Format: VS Code's documentation for MCP developers, "URL handler"."""
    return "vscode:mcp/install?" + quote(_compact({"name": name, **entry}), safe="")


def vscode_page(name: str, entry: Entry) -> str:
    return f"https://vscode.dev/redirect/mcp/install?name={quote(name)}&config={quote(_compact(entry), safe='')}"


LINKS: dict[str, Callable[[str, Entry], str]] = {"cursor": cursor_link, "vscode": vscode_link}


def buttons() -> str:
    """Markdown for the README. They start what PATH finds, since a page cannot know where it is installed."""
    entry = {"command": "autocomp-mcp", "args": ["serve"]}
    return (
        f"[Add to Cursor]({cursor_page('autocomp', entry)}) · "
        f"[Add to VS Code]({vscode_page('autocomp', {'type': 'stdio', **entry})})"
    )


def _cursor_query(name: str, entry: Entry) -> str:
    config = base64.b64encode(_compact(entry).encode()).decode()
    return f"name={quote(name)}&config={quote(config, safe='')}"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
