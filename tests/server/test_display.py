"""What a person sees of a search: the real command on a real terminal (a pty), and the panel at widths of its own."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from autocomp_mcp.agent.runs.events import SearchEvent
from autocomp_mcp.agent.runs.status import Mark
from autocomp_mcp.server.terminal.display import Display
from rich.console import Console
from terminal import CONTROL, Terminal

PROBLEM = "gemmini/gemm-32x32x32"
SEARCH = ["optimize", PROBLEM, "--model", "offline", "--iterations", "2", "--plans", "3"]


def words(text: str) -> set[str]:
    return set(text.split())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]) -> Path:
    return make_home(tmp_path_factory.mktemp("display") / "home")


def test_the_clock_moves_while_the_simulator_is_built_and_ctrl_c_stops_that(tmp_path: Path) -> None:
    def seconds(text: str) -> set[str]:
        return set(re.findall(r"(\d+) s\b", text.partition("building the simulator (first use)")[2]))

    terminal = Terminal(SEARCH, tmp_path / "new", 80)
    terminal.read_until(lambda text: len(seconds(text)) >= 2)
    terminal.type(b"\x03")
    assert terminal.end() == 130
    assert "iteration" not in terminal.text, "nothing but the timer drew the clock"
    assert "stopped by SIGINT" in terminal.text


@pytest.mark.parametrize("columns", [60, 120])
def test_a_search_on_a_terminal(home: Path, columns: int) -> None:
    terminal = Terminal(SEARCH, home, columns)
    assert terminal.end() == 0, terminal.text
    moves = {letter for _, letter in CONTROL.findall(terminal.text)}
    assert {"A", "K"} <= moves, "the panel is drawn over and over in its place"
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l"), "the cursor is given back"
    last = CONTROL.sub("", terminal.text[terminal.text.rindex("\x1b") :]).replace("\r", "")
    assert "the first kernel" in last and re.search(r"^ +[\d,]+ +\d+\.\d\dx  [a-z-]+", last, re.MULTILINE)
    text = [line for line in last.splitlines() if not line.startswith("kernel ")]
    assert max(map(len, text)) <= columns, last


def test_the_address_of_a_dashboard_can_be_clicked_on(home: Path) -> None:
    terminal = Terminal([*SEARCH, "--dashboard"], home, 60)
    terminal.read_until(lambda text: "evaluations" in text)  # the panel is below the address by then
    terminal.type(b"\x03")
    assert terminal.end() == 130, terminal.text
    address = re.search(r"http://\S+", CONTROL.sub("", terminal.text))
    assert address and re.search(r"/report/\S+\?ticket=[\w-]{32}$", address[0]), "a line break is within"


@pytest.mark.parametrize("setting", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_what_the_terminal_cannot_or_shall_not_show_is_not_sent(home: Path, setting: dict[str, str]) -> None:
    terminal = Terminal(SEARCH, home, 80, **setting)
    assert terminal.end() == 0, terminal.text
    codes = {code for params, letter in CONTROL.findall(terminal.text) if letter == "m" for code in params.split(";")}
    assert not [code for code in codes if code and int(code) >= 30], "no colours"
    if "TERM" in setting:
        assert "\x1b" not in terminal.text
        assert "best: iteration" in terminal.text


@pytest.mark.slow
def test_no_word_of_a_summary_is_broken_at_any_width(home: Path) -> None:
    def shown(columns: int) -> str:
        env = os.environ | {"AUTOCOMP_HOME": str(home), "COLUMNS": str(columns)}
        command = [sys.executable, "-m", "autocomp_mcp", "show", "last"]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout

    subprocess.run(
        [sys.executable, "-m", "autocomp_mcp", *SEARCH, "--json"],
        env=os.environ | {"AUTOCOMP_HOME": str(home)}, capture_output=True, check=True,
    )  # fmt: skip
    whole = shown(1000)
    for columns in (60, 120):
        text = shown(columns)
        assert words(text) - {"…"} <= words(whole) | {w.rstrip(":") for w in words(whole)}
        lines = [line for line in text.splitlines() if not line.startswith("kernel ")]
        assert max(map(len, lines)) <= columns, text
        assert whole.count("x  ") == text.count("x  ") >= 1, "every step is there"


def event(**more: object) -> SearchEvent:
    def mark(latency: float) -> Mark:
        return Mark(candidate="0", latency=latency, unit="cycles", utilisation=0.946, source="estimated")

    data = {
        "kind": "candidate", "run_id": "20261121-035550-9810", "iteration": 3, "iterations": 10,
        "option": "interleave-stores-with-compute", "verdict": "passed", "candidate": "10.2.11.0",
        "latency": 560_961.0, "baseline": mark(3_712_273.0), "best": mark(554_489.0), "evaluations": 100,
        "max_evaluations": 500, "model_calls": 1000, "cost_usd": 1.5, "elapsed_s": 40.0, "time_left_s": 3.0,
    }  # fmt: skip
    return SearchEvent.model_validate(data | more)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_panel_fits_and_its_clock_needs_no_event(columns: int) -> None:
    now = 100.0
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=columns, color_system=None)
    display = Display(PROBLEM, as_json=False, console=console, clock=lambda: now)

    def seen() -> str:
        written.seek(0)
        written.truncate()
        console.print(display.panel())
        return written.getvalue()

    now += 7
    assert "preparing" in seen() and "7 s" in seen()
    display.building("the simulator")
    assert "building the simulator (first use)" in seen()
    display.update(event(kind="phase", phase="evaluate"))
    for _ in range(9):
        display.update(event())
    display.update(event(verdict="compile_error", latency=None))
    assert "40 s, 3 s left" in seen()
    now += 2
    text = seen()
    assert "42 s, 1 s left" in text
    now += 2
    assert "44 s, 0 s left" in seen()
    assert "3 of 10, evaluate" in text and "6.69x" in text and "100 of 500" in text
    lines = text.splitlines()
    assert max(map(len, lines)) <= columns
    assert sum("interleave-stores-with-compute" in line for line in lines) == 6, "the option's name is whole"
    assert ("10.2.11.0" in text) == (columns > 60), "where there is no room, the place is what goes"
