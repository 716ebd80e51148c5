"""show and profile on a real terminal, of a real search and real simulators: what they say is what JSON says."""

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.hardware_adapters.base import Bottleneck, Latency, Profile, Stall, UnitTime
from autocomp_mcp.hardware_adapters.registry import adapter_for
from autocomp_mcp.server.terminal.profile_view import profile_lines
from terminal import Terminal, environment
from terminal_picture import picture

PROBLEM = "gemmini/gemm-128x128x128"
BARS = "█▏▎▍▌▋▊▉"


def json_of(home: Path, *args: str) -> Any:
    command = [sys.executable, "-m", "autocomp_mcp", *args]
    done = subprocess.run(command, env=environment(home), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if "--json" in args else done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]) -> Path:
    """With a search that made some steps."""
    home = make_home(tmp_path_factory.mktemp("reading") / "home")
    found = json_of(
        home,
        "optimize",
        PROBLEM,
        "--model",
        "offline",
        "--iterations",
        "5",
        "--plans",
        "3",
        "--codes",
        "1",
        "--beam",
        "1",
        "--json",
    )
    assert found["speedup"] > 2
    return home


def seen(home: Path, *args: str, columns: int = 100, rows: int = 200) -> Terminal:
    terminal = Terminal(list(args), home, columns, rows)
    assert terminal.end() == 0, terminal.text
    assert max(map(len, terminal.screen)) <= columns
    return terminal


def test_show_has_each_steps_gain_its_plan_and_what_it_changed(home: Path) -> None:
    run = json_of(home, "show", "last", "--json")
    terminal = seen(home, "show", "last")
    picture(terminal, "show", until="kernel ")
    lines = terminal.screen
    best = run["best"]
    assert lines[1].startswith(
        f"{run['speedup']:.2f}x: {run['baseline']['latency']:,.0f} -> {best['latency']:,.0f} cycles"
    )
    assert f"({best['source']}), {best['utilisation']:.1%} of the bound" in lines[1]
    gains = [
        float(found[1]) for line in lines if (found := re.match(r" +[\d,]+ +(\d+\.\d\d)x  [a-z-]+  \(candidate", line))
    ]
    assert len(gains) == len(run["lineage"]) - 1 >= 2
    assert math.prod(gains) == pytest.approx(run["speedup"], rel=0.03)
    text = "\n".join(lines)
    for step in run["lineage"][1:]:
        assert f"{step['option']}  (candidate {step['candidate']})" in text
        assert step["plan"].split()[0] in text
    assert len(re.findall(r"[a-z_]+ \S+ -> \S+; (?:.*; )?\+\d+ -\d+ lines", " ".join(text.split()))) >= 1
    changed = "\n".join(seen(home, "show", "last", "--changes", rows=800).screen)
    sources = [
        json_of(home, "show", "last", "--candidate", step["candidate"], "--source").split("\n")
        for step in run["lineage"][:2]
    ]
    new = [line for line in sources[1] if line.strip() and line not in sources[0] and "schedule:" not in line]
    gone = [line for line in sources[0] if line.strip() and line not in sources[1] and "schedule:" not in line]
    assert new and all(f"    +{line}"[:100].rstrip() in changed for line in new)
    assert all(f"    -{line}"[:100].rstrip() in changed for line in gone)


CHEAP = {
    "gemmini": ("gemmini/gemm-64x64x64", "kernel.c", "array"),
    "trainium": ("trainium/rmsnorm-256x512", "kernel.py", "vector"),
    "nvidia": ("nvidia/softmax-128x128", "kernel.cu", "fp32"),
}


@pytest.mark.parametrize("target", CHEAP)
def test_a_profile_of_each_target(home: Path, tmp_path: Path, target: str) -> None:
    problem, name, main = CHEAP[target]
    kernel = tmp_path / name
    adapter = adapter_for(problem)
    source = adapter.baseline(adapter.problem(problem))
    assert source
    kernel.write_text(source)
    plain = whole = json_of(home, "profile", problem, str(kernel), "--json", "--all")
    assert whole["main"] == main
    terminal = seen(home, "profile", problem, str(kernel))
    if target == "gemmini":
        plain = json_of(home, "profile", problem, str(kernel), "--json")
        assert set(plain) | {"main", "waits", "lines_mean"} == set(whole), "without --all JSON is what it was"
        assert len(plain["lines"]) == min(12, len(whole["lines"]))
        picture(terminal, "profile-lines", until="traffic")
    lines = terminal.screen
    assert "(estimated" in lines[0] and f"estimated by engine {plain['engine']}" in "\n".join(lines)
    for unit in plain["units"]:
        figure = f"{unit['share']:.1%}  {unit['busy']:,} {plain['latency']['unit']}" if unit["busy"] else "no work"
        row = next(line for line in lines if line.strip().startswith(f"{unit['unit']} ") and figure in line)
        drawn = sum(c in BARS for c in row)
        room = sum(c in BARS + "░·" for c in row)
        assert room >= 20 and drawn == (
            math.ceil(unit["share"] * room - 1 / 8) if unit["share"] * room >= 1 / 8 else bool(unit["busy"])
        )
    for stall in plain["stalls"]:
        assert any(f"{stall['cause']} " in line and f"{stall['share']:.1%}" in line for line in lines) == (
            stall["share"] >= 0.01
        )
    shown = {
        int(found[2]): int(found[1].replace(",", "")) for line in lines if (found := LINE.match(line)) and found[1]
    }
    times = {line["line"]: line["cycles"] for line in whole["lines"]}
    total = sum(times.values())
    assert shown.items() <= times.items() and all(line in shown for line in times if times[line] >= 0.01 * total)
    everything = seen(home, "profile", problem, str(kernel), "--all", rows=400, columns=140).screen
    rows = {int(found[2]): (found[1], found[3]) for line in everything if (found := LINE.match(line))}
    assert list(rows) == list(range(1, source.count("\n") + 2)), "every line of the source, in its order"
    assert {n: int(time.replace(",", "")) for n, (time, _) in rows.items() if time} == times
    for number, text in enumerate(source.split("\n"), 1):
        assert rows[number][1].removesuffix("…").rstrip() in text.rstrip()


LINE = re.compile(r" +(?:([\d,]+) +\d+\.\d% [█▏▎▍▌▋▊▉ ]*)? *(\d+) │ ?(.*)")


def test_a_profile_without_times_of_lines_says_so_and_invents_nothing() -> None:
    problem = adapter_for("nvidia/softmax-128x128").problem("nvidia/softmax-128x128")
    measured = Profile(
        problem=problem.id, kernel="0" * 16, engine="cuda", engine_version="1", source="measured",
        latency=Latency(value=5000.0, unit="ns", statistic="under Nsight Compute"), utilisation=None, counters={},
        units=(UnitTime(unit="dram", busy=2500, share=0.5),),
        stalls=(Stall(cause="wait_barrier", cycles=500, share=0.1),),
        bottlenecks=(Bottleneck(id="barriers", explanation="warps wait at barriers"),),
    )  # fmt: skip
    text = "\n".join(str(line) for line in profile_lines(measured, problem, "int x;\n", everything=True))
    assert "5,000 ns (measured), bound not known" in text and "estimated" not in text
    assert "source: engine cuda tells no times of lines" in text and "int x;" not in text
    assert "waits, not of one unit alone" in text and re.search(r"wait_barrier +10\.0%", text)
    assert re.search(r"dram +█{16}·{16} +50\.0%", text), "why it does not work is not told"
