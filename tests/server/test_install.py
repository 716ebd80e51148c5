"""install as a person runs it, on real files of an empty home: shown first, asked, written, nothing else touched."""

import base64
import json
import os
import pty
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from autocomp_mcp.server.install.hosts import HOSTS, Machine, fleeting
from autocomp_mcp.server.install.links import cursor_link, cursor_page, vscode_link, vscode_page

WRITTEN = {
    "claude-code": {"user": ".claude.json", "project": ".mcp.json"},
    "claude-desktop": {"user": ".config/Claude/claude_desktop_config.json"},
    "cursor": {"user": ".cursor/mcp.json", "project": ".cursor/mcp.json"},
    "vscode": {"user": ".config/Code/User/mcp.json", "project": ".vscode/mcp.json"},
    "zed": {"user": ".config/zed/settings.json", "project": ".zed/settings.json"},
    "windsurf": {"user": ".codeium/windsurf/mcp_config.json"},
}
SECTIONS = {"vscode": "servers", "zed": "context_servers"}


class Person:
    """Somebody's home and project."""

    def __init__(self, folder: Path, autocomp_home: Path) -> None:
        self.home, self.project = folder / "home", folder / "project"
        self.home.mkdir()
        self.project.mkdir()
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "AUTOCOMP_HOME": str(autocomp_home),
            "ANTHROPIC_API_KEY": "sk-canary", "COLUMNS": "200",
        }  # fmt: skip

    def install(self, *args: str, stdin: Any = subprocess.DEVNULL, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "autocomp_mcp", "install", *args], cwd=self.project, stdin=stdin,
            env=self.environment | more, capture_output=True, text=True,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return done


@pytest.fixture
def person(tmp_path: Path, make_home: Callable[[Path], Path]) -> Person:
    return Person(tmp_path, make_home(tmp_path / "autocomp"))


def started_by(entry: dict[str, Any]) -> str:
    """What the entry's command says of itself, without our PATH and from another folder."""
    command = [entry["command"], *entry["args"][:-1], "--version"]
    assert entry["args"][-1] == "serve" and Path(command[0]).is_absolute()
    return subprocess.run(command, cwd="/", env={}, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(sys.platform == "darwin", reason="the places are those of Linux")
@pytest.mark.parametrize("host", WRITTEN)
def test_each_host_gets_its_file_in_each_scope(host: str, person: Person) -> None:
    for scope, name in WRITTEN[host].items():
        done = person.install(host, "--scope", scope, "--yes")
        assert done.returncode == 0, done.stderr
        file = (person.home if scope == "user" else person.project) / name
        (section, servers), *rest = json.loads(file.read_text()).items()
        assert not rest and section == SECTIONS.get(host, "mcpServers")
        assert started_by(servers["autocomp"]).startswith("autocomp-mcp ")
        assert servers["autocomp"]["env"] == {"AUTOCOMP_HOME": person.environment["AUTOCOMP_HOME"]}
        assert servers["autocomp"].get("type") == ("stdio" if host in ("claude-code", "vscode") else None)
        assert '+    "autocomp": {' in done.stdout and str(file) in done.stderr
        assert "sk-canary" not in done.stdout + done.stderr + file.read_text()
        assert not list(file.parent.glob("*.bak"))
    for scope in {"user", "project"} - set(WRITTEN[host]):
        refused = person.install(host, "--scope", scope, "--yes")
        assert refused.returncode == 2 and scope in refused.stderr


def test_the_rest_of_the_file_its_mode_and_a_copy_stay_and_a_second_time_changes_nothing(person: Person) -> None:
    file = person.home / ".claude.json"
    before = '{\n    "oauth": {"token": "t"},\n    "numStartups": 12,\n    "mcpServers": {"gh": {"command": "gh"}}\n}'
    file.write_text(before)
    file.chmod(0o600)
    first = person.install("claude-code", "--yes")
    assert first.returncode == 0, first.stderr
    after = json.loads(file.read_text())
    assert list(after["mcpServers"]) == ["gh", "autocomp"]
    after["mcpServers"].pop("autocomp")
    assert after == json.loads(before)
    (copy,) = person.home.glob("*.bak")
    assert copy.read_text() == before and str(copy) in first.stderr
    assert {stat.S_IMODE(path.stat().st_mode) for path in (file, copy)} == {0o600}
    written = file.read_bytes()
    second = person.install("claude-code", "--yes")
    assert second.returncode == 0 and "already" in second.stderr and not second.stdout
    assert file.read_bytes() == written and len(list(person.home.iterdir())) == 2


def test_comments_of_an_editor_stay(person: Person) -> None:
    file = person.project / ".zed" / "settings.json"
    file.parent.mkdir()
    file.write_text('// Zed\n{\n  "theme": "One", // mine\n}\n')
    assert person.install("zed", "--scope", "project", "--yes").returncode == 0
    assert file.read_text().startswith('// Zed\n{\n  "theme": "One", // mine\n  "context_servers": {')


def test_a_linked_file_stays_a_link(person: Person) -> None:
    real = person.home / "dotfiles.json"
    real.write_text("{}")
    (person.home / ".cursor").mkdir()
    (person.home / ".cursor" / "mcp.json").symlink_to(real)
    assert person.install("cursor", "--yes").returncode == 0
    assert (person.home / ".cursor" / "mcp.json").is_symlink() and "autocomp" in real.read_text()


def test_what_somebody_added_to_our_entry_stays(person: Person) -> None:
    file = person.project / ".mcp.json"
    old = {"command": "/gone/autocomp-mcp", "args": ["serve", "--read-only"], "env": {"KEY": "v"}, "timeout": 9}
    file.write_text(json.dumps({"mcpServers": {"autocomp": old}}))
    assert person.install("claude-code", "--scope", "project", "--yes").returncode == 0
    entry = json.loads(file.read_text())["mcpServers"]["autocomp"]
    assert entry["command"] != old["command"] and entry["args"][-2:] == ["serve", "--read-only"]
    assert entry["timeout"] == 9 and set(entry["env"]) == {"KEY", "AUTOCOMP_HOME"}
    url = {"mcpServers": {"autocomp": {"url": "http://127.0.0.1:8321/mcp"}}}
    file.write_text(json.dumps(url))
    refused = person.install("claude-code", "--scope", "project", "--yes")
    assert refused.returncode == 2 and "--name" in refused.stderr and json.loads(file.read_text()) == url
    assert person.install("claude-code", "--scope", "project", "--yes", "--name", "kernels").returncode == 0
    assert set(json.loads(file.read_text())["mcpServers"]) == {"autocomp", "kernels"}


@pytest.mark.parametrize("text", ['{"mcpServers": {', "no json", "[]", '{"mcpServers": []}', "\udcff"])
def test_a_file_that_cannot_be_edited_is_left_alone_and_the_snippet_shown(text: str, person: Person) -> None:
    file = person.project / ".mcp.json"
    file.write_bytes(text.encode(errors="surrogateescape"))
    done = person.install("claude-code", "--scope", "project", "--yes")
    assert done.returncode == 3 and str(file) in done.stderr and '"autocomp": {' in done.stderr
    assert file.read_bytes() == text.encode(errors="surrogateescape") and len(list(person.project.iterdir())) == 1


@pytest.mark.parametrize(("answer", "written"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_it_asks_where_there_is_a_terminal(answer: str, written: bool, person: Person) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    done = person.install("cursor", "--scope", "project", stdin=theirs)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0 and "[y/N]" in done.stderr and '+    "autocomp"' in done.stdout
    assert (person.project / ".cursor" / "mcp.json").exists() == written


def test_without_a_terminal_nothing_is_written_until_yes(person: Person) -> None:
    done = person.install("cursor")
    assert done.returncode == 2 and "--yes" in done.stderr and '+    "autocomp"' in done.stdout
    assert not list(person.home.iterdir())


def test_print_only_prints(person: Person) -> None:
    for host, (section, place) in {
        "cursor": ("mcpServers", ".cursor/mcp.json"),
        "jetbrains": ("mcpServers", "Settings | Tools | AI Assistant"),
    }.items():
        done = person.install(host, "--print")
        assert done.returncode == 0 and place in done.stderr
        assert started_by(json.loads(done.stdout)[section]["autocomp"])
    assert "cursor://" in person.install("cursor", "--print").stderr
    assert not list(person.home.iterdir()) and not list(person.project.iterdir())


def test_usage_and_failures_are_said_in_a_line(person: Person) -> None:
    unknown = person.install("emacs")
    assert unknown.returncode == 2 and "claude-code" in unknown.stderr
    scope = person.install("cursor", "--scope", "global")
    assert scope.returncode == 2 and "user, project" in scope.stderr
    (person.home / ".cursor").write_text("a file where a folder should be")
    failed = person.install("cursor", "--yes")
    assert failed.returncode == 3 and "cannot" in failed.stderr


def test_claude_code_may_live_in_another_folder(person: Person, tmp_path: Path) -> None:
    assert person.install("claude-code", "--yes", CLAUDE_CONFIG_DIR=str(tmp_path / "cc")).returncode == 0
    assert (tmp_path / "cc" / ".claude.json").exists()


def test_places_on_macos() -> None:
    mac = Machine(Path("/Users/u"), True, {})
    places = {key: str(host.user(mac)) for key, host in HOSTS.items() if host.user}
    assert places["vscode"] == "/Users/u/Library/Application Support/Code/User/mcp.json"
    assert places["claude-desktop"] == "/Users/u/Library/Application Support/Claude/claude_desktop_config.json"
    assert places["zed"] == "/Users/u/.config/zed/settings.json"


def test_an_installation_in_the_cache_of_uv_is_known() -> None:
    assert fleeting(["/home/u/.cache/uv/archive-v0/_VOwwBvThuJzr2Pk/bin/autocomp-mcp", "serve"])
    assert not fleeting(["/home/u/.local/share/uv/tools/autocomp-mcp/bin/autocomp-mcp", "serve"])
    assert not fleeting(["/home/u/archive-v1/bin/python", "-m", "autocomp_mcp", "serve"])


def test_links_decode_to_the_entry() -> None:
    entry = {"command": "/a b/autocomp-mcp", "args": ["serve", "--toolsets", "menu,kernels"], "env": {"Ä": "+&="}}
    for link in (cursor_link("auto comp", entry), cursor_page("auto comp", entry)):
        query = parse_qs(urlsplit(link).query)
        assert query["name"] == ["auto comp"] and json.loads(base64.b64decode(query["config"][0])) == entry
    assert cursor_link("a", entry).startswith("cursor://anysphere.cursor-deeplink/mcp/install?name=a&config=")
    scheme, _, data = vscode_link("auto comp", entry).partition("?")
    assert scheme == "vscode:mcp/install" and json.loads(unquote(data)) == {"name": "auto comp", **entry}
    query = parse_qs(urlsplit(vscode_page("auto comp", entry)).query)
    assert query["name"] == ["auto comp"] and json.loads(query["config"][0]) == entry
