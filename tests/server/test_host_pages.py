"""The pages about hosts, the README's buttons and the registry's server.json say what the code does."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from autocomp_mcp import __version__
from autocomp_mcp.server.cli import app
from autocomp_mcp.server.install.hosts import HOSTS, Machine
from autocomp_mcp.server.install.links import buttons
from typer.main import get_command

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "hosts"
LINUX = Machine(Path("~"), False, {})
MACOS = Machine(Path("~"), True, {})


@pytest.mark.parametrize("key", HOSTS)
def test_a_page_shows_the_entry_and_the_files_of_its_host(key: str) -> None:
    page, host = (PAGES / f"{key}.md").read_text(), HOSTS[key]
    entry = host.entry(["/path/to/.venv/bin/autocomp-mcp", "serve"], {})
    (snippet,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert json.loads(snippet) == {host.section: {"autocomp": entry}}
    for machine in (LINUX, MACOS):
        for file in host.files(machine, Path()).values():
            assert f"{file}" in page, file
    assert f"autocomp-mcp install {key}" in page
    assert ("**Verified**" in page) != ("**Not run by us.**" in page)
    assert f"]({key}.md)" in (PAGES / "README.md").read_text()


def test_links_of_the_pages_lead_somewhere() -> None:
    for page in PAGES.glob("*.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), (page.name, target)


def test_the_command_line_knows_the_same_hosts() -> None:
    install = get_command(app).commands["install"]  # pyright: ignore[reportAttributeAccessIssue]
    named = set(re.findall(r"[a-z]+(?:-[a-z]+)?", install.params[0].help)) - {"or"}
    assert named == set(HOSTS)


def test_the_readme_has_the_buttons_as_generated() -> None:
    assert buttons() in (ROOT / "README.md").read_text()


def test_server_json_is_this_version_and_starts_a_server() -> None:
    """Shape: the registry's schema of 2025-12-11, whose limits these are."""
    data = json.loads((ROOT / "server.json").read_text())
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", data["name"])
    assert len(data["description"]) <= 100 and len(data["title"]) <= 100
    (package,) = data["packages"]
    assert data["version"] == package["version"] == __version__
    assert package["transport"] == {"type": "stdio"} and package["identifier"] == "autocomp-mcp"
    assert f"mcp-name: {data['name']}" in (ROOT / "README.md").read_text()  # how the registry knows its owner
    arguments = [argument["value"] for argument in package["packageArguments"]]
    initialize = {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "autocomp_mcp", *arguments], input=json.dumps(initialize) + "\n", capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip
    assert json.loads(done.stdout)["result"]["serverInfo"]["version"] == __version__
