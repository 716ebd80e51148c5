"""What the page is made from, without a browser: the snapshot, its updates, the plots, the command, the MCP App."""

from __future__ import annotations

import html
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.server.app import build_server
from autocomp_mcp.server.report.following import Following, snapshot
from autocomp_mcp.server.report.page import escaped_json, page
from autocomp_mcp.server.report.snapshot import Snapshot
from autocomp_mcp.server.serving.toolsets import Selection
from autocomp_mcp.tools.bench import Bench
from autocomp_mcp.tools.search import VIEW
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import Client
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID
from server_process import clean_environment
from synthetic_run import SyntheticRun, evaluation, large, profile


def kernel(found: Snapshot, identity: str) -> str:
    """A candidate's text, put together as the page does it."""
    rows = {row.id: row for row in found.rows}

    def lines(of: str) -> list[str]:
        row = rows[of]
        before = lines(row.parent) if row.parent else []
        tail = before[len(before) - row.source.tail :]
        return [*before[: row.source.head], *(found.texts[number] for number in row.source.lines), *tail]

    return "\n".join(lines(identity))


@settings(deadline=None, max_examples=25)  # each example has a database of its own
@given(st.lists(st.text(st.sampled_from("ab\n")), min_size=1, max_size=6))
def test_every_kernel_comes_back_from_what_it_changes(sources: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        run = SyntheticRun(Path(folder), "kernels", sources[0])
        parent = None
        for number, source in enumerate(sources):
            identity = f"{number}.0.0.0" if number else "0"
            run.candidate(identity, parent, source, evaluation(1000.0 - number))
            parent = identity
        found = snapshot(run.journal, "kernels")
        run.end()
    for number, source in enumerate(sources):
        assert kernel(found, f"{number}.0.0.0" if number else "0") == source


def merged(parts: list[Snapshot]) -> dict[str, Any]:
    """As the page merges them; read from the JSON that it is sent."""
    whole: dict[str, Any] = {"rows": {}, "texts": [], "profiles": {}}
    for part in parts:
        data = json.loads(part.json_text())
        whole["rows"] |= {row["id"]: row for row in data.pop("rows", [])}
        whole["texts"] += data.pop("texts", [])
        whole["profiles"] |= data.pop("profiles", {})
        whole |= data
    return whole


def test_updates_add_up_to_the_whole(tmp_path: Path) -> None:
    chance = random.Random(3)
    run = SyntheticRun(tmp_path, "growing", "a;\nb;\nc;")
    following, parts = Following(Journal(tmp_path / "autocomp.db"), "growing"), []
    run.candidate("0", None, "a;\nb;\nc;", evaluation(4_000_000, kernel="zero"))
    run.profiled("a;\nb;\nc;", profile(4_000_000, "zero"))
    for number in range(30):
        if chance.random() < 0.4 and (news := following.news()):
            parts.append(news)
        run.call(f"plan/1.0.{number}")
        # Every third one is what an earlier one was already, and comes before it by place.
        first = f"1.0.{number - 1}.1" if number % 3 == 2 else None
        judged = None if first else evaluation(3_000_000 - 1000 * number, kernel=f"k{number}")
        run.candidate(f"1.0.{number}.{number % 3 % 2}", "0", f"a;\nx{number};\nc;", judged, duplicate_of=first)
    parts.append(following.news())
    assert following.news() is None
    run.end()
    parts.append(following.news())
    whole = merged([part for part in parts if part])
    at_once = merged([snapshot(Journal(tmp_path / "autocomp.db"), "growing")])
    texts = [whole.pop("texts"), at_once.pop("texts")]
    for data, its in zip((whole, at_once), texts, strict=True):  # numbers of texts depend on what was sent when
        for row in data["rows"].values():
            row["plan"], row["message"] = its[row.get("plan", 0)], its[row.get("message", 0)]
            row.get("source", {}).pop("lines", None)
    assert whole == at_once


def test_the_figures_are_those_of_the_run(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path, "figures", "a;")
    run.candidate("0", None, "a;", evaluation(4_000_000))
    run.call("plan/1", 0.25)
    run.candidate("1.0.0.0", "0", "b;", evaluation(2_000_000), "wide-loads")
    run.candidate("1.0.1.0", "0", "c;", evaluation(None, "wrong_result", "No."), "wide-loads")
    run.call("plan/2", 0.5)
    run.candidate("2.0.0.0", "1.0.0.0", "d;", evaluation(1_000_000), "k-tile-depth")
    run.candidate("2.0.1.0", "1.0.0.0", "e;", evaluation(3_000_000), "wide-loads")
    run.end()
    found = snapshot(Journal(tmp_path / "autocomp.db"), "figures")
    head = found.head
    assert (head.speedup, head.evaluations, head.passed, head.model_calls, head.cost_usd) == (4.0, 5, 4, 2, 0.75)
    assert [(p.candidate, p.n, p.calls, p.usd) for p in found.best] == [
        ("0", 1, 0, 0.0), ("1.0.0.0", 2, 1, 0.25), ("2.0.0.0", 4, 2, 0.75),
    ]  # fmt: skip
    assert [point.at_s for point in found.best] == sorted(point.at_s for point in found.best)
    assert [(step.candidate, step.gain) for step in found.steps] == [("0", None), ("1.0.0.0", 2.0), ("2.0.0.0", 2.0)]
    wide = next(use for use in found.menu if use.option == "wide-loads")
    assert (wide.tried, wide.passed, wide.faster, wide.best, wide.on_path) == (3, 2, 1, 2.0, 1)
    wrong = next(row for row in found.rows if row.id == "1.0.1.0")
    assert wrong.message is not None and found.texts[wrong.message] == "No.\nC[0, 3]: got 7, expected 9"


@pytest.mark.parametrize(
    "bound, intensity, attainable", [("array", 40.0, 256.0), ("port", 4.0, 64.0), ("port", 12.0, 192.0)]
)
def test_the_roof_is_found_from_any_kernel_below_it(
    tmp_path: Path, bound: Any, intensity: float, attainable: float
) -> None:
    run = SyntheticRun(tmp_path, "roof", "a;")
    run.candidate("0", None, "a;", evaluation(4_000_000, kernel="zero"))
    found = profile(4_000_000, "zero")
    assert found.roofline
    line = {"bound": bound, "intensity": intensity, "attainable": attainable}
    run.profiled("a;", found.model_copy(update={"roofline": found.roofline.model_copy(update=line)}))
    run.end()
    roof = snapshot(Journal(tmp_path / "autocomp.db"), "roof").roof
    assert (roof.peaks, roof.memories) == ({"array": 256.0}, {"port": 16.0})


def cli(home: Path, *args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autocomp_mcp", *args]
    return subprocess.run(command, capture_output=True, text=True, env=clean_environment(home), cwd=cwd, timeout=300)


def test_the_command_makes_the_run_again_as_it_was(tmp_path: Path) -> None:
    """The command in the box, parsed by the command line itself, gives the settings that were journalled."""
    import shlex

    home = tmp_path / "home"
    changes = {"seed": 7, "beam": 2, "max_evaluations": 9, "patience": 3, "reuse": "none", "slack": 0.25}
    SyntheticRun(home, "again", "a;", "gemmini/gemm-64x64x64", **changes).end()
    box = snapshot(Journal(home / "autocomp.db"), "again").reproduction
    assert box is not None
    words = shlex.split(box.command)
    assert words[:2] == ["autocomp-mcp", "optimize"] and words[words.index("--source") + 1] == "first.c"
    estimated = [*words[1 : words.index("--source")], *words[words.index("--source") + 2 :]]
    for name in ("--seed=7", "--beam=2", "--max-evaluations=9", "--reuse=none"):
        option, value = name.split("=")
        assert words[words.index(option) + 1] == value
    assert {"patience=3", "slack=0.25"} <= set(words)
    assert cli(home, *estimated, "--estimate").returncode == 0


def test_plots_of_a_run(tmp_path: Path) -> None:
    large(tmp_path / "home", "plotted", 60)
    done = cli(tmp_path / "home", "report", "plotted", "--plots", "plots", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    files = {Path(file).name for file in json.loads(done.stdout)["files"]}
    names = ("best-so-far-evaluations", "best-so-far-model-calls", "best-so-far-usd", "menu", "roofline")
    assert {f"{name}.{suffix}" for name in names for suffix in ("svg", "png")} <= files
    for name in files:
        content = (tmp_path / "plots" / name).read_bytes()
        assert content.startswith(b"\x89PNG") if name.endswith(".png") else b"<svg" in content
    menu = (tmp_path / "plots" / "menu.svg").read_text()
    assert "larger-tile" in menu and "mathdefault" not in menu
    assert not list(tmp_path.glob("*.html"))


def test_profiles_that_the_search_did_not_make(tmp_path: Path, make_home: Callable[[Path], Path]) -> None:
    home, problem = make_home(tmp_path / "home"), "gemmini/gemm-32x32x32"
    searched = cli(home, "optimize", problem, "--max-evaluations", "4", "--reuse", "none", "--json")
    assert searched.returncode == 0, searched.stderr
    run = json.loads(searched.stdout)["run_id"]
    found = snapshot(Journal(home / "autocomp.db"), run)
    row = next(row for row in found.rows if row.kernel and row.kernel not in found.profiles)
    assert cli(home, "report", run, "-o", "p.html", "--profile", row.id, cwd=tmp_path).returncode == 0
    block = (tmp_path / "p.html").read_text().partition('id="snapshot">')[2].partition("</script>")[0]
    made = json.loads(block)["profiles"][row.kernel]
    assert made["problem"] == problem and made["latency"]["value"] == row.latency and made["units"]
    refused = cli(home, "report", run, "-o", "q.html", "--profile", "9.9.9.9", cwd=tmp_path)
    assert refused.returncode == 2 and "9.9.9.9" in refused.stderr and not (tmp_path / "q.html").exists()


def test_where_a_report_is_written(tmp_path: Path) -> None:
    large(tmp_path / "home", "kept", 3)
    assert cli(tmp_path / "home", "report", "last", cwd=tmp_path).returncode == 0
    assert (tmp_path / "kept.html").read_text().startswith("<!doctype html>")
    assert cli(tmp_path / "home", "report", "none-such").returncode == 2
    blocked = cli(tmp_path / "home", "report", "kept", "-o", str(tmp_path / "kept.html" / "x.html"))
    assert blocked.returncode == 3 and "cannot write" in blocked.stderr


@given(st.text())
def test_data_never_leave_their_block(text: str) -> None:
    sent = escaped_json(json.dumps({"text": text}))
    assert json.loads(sent)["text"] == text
    assert not set(sent) & set("<>&\u2028\u2029")


def test_get_search_has_a_view(tmp_path: Path) -> None:
    async def work() -> None:
        server = build_server(Bench(home_of(tmp_path)))
        async with Client(server) as client:
            capabilities = client.server_capabilities
            assert capabilities is not None and EXTENSION_ID in (capabilities.extensions or {})
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert (tools["get_search"].meta or {})["ui"] == {"resourceUri": VIEW}
            assert "ui" not in (tools["simulate_kernel"].meta or {})
            listed = {str(found.uri): found for found in (await client.list_resources()).resources}
            assert listed[VIEW].mime_type == APP_MIME_TYPE
            view = (await client.read_resource(VIEW)).contents[0]
            assert view.mime_type == APP_MIME_TYPE
            text = getattr(view, "text", "")
            assert text == page(None, "app") and "connect-src" not in text
            assert "default-src 'none'" in html.unescape(text)
        without = build_server(Bench(home_of(tmp_path)), Selection.of("kernels", (), False))
        async with Client(without) as client:
            assert VIEW not in {str(found.uri) for found in (await client.list_resources()).resources}

    anyio.run(work)


def home_of(folder: Path) -> Any:
    from autocomp_mcp.hardware_adapters.store import Home

    return Home(folder)
