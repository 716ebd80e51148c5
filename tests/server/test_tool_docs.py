"""docs/tools.md and the snapshot of schemas are what the code says. AUTOCOMP_UPDATE_GOLDEN=1 writes both anew."""

import difflib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.server.tool_docs import document, schemas

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "tools.md"
SCHEMAS = ROOT / "tests" / "data" / "tool_schemas.json"
UPDATE = "AUTOCOMP_UPDATE_GOLDEN"
MAX_DESCRIPTION_CHARS = 900  # every turn of every conversation pays for them


def held(path: Path, now: str) -> None:
    if os.environ.get(UPDATE):
        path.write_text(now, encoding="utf-8")
    kept = path.read_text(encoding="utf-8")
    changes = "\n".join(difflib.unified_diff(kept.splitlines(), now.splitlines(), "kept", "now", lineterm="", n=1))
    assert kept == now, f"{path.name} is stale; {UPDATE}=1 updates it, if that is meant:\n{changes[:4000]}"


def test_the_document_is_what_the_code_says() -> None:
    held(DOCUMENT, anyio.run(document))


def test_the_schemas_are_those_of_the_snapshot() -> None:
    held(SCHEMAS, json.dumps(anyio.run(schemas), indent=1, ensure_ascii=False) + "\n")


def test_the_command_writes_the_document(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "autocomp_mcp.server.tool_docs"]
    env = os.environ | {"AUTOCOMP_HOME": str(tmp_path / "home"), "PYTHONIOENCODING": "utf-8"}
    written = subprocess.run(command, capture_output=True, encoding="utf-8", env=env, check=True, cwd=tmp_path).stdout
    assert written == DOCUMENT.read_text(encoding="utf-8")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("tool", anyio.run(schemas), ids=lambda tool: tool["name"])
def test_descriptions_say_what_a_model_must_know(tool: dict) -> None:
    text = tool["description"]
    assert len(text) <= MAX_DESCRIPTION_CHARS and "    " not in text
    assert re.search(r"\bNot (for|needed)\b", text), "when not to use it"
    assert re.search(r"\bReturns\b", text), "what comes back"
    assert re.search(r"\bTakes\b[^.]*(\.\d[^.]*)*\bs\b", text), "what it costs, in seconds"
    assert tool["title"] and tool["outputSchema"]["type"] == "object"
    for name, schema in tool["inputSchema"].get("properties", {}).items():
        assert schema.get("description"), name
