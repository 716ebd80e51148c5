"""Arguments that want to be commands or paths, and secrets that want to get out, over real transports."""

import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import cross_compiler
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from server_process import ENDLESS, LARGE, Serving, clean_environment

MakeHome = Callable[[Path], Path]
PROBLEM = "gemmini/gemm-32x32x32"
KERNEL = '#include "gemmini_api.h"\nvoid solution(const int8_t *A, const int8_t *B, int8_t *C) { }\n'
CANARY = "canary-5f0d2c1e9a7b4386"
SECRET = "what-only-the-host-may-read"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def parameters(home: Path, folder: Path, **env: str) -> StdioServerParameters:
    arguments = ["-m", "autocomp_mcp", "serve"]
    return StdioServerParameters(
        command=sys.executable, args=arguments, env=clean_environment(home, **env), cwd=str(folder)
    )


def hostile(folder: Path) -> Iterator[str]:
    mark = f"{folder}/pwned"
    yield from (f"; touch {mark};", f"$(touch {mark})", f"`touch {mark}`", f"| touch {mark}", f"\ntouch {mark}\n")
    yield from (
        f"--output={mark}",
        "-o",
        f"-fplugin={mark}",
        f"@{mark}",
        f"&& touch {mark}",
        "a" * 5000,
        "",
        " ",
        "%s%n",
    )


@pytest.mark.anyio
async def test_a_name_is_never_a_command(tmp_path: Path, make_home: MakeHome) -> None:
    (tmp_path / "empty").mkdir()
    async with Client(parameters(make_home(tmp_path / "home"), tmp_path / "empty")) as client:
        for word in hostile(tmp_path):
            for tool, arguments in (
                ("simulate_kernel", {"problem": f"{PROBLEM}{word}x", "source": KERNEL}),
                ("simulate_kernel", {"problem": PROBLEM, "source": KERNEL, "engine": f"x{word}"}),
                ("profile_kernel", {"problem": PROBLEM, "source": KERNEL, "engine": f"x{word}"}),
                ("compare_kernels", {"problem": f"x{word}", "a": KERNEL, "b": KERNEL}),
                ("get_problem", {"problem": f"gemmini/{word}x"}),
                ("list_problems", {"target": f"x{word}"}),
                ("list_problems", {"suite": f"x{word}"}),
                ("get_optimization", {"option": f"x{word}"}),
                ("get_search", {"run": f"x{word}"}),
                ("cancel_search", {"run": f"x{word}"}),
                ("start_search", {"problem": PROBLEM, "model": f"openai:{word}", "settings": {"iterations": 1}}),
                ("start_search", {"problem": PROBLEM, "model": "offline", "settings": {"engine": f"x{word}"}}),
                ("start_search", {"problem": PROBLEM, "model": "offline", "settings": {"reuse": f"x{word}"}}),
            ):
                result = await client.call_tool(tool, arguments)
                assert result.is_error, (tool, arguments, result.structured_content)
    assert not (tmp_path / "pwned").exists() and not list((tmp_path / "empty").iterdir())


@pytest.mark.anyio
async def test_a_folder_with_a_hostile_name_is_only_a_folder(tmp_path: Path, make_home: MakeHome) -> None:
    home = make_home(tmp_path / "$(touch pwned) ; touch pwned -x '\"` é")
    folder = tmp_path / "-rf"
    folder.mkdir()
    async with Client(parameters(home, folder)) as client:
        baseline = (await client.call_tool("get_problem", {"problem": PROBLEM})).structured_content["baseline"]
        judged = await client.call_tool("simulate_kernel", {"problem": PROBLEM, "source": baseline})
        assert judged.structured_content["verdict"] == "passed"
    assert not [path for place in (folder, home, tmp_path) for path in within(place) if path.name == "pwned"]


def within(folder: Path) -> list[Path]:
    return list(folder.iterdir())


# ---------------------------------------------------------------- paths


@pytest.mark.anyio
async def test_no_argument_reads_a_file_of_the_host(tmp_path: Path, make_home: MakeHome) -> None:
    home = make_home(tmp_path / "home")
    secret = tmp_path / "secret.c"
    secret.write_text(f"{SECRET}\n")
    (tmp_path / "link.c").symlink_to(secret)
    paths = [str(secret), "../secret.c", "../../secret.c", "..%2Fsecret.c", str(tmp_path / "link.c"), "../link.c"]
    paths += [f"{secret}\0", "\0", "....//secret.c", f"file://{secret}", "~/secret.c", "/proc/self/environ"]
    answers: list[Any] = []
    with Serving(home, HOME=str(tmp_path)) as serving:
        async with Client(serving.url) as client:
            for path in paths:
                for tool, arguments in (
                    ("get_problem", {"problem": path}),
                    ("get_problem", {"problem": f"gemmini/{path}"}),
                    ("compare_kernels", {"problem": PROBLEM, "a": path, "b": f"kernel://{path}"}),
                    ("compare_kernels", {"problem": PROBLEM, "a": f"kernel://{path}/best", "b": KERNEL}),
                    ("get_search", {"run": path[:64]}),
                    ("start_search", {"problem": PROBLEM, "model": f"replay:{path}"}),
                    ("start_search", {"problem": PROBLEM, "settings": {"preset": path}}),
                    ("compile_kernel", {"problem": PROBLEM, "source": f'#include "{path}"\n{KERNEL}'}),
                    ("compile_kernel", {"problem": PROBLEM, "source": f'{KERNEL}asm(".incbin \\"{path}\\"");'}),
                ):
                    result = await client.call_tool(tool, arguments)
                    compiled = tool in ("compile_kernel", "compare_kernels") and not result.is_error
                    assert result.is_error or compiled, (tool, arguments, result.structured_content)
                    answers.append(result.model_dump(mode="json"))
                    assert not (result.structured_content or {}).get("ok"), arguments
                for uri in (
                    "run://",
                    "kernel://",
                    "problem://",
                    "menu://",
                    "reference://gemmini/",
                    "problem://gemmini/",
                ):
                    try:
                        answers.append((await client.read_resource(uri + path)).model_dump(mode="json"))
                    except Exception as error:
                        answers.append(str(error))
            for model in ("replay:{}", "offline,replay:{}", "offline > replay:{}@2", "replay:{} > offline"):
                named = {"problem": PROBLEM, "model": model.format(secret)}
                refusal = await client.call_tool("start_search", named)
                assert refusal.is_error and "over HTTP" in refusal.content[0].text, model
        answers.append(serving.said)
    assert SECRET not in json.dumps(answers) and "AUTOCOMP_HOME=" not in json.dumps(answers)


# ---------------------------------------------------------------- secrets


def environments(home: Path) -> list[bytes]:
    """Of every simulator of that home that is running."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
            if line.startswith(str(home).encode()) and b"\0job\0" in line:
                found.append((path.parent / "environ").read_bytes())
        except OSError:
            continue  # it has just ended
    return found


@pytest.mark.anyio
async def test_a_key_in_the_environment_stays_there(
    tmp_path: Path, make_home: MakeHome, simulating: Callable[[Path], bool]
) -> None:
    home = make_home(tmp_path / "home")
    secrets = {name: f"{CANARY}-{name}" for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY")}
    elsewhere = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9", "AUTOCOMP_TOKEN": f"{CANARY}-token", "CC": "cc"}
    answers: list[Any] = []
    with Serving(home, **secrets, **elsewhere) as serving:
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {CANARY}-token"}, timeout=60) as http,
            Client(streamable_http_client(serving.url, http_client=http)) as client,
        ):

            async def call(tool: str, **arguments: object) -> Any:
                result = await client.call_tool(tool, arguments)
                answers.append(result.model_dump(mode="json"))
                return result.structured_content

            await call("list_targets")
            baseline = (await call("get_problem", problem=PROBLEM))["baseline"]
            for source in (baseline, KERNEL, "getenv(ANTHROPIC_API_KEY)"):
                for tool in ("compile_kernel", "simulate_kernel", "profile_kernel"):
                    await call(tool, problem=PROBLEM, source=source)
            for model in ("offline", "anthropic:claude-sonnet-5-5"):
                settings = {"iterations": 1, "max_evaluations": 3, "timeout_s": 5}
                run = (await call("start_search", problem=PROBLEM, model=model, settings=settings))["run_id"]
                with anyio.fail_after(90):
                    while (await call("get_search", run=run, wait_s=5))["state"] == "running":
                        pass
                answers.append((await client.read_resource(f"run://{run}")).model_dump(mode="json"))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.call_tool, "simulate_kernel", {"problem": LARGE, "source": ENDLESS})
                with anyio.fail_after(60):
                    while not (seen := environments(home)):  # noqa: ASYNC110
                        await anyio.sleep(0.05)
                assert not [environment for environment in seen if CANARY.encode() in environment]
                tasks.cancel_scope.cancel()
    assert CANARY not in json.dumps(answers)
    assert CANARY not in "".join(serving.said)
    written = [path for path in home.rglob("*") if path.is_file() and "cache" not in path.relative_to(home).parts]
    assert any(path.suffix == ".db" for path in written)
    assert not [path for path in written if CANARY.encode() in path.read_bytes()]
    with closing(sqlite3.connect(home / "autocomp.db")) as database:
        assert database.execute("SELECT count(*) FROM runs").fetchone()[0] == 2
        assert not [line for line in database.iterdump() if CANARY in line]


@pytest.mark.anyio
async def test_no_compiler_is_told_a_key(tmp_path: Path) -> None:
    tools = cross_compiler.install(tmp_path, "exit 1")
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    environment = {"ANTHROPIC_API_KEY": CANARY, "PATH": path, "AUTOCOMP_SANDBOX": "limits"}  # so that it can tell us
    async with Client(parameters(tmp_path / "home", tmp_path, **environment)) as client:
        await client.call_tool("list_targets", {})
        await client.call_tool("compile_kernel", {"problem": PROBLEM, "source": KERNEL})
    told = (tmp_path / "environment").read_text()
    assert told.count("PATH=") >= 2, "asked for its version, and to compile"
    assert CANARY not in told
