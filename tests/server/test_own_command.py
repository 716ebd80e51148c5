"""problem new/check/list, and folders where other commands take a problem: as a user meets them in an empty home."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from messages_api import MessagesApi, is_plan, plan_json

Run = Callable[..., subprocess.CompletedProcess[str]]


def environment(home: Path) -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_"))}
    return env | {"AUTOCOMP_HOME": str(home), "COLUMNS": "200", "NO_COLOR": "1"}


@pytest.fixture
def run(tmp_path: Path, make_home: Callable[[Path], Path]) -> Run:
    home = make_home(tmp_path / "home")

    def call(*args: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "autocomp_mcp", *args], capture_output=True, text=True, cwd=tmp_path,
            stdin=subprocess.DEVNULL, env=environment(home) | more,
        )  # fmt: skip

    return call


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_from_a_new_folder_to_a_search(run: Run, tmp_path: Path) -> None:
    assert run("problem", "list").stdout.startswith("none yet; begin with: autocomp-mcp problem new NAME")
    made = run("problem", "new", "mine")
    assert made.returncode == 0 and "autocomp-mcp problem check ./mine" in made.stdout
    assert run("problem", "new", "mine").returncode == 2  # nothing is overwritten
    checked = run("problem", "check", "mine")
    assert checked.returncode == 0 and checked.stdout.count("  ok ") == 7, checked.stdout + checked.stderr
    problem = checked.stdout.splitlines()[0]
    assert run("problem", "list").stdout.startswith(problem)
    for named in ("mine", str(tmp_path / "mine"), problem):
        evaluated = run("evaluate", named, "mine/kernel.c", "--json")
        assert evaluated.returncode == 0, evaluated.stderr
        assert json.loads(evaluated.stdout)["problem"] == problem
    assert run("problems", "--baseline", "./mine").stdout == (tmp_path / "mine" / "kernel.c").read_text()
    assert run("compile", "./mine", "mine/kernel.c").returncode == 0
    searched = run("optimize", "./mine", "--model", "offline")
    assert searched.returncode == 0 and "a language model can change any kernel (--model)" in " ".join(
        searched.stdout.split()
    )
    change(tmp_path / "mine" / "problem.toml", 'macs = "M * N * K"', "")
    profiled = run("profile", "./mine", "mine/kernel.c")
    assert profiled.returncode == 0 and "bound not known" in profiled.stdout
    assert "checking that it proves itself" in profiled.stderr  # another problem than before
    assert problem in run("resume", "last").stdout  # the run is still about the old one


@pytest.mark.slow
def test_what_does_not_prove_itself_is_said_and_not_used(run: Run, tmp_path: Path) -> None:
    run("problem", "new", "mine", "--python")
    change(tmp_path / "mine" / "reference.py", "A @ B + R", "A @ B")
    checked = run("problem", "check", "mine")
    assert checked.returncode == 1 and re.search(r"FAILED inputs +the outputs do not depend on R", checked.stdout)
    data = json.loads(run("problem", "check", "mine", "--json").stdout)
    assert data["passed"] is False and [f["passed"] for f in data["findings"]].count(False) == 1
    evaluated = run("evaluate", "./mine", "mine/kernel.c")
    assert evaluated.returncode == 2 and "does not prove itself: inputs: " in evaluated.stderr
    change(tmp_path / "mine" / "reference.py", "A @ B", "A @ B + R")
    change(tmp_path / "mine" / "kernel.c", "k < K", "k < K - 1")
    checked = run("problem", "check", "mine")
    assert checked.returncode == 1 and "FAILED kernel" in checked.stdout and "expected" in checked.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("evaluate", "./typo", "x.c"), r"typo/problem.toml, line 22: macz: no such field; did you mean 'macs'"),
        (("optimize", "./typo", "--model", "offline"), r"line 22: macz"),
        (("problem", "check", "nowhere"), r"nowhere: problem.toml: does not exist; `autocomp-mcp problem new NAME`"),
        (("evaluate", "./nowhere", "x.c"), r"problem.toml: does not exist"),
        (("problem", "new", "../Up"), r"name: '../Up': lower-case letters"),
        (("evaluate", "gemmini/custom-x-000000000000", "x.c"), r"no problem of your own has this id here"),
    ],
    ids=["typo", "typo-search", "no-folder", "no-folder-2", "bad-name", "unknown-id"],
)
def test_mistakes_are_one_line_and_status_2(run: Run, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    run("problem", "new", "typo")
    change(tmp_path / "typo" / "problem.toml", "macs =", "macz =")
    result = run(*arguments)
    assert result.returncode == 2 and re.search(said, result.stderr), result.stderr
    assert "Traceback" not in result.stderr and result.stderr.count("\n") <= 2


@pytest.fixture
def remote(tmp_path: Path, make_home: Callable[[Path], Path]) -> Iterator[str]:
    """A server with a home and a problem root of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "autocomp_mcp", "serve", "--http", "127.0.0.1:0", "--problem-root", str(tmp_path)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env=environment(make_home(tmp_path / "elsewhere")),
    )  # fmt: skip
    assert process.stderr
    found = next((m for line in process.stderr if (m := re.search(r"http://(127.0.0.1:\d+)/mcp", line))), None)
    assert found
    yield found[1]
    process.terminate()
    process.communicate()


@pytest.mark.slow
def test_another_server_is_told_of_the_problem(run: Run, remote: str, tmp_path: Path) -> None:
    run("problem", "new", "sent", "-o", "deeper/down/sent")
    searched = run("optimize", "deeper/down/sent", "--model", "offline", "--server", remote, "--json")
    assert searched.returncode == 0, searched.stderr
    problem = json.loads(searched.stdout)["problem"]
    assert (tmp_path / "elsewhere" / "problems" / f"{problem[-12:]}.problem.json").is_file()
    run("problem", "new", "filed", "--python", "-o", "deeper/down/filed")
    refused = run("optimize", "deeper/down/filed", "--model", "offline", "--server", remote)
    assert refused.returncode == 2 and "--problem-root of that server" in refused.stderr
    run("problem", "new", "shared", "--python")  # below the server's root
    assert run("optimize", "./shared", "--model", "offline", "--server", remote).returncode == 0


FASTER = """#include <stdint.h>
static int8_t sat(int32_t total) { return total < 0 ? 0 : total > 127 ? 127 : total; }
void solution(const int8_t *A, const int8_t *B, const int8_t *R, int8_t *C) {
    for (int i = 0; i < 64; i++)
        for (int j = 0; j < 64; j += 4) {
            const int8_t *r = R + i * 64 + j, *b = B + j;
            int32_t s = r[0], t = r[1], u = r[2], v = r[3];
            for (int k = 0; k < 64; k++, b += 64) {
                int32_t a = A[i * 64 + k];
                s += a * b[0]; t += a * b[1]; u += a * b[2]; v += a * b[3];
            }
            int8_t *c = C + i * 64 + j;
            c[0] = sat(s); c[1] = sat(t); c[2] = sat(u); c[3] = sat(v);
        }
}
"""


@pytest.mark.slow
def test_a_language_model_searches_on_it(run: Run, tmp_path: Path) -> None:
    run("problem", "new", "mine")
    change(tmp_path / "mine" / "problem.toml", 'macs = "M * N * K"', "")  # no bound to be near to
    option = json.loads(run("menu", "--json").stdout)["gemmini"][0]["id"]
    settings = ("--iterations", "1", "--plans", "1", "--codes", "1", "--beam", "1")
    with MessagesApi(lambda body: plan_json(option) if is_plan(body) else f"```c\n{FASTER}```") as api:
        searched = run("optimize", "./mine", *settings, ANTHROPIC_API_KEY="test", ANTHROPIC_BASE_URL=api.url)
    assert searched.returncode == 0, searched.stdout + searched.stderr
    assert "of the bound" not in searched.stdout
    assert re.search(r"speed-up +(1\.[1-9]|[2-9]\.)", searched.stdout), searched.stdout
    system = json.dumps(api.requests[0]["system"])
    assert "np.clip(total, 0, 127)" in system and "Least latency possible" not in system
    assert option in run("show", "last").stdout
