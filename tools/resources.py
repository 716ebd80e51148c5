"""Resources: the programming references of the targets."""

from __future__ import annotations

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError

from ..menus.menu import UnknownNameError
from ..menus.menu import targets as menu_targets
from ..menus.reference import reference, topics


def register(server: MCPServer) -> None:
    @server.resource(
        "reference://{target}/{topic}",
        name="reference",
        title="Programming reference",
        description=f"How to program a target, by topic, as Markdown of at most 8 KB. Topics: {_topics()}",
        mime_type="text/markdown",
    )
    def read_reference(target: str, topic: str) -> str:
        try:
            return reference(target, topic)
        except UnknownNameError as error:
            raise ResourceNotFoundError(str(error)) from error


def _topics() -> str:
    known = []
    for target in menu_targets():
        try:
            known.append(f"{target}: {', '.join(topics(target))}")
        except UnknownNameError:
            continue
    return "; ".join(known)
