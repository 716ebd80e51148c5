"""docs/tools.md, written from the server itself: `python -m autocomp_mcp.server.tool_docs > docs/tools.md`."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anyio
from mcp.types import Prompt, ResourceTemplate, Tool

from ..hardware_adapters.store import Home
from ..tools.bench import Bench
from .app import build_server
from .serving.toolsets import TOOLSETS, instructions

HEAD = """\
# Tools, resources and prompts

Written from the code by `python -m autocomp_mcp.server.tool_docs`; change the docstrings, not this file.

`autocomp-mcp serve` offers everything below but `run_kernel`. `--toolsets A,B` chooses sets of tools (`hardware` has
that one), `--exclude-tools NAME` leaves single ones out, `--read-only` leaves out whatever starts or stops a search
and overrides both. Results are typed:
each tool's output schema is in `tests/data/tool_schemas.json`, as hosts see it. They stay within 8 KB normally and 40
KB ever; what is longer comes in pages. A caller's mistake is an error that says what to do next; an error that begins
with `environment:` is not the kernel's fault; a kernel that fails is a normal result.
"""


async def schemas() -> list[dict[str, Any]]:
    """Every tool as a host sees it, in a fixed order of keys."""
    tools, _, _ = await _surface()
    return [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]


async def document() -> str:
    """The whole file."""
    tools, templates, prompts = await _surface()
    by_name = {tool.name: tool for tool in tools}
    sections = [HEAD, "What a host tells its model about the server:\n", _quoted(instructions(by_name))]
    for toolset, names in TOOLSETS.items():
        sections.append(f"## Toolset `{toolset}`\n")
        sections += [_tool(by_name[name]) for name in names]
    sections += ["## Resources\n", _table(("address", "what"), map(_template_row, templates))]
    sections.append("Ids in addresses are completed (`completion/complete`), and the problem of a prompt.\n")
    sections.append("## Prompts\n")
    sections += [_prompt(prompt) for prompt in prompts]
    return "\n".join(sections)


async def _surface() -> tuple[list[Tool], list[ResourceTemplate], list[Prompt]]:
    with tempfile.TemporaryDirectory() as folder:
        server = build_server(Bench(Home(Path(folder))))
        return await server.list_tools(), await server.list_resource_templates(), await server.list_prompts()


def _tool(tool: Tool) -> str:
    rows = _rows(tool.input_schema)
    changes = "" if tool.annotations and tool.annotations.read_only_hint else " Not offered with `--read-only`."
    returns = (tool.output_schema or {}).get("title", "")
    parts = [f"### {tool.name}\n", f"*{tool.title}.* Result: `{returns}`.{changes}\n", f"{tool.description}\n"]
    if rows:
        parts.append(_table(("argument", "type", "default", "meaning"), rows))
    return "\n".join(parts)


def _rows(schema: dict[str, Any], within: str = "") -> list[tuple[str, ...]]:
    """One per argument; the fields of an object follow it."""
    rows: list[tuple[str, ...]] = []
    for name, found in schema.get("properties", {}).items():
        default = _default(name, found, schema.get("required", []))
        rows.append((f"`{within}{name}`", _type(found), default, found.get("description", "")))
        for kind in found.get("anyOf", [found]):
            rows += _rows(kind, f"{within}{name}.")
    return rows


def _type(schema: dict[str, Any]) -> str:
    """In words; null is left out, for then the argument need not be given."""
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    return " or ".join(_one_type(kind) for kind in kinds)


def _one_type(schema: dict[str, Any]) -> str:
    kind = schema.get("type", "any")
    if kind == "array":
        kind = f"list of {_type(schema.get('items', {}))}"
    limits = [
        f"{word} {schema[key]:g}"
        for key, word in (
            ("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"),
            ("minItems", "from"), ("maxItems", "to"),
        )
        if key in schema
    ]  # fmt: skip
    return " ".join([kind, *limits])


def _default(name: str, schema: dict[str, Any], required: list[str]) -> str:
    if name in required:
        return "required"
    default = schema.get("default")
    return "" if default is None else f"`{json.dumps(default)}`"


def _template_row(template: ResourceTemplate) -> tuple[str, str]:
    return f"`{template.uri_template}`", template.description or ""


def _prompt(prompt: Prompt) -> str:
    rows = [
        (f"`{argument.name}`", "required" if argument.required else "", argument.description or "")
        for argument in prompt.arguments or ()
    ]
    return f"### {prompt.name}\n\n{prompt.description}\n\n{_table(('argument', '', 'meaning'), rows)}"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def _quoted(text: str) -> str:
    return f"> {text}\n"


if __name__ == "__main__":
    sys.stdout.write(anyio.run(document))
