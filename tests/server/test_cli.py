"""The command line as scripts see it: exit statuses, one JSON object, errors that say what to do."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.server.cli import app
from autocomp_mcp.server.commands.options import EXIT_STATUSES
from typer.main import get_command

PROBLEM = "gemmini/gemm-32x32x32"


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "autocomp_mcp", *args]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]) -> Path:
    return make_home(tmp_path_factory.mktemp("cli") / "home")


@pytest.fixture
def run(home: Path, tmp_path: Path):
    def call(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_"))}
        return subprocess.run(
            command(*args), capture_output=True, text=True, cwd=tmp_path, stdin=subprocess.DEVNULL,
            env=env | {"AUTOCOMP_HOME": str(home), "COLUMNS": "200"} | environment,
        )  # fmt: skip

    return call


@pytest.fixture
def baseline(run, tmp_path: Path) -> Path:
    file = tmp_path / "baseline.c"
    file.write_text(run("problems", "--baseline", PROBLEM).stdout)
    return file


def test_the_baseline_passes_and_json_is_all_there_is_on_stdout(run, baseline: Path) -> None:
    result = run("evaluate", PROBLEM, str(baseline), "--json")
    assert result.returncode == 0, result.stderr
    evaluation = json.loads(result.stdout)
    assert evaluation["verdict"] == "passed" and evaluation["source"] == "estimated"
    assert evaluation["latency"]["unit"] == "cycles" and 0 < evaluation["utilisation"] < 1
    assert len(evaluation["input_sets"]) >= 3


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ("", "wrong_result"),
        ("for (;;) ;", "crashed|timed_out"),
        ("*(volatile int *)16 = 1;", "crashed"),
        ("this is not C", "compile_error"),
    ],
)
def test_a_kernel_that_fails_is_told_why(run, tmp_path: Path, body: str, verdict: str) -> None:
    kernel = tmp_path / "kernel.c"
    kernel.write_text(
        f'#include "gemmini_api.h"\nvoid solution(const int8_t *A, const int8_t *B, int8_t *C) {{\n{body}\n}}\n'
    )
    result = run("evaluate", PROBLEM, str(kernel), "--json")
    evaluation = json.loads(result.stdout)
    assert result.returncode == 1
    assert evaluation["verdict"] in verdict.split("|") and evaluation["message"]
    assert evaluation["latency"] is None
    said = run("evaluate", PROBLEM, str(kernel))
    assert said.returncode == 1 and said.stdout.startswith(evaluation["verdict"])


@pytest.mark.parametrize("name", ["gemmini/gem-32x32x32", "gemmini/gemm-0x4x4", "nowhere/x", "gemmini/gemm-32x32"])
@pytest.mark.parametrize("verb", [["evaluate", "{}", "x.c"], ["optimize", "{}"], ["compile", "{}", "x.c"]])
def test_an_unknown_problem_is_a_usage_error_with_a_hint(run, verb: list[str], name: str) -> None:
    result = run(*[part.format(name) for part in verb], "--json")
    assert result.returncode == 2, result.stderr
    assert name in json.loads(result.stdout)["error"]["message"]
    assert "gemmini/gemm-" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize("problem", [PROBLEM, "gemmini/conv-8x8x16x16-k3-s1-p1"])
def test_the_reference_kernel_is_the_vendors_loop_and_passes(run, tmp_path: Path, problem: str) -> None:
    printed = run("problems", "--reference", problem)
    assert printed.returncode == 0, printed.stderr
    assert "gemmini_loop_" in printed.stdout
    file = tmp_path / "reference.c"
    file.write_text(printed.stdout)
    assert run("evaluate", problem, str(file)).returncode == 0
    said = json.loads(run("problems", "--reference", problem, "--json").stdout)
    assert said == {"problem": problem, "reference": printed.stdout}


def test_suites_are_listed_by_name(run) -> None:
    everything = run("problems")
    suites = json.loads(run("problems", "--json").stdout)["suites"]
    assert {"autocomp-gemm", "resnet50-conv", "examples"} <= set(suites)
    assert all(name in everything.stdout and what in everything.stdout for name, what in suites.items())
    listed = json.loads(run("problems", "--suite", "resnet50-conv", "--json").stdout)["problems"]
    assert {problem["family"] for problem in listed} == {"conv"}
    shown = run("problems", "--suite", "resnet50-conv").stdout
    assert [line.split()[0] for line in shown.splitlines()] == [problem["id"] for problem in listed]
    assert run("problems", "--suite", "gemmini/resnet50-conv").stdout == shown
    for wrong in (["resnet"], ["gemmini/resnet"], ["gemmini/resnet50-conv", "--target", "nvidia"]):
        unknown = run("problems", "--suite", *wrong)
        assert unknown.returncode == 2
        assert "resnet50-conv" in unknown.stderr


def test_one_kernel_is_printed_at_a_time(run) -> None:
    both = run("problems", "--reference", PROBLEM, "--baseline", PROBLEM)
    assert both.returncode == 2
    assert "exclude each other" in both.stderr
    assert run("problems", "--reference", "gemmini/gem-32x32x32").returncode == 2


def test_a_missing_file_and_an_unknown_run_and_engine_are_usage_errors(run, baseline: Path) -> None:
    for args in (["evaluate", PROBLEM, "absent.c"], ["show", "never"], ["resume", "never"],
                 ["evaluate", PROBLEM, str(baseline), "--engine", "fpga"]):  # fmt: skip
        result = run(*args)
        assert result.returncode == 2 and "Traceback" not in result.stderr, (args, result.stderr)


def test_compile_profile_menu_and_problems(run, baseline: Path, tmp_path: Path) -> None:
    timeline = tmp_path / "timeline.json"
    assert json.loads(run("compile", PROBLEM, str(baseline), "--json").stdout)["ok"]
    profile = json.loads(run("profile", PROBLEM, str(baseline), "--timeline", str(timeline), "--json").stdout)
    assert profile["bottlenecks"] and profile["units"]
    assert {event["name"] for event in json.loads(timeline.read_text())} >= {"mvin", "compute", "mvout"}
    assert len(json.loads(run("menu", "--json").stdout)["gemmini"]) >= 24
    assert json.loads(run("problems", "--json").stdout)["families"]


def test_doctor_says_what_is_there(run) -> None:
    report = json.loads(run("doctor", "--json").stdout)
    assert report["ok"], report
    models = {c["name"]: c for c in report["checks"] if c["name"].startswith("model ")}
    assert set(models) == {"model anthropic", "model openai", "model bedrock", "model vertex"}
    assert not any(c["required"] for c in models.values())
    with_keys = run("doctor", ANTHROPIC_API_KEY="secret-canary", OPENAI_BASE_URL="http://secret-canary").stdout
    assert "secret-canary" not in with_keys and "ANTHROPIC_API_KEY is set" in with_keys
    assert "OPENAI_BASE_URL is set" in with_keys


def test_a_home_that_cannot_be_written_is_an_environment_error(run, baseline: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    result = run("evaluate", PROBLEM, str(baseline), AUTOCOMP_HOME=str(blocked / "home"))
    assert result.returncode == 3 and "AUTOCOMP_HOME" in result.stderr


def test_light_commands_do_not_import_the_sdks(home: Path, baseline: Path) -> None:
    code = (
        "import sys, autocomp_mcp.__main__ as m\n"
        f"sys.argv = ['autocomp-mcp', 'evaluate', {PROBLEM!r}, {str(baseline)!r}]\n"
        "try: m.main()\nexcept SystemExit as e: print('exit', e.code)\n"
        "print('heavy:', sorted({'mcp', 'anthropic'} & set(sys.modules)))\n"
    )
    env = os.environ | {"AUTOCOMP_HOME": str(home)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd="/")
    assert "exit 0" in result.stdout and "heavy: []" in result.stdout, result.stdout + result.stderr


def test_optimize_finds_a_faster_kernel_and_show_explains_it(run) -> None:
    result = run("optimize", PROBLEM, "--model", "offline", "--iterations", "2", "--plans", "4", "--json")
    assert result.returncode == 0, result.stderr
    final = json.loads(result.stdout)
    assert final["speedup"] > 1 and final["best"]["latency"] < final["baseline"]["latency"]
    kernel = Path(final["best"]["source_path"])
    assert final["run_id"] in kernel.read_text()
    again = json.loads(run("evaluate", PROBLEM, str(kernel), "--json").stdout)
    assert again["latency"]["value"] == final["best"]["latency"]
    shown = run("show", "last")
    assert final["run_id"] in shown.stdout and "speed-up" in shown.stdout
    assert final["run_id"] in run("runs").stdout


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_interrupted_in_the_middle_then_resumed(run, home: Path, tmp_path: Path, number: int) -> None:
    arguments = ("optimize", PROBLEM, "--model", "offline", "--iterations", "3", "--seed", str(number), "--json")
    env = {k: v for k, v in os.environ.items() if not k.startswith("ANTHROPIC_")} | {"AUTOCOMP_HOME": str(home)}
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=tmp_path
    )
    assert process.stderr
    for line in process.stderr:
        if "best:" in line:
            break
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    stopped = json.loads(out)
    assert process.returncode == 128 + number and stopped["state"] == "cancelled", err
    said = re.search(r"go on with: autocomp-mcp (resume \S+)$", err, re.MULTILINE)
    assert said and said[1] == f"resume {stopped['run_id']}"
    resumed = json.loads(run(*said[1].split(), "--json").stdout)
    assert resumed["state"] == "finished" and resumed["best"]["latency"] <= stopped["best"]["latency"]


@pytest.mark.parametrize("verb", ["evaluate", "profile"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_evaluation_leaves_no_simulator(
    tmp_path: Path, make_home: Callable[[Path], Path], simulating: Callable[[Path], bool], number: int, verb: str
) -> None:
    home = make_home(tmp_path / "home")
    endless = "void solution(const int8_t *A, const int8_t *B, int8_t *C) { for (;;) ; }\n"
    (tmp_path / "endless.c").write_text('#include "gemmini_api.h"\n' + endless)
    process = subprocess.Popen(
        command(verb, "gemmini/gemm-1024x1024x1024", "endless.c", "--json"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env=os.environ | {"AUTOCOMP_HOME": str(home)},
    )  # fmt: skip

    while not simulating(home):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert json.loads(out)["error"]["kind"] == "interrupted" and "Traceback" not in err
    assert not simulating(home)


def test_exit_statuses_are_written_down(run) -> None:
    architecture = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text()
    for args in ([], ["optimize"], ["resume"], ["evaluate"]):
        said = run(*args, "--help").stdout
        for status, meaning in EXIT_STATUSES.items():
            assert re.search(rf"^ *{status}  {re.escape(meaning)} *$", said, re.MULTILINE), said
            assert f"| {status} | {meaning} |" in architecture


def test_the_help_of_a_search_has_the_defaults_of_the_presets() -> None:
    command = get_command(app).commands["optimize"]  # pyright: ignore[reportAttributeAccessIssue]
    said = {parameter.name: parameter.help for parameter in command.params}
    model, offline = (SearchSettings.for_model(spec).model_dump() for spec in ("anthropic:name", "offline"))
    for name in ("iterations", "plans", "codes", "beam", "seed"):
        both = model[name] if model[name] == offline[name] else f"{model[name]}, offline {offline[name]}"
        assert said[name].endswith(f"(optimize: {both})")
    assert model["timeout_s"] is None
    assert said["timeout"].endswith(f"(optimize: none, offline {offline['timeout_s']:g})")
    assert said["confirm_top"].endswith(f"; {model['confirm_top']}")


@pytest.mark.slow  # the trust suite kills searches too
def test_killed_then_resumed_gives_the_undisturbed_answer(
    run, tmp_path: Path, make_home: Callable[[Path], Path]
) -> None:
    arguments = ("optimize", PROBLEM, "--model", "offline", "--iterations", "3", "--plans", "3", "--json")
    undisturbed = json.loads(run(*arguments, AUTOCOMP_HOME=str(make_home(tmp_path / "one"))).stdout)
    home = make_home(tmp_path / "two")
    env = {k: v for k, v in os.environ.items() if not k.startswith("ANTHROPIC_")} | {"AUTOCOMP_HOME": str(home)}
    for _ in range(3):
        runs = json.loads(run("runs", "--json", AUTOCOMP_HOME=str(home)).stdout)["runs"]
        args = ("resume", runs[0]["run_id"], "--json") if runs else arguments
        process = subprocess.Popen(
            command(*args), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env, cwd=tmp_path
        )
        assert process.stderr
        for seen, line in enumerate(iter(process.stderr.readline, "")):
            if "best:" in line or seen > 3:
                break
        process.kill()
        process.wait()
    run_id = json.loads(run("runs", "--json", AUTOCOMP_HOME=str(home)).stdout)["runs"][0]["run_id"]
    final = run("resume", run_id, "--json", AUTOCOMP_HOME=str(home))
    result = json.loads(final.stdout)
    assert result["best"]["latency"] == undisturbed["best"]["latency"]
    assert result["best"]["candidate"] == undisturbed["best"]["candidate"]
    assert result["evaluations"] == undisturbed["evaluations"]
    assert result["model_calls"] == undisturbed["model_calls"]
