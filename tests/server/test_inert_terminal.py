"""Kernels, plans, messages and runs of others, made to steer a terminal: what a real one (a pty) gets does not."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.hardware_adapters.base import Compilation, Diagnostic, Evaluation, Fault, Latency
from autocomp_mcp.server.inert import code_lines, inert, visible
from hypothesis import given
from hypothesis import strategies as st
from terminal import Terminal

PROBLEM = "gemmini/gemm-32x32x32"
# Clears the screen, changes the title, hides the cursor, fills the clipboard, has the terminal type; C1 controls;
# reorders what is read; goes back over the line; rings.
EVIL = (
    "\x1b[2J\x1b[H\x1b]0;owned\x07\x1b[?25l\x1b]52;c;b3duZWQ=\x07\x1b[6n\x1bP+q544e\x1b\\"
    "\x9b31m\x9d0;owned\x9c\u202eesrever\u202c\u2066\u200b\ufeff\r\x08\x08overwritten\x07\x00\x7f"
)
LONG = "y" * 1_000_000
OURS = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[hl]|[0-9]*[AGHJK]|2J)")
STEERING = re.compile("[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
ONE_LINE = EVIL.replace("\r", "").replace("\0", "")  # a compiler ends a line at the one; no source has the other


def kernel(words: str) -> str:
    return f"""// {ONE_LINE}
#include "gemmini_api.h"
void solution(const int8_t *A, const int8_t *B, int8_t *C) {{ fence(); /* {words} {"z" * 300_000} */ }}
"""


def harmless(terminal: Terminal) -> str:
    """What it wrote, once it is sure that nothing of it but colours, and the panel's own moves, steers."""
    rest = OURS.sub("", terminal.text)
    assert "\r" not in rest.replace("\r\n", ""), "nothing goes back over a line"
    assert not STEERING.findall(rest), sorted(set(map(repr, STEERING.findall(rest))))
    assert terminal.title == "" and terminal.cursor_shown
    assert "\x1b[2J" not in terminal.text
    assert max(map(len, rest.split("\r\n"))) < 3_000, "no line is as long as somebody wanted it"
    return rest


def judged(cycles: float | None) -> dict[str, Any]:
    latency = Latency(value=cycles, unit="cycles", statistic=f"first {EVIL}") if cycles else None
    diagnostic = Diagnostic(severity="error", message=f"no such {EVIL} {LONG}\nsecond line", line=1)
    return Evaluation(
        problem=PROBLEM, kernel="0" * 16, verdict="passed" if cycles else "compile_error",
        message=f"message {EVIL}", engine="gemsim", engine_version="1", seed=0, source="estimated", latency=latency,
        utilisation=100 / cycles if cycles else None, fault=Fault(kind=EVIL, message=f"fault {LONG}", instruction=EVIL),
        compilation=Compilation(ok=False, compiler=EVIL, diagnostics=(diagnostic,), seconds=0.1),
    ).model_dump(mode="json")  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]) -> Path:
    """With two runs whose every text is hostile."""
    home = make_home(tmp_path_factory.mktemp("inert") / "home")
    journal = Journal(home / "autocomp.db")
    for run in ("a-run", "b-run"):
        settings = SearchSettings.for_model("offline").model_dump(mode="json")
        lease = journal.create(run, PROBLEM, f"offline{EVIL}", settings, kernel("0"))
        journal.append(lease, "session", {"model": "offline"})
        for number, (identity, parent, cycles) in enumerate(
            (("0", None, 1000.0), ("1.0.0.0", "0", None), ("1.0.1.0", "0", 500.0), ("2.0.0.0", "1.0.1.0", 400.0))
        ):
            plan = {"option": f"option {EVIL}", "text": f"Plan {EVIL}.\n{LONG} {EVIL}\n" + "word " * 5000}
            data = {"id": identity, "iteration": 1, "parent": parent, "plan": plan if parent else None}
            data["evaluation"] = judged(cycles)
            journal.append(lease, "candidate", data, key=f"candidate/{identity}", source=kernel(f"{number} {EVIL}"))
        journal.set_state(lease, "failed", f"ended {EVIL} {LONG}")
        journal.release(lease)
    return home


COMMANDS = {
    "show a-run": "option ␛[2J",
    "show a-run --plans --changes": "+void solution",
    "show a-run --candidates": "option ␛[2J",
    "show a-run --candidate 1.0.0.0": "no such ␛[2J",
    "show a-run --source": "// ␛[2J",
    "compare a-run b-run": "speed-up",
    "runs": "offline␛[2J",
}


def test_runs_of_others(home: Path) -> None:
    terminal = Terminal(" ; ".join(f"runs --help ; {command}" for command in COMMANDS).split(), home, 100)
    assert terminal.end() == 0, terminal.text[:2000]
    parts = terminal.text.split("Usage: ")[1:]
    assert len(parts) == len(COMMANDS)
    harmless(terminal)
    for part, (command, expected) in zip(parts, COMMANDS.items(), strict=True):
        assert expected in OURS.sub("", part), command


def test_json_on_a_terminal_is_inert_and_says_the_same(home: Path) -> None:
    terminal = Terminal(["show", "a-run", "--candidate", "2.0.0.0", "--json"], home, 100, look=False)
    assert terminal.end() == 0
    assert not STEERING.findall(terminal.text)
    said = json.loads(terminal.text)
    assert EVIL in said["source"] and said["plan"]["option"] == f"option {EVIL}"


@pytest.mark.parametrize("verb", ["compile", "evaluate", "profile"])
def test_a_kernel_of_others(home: Path, tmp_path: Path, verb: str) -> None:
    kernel = tmp_path / "kernel.c"
    if verb == "profile":
        text = (
            '#include "gemmini_api.h"\nvoid solution(const int8_t *A, const int8_t *B, int8_t *C) {\n'
            "  for (int i = 0; i < 32; i++)\n    for (int j = 0; j < 32; j++) {\n      int s = 0;\n"
            "      for (int k = 0; k < 32; k++) s += A[i * 32 + k] * B[k * 32 + j];"
            f" // {ONE_LINE} {'x' * 200_000}\n"
            "      C[i * 32 + j] = s > 127 ? 127 : s < -128 ? -128 : s;\n    }\n}\n"
        )
    else:
        text = f'#error "{ONE_LINE} {"x" * 200_000}"\nvoid solution(void) {{}}\n'
    kernel.write_bytes(text.encode())
    terminal = Terminal([verb, PROBLEM, str(kernel)], home, 100)
    assert terminal.end() == (0 if verb == "profile" else 1), terminal.text[:2000]
    seen = harmless(terminal)
    assert ("s += A[i * 32 + k]" if verb == "profile" else "error") in seen


@given(st.text())
def test_inert_text_prints_and_keeps_its_words(text: str) -> None:
    assert visible(text).isprintable() and inert(text, 10).isprintable()
    assert all(line.isprintable() for line in code_lines(text)) and len(code_lines(text)) == text.count("\n") + 1
    assert visible(visible(text)) == visible(text)
    if text.isprintable():
        assert visible(text) == text
