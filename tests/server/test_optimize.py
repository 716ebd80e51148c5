"""optimize where something is wrong, and against a server that runs elsewhere: exit statuses and what is said."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

PROBLEM = "gemmini/gemm-32x32x32"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]) -> Path:
    return make_home(tmp_path_factory.mktemp("optimize") / "home")


def environment(home: Path) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_"))}
    return clean | {"AUTOCOMP_HOME": str(home)}


def caller(verb: str, home: Path, folder: Path) -> Run:
    def call(*args: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "autocomp_mcp", verb, *args, "--json"]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=folder, stdin=subprocess.DEVNULL,
            env=environment(home) | more,
        )  # fmt: skip

    return call


@pytest.fixture
def optimize(home: Path, tmp_path: Path) -> Run:
    return caller("optimize", home, tmp_path)


@pytest.fixture
def resume(home: Path, tmp_path: Path) -> Run:
    return caller("resume", home, tmp_path)


@pytest.fixture
def refusing_service() -> Iterator[tuple[str, list[str]]]:
    """A model's service that rejects every key; the keys it was shown."""
    keys: list[str] = []

    class Refuse(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            keys.append(self.headers["x-api-key"] or self.headers["authorization"])
            body = json.dumps({"type": "error", "error": {"type": "authentication_error", "message": "invalid key"}})
            self.send_response(401)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Refuse)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", keys
    server.shutdown()
    server.server_close()


def test_a_first_kernel_that_fails_is_the_kernels_failure(optimize: Run, tmp_path: Path) -> None:
    (tmp_path / "kernel.c").write_text("void solution(void) {}\n")
    result = optimize(PROBLEM, "--source", "kernel.c")
    assert result.returncode == 1, result.stderr
    final = json.loads(result.stdout)
    assert final["best"] is None and "does not pass" in final["stop_reason"]
    assert "resume" not in result.stderr


def test_time_that_ends_before_any_result(optimize: Run) -> None:
    result = optimize(PROBLEM, "--timeout", "0.0001")
    assert result.returncode == 4, result.stderr
    final = json.loads(result.stdout)
    assert final["best"] is None and "time limit" in final["stop_reason"]


def test_a_budget_of_evaluations_is_kept_and_can_be_raised(optimize: Run, resume: Run) -> None:
    result = optimize(PROBLEM, "--max-evaluations", "3")
    assert result.returncode == 0, result.stderr
    stopped = json.loads(result.stdout)
    assert stopped["evaluations"] == 3
    assert f"go on with: autocomp-mcp resume {stopped['run_id']} --max-evaluations N\n" in result.stderr
    for args, code, evaluations in (
        ([], 0, 3),
        (["--max-evaluations", "6"], 0, 6),
        (["--max-evaluations", "6"], 2, None),
    ):
        again = resume(stopped["run_id"], *args)
        assert again.returncode == code, again.stderr
        final = json.loads(again.stdout)
        assert final.get("evaluations") == evaluations
    assert "has used 6 of max_evaluations" in again.stderr
    assert resume(stopped["run_id"], "--timeout", "-1").returncode == 2


def test_the_default_model_is_said_in_one_line(optimize: Run) -> None:
    said = optimize(PROBLEM, "--max-evaluations", "1").stderr
    assert [line for line in said.splitlines() if line.startswith("model: offline")]


def test_a_rejected_key_is_not_success_and_is_never_shown(
    optimize: Run, refusing_service: tuple[str, list[str]], home: Path
) -> None:
    url, keys = refusing_service
    key = "sk-canary-0123456789"
    result = optimize(PROBLEM, "--iterations", "1", ANTHROPIC_API_KEY=key, ANTHROPIC_BASE_URL=url)
    assert keys and all(key in shown for shown in keys)
    assert result.returncode == 3, result.stderr
    assert json.loads(result.stdout)["model"].startswith("anthropic:")
    assert key not in result.stdout + result.stderr
    assert all(key.encode() not in file.read_bytes() for file in home.glob("autocomp.db*"))


@pytest.mark.parametrize("arguments", [["--model", "nosuch:model"], ["--engine", "fpga"], ["--source", "absent.c"]])
def test_wrong_arguments_are_usage_errors(optimize: Run, arguments: list[str]) -> None:
    result = optimize(PROBLEM, *arguments)
    assert result.returncode == 2, result.stderr
    assert json.loads(result.stdout)["error"]["kind"] == "usage" and "Traceback" not in result.stderr


def test_a_database_that_is_none_is_the_environments_failure(optimize: Run, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "autocomp.db").write_bytes(b"this is no database" * 100)
    result = optimize(PROBLEM, AUTOCOMP_HOME=str(broken))
    assert result.returncode == 3 and "Traceback" not in result.stderr, result.stderr


@pytest.fixture
def remote(tmp_path: Path, make_home: Callable[[Path], Path]) -> Iterator[str]:
    """A server in a process and home of its own; its HOST:PORT."""
    command = [sys.executable, "-m", "autocomp_mcp", "serve", "--http", "127.0.0.1:0"]
    process = subprocess.Popen(
        command, env=environment(make_home(tmp_path / "remote")), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    assert process.stderr
    found = next((m for line in process.stderr if (m := re.search(r"http://(\S+)/mcp", line))), None)
    assert found
    yield found[1]
    process.terminate()
    process.communicate()


@pytest.mark.slow
def test_tools_of_another_server_do_the_judging(optimize: Run, remote: str, tmp_path: Path) -> None:
    result = optimize(PROBLEM, "--iterations", "1", "--server", "http://127.0.0.1:9", "--server", remote)
    assert result.returncode == 0, result.stderr
    final = json.loads(result.stdout)
    assert final["speedup"] > 1 and Path(final["best"]["source_path"]).exists()
    assert "server http://127.0.0.1:9/mcp not reached: ConnectError" in result.stderr
    assert list((tmp_path / "remote" / "artifacts").rglob("*.elf")), "nothing was compiled on the remote side"
    assert optimize("gemmini/gem-4x4x4", "--server", remote).returncode == 2


def test_a_server_that_is_not_there_is_the_environments_failure(optimize: Run) -> None:
    result = optimize(PROBLEM, "--server", "http://127.0.0.1:9/mcp")
    assert result.returncode == 3 and "127.0.0.1:9" in json.loads(result.stdout)["error"]["message"]
