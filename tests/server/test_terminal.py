"""The live display on a real terminal: what its screen has while a real search goes on, is resized, and is stopped."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from terminal import CONTROL, Terminal, environment
from terminal_picture import FOLDER, picture

PROBLEM = "gemmini/gemm-128x128x128"
SEARCH = [
    "optimize",
    PROBLEM,
    "--model",
    "offline",
    "--reuse",
    "none",
    "--max-evaluations",
    "400",
    "--iterations",
    "40",
]
RUN = re.compile(r"\b\d{8}-\d{6}-[0-9a-f]{4}\b")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]) -> Path:
    return make_home(tmp_path_factory.mktemp("terminal") / "home")


def labelled(screen: list[str], label: str) -> str:
    return next((line for line in screen if line.startswith(label)), "")


def test_a_search_is_watched_resized_suspended_stopped_and_resumed(home: Path) -> None:
    terminal = Terminal([*SEARCH, "--max-tokens", "50000", "--timeout", "600"], home, 100, 40)

    def complete(text: str) -> bool:
        steps = re.search(r"^steps +[\d,]+ +the first kernel\n +[\d,]+ +\d\.\d\dx  [a-z-]+", text, re.MULTILINE)
        return bool(
            steps and "in flight" in text and "tried last" in text and "evaluate " in text and "best of" in text
        )

    screen = terminal.watch_until(complete)
    if FOLDER:
        busy = r"^iteration +[4-9](.|\n)*^evaluate .* running, \d+ waiting"
        terminal.watch_until(lambda text: re.search(busy, text, re.MULTILINE))
        picture(terminal, "optimize")
    assert PROBLEM in labelled(screen, "problem") and RUN.search(labelled(screen, "run"))
    assert re.match(r"iteration +[1-9]\d* of 40", labelled(screen, "iteration"))
    for phase in ("plan", "generate", "evaluate"):
        assert re.search(r"[█·▏▎▍▌▋▊▉]{20,} +\d+/\d+", labelled(screen, f"{phase} ")), phase
    assert re.search(r"\d+ of 400, \d+ model calls", labelled(screen, "evaluations"))
    assert re.search(r"\d s, \d+ s left", labelled(screen, "time"))
    assert re.search(r"0\.00 USD, 50 k tokens left", labelled(screen, "cost"))
    assert re.search(r"\d\.\d\dx, [\d,]+ cycles \(estimated\), \d+\.\d% of the bound", labelled(screen, "best"))
    assert any(re.search(r"[▁▂▃▄▅▆▇█]{2,}  best of the first \d+", line) for line in screen)
    assert re.search(
        r"\d+\.\d+\.\d+(\.\d+)?  (plan|generate|evaluate|profile) +(\d+ s|waits)", labelled(screen, "in flight")
    )
    assert terminal.cursor_shown, "a shell that gets the terminal back by Ctrl-Z, or by a kill, needs it"
    run = RUN.search(labelled(screen, "run"))
    assert run

    terminal.resize(40, 24)  # what was drawn for 100 columns is gone, and nothing is drawn twice
    screen = terminal.watch_until(
        lambda text: (
            text.count("problem ") == 1 and text.count("evaluations ") == 1 and text.count("steps\n") == 1
            and max(map(len, text.split("\n"))) < 40 and "estimated" in text
        )
    )  # fmt: skip
    assert labelled(screen, "best") and labelled(screen, "cost")

    terminal.process.send_signal(signal.SIGCONT)  # as `fg` does after Ctrl-Z: others have written on the screen
    cleared = terminal.text.count("\x1b[2J")
    terminal.read_until(lambda text: text.count("\x1b[2J") > cleared)

    terminal.type(b"\x03")
    assert terminal.end() == 130
    assert terminal.cursor_shown and terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l")
    last = " ".join(line for line in terminal.screen if line)
    assert f"autocomp-mcp resume {run[0]}" in last.replace(" ", "").replace(
        "autocomp-mcpresume", "autocomp-mcp resume "
    )
    assert "in flight" not in last, "the panel is gone"

    def plainly(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "autocomp_mcp", *args]
        return subprocess.run(command, env=environment(home), capture_output=True, text=True, stdin=subprocess.DEVNULL)

    done = json.loads(plainly("show", run[0], "--json").stdout)["evaluations"]
    resumed = plainly("resume", run[0], "--max-evaluations", str(done + 1))
    assert resumed.returncode == 0, resumed.stderr
    assert "finished: iteration" in resumed.stderr and f"{done + 1} evaluations" in resumed.stdout
    assert "\x1b" not in resumed.stderr + resumed.stdout


@pytest.mark.parametrize("which", ["stdout is a pipe", "ASCII"])
def test_where_it_cannot_be_drawn(home: Path, which: str) -> None:
    search = [
        "optimize",
        PROBLEM,
        "--model",
        "offline",
        "--iterations",
        "1",
        "--plans",
        "1",
        "--codes",
        "1",
        "--reuse",
        "none",
    ]
    if which == "ASCII":
        terminal = Terminal(search, home, 100, PYTHONIOENCODING="ascii")
        assert terminal.end() == 0, terminal.text
        assert terminal.text.isascii()
        seen = CONTROL.sub("", terminal.text)
        assert re.search(r"evaluate +[#.]{20,}", seen) and re.search(r"#  best of the first", seen)
        return
    ours, theirs = os.pipe()
    terminal = Terminal(search, home, 100, stdout=theirs)
    os.close(theirs)
    assert terminal.end() == 0, terminal.text
    with os.fdopen(ours) as pipe:
        assert "the first kernel" in pipe.read()
    assert "\x1b" not in terminal.text
    assert re.search(r"\] best: iteration 1/1, \d+ evaluations, best [\d,]+ cycles \(estimated, \d", terminal.text)
