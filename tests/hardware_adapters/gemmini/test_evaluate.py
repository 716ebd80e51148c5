"""Whole evaluations: real compiler, real simulator. Right kernels pass, wrong ones are refused with reasons."""

import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import (
    EngineFailure,
    Evaluation,
    InvalidSourceError,
    UnknownEngineError,
    kernel_digest,
)
from autocomp_mcp.hardware_adapters.evaluator import evaluate
from autocomp_mcp.hardware_adapters.gemmini import embedded
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.hardware_adapters.gemmini.gemsim import WARM_BELOW_CYCLES
from autocomp_mcp.hardware_adapters.store import Home

KERNEL = """\
#include "gemmini_api.h"
#define MIN(a, b) ((a) < (b) ? (a) : (b))
enum { M = 48, N = 64, K = 80 };
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(N);
  config_ld(K, 1.0f, 16, 0);
  config_ld(N, 1.0f, 16, 1);
  for (int i = 0; i < M; i += 16)
    for (int j = 0; j < N; j += 16) {
      for (int k = 0; k < K; k += 16) {
        mvin(A + i * K + k, 0, 16, 16);
        mvin2(B + k * N + j, 4096, 16, 16);
        preload(4096, k ? ACCADD : ACC, 16, 16, 16, 16);
        compute_preloaded(0, NONE, 16, 16, 16, 16);
      }
      mvout(C + i * N + j, ACC, 16, 16);
    }
}
"""
PROBLEM = "gemmini/gemm-48x64x80"


def judged(gemmini: GemminiAdapter, source: str, problem: str = PROBLEM, **settings: object) -> Evaluation:
    async def main() -> Evaluation:
        return await gemmini.evaluate(gemmini.problem(problem), source, **settings)  # type: ignore[arg-type]

    return anyio.run(main)


def test_a_right_kernel_passes_with_its_figures(gemmini: GemminiAdapter) -> None:
    result = judged(gemmini, KERNEL)
    assert result.passed, result.message
    assert result.source == "estimated"
    assert result.latency is not None
    assert result.warm_latency is not None
    assert result.latency.unit == "cycles"
    assert result.latency.value > result.warm_latency.value > 48 * 64 * 80 / 256
    assert result.utilisation == pytest.approx(48 * 64 * 80 / 256 / result.latency.value)
    assert result.input_sets == ("full", "sparse", "dense")
    assert result.counters["commands"] == 4 + 12 * (5 * 4 + 1)
    assert set(result.seconds) == {"compile", "simulate", "check"}
    assert result.engine_version == gemmini.engines()[0].version


def test_the_same_evaluation_twice_gives_the_same_cycles(gemmini: GemminiAdapter) -> None:
    first, second = judged(gemmini, KERNEL, seed=1), judged(gemmini, KERNEL, seed=1)
    assert first.latency == second.latency
    assert first.counters == second.counters


@pytest.mark.parametrize(
    "problem",
    [
        "gemmini/gemm-1x1x1",
        "gemmini/gemm-17x33x5",
        "gemmini/gemm-77x130x200",
        "gemmini/gemm-1x300x1-relu",
        "gemmini/gemm-33x1x100-bias",
        "gemmini/gemm-64x48x32-biasmat-relu-shift6",
        "gemmini/gemm-20x20x20-bias-shift3",
    ],
)
def test_the_baseline_is_right_for_any_dimensions(gemmini: GemminiAdapter, problem: str) -> None:
    result = judged(gemmini, gemmini.baseline(gemmini.problem(problem)), problem)
    assert result.passed, result.message


SCALAR = """
#include <stdint.h>
void solution(const int8_t A[5][7], const int8_t B[7][3], int8_t C[5][3]) {
  for (int i = 0; i < 5; i++)
    for (int j = 0; j < 3; j++) {
      int sum = 0;
      for (int k = 0; k < 7; k++) sum += A[i][k] * B[k][j];
      C[i][j] = sum > 127 ? 127 : sum < -128 ? -128 : sum;
    }
}
"""


def test_a_kernel_need_not_use_the_accelerator(gemmini: GemminiAdapter) -> None:
    assert judged(gemmini, SCALAR, "gemmini/gemm-5x3x7").passed


WRONG = {
    "off-by-one tile": (("i < M; i += 16", "i < M - 16; i += 16"), "never written"),
    "the last column of tiles left out": (("j < N; j += 16", "j < N - 16; j += 16"), "never written ([0..47][48..63])"),
    "missing accumulate bit": (("k ? ACCADD : ACC", "ACC"), "accumulate bit"),
    "first products left out": (("int k = 0;", "int k = 16;"), ""),
    "last products left out": (("k < K;", "k < K - 16;"), "the last 16 of the 80 products"),
    "swapped strides": (
        (
            "config_ld(K, 1.0f, 16, 0);\n  config_ld(N, 1.0f, 16, 1);",
            "config_ld(N, 1.0f, 16, 0); config_ld(K, 1.0f, 16, 1);",
        ),
        "",
    ),
    "never overwrites": (("k ? ACCADD : ACC", "(i | j | k) ? ACCADD : ACC"), ""),
    "store stride": (("config_st(N)", "config_st(N + 16)"), ""),
    "short rows": (("mvout(C + i * N + j, ACC, 16, 16)", "mvout(C + i * N + j, ACC, 15, 16)"), "never written"),
    "few rows": (("mvout(C + i * N + j, ACC, 16, 16)", "mvout(C + i * N + j, ACC, 16, 15)"), "only row 15 of each"),
    "written twice, the second time wrongly": (
        ("mvout(C + i * N + j, ACC, 16, 16);", "mvout(C + i * N + j, ACC, 16, 16); mvout(C + i * N + j, 0, 16, 16);"),
        "",
    ),
    "activation that was not asked for": (("config_st(N)", "config_st_ext(N, RELU, 1.0f)"), ""),
    "scale that was not asked for": (("config_st(N)", "config_st_ext(N, NOACT, 0.5f)"), ""),
    "one product off": (("mvin(A + i * K + k, 0, 16, 16)", "mvin(A + i * K + k, 0, k == 32 ? 15 : 16, 16)"), ""),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_kernels_are_refused(gemmini: GemminiAdapter, name: str) -> None:
    (right, wrong), reason = WRONG[name]
    assert right in KERNEL
    result = judged(gemmini, KERNEL.replace(right, wrong))
    assert result.verdict in ("wrong_result", "crashed"), result.message
    assert result.latency is None
    assert reason in result.message
    if result.verdict == "wrong_result":
        assert result.wrong_elements
        assert result.mismatches
        assert all(m.got != m.expected for m in result.mismatches)


def test_a_kernel_that_writes_nothing_is_refused(gemmini: GemminiAdapter) -> None:
    result = judged(gemmini, "void solution(void) {}\n")
    assert result.verdict == "wrong_result"
    assert "nothing was written" in result.message


def test_wrapping_instead_of_saturating_is_recognised(gemmini: GemminiAdapter) -> None:
    source = SCALAR.replace("sum > 127 ? 127 : sum < -128 ? -128 : sum", "sum")
    result = judged(gemmini, source, "gemmini/gemm-5x3x7")
    assert result.verdict == "wrong_result"
    assert "wrap around" in result.message or "'full'" in result.message


@pytest.mark.parametrize(
    "body",
    [
        "for (int i = 0; i < 48 * 64; i++) C[i] = 0;",
        "for (int i = 0; i < 48 * 64; i++) C[i] = 127;",
        "for (int i = 0; i < 48 * 64; i++) C[i] = A[i];",
        "for (int i = 0; i < 48 * 64; i++) C[i] = B[i];",
    ],
)
def test_worthless_kernels_are_refused(gemmini: GemminiAdapter, body: str) -> None:
    source = f"void solution(const signed char *A, const signed char *B, signed char *C) {{ {body} }}\n"
    assert judged(gemmini, source).verdict == "wrong_result"


def test_work_done_in_one_call_only_is_refused(gemmini: GemminiAdapter) -> None:
    once = KERNEL.replace("  config_ex(", "  static int done;\n  if (done++) return;\n  config_ex(", 1)
    result = judged(gemmini, once)
    assert result.verdict == "wrong_result"
    assert "second call only" in result.message


def test_a_result_kept_from_the_first_call_is_refused(gemmini: GemminiAdapter) -> None:
    """The second call has other data."""
    kept = """
    static long kept[1024 * 1024 / 8]; static int calls;
    static void real(const signed char *A, const signed char *B, signed char *C) {
      for (int i = 0; i < 16; i++) for (int j = 0; j < 16; j++) {
        int s = 0;
        for (int k = 0; k < 300; k++) s += A[i * 300 + k] * B[k * 16 + j];
        C[i * 16 + j] = s > 127 ? 127 : s < -128 ? -128 : s;
      }
    }
    void solution(const signed char *A, const signed char *B, signed char *C) {
      long *out = (long *)C;
      if (!calls++) { real(A, B, C); for (int i = 0; i < 32; i++) kept[i] = out[i]; }
      else for (int i = 0; i < 32; i++) out[i] = kept[i];
    }
    """
    result = judged(gemmini, kept, "gemmini/gemm-16x16x300")
    assert result.verdict == "wrong_result" and "second call only" in result.message


def test_a_long_call_is_not_timed_again_but_what_it_leaves_behind_is_met(gemmini: GemminiAdapter) -> None:
    problem = "gemmini/gemm-512x256x512"
    baseline = gemmini.baseline(gemmini.problem(problem))
    right = judged(gemmini, baseline, problem)
    assert right.passed, right.message
    assert right.latency is not None and right.latency.value >= WARM_BELOW_CYCLES
    assert right.warm_latency is None
    once = judged(
        gemmini, baseline.replace("  config_ex(", "  static int done;\n  if (done++) return;\n  config_ex(", 1), problem
    )
    assert once.verdict == "wrong_result"
    assert "second call only" in once.message


FAULTS = {
    "wild store": ("*(volatile int *)0x123450 = 1;", "illegal_address", 3),
    "beyond the output": ("C[48 * 64 + 8] = 1;", "illegal_address", 3),
    "store to an input": ("((signed char *)A)[0] = 1;", "illegal_address", 3),
    "jump into nowhere": ("((void (*)(void))0x40000000)();", "wild_jump", None),
    "illegal instruction": ('__asm__ volatile("unimp");', "illegal_instruction", 3),
    "DMA beyond the output": (
        '__asm__ volatile(".insn r 0x7b, 3, 2, x0, %0, %1" :: "r"(C + 48 * 64), "r"(16L << 48 | 16L << 32));',
        "",
        3,
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_name_kind_and_line(gemmini: GemminiAdapter, name: str) -> None:
    statement, kind, line = FAULTS[name]
    source = f"void solution(const signed char *A, const signed char *B, signed char *C)\n{{\n  {statement}\n}}\n"
    result = judged(gemmini, source)
    assert result.verdict == "crashed", result.message
    assert result.fault is not None
    assert kind in result.fault.kind
    assert result.fault.call == 1
    if line:
        assert result.fault.line == line
        assert f"line {line}" in result.message


def test_a_stack_overflow_is_diagnosed(gemmini: GemminiAdapter) -> None:
    source = (
        "__attribute__((noinline)) int deep(volatile int *p, int n) { volatile int big[64]; big[0] = n;\n"
        "  return deep(big, n + 1) + p[0]; }\n"
        "void solution(volatile int *a) { a[0] = deep(a, 0); }\n"
    )
    result = judged(gemmini, source)
    assert result.verdict == "crashed"
    assert result.fault is not None
    assert result.fault.kind == "stack_overflow"


def test_an_endless_loop_is_diagnosed(gemmini: GemminiAdapter) -> None:
    source = "void solution(volatile int *a) {\n  for (;;)\n    ;\n}\n"
    result = judged(gemmini, source)
    assert result.verdict == "timed_out"
    assert result.fault is not None
    assert result.fault.kind == "endless_loop"


def test_the_callers_time_limit_holds(gemmini: GemminiAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "instruction_limit", lambda gemm: 10**15)
    result = judged(gemmini, "void solution(volatile int *a) { for (;;) a[0]; }\n", timeout_s=2.0)
    assert result.verdict == "timed_out"
    assert result.fault is None


def test_a_compile_error_is_data(gemmini: GemminiAdapter) -> None:
    result = judged(gemmini, "void solution(void) {\n  nowhere();\n  int x = ;\n}\n")
    assert result.verdict == "compile_error"
    assert "the kernel does not compile" in result.message
    assert result.compilation is not None
    assert not result.compilation.ok
    # To Clang an undeclared function of line 2 is an error as well, and it comes first.
    assert any(found.severity == "error" and found.line == 3 for found in result.compilation.diagnostics)


def test_reading_host_files_is_rejected(gemmini: GemminiAdapter) -> None:
    result = judged(gemmini, '#include "/etc/passwd"\n' + KERNEL)
    assert result.verdict == "rejected"


def test_usage_errors_are_raised(gemmini: GemminiAdapter) -> None:
    with pytest.raises(UnknownEngineError, match="gemsim"):
        judged(gemmini, KERNEL, engine="vcs")
    with pytest.raises(InvalidSourceError):
        judged(gemmini, "")
    with pytest.raises(InvalidSourceError):
        judged(gemmini, "x" * (1 << 20))


def test_a_simulator_that_dies_is_nobodys_kernel(
    gemmini: GemminiAdapter, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for script, reason in (("echo nonsense", "does not parse"), ("exit 2", "status 2"), ("kill -9 $$", "from outside")):
        fake = home.path / "fake"
        fake.write_text(f"#!/bin/sh\n{script}\n")
        fake.chmod(0o755)

        async def simulator(_: Home, fake: Path = fake) -> Path:
            return fake

        monkeypatch.setattr(embedded.gemsim, "simulator", simulator)
        with pytest.raises(EngineFailure, match=reason):
            judged(gemmini, KERNEL)


def test_a_broken_disk_is_nobodys_kernel(
    gemmini: GemminiAdapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "not there"))
    with pytest.raises(EngineFailure, match="file system"):
        judged(gemmini, KERNEL)


def test_a_broken_cache_costs_no_result(home: Home) -> None:
    home.database.write_bytes(b"this is no database" * 100)

    async def ask() -> Evaluation:
        return await evaluate(PROBLEM, KERNEL, home=home)

    assert anyio.run(ask).passed
    assert not anyio.run(ask).cached


def test_cancellation_leaves_no_process_and_no_folder(
    gemmini: GemminiAdapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "instruction_limit", lambda gemm: 10**15)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    source = "void solution(volatile int *a) { for (;;) a[0]; }\n"

    def simulators() -> list[str]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if str((process / "cwd").readlink()).startswith(str(tmp_path / "scratch")):
                    found.append(process.name)
            except OSError:
                continue
        return found

    async def main() -> None:
        with anyio.fail_after(60):
            await start_and_cancel()

    async def start_and_cancel() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gemmini.evaluate, gemmini.problem(PROBLEM), source)
            while not list((tmp_path / "scratch").glob("autocomp-gemsim-*/job*")) or not simulators():  # noqa: ASYNC110
                await anyio.sleep(0.02)
            tasks.cancel_scope.cancel()

    anyio.run(main)
    began = time.monotonic()
    while simulators() and time.monotonic() - began < 10:  # killed, but a busy system may still be at it
        time.sleep(0.02)
    assert simulators() == []
    assert list((tmp_path / "scratch").iterdir()) == []


def test_spaces_and_quotes_in_folder_names_do_no_harm(
    make_home: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "a 'b\" $(touch x) c"
    home = make_home(odd / "home")
    monkeypatch.setattr("tempfile.tempdir", str(odd))
    assert judged(GemminiAdapter(Home(home)), KERNEL).passed


def test_a_result_is_remembered(home: Home) -> None:
    async def ask(source: str, seed: int = 0) -> Evaluation:
        return await evaluate(PROBLEM, source, home=home, seed=seed)

    first = anyio.run(ask, KERNEL)
    assert not first.cached
    again = anyio.run(ask, "// another comment\n" + KERNEL)
    assert again.cached
    assert again.model_copy(update={"cached": False}) == first
    assert not anyio.run(ask, KERNEL, 1).cached


def test_sources_with_the_same_machine_code_are_simulated_once(home: Home) -> None:
    async def ask(source: str) -> Evaluation:
        return await evaluate(PROBLEM, source, home=home)

    first = anyio.run(ask, KERNEL)
    assert "config_st(N);" in KERNEL
    renamed = KERNEL.replace("config_st(N);", "const int stride_of_c = N;\n  config_st(stride_of_c);")
    twin = anyio.run(ask, renamed)
    assert twin.cached and twin.passed
    assert twin.kernel == kernel_digest(renamed) != first.kernel
    assert twin.compilation is not None and first.compilation is not None
    assert twin.compilation.code == first.compilation.code
    assert (twin.latency, twin.verdict) == (first.latency, first.verdict)
    other = anyio.run(ask, KERNEL.replace("config_st(N);", "config_st(N);\n  config_st(N);"))
    assert not other.cached and other.compilation is not None
    assert other.compilation.code != first.compilation.code
    broken = "int solution(void) { return 0; }\n"
    assert not anyio.run(ask, broken).cached
    assert not anyio.run(ask, broken.replace("0", "1 - 1")).cached, "what fails is judged by its own text"


def test_a_failure_is_remembered_for_the_very_text_only(home: Home) -> None:
    async def ask(source: str) -> Evaluation:
        return await evaluate(PROBLEM, source, home=home)

    broken = "void solution(void) {\n  nowhere;\n}\n"
    assert not anyio.run(ask, broken).cached
    assert anyio.run(ask, broken).cached
    moved = anyio.run(ask, "\n\n" + broken)
    assert not moved.cached
    assert "line 4" in moved.message


def test_a_comment_that_hides_code_does_not_share_a_verdict(home: Home) -> None:
    """Without comments both texts look alike, but the spliced comment swallows the line that breaks the kernel."""

    async def ask(source: str) -> Evaluation:
        return await evaluate(PROBLEM, source, home=home)

    hidden = KERNEL.replace("  config_st(N);\n", "  config_st(N); // \\\n  return;\n")
    assert anyio.run(ask, hidden).passed
    assert not anyio.run(ask, hidden.replace("// \\\n", "\n")).passed
