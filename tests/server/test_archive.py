"""export and import: a run leaves one home complete and goes on in another, and nothing else can come in that way."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.agent.runs.journal import Journal

PROBLEM = "gemmini/gemm-32x32x32"
Cli = Callable[..., subprocess.CompletedProcess[str]]


def environment(home: Path) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_"))}
    return clean | {"AUTOCOMP_HOME": str(home), "COLUMNS": "120"}


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    folder = tmp_path_factory.mktemp("cwd")

    def call(home: Path, *args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "autocomp_mcp", *args]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=folder, stdin=subprocess.DEVNULL, env=environment(home)
        )

    return call


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]) -> Path:
    return make_home(tmp_path_factory.mktemp("archive") / "home")


@pytest.fixture(scope="module")
def run_id(cli: Cli, home: Path) -> str:
    """A search that its limit ended, so that it can go on."""
    result = cli(home, "optimize", PROBLEM, "--model", "offline", "--max-evaluations", "8", "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)["run_id"]


@pytest.fixture(scope="module")
def folder(cli: Cli, home: Path, run_id: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("exported") / "deep" / "run"
    result = cli(home, "export", run_id, "-o", str(target), "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["folder"] == str(target)
    return target


@pytest.fixture
def elsewhere(tmp_path: Path, make_home: Callable[[Path], Path]) -> Path:
    return make_home(tmp_path / "elsewhere")


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def runs(home: Path) -> list[str]:
    return [status.run_id for status in Journal(home / "autocomp.db").statuses()]


def test_the_folder_holds_everything_of_the_run(folder: Path, home: Path, run_id: str) -> None:
    run = json.loads((folder / "run.json").read_text())
    journal = Journal(home / "autocomp.db")
    assert (run["format"], run["run_id"], run["problem"], run["model"]) == (1, run_id, PROBLEM, "offline")
    assert run["settings"] == journal.first_row(run_id).settings
    assert run["status"]["best"]["latency"] < run["status"]["baseline"]["latency"]
    assert {"autocomp-mcp", "python", "gemsim"} <= set(run["versions"])
    assert events(folder) == journal.events(run_id, sources=True)
    candidates = {e["data"]["id"]: e["source"] for e in events(folder) if e["kind"] == "candidate"}
    assert {path.name: path.read_text() for path in (folder / "kernels").iterdir()} == {
        f"{identity}.c": source for identity, source in candidates.items()
    }
    profiled = {e["key"].split("/")[1]: e["data"] for e in events(folder) if e["kind"] == "profile"}
    assert profiled
    assert {path.stem: json.loads(path.read_text()) for path in (folder / "profiles").iterdir()} == profiled
    assert (folder / "best.c").read_text() == (home / "runs" / run_id / "best.c").read_text()
    assert str(home) not in "".join(path.read_text() for path in folder.rglob("*") if path.is_file())


def test_an_imported_run_is_shown_and_goes_on(
    cli: Cli, home: Path, folder: Path, run_id: str, elsewhere: Path, make_home: Callable[[Path], Path], tmp_path: Path
) -> None:
    said = cli(elsewhere, "import", str(folder))
    assert said.returncode == 0 and run_id in said.stdout, said.stderr
    there, here = (json.loads(cli(place, "show", run_id, "--json").stdout) for place in (elsewhere, home))
    assert Path(there["best"].pop("source_path")).read_text() == Path(here["best"].pop("source_path")).read_text()
    assert there == here
    assert run_id in cli(elsewhere, "runs").stdout
    # The original goes on in a copy of its home: both have to end with the same.
    original = make_home(tmp_path / "original")
    with sqlite3.connect(home / "autocomp.db") as source, sqlite3.connect(original / "autocomp.db") as target:
        source.backup(target)
    resumed = [
        json.loads(cli(place, "resume", run_id, "--max-evaluations", "14", "--json").stdout)
        for place in (elsewhere, original)
    ]
    assert resumed[0]["evaluations"] == 14 and resumed[0]["state"] == "finished"
    for name in ("evaluations", "model_calls", "speedup", "stop_reason"):
        assert resumed[0][name] == resumed[1][name]
    assert resumed[0]["best"]["candidate"] == resumed[1]["best"]["candidate"]
    # Now it differs from what was exported.
    again = cli(elsewhere, "import", str(folder), "--json")
    assert again.returncode == 2 and "differs" in json.loads(again.stdout)["error"]["message"]
    assert json.loads(cli(elsewhere, "show", run_id, "--json").stdout)["evaluations"] == 14


def test_the_same_again_is_no_error_and_mends_the_file(cli: Cli, folder: Path, run_id: str, elsewhere: Path) -> None:
    assert json.loads(cli(elsewhere, "import", str(folder), "--json").stdout) == {"run_id": run_id, "imported": True}
    best = elsewhere / "runs" / run_id / "best.c"
    best.unlink()
    again = cli(elsewhere, "import", str(folder))
    assert again.returncode == 0 and "already" in again.stdout
    assert best.read_text() == (folder / "best.c").read_text()
    assert len(runs(elsewhere)) == 1
    known = Journal(elsewhere / "autocomp.db").events(run_id, sources=True)
    assert known == events(folder), "times and kernels as they were"


def test_an_imported_run_is_exported_the_same(
    cli: Cli, folder: Path, run_id: str, elsewhere: Path, tmp_path: Path
) -> None:
    cli(elsewhere, "import", str(folder))
    assert cli(elsewhere, "export", "last", "-o", str(tmp_path / "second")).returncode == 0
    for path in folder.rglob("*"):
        if path.is_file():
            assert (tmp_path / "second" / path.relative_to(folder)).read_bytes() == path.read_bytes()


def test_a_folder_that_is_there_is_not_written_over(cli: Cli, home: Path, run_id: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("keep")
    result = cli(home, "export", run_id, "-o", str(tmp_path / "mine"))
    assert result.returncode == 2 and "exists already" in result.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "file"]
    (tmp_path / "plain").write_text("")
    blocked = cli(home, "export", run_id, "-o", str(tmp_path / "plain" / "below"))
    assert blocked.returncode == 3 and "Traceback" not in blocked.stderr


def edit(number: int, change: Callable[[dict[str, Any]], object]) -> Callable[[list[str]], object]:
    def apply(lines: list[str]) -> None:
        event = json.loads(lines[number])
        change(event)
        lines[number] = json.dumps(event)

    return apply


def first(kind: str, change: Callable[[dict[str, Any]], object]) -> Callable[[list[str]], object]:
    def apply(lines: list[str]) -> int:
        number = next(n for n, line in enumerate(lines) if json.loads(line)["kind"] == kind)
        edit(number, change)(lines)
        return number

    return apply


def rename(event: dict[str, Any], identity: str) -> None:
    event["data"]["id"] = identity
    event["key"] = f"candidate/{identity}"


DAMAGES: dict[str, tuple[Callable[[list[str]], object], str]] = {
    "no JSON": (lambda lines: lines.__setitem__(3, "{"), "line 4: is not JSON"),
    "a list": (lambda lines: lines.__setitem__(3, "[]"), "line 4: is not a JSON object"),
    "half a character": (edit(2, lambda e: e.update(source="\ud800")), "line 3: is not JSON in UTF-8"),
    "no number": (lambda lines: lines.__setitem__(0, lines[0].replace('"at": ', '"at": NaN, "x": ')), "line 1"),
    "infinite": (lambda lines: lines.__setitem__(0, lines[0].replace('"at": ', '"at": 1e999, "x": ')), "line 1"),
    "deep": (lambda lines: lines.__setitem__(0, "[" * 100_000), "line 1: is not JSON"),
    "a field more": (edit(0, lambda e: e.update(run_id="other")), "line 1: has the fields"),
    "another kind": (edit(0, lambda e: e.update(kind="command")), "line 1: unknown kind of event 'command'"),
    "time": (edit(0, lambda e: e.update(at="now")), "line 1: at 'now' is no time"),
    "the same twice": (lambda lines: lines.insert(3, lines[2]), "line 4: key 'problem' for the second time"),
    "a path as id": (first("candidate", lambda e: rename(e, "../../evil")), "line 5: candidate: id '../../evil'"),
    "a path as kernel": (first("profile", lambda e: e.update(key="profile/../x")), "profile: key 'profile/../x'"),
    "an unknown parent": (first("candidate", lambda e: e["data"].update(parent="9")), "line 5: candidate: parent '9'"),
    "no kernel": (first("candidate", lambda e: e.update(source=None)), "line 5: candidate: its kernel"),
    "an empty kernel": (first("candidate", lambda e: e.update(source=" ")), "line 5: candidate: the source is empty"),
    "a verdict": (
        first("candidate", lambda e: e["data"]["evaluation"].update(verdict="great")),
        "line 5: candidate: evaluation.verdict",
    ),
    "no usage": (first("model", lambda e: e["data"]["reply"].pop("usage")), "model: 'usage' is missing"),
    "earned": (first("model", lambda e: e["data"]["reply"].update(cost_usd=-1)), "less than nothing"),
    "a state": (first("state", lambda e: e["data"].update(state="won")), "line 2: state: no such state: 'won'"),
    "another target": (first("problem", lambda e: e["data"].update(dims={"m": "x"})), "line 3: problem: dims.m"),
    "false lessons": (first("lessons", lambda e: e["data"].update(tallies=[1])), "line 4: lessons: tallies.0"),
    "cut short": (lambda lines: lines.pop(), "cut short?"),
    "no first kernel": (lambda lines: lines.pop(4), "no candidate of the lines before"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_line_that_does_not_hold_is_named_and_nothing_comes_in(
    cli: Cli, copy: Path, elsewhere: Path, name: str
) -> None:
    damage, message = DAMAGES[name]
    lines = (copy / "journal.jsonl").read_text().splitlines()
    damage(lines)
    (copy / "journal.jsonl").write_text("\n".join(lines) + "\n")
    result = cli(elsewhere, "import", str(copy))
    assert result.returncode == 2, result.stderr
    assert str(copy / "journal.jsonl") in result.stderr and message in result.stderr
    assert "Traceback" not in result.stderr
    assert runs(elsewhere) == [] and not (elsewhere / "runs").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", 2), ("format", None), ("run_id", "../../evil"), ("run_id", ""), ("run_id", "last"),
        ("problem", "/etc/passwd"), ("problem", "gemmini/.."), ("model", "off\nline"), ("created", "today"),
        ("settings", {"iterations": 0}), ("settings", {"shell": "true"}), ("settings", None), ("source", ""),
        ("events", None),
    ],
)  # fmt: skip
def test_a_run_that_does_not_hold_is_refused(cli: Cli, copy: Path, elsewhere: Path, field: str, value: object) -> None:
    run = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps(run | {field: value}))
    result = cli(elsewhere, "import", str(copy))
    assert result.returncode == 2, result.stderr
    assert str(copy / "run.json") in result.stderr and field in result.stderr and "Traceback" not in result.stderr
    assert runs(elsewhere) == [] and not (elsewhere / "runs").exists()


def test_links_and_pipes_and_what_is_missing_are_refused(cli: Cli, copy: Path, elsewhere: Path, tmp_path: Path) -> None:
    journal = copy / "journal.jsonl"
    (tmp_path / "outside").write_bytes(journal.read_bytes())
    journal.unlink()
    for make in (lambda: None, lambda: journal.symlink_to(tmp_path / "outside"), lambda: os.mkfifo(journal)):
        make()
        result = cli(elsewhere, "import", str(copy))
        assert result.returncode == 2 and str(journal) in result.stderr and "Traceback" not in result.stderr
        journal.unlink(missing_ok=True)
    assert cli(elsewhere, "import", str(tmp_path / "absent")).returncode == 2
    assert runs(elsewhere) == []


def test_what_a_resumed_run_would_reach_is_said(cli: Cli, copy: Path, elsewhere: Path) -> None:
    run = json.loads((copy / "run.json").read_text())
    run["settings"]["base_url"] = "http://models.example"
    (copy / "run.json").write_text(json.dumps(run))
    result = cli(elsewhere, "import", str(copy))
    assert result.returncode == 0 and "'http://models.example', with your key" in result.stderr


def test_an_export_that_is_killed_leaves_no_folder(cli: Cli, home: Path, run_id: str, tmp_path: Path) -> None:
    # Many kernels, so that there is a middle to be killed in.
    journal, count = Journal(tmp_path / "large" / "autocomp.db"), 1000
    begun, known = (
        Journal(home / "autocomp.db").first_row(run_id),
        Journal(home / "autocomp.db").events(run_id, sources=True),
    )
    root = next(event for event in known if event["kind"] == "candidate")
    more = [
        root | {"key": f"candidate/9.0.0.{n}", "data": root["data"] | {"id": f"9.0.0.{n}", "parent": "0"}}
        for n in range(count)
    ]
    journal.adopt(begun, [*known, *more])
    target = tmp_path / "out" / "run"
    command = [sys.executable, "-m", "autocomp_mcp", "export", run_id, "-o", str(target)]
    process = subprocess.Popen(command, env=environment(tmp_path / "large"), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("out/.run.part-*/kernels/*")) and time.monotonic() < deadline:
        assert process.poll() is None, "it ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = list((tmp_path / "out").iterdir())
    assert [path.name for path in left] == [f".run.part-{process.pid}"], "a part is never seen under the run's name"
    assert cli(tmp_path / "large", "export", run_id, "-o", str(target)).returncode == 0
    assert len(list((target / "kernels").iterdir())) >= count
    assert json.loads((target / "run.json").read_text())["events"] == len(events(target)) == len(known) + count
