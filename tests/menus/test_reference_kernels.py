"""The complete kernels of the Gemmini reference pass a real evaluation, and are as fast as the text says."""

import re
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import Evaluation
from autocomp_mcp.menus.menu import load_menu
from autocomp_mcp.menus.reference import reference

DIMS = re.compile(r"enum \{ M = (\d+), N = (\d+), K = (\d+) \};")


def kernel_of(topic: str, dims: tuple[int, int, int] | None = None) -> tuple[str, str]:
    """Problem id and source of a topic's complete kernel, with other dimensions if given."""
    blocks = re.findall(r"^```c\n(.*?)^```", reference("gemmini", topic), re.DOTALL | re.MULTILINE)
    (source,) = [block for block in blocks if "void solution(" in block]
    if dims:
        source = DIMS.sub(f"enum {{ M = {dims[0]}, N = {dims[1]}, K = {dims[2]} }};", source)
    match = DIMS.search(source)
    assert match
    return f"gemmini/gemm-{'x'.join(match.groups())}", source


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]) -> Path:
    return make_home(tmp_path_factory.mktemp("reference") / "home")


def judge(home: Path, problem: str, source: str) -> Evaluation:
    from autocomp_mcp.hardware_adapters.evaluator import evaluate
    from autocomp_mcp.hardware_adapters.store import Home

    async def run() -> Evaluation:
        return await evaluate(problem, source, home=Home(home), timeout_s=120)

    return anyio.run(run)


@pytest.mark.parametrize("dims", [None, (16, 16, 16), (1, 1, 1), (33, 65, 7)])
def test_the_guides_kernel_is_right_for_any_dimensions(home: Path, dims: tuple[int, int, int] | None) -> None:
    evaluation = judge(home, *kernel_of("guide", dims))
    assert evaluation.passed, evaluation.message


def test_the_small_kernel_is_right(home: Path) -> None:
    evaluation = judge(home, *kernel_of("small-kernel"))
    assert evaluation.passed, evaluation.message


def test_the_fast_kernel_is_right_and_fast(home: Path) -> None:
    evaluation = judge(home, *kernel_of("fast-kernel"))
    assert evaluation.passed, evaluation.message
    assert evaluation.utilisation is not None
    assert evaluation.utilisation > 0.75


CONFIGURED = """#include "gemmini_api.h"
enum { M = 128, N = 128, K = 128 };
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  int i, j, k, buf = 0, cbuf = 0;
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(N);
  config_ld(K, 1.0f, 16, 0);
  config_ld(N, 1.0f, 16, 1);
"""
# Around a fragment: what is loaded before, and stored after it.
FRAGMENTS = {
    "interleave-stores-with-compute": "{}",
    "double-buffer-a": """for (i = 0; i < M; i += 64)
      for (j = 0; j < N; j += 16) {
        for (int kb = 0; kb < K; kb += 16) mvin2(B + kb * N + j, 8192 + kb, 16, 16);
        {}
        for (int ib = 0; ib < 4; ib++) mvout(C + (i + ib * 16) * N + j, ACC + ib * 16, 16, 16);
      }""",
}


@pytest.mark.parametrize("option", FRAGMENTS)
def test_what_is_copied_from_the_menu_is_right(home: Path, option: str) -> None:
    body = FRAGMENTS[option].replace("{}", load_menu("gemmini").get(option).example)
    evaluation = judge(home, "gemmini/gemm-128x128x128", CONFIGURED + body + "\n}\n")
    assert evaluation.passed, evaluation.message


def test_a_broken_guide_kernel_is_refused(home: Path) -> None:
    problem, source = kernel_of("guide")
    assert judge(home, problem, source.replace("k ? ACCADD : ACC", "ACC")).verdict == "wrong_result"
