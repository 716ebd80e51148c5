"""When two sources count as one kernel: held against a real preprocessor, which knows what C makes of a text."""

import gc
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from autocomp_mcp.hardware_adapters.base import kernel_digest, kernel_identity, normalise_source
from autocomp_mcp.hardware_adapters.evaluator import look
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.hardware_adapters.toolchain import host_compiler
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SCHEDULED = '// schedule: {"ti": 16}\n#include "gemmini_api.h"\nint x; // the tile\'s\n'
SIGNS = ("\\", "'", '"', "??/", " ", "\t", "\n", "\r\n", "\r", "\v", "\u00a0")
PARTS = (*SIGNS, "// c", "/* d", "*/", "x", "y;", "__LINE__", "##")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("int x; // \\\nint y;\n", "int x; //\nint y;\n"),
        ("int x; // \\ \t\r\nint y;\n", "int x; //\r\nint y;\r\n"),
        ("int x; // ??/\nint y;\n", "int x; //\nint y;\n"),
        ("int x; //\rint y;\n", "int x;\n"),
        ("int x = __LINE__;\n", "\nint x = __LINE__;\n"),
        ("int x = __builtin_LINE();\n", "\nint x = __builtin_LINE();\n"),
        ("int x = __builtin_COLUMN();\n", "int  x = __builtin_COLUMN();\n"),
        ("auto x = std::source_location::current();\n", "\nauto x = std::source_location::current();\n"),
        ("#define P(a, b) a##b\nint x = P(__LI, NE__);\n", "#define P(a, b) a##b\n\nint x = P(__LI, NE__);\n"),
        ('char *s = "a b";\n', 'char *s = "a  b";\n'),
        ("int x = '  ';\n", "int x = ' ';\n"),
        ("int x;\n", "int\u00a0x;\n"),
    ],
)
def test_texts_that_only_look_alike_are_two_kernels(one: str, other: str) -> None:
    assert kernel_digest(one) == kernel_digest(other)
    assert kernel_identity(one) != kernel_identity(other)


# To Python one import among comments, to C another function each.
TO_C, TO_C_AGAIN = (
    f"#if 0\nimport x\n#endif\n#define F void solution(int *x) {{ *x = {value}; }}\nF\n" for value in (1, 2)
)
# To C, where `//` begins a comment, the same function twice.
TO_PYTHON, TO_PYTHON_AGAIN = (f"def  solution(a):\n    return a // {value}\n" for value in (1, 2))


def test_the_problems_language_decides_how_a_text_is_read() -> None:
    assert kernel_identity(TO_C, "python") == kernel_identity(TO_C_AGAIN, "python")
    for language in ("c", None):
        assert kernel_identity(TO_C, language) != kernel_identity(TO_C_AGAIN, language)
    assert kernel_identity(TO_PYTHON, "python") != kernel_identity(TO_PYTHON_AGAIN, "python")
    triton = TO_PYTHON.replace("def  ", "def ")
    assert kernel_identity(triton, "cuda") == kernel_identity("# a comment\n" + triton, "cuda")


def test_the_cache_reads_a_kernel_as_its_problem_does(gemmini: GemminiAdapter, home: Home) -> None:
    problem = gemmini.problem("gemmini/gemm-64x64x64")
    one, other = (look(gemmini, problem, source, engine=None, seed=0, home=home) for source in (TO_C, TO_C_AGAIN))
    assert one.keys.kernel != other.keys.kernel


@pytest.mark.parametrize(
    "same", [SCHEDULED.replace("16", "32"), SCHEDULED.replace("int x", "int  x"), "/* a */\n" + SCHEDULED + "\n"]
)
def test_comments_and_spaces_make_no_other_kernel(same: str) -> None:
    assert kernel_identity(same) == kernel_identity(SCHEDULED)
    assert kernel_identity(SCHEDULED.replace("int x", "int y")) != kernel_identity(SCHEDULED)


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=14).map("".join))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_counts_as_one_kernel_is_one_to_the_preprocessor(tmp_path: Path, source: str) -> None:
    plain = normalise_source(source)
    if kernel_identity(source) == kernel_identity(plain):
        assert preprocessed(tmp_path, source) == preprocessed(tmp_path, plain)


def preprocessed(folder: Path, source: str) -> tuple[int, list[str]]:
    """Status and tokens; line numbers do not show, since they only come in by __LINE__."""
    (folder / "source.c").write_bytes(source.encode())
    command = [*host_compiler().command, "-std=c11", "-E", "-P", "-w", "source.c"]
    result = subprocess.run(command, cwd=folder, capture_output=True)
    return result.returncode, result.stdout.decode().split()


def test_threads_that_read_python_at_once_disturb_none() -> None:
    """CPython counts the nesting of the trees of all threads together; a switch comes when garbage is collected."""

    class Garbage:
        def __del__(self) -> None:
            sum(range(50))

    lines = (
        f"    x{i} = ((a[{i}:{i} + 128, a.b.c({i})] + [1, (2, 3)]) * {{'k': [a, (a, a)]}}['k'])\n" for i in range(300)
    )
    source = "def f(a):\n" + "".join(lines)
    wanted, found, failed = kernel_digest(source), set(), []

    def work() -> None:
        for _ in range(10):
            circle: list[object] = [Garbage()]
            circle.append(circle)
            del circle
            try:
                found.add(kernel_digest(source))
            except SystemError as error:
                failed.append(error)

    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(5)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)
    assert not failed and found == {wanted}
