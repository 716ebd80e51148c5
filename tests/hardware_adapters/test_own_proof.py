"""A problem of one's own is taken in when right kernels pass by it and worthless ones cannot; on the real simulator."""

import os
import sys
import venv
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.base import (
    EngineFailure,
    Evaluation,
    InvalidProblemError,
    Problem,
    UnknownProblemError,
    UnprovenProblemError,
    Verdict,
)
from autocomp_mcp.hardware_adapters.custom import inputs, reference, shelf
from autocomp_mcp.hardware_adapters.custom.definition import Definition, checked, parsed
from autocomp_mcp.hardware_adapters.custom.folder import read_folder
from autocomp_mcp.hardware_adapters.custom.proof import Proof, prove, take_in
from autocomp_mcp.hardware_adapters.custom.scaffold import write
from autocomp_mcp.hardware_adapters.evaluator import evaluate
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.hardware_adapters.store import Home

ADD = """#include <stdint.h>
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
    for (int i = 0; i < 512; i++) { int sum = A[i] + B[i]; C[i] = sum > 127 ? 127 : sum < -128 ? -128 : sum; }
}
"""
GOOD: dict[str, Any] = {
    "name": "sum",
    "dims": {"M": 16, "N": 32},
    "inputs": ["A: int8[M, N]", "B: int8[M, N]"],
    "outputs": ["C: int8[M, N]"],
    "reference": "np.clip(A + B, -128, 127)",
    "kernel": ADD,
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def define(python: str | None = None, **changes: Any) -> Definition:
    return checked(parsed({**GOOD, **({"reference": None} if python else {}), **changes}), python)


def findings(proof: Proof) -> dict[str, bool | None]:
    return {finding.check: finding.passed for finding in proof.findings}


@pytest.mark.anyio
@pytest.mark.parametrize("python", [False, True])
async def test_the_scaffold_proves_itself_and_is_kept(home: Home, tmp_path: Path, python: bool) -> None:
    write("mine", tmp_path / "mine", python=python)
    definition = read_folder(tmp_path / "mine")
    proof = await take_in(definition, GemminiAdapter(home), home)
    assert proof is not None and proof.passed and set(findings(proof)) >= {"zeros", "constants", "copies", "inputs"}
    assert await take_in(definition, GemminiAdapter(home), home) is None  # known already
    again = GemminiAdapter(Home(home.path))  # as after a restart
    problem = again.problem(definition.id)
    assert problem.bound is not None and problem.bound.value == 64**3 / 256
    assert again.problems()[0].id == definition.id
    right = await evaluate(definition.id, definition.kernel, home=home)
    assert right.passed and right.utilisation is not None and right.input_sets == ("full", "sparse", "dense")
    for wrong in ("total += A", "C[i * N + j] = (int8_t)"):
        broken = definition.kernel.replace(wrong, wrong.replace("+= A", "+= 1 + A").replace("= (", "= 0 & ("))
        assert (await evaluate(definition.id, broken, home=home)).verdict == "wrong_result"
    assert again.rewrites(problem, definition.kernel, "larger-tile") == []


@pytest.mark.anyio
async def test_work_that_is_not_known_is_none_everywhere(home: Home, gemmini: GemminiAdapter) -> None:
    definition = define()
    await take_in(definition, gemmini, home)
    problem = gemmini.problem(definition.id)
    assert problem.bound is None and problem.work.macs is None
    evaluation = await gemmini.evaluate(problem, ADD)
    assert evaluation.passed and evaluation.utilisation is None and "peak" not in evaluation.message
    profile = await gemmini.profile(problem, ADD)
    assert profile.utilisation is None and profile.roofline is None  # type: ignore[union-attr]


@pytest.mark.anyio
async def test_a_bound_that_no_machine_can_have_shows(home: Home, gemmini: GemminiAdapter) -> None:
    proof = await prove(define(macs="M * N * 10**6"), gemmini, home)
    assert proof.first is not None and proof.first.verdict == "rejected"
    assert "fewer than the hardware can need" in proof.first.message


UNPROVEN = [
    ({"reference": "np.clip(A + B, 0, 0)"}, "zeros", "C is zero"),
    ({"reference": "np.clip(A + B, 5, 5)"}, "constants", "C is one number"),
    ({"reference": "A + B * 0"}, "copies", "C is a copy of A"),
    ({"reference": "A // 2 + B * 0"}, "inputs", "do not depend on B"),
    ({"reference": "A + B"}, "reference", "comes out: saturate it"),
    ({"reference": "np.clip(A + B, -128, 127) / 2"}, "reference", "round it"),
    ({"reference": "A[0] + 0 * B[0]"}, "reference", r"shape \[32\], not \[16, 32\]"),
    ({"reference": "A / (B * 0)"}, "reference", "infinite or not a number"),
    ({"reference": "np.zeros((10**6, 10**6))"}, "reference", "too large for memory"),
    ({"reference": "np.clip(A - B, -128, 127)"}, "kernel", "wrong"),
    ({"kernel": "void solution(void) { for (;;); }"}, "kernel", "endless|stopped"),
    ({"kernel": "int nothing;"}, "kernel", "does not compile"),
]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("change", "check", "why"),
    [
        pytest.param(*case, id=str(number), marks=[pytest.mark.slow] if number % 3 else [])
        for number, case in enumerate(UNPROVEN)
    ],
)
async def test_a_problem_that_cannot_tell_is_refused(
    home: Home, gemmini: GemminiAdapter, change: dict[str, Any], check: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autocomp_mcp.hardware_adapters.custom.proof.PROOF_S", 2.0)
    definition = define(**change)
    proof = await prove(definition, gemmini, home)
    assert findings(proof)[check] is False and not proof.passed
    with pytest.raises(UnprovenProblemError, match=why) as caught:
        await take_in(definition, gemmini, home)
    assert any(failure.startswith(check) for failure in caught.value.failures)
    with pytest.raises(UnknownProblemError):
        gemmini.problem(definition.id)
    assert list(home.problems.iterdir()) == []


PYTHON = [
    ("def reference(A, B):\n    import random\n    return random.choice([A, B])", "deterministic|copies"),
    ("def reference(A, B):\n    while True: pass", "stopped after 1 s"),
    ("def reference(A, B):\n    return undefined", "line 2: NameError"),
    ("def reference(A):\n    return A", "TypeError"),
    ("def other(A, B): pass", "no function"),
    ("def reference(A, B)\n    return A", "line 1"),
    ("raise SystemExit(3)", "ended with status 3"),
    ("import os\nos._exit(0)", "ended with status 0"),
    ("import os\nos.kill(os.getpid(), 11)", "ended with status -11"),
    ("def reference(A, B):\n    return {'D': A}", r"returns \['D'\]"),
    ("def reference(A, B):\n    return 'text'", "type <U4"),
    ("def reference(A, B):\n    return [object()]", "type object"),
    ("def reference(A, B):\n    return bytearray(8 << 30)", "MemoryError|memory"),
    ("print('x' * (1 << 24))\ndef reference(A, B):\n    return A", "copies"),
    ("import os\nos.symlink('/etc/passwd', '0.C.result.npy')\nos._exit(0)", "ended with status"),
    (
        "import os, json, pathlib\nos.mkfifo('0.C.result.npy')\n"
        "pathlib.Path('answer.json').write_text('{\"done\": 4}')\nos._exit(0)",
        "cannot be read",
    ),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("python", "why"), PYTHON, ids=[str(number) for number in range(len(PYTHON))])
async def test_a_reference_file_harms_nobody_but_itself(
    home: Home, gemmini: GemminiAdapter, python: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "WALL_S", 1.0 if "while True" in python else 20.0)
    with pytest.raises(UnprovenProblemError, match=why):
        await take_in(define(python), gemmini, home)


@pytest.mark.anyio
async def test_a_reference_file_sees_nothing_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "do not tell")
    python = f"""
import os
def reference(A, B):
    assert os.getpid() != {os.getpid()}
    assert "SECRET_TOKEN" not in os.environ and "do not tell" not in str(dict(os.environ))
    assert A.dtype == "int64" and os.path.expanduser("~") == os.getcwd()
    return (A + B) // 2
"""
    zeros = np.zeros((16, 32), np.int8)
    found = await reference.results(define(python), [{"A": zeros + 7, "B": zeros + 120}])
    assert found[0]["C"].dtype == np.int8 and (found[0]["C"] == 63).all()


@pytest.mark.anyio
async def test_numpy_is_found_where_an_isolated_interpreter_would_not_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)  # as where packages come from PYTHONPATH
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    ones = np.ones((16, 32), np.int8)
    found = await reference.results(define(), [{"A": ones, "B": ones}])
    assert (found[0]["C"] == 2).all()


@pytest.mark.anyio
async def test_cancelling_stops_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOCOMP_SANDBOX", "limits")  # in a sandbox it could tell us nothing; see sandbox/
    started = tmp_path / "started"
    python = f"""
import os
def reference(A, B):
    open({str(started)!r}, 'w').write(str(os.getpid()))
    while True: pass
"""
    zeros = np.zeros((16, 32), np.int8)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reference.results, define(python), [{"A": zeros, "B": zeros}])
        while not started.exists() or not started.read_text():  # noqa: ASYNC110 - another process tells
            await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


@pytest.mark.anyio
async def test_floats_and_several_outputs(home: Home, gemmini: GemminiAdapter) -> None:
    kernel = """void solution(const float *x, const float *y, float *sum, float *scaled) {
    for (int i = 0; i < 96; i++) { sum[i] = x[i] + y[i]; scaled[i] = 3 * x[i] * y[i]; } }"""
    definition = define(
        inputs=["x: float32[96]", "y: float32[96]"], outputs=["sum: float32[96]", "scaled: float32[96]"],
        reference="sum = x + y\nscaled = 3 * x * y", kernel=kernel, dims={},
    )  # fmt: skip
    await take_in(definition, gemmini, home)
    problem = gemmini.problem(definition.id)
    assert problem.tolerance.startswith("every element within 0.0001")
    assert (await gemmini.evaluate(problem, kernel)).passed
    wrong = await gemmini.evaluate(problem, kernel.replace("3 *", "3.01f *"))
    assert wrong.verdict == "wrong_result" and "scaled" in wrong.message
    with pytest.raises(InvalidProblemError, match="no configuration of the array has both"):
        gemmini.custom(define(inputs=["A: int8[M, N]", "B: float32[M, N]"]))
    with pytest.raises(InvalidProblemError, match="fit the emulated memory"):
        gemmini.custom(define(dims={"M": 8192, "N": 8192}))


@pytest.mark.anyio
async def test_ranges_hold_in_every_set(home: Home, gemmini: GemminiAdapter) -> None:
    definition = define(
        reference="np.clip(A // B, -128, 127)", ranges={"B": [2, 9]}, kernel=ADD.replace("A[i] + B[i]", "DIV")
    )
    rng = np.random.default_rng(1)
    drawn = [inputs.whole(definition, rng), inputs.sparse(definition, rng)]
    drawn += [inputs.dense(definition, rng, level) for level in range(inputs.MAX_LEVEL + 1)]
    for data in drawn:
        assert data["B"].min() >= 2 and data["B"].max() <= 9 and data["B"].dtype == np.int8
    assert drawn[0]["B"].max() == 9 and drawn[0]["A"].min() < -100
    floor = ADD.replace("int sum = A[i] + B[i]", "int q = A[i] / B[i], sum = q - (A[i] % B[i] < 0)")
    assert (await prove(definition.model_copy(update={"kernel": floor}), gemmini, home)).passed


def test_what_was_changed_on_disk_is_not_believed(home: Home, gemmini: GemminiAdapter) -> None:
    definition = define()
    shelf.keep(home, shelf.Kept(definition=definition, proven=True))
    assert gemmini.problem(definition.id).id == definition.id
    file = next(home.problems.iterdir())
    file.write_text(file.read_text().replace("127", "126"))
    with pytest.raises(UnknownProblemError, match="no problem of your own has this id here"):
        gemmini.problem(definition.id)
    for wrong in ("gemmini/custom-../../x", "gemmini/custom-" + "a" * 300, definition.id[:-1], "gemmini/custom-"):
        with pytest.raises(UnknownProblemError):
            gemmini.problem(wrong)


@pytest.mark.anyio
@pytest.mark.parametrize("verdict", ["timed_out", "wrong_result", None])
async def test_only_a_verdict_takes_a_proven_problem_away(
    home: Home, gemmini: GemminiAdapter, monkeypatch: pytest.MonkeyPatch, verdict: Verdict | None
) -> None:
    definition = define()
    shelf.keep(home, shelf.Kept(definition=definition, proven=True))

    async def evaluate(problem: Problem, source: str, **_: Any) -> Evaluation:
        if verdict is None:
            raise EngineFailure("it died")
        return Evaluation(
            problem=problem.id, kernel="", verdict=verdict, message="", engine="gemsim", engine_version="",
            source="estimated", seed=0,
        )  # fmt: skip

    monkeypatch.setattr(gemmini, "evaluate", evaluate)
    with suppress(EngineFailure):
        await prove(definition, gemmini, home)
    left = shelf.kept(home, definition)
    assert left is None if verdict == "wrong_result" else left is not None and left.proven


def test_what_another_process_removes_meanwhile_is_not_listed(home: Home, gemmini: GemminiAdapter) -> None:
    shelf.keep(home, shelf.Kept(definition=define(), proven=True))
    (home.problems / f"gone{shelf.SUFFIX}").symlink_to("nowhere")  # found by its name, and not there to be read
    assert [kept.definition.id for kept in shelf.newest(home, "gemmini", 9)] == [define().id]


@pytest.mark.anyio
async def test_the_example_of_the_documentation_proves_itself(
    home: Home, gemmini: GemminiAdapter, tmp_path: Path
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "own_problems.md").read_text()
    for file, language in (("problem.toml", "toml"), ("kernel.c", "c")):
        (tmp_path / file).write_text(text.split(f"```{language}\n")[1].split("```")[0])
    proof = await prove(read_folder(tmp_path), gemmini, home)
    assert proof.passed, proof.findings
