# ruff: noqa: E501 - tables of one kernel per line
"""Kernels that attack their judge: none passes, none reaches the host, and the judge survives all of them."""

from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import Evaluation, Profile
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.hardware_adapters.trainium.adapter import TrainiumAdapter
from autocomp_mcp.hardware_adapters.trainium.screen import screen
from nki_job import HEAD, kernel

PROBLEM = "trainium/rmsnorm-128x64"
NAMES = "x, gain"
OUT = "out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)\n"
TILE = "t = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.sbuf)\nnisa.dma_copy(dst=t, src=x)\n"
END = "nisa.dma_copy(dst=out, src=t)\nreturn out"


def judged(tmp_path: Path, source: str, timeout_s: float = 20.0) -> Evaluation:
    adapter = TrainiumAdapter(Home(tmp_path / "home"))
    problem = adapter.problem(PROBLEM)

    async def run() -> Evaluation:
        return await adapter.evaluate(problem, source, timeout_s=timeout_s)

    return anyio.run(run)


# Refused by what they say, before anything runs.
REFUSED = {
    "os": "import os\n",
    "subprocess": "from subprocess import run\n",
    "numpy's files": "from numpy.lib import npyio\n",
    "importlib": "import importlib\n",
    "nki 1": "import neuronxcc.nki as nki1\n",
    "the simulator itself": "from autocomp_mcp.hardware_adapters.trainium.nkisim import machine\n",
    "star": "from nki.language import *\n",
    "classes": "y = ().__class__.__bases__[0].__subclasses__()\n",
    "globals of an instruction": "y = nisa.dma_copy.__globals__\n",
    "wrapped function": "y = nisa.dma_copy.__wrapped__\n",
    "builtins": "y = __builtins__\n",
    "import function": "y = __import__('os')\n",
    "values of a tile": "y = nl.ndarray._values\n",
    "format reaches attributes": "y = '{0.__class__}'.format(nl)\n",
    "frames": "g = (1 for _ in range(1))\ny = g.gi_frame.f_back.f_globals\n",
    "traceback": "try:\n    1 / 0\nexcept Exception as e:\n    y = e.__traceback__.tb_frame\n",
    "match on attributes": "match nl:\n    case object(__class__=c):\n        pass\n",
    "dunder method": "class T:\n    def __eq__(self, other):\n        return True\n",
    "metaclass": "class T(metaclass=print):\n    pass\n",
    "with": "with nl:\n    pass\n",
    "mro": "y = int.mro()\n",
    "files of arrays": "y = nl.tofile\n",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_forbidden_constructs_are_refused_with_their_line(text: str) -> None:
    source = HEAD.format(names=NAMES).replace("\n\n\n", f"\n{text}\n\n", 1) + "    return x\n"
    screened = screen(source)
    assert screened.refused is not None and not screened.compilation.ok
    line = screened.compilation.diagnostics[0].line
    assert line is not None and 3 < line <= 3 + text.count("\n"), screened.refused


@pytest.mark.parametrize("terms", [300, 600, 1200, 3000, 100_000])
def test_an_expression_too_deep_to_walk_breaks_nobody(terms: int) -> None:
    screened = screen(kernel(OUT + "n = " + "+".join(["1"] * terms) + "\nreturn out", NAMES))
    assert screened.compilation.ok or screened.compilation.diagnostics


OWN = "class Steps:\n    def __init__(self):\n        self._own_place = 1\n        self.{taken} = 1\n    def _own_step(self):\n        return self._own_place\n"


def test_private_attributes_are_a_kernels_own_or_none() -> None:
    """A class of the kernel may have some; naming them as the simulator's does not lead to the simulator's."""
    body = HEAD.format(names=NAMES) + "    n = Steps()._own_step()\n    return x\n"
    fine = screen(body.replace("@nki.jit", OWN.format(taken="_nobody_elses") + "\n\n@nki.jit"))
    assert fine.refused is None
    for taken in ("_values", "_memory", "_names", "_read", "_range", "_value_", "_replace"):
        screened = screen(body.replace("@nki.jit", OWN.format(taken=taken) + "\n\n@nki.jit"))
        assert screened.refused is not None and f".{taken} is not for kernels" in screened.refused


# Let run, and stopped by what they do.
STOPPED = {
    "open": ("open('/etc/passwd')", "NameError"),
    "eval": ("eval('1')", "NameError"),
    "getattr": ("getattr(nl, 'sbuf')", "NameError"),
    "numpy load": ("import numpy as np\nnp.load('x.npy')", "unsupported API: numpy.load"),
    "numpy memmap": ("from numpy import memmap", "unsupported API: numpy.memmap"),
    "numpy arrays": ("import numpy as np\nnp.zeros((128, 64))", "unsupported API: numpy.zeros"),
    "patching an instruction": ("nisa.dma_copy = None", "cannot be changed"),
    "patching an operator": ("nl.add = nl.subtract", "cannot be changed"),
    "patching limits": ("nl.tile_size.pmax = 4096", "cannot be changed"),
    "setting a tile's shape": ("t.shape = (1, 1)", "cannot be set"),
    "copying attributes by name": ("import functools\nfunctools.update_wrapper(print, print)", "functools.update_wrapper"),
    "evaluating texts": ("import typing\ntyping.get_type_hints(solution)", "typing.get_type_hints"),
    "writing constants": ("out[0:128, 0:64] = [[1.0] * 64] * 128", "only a tile can be assigned"),
    "writing the input": ("nisa.dma_copy(dst=gain, src=t[0:1, :])", "input"),
    "deep recursion": ("def f(n):\n    return f(n + 1)\nf(0)", "recurses too deeply"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "says"), STOPPED.values(), ids=STOPPED)
def test_what_is_not_there_cannot_be_used(tmp_path: Path, text: str, says: str) -> None:
    evaluation = judged(tmp_path, kernel(OUT + TILE + text + "\n" + END, NAMES))
    assert evaluation.verdict == "crashed" and evaluation.fault is not None
    assert says in evaluation.fault.message


def test_catching_everything_hides_nothing(tmp_path: Path) -> None:
    body = OUT + TILE + "try:\n    nl.add = None\nexcept Exception:\n    pass\n" + END
    evaluation = judged(tmp_path, kernel(body, NAMES))
    assert evaluation.verdict == "crashed" and "cannot be changed" in evaluation.message


@pytest.mark.parametrize(
    ("body", "verdict", "says"),
    [
        (OUT + TILE + END, "wrong_result", "elements of out are wrong"),
        (OUT + "return out", "wrong_result", "never written"),
        (OUT + TILE + "nisa.memset(dst=t, value=0.0)\n" + END, "wrong_result", "wrong"),
        ("return x", "crashed", "returns its input"),
        (OUT + "while True:\n    pass", "timed_out", "endless"),
        (OUT + "ones = [0] * (1 << 33)\nreturn out", "crashed", "memory"),
        (OUT + "return 10 ** 10 ** 9", "timed_out", "stopped"),
        (OUT + TILE + "for i in range(10 ** 9):\n    nisa.tensor_copy(dst=t[0:1, 0:1], src=t[0:1, 1:2])", "timed_out", ""),
    ],
    ids=["copy of the input", "nothing", "zeros", "the input", "endless", "memory", "arithmetic", "instructions"],
)  # fmt: skip
def test_worthless_and_endless_kernels_fail(tmp_path: Path, body: str, verdict: str, says: str) -> None:
    evaluation = judged(tmp_path, kernel(body, NAMES), timeout_s=3.0)
    assert evaluation.verdict == verdict and says in evaluation.message, evaluation.message
    assert evaluation.latency is None


def test_what_a_kernel_leaves_behind_is_gone_in_the_next_set(tmp_path: Path) -> None:
    """The module is executed anew for each set: a kernel that is right the second time only does not get there."""
    source = kernel(OUT + "calls.append(1)\nif len(calls) > 1:\n    return out\nreturn 1", NAMES).replace(
        "@nki.jit", "calls = []\n\n\n@nki.jit"
    )
    assert "returns int" in judged(tmp_path, source).message


def test_the_judge_leaves_no_files_and_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    adapter = TrainiumAdapter(Home(tmp_path / "home"))
    problem = adapter.problem(PROBLEM)

    async def run() -> Profile | Evaluation:
        return await adapter.profile(problem, adapter.baseline(problem), timeline=tmp_path / "timeline.json")

    assert isinstance(anyio.run(run), Profile)
    assert (tmp_path / "timeline.json").is_file() and not list((tmp_path / "scratch").iterdir())
