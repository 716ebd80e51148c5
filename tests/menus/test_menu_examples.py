"""Every example of the Gemmini menu and every kernel of the reference must compile as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from autocomp_mcp.menus.menu import load_menu
from autocomp_mcp.menus.reference import reference, topics

API = Path(__file__).parents[2] / "hardware_adapters" / "gemmini"
PROLOGUE = """#include "gemmini_api.h"
enum { M = 256, N = 256, K = 256 };
static int i, j, k, buf, cbuf;
void solution(const int8_t *A, const int8_t *B, const int32_t *D, int8_t *C) {
"""
TINYMPC_PROLOGUE = """#define GEMMINI_4_FP32
#include "gemmini_api.h"
enum { X = 12, U = 4, T = 10 };
void solution(const float *A, const float *B, const float *K, const float *x0, const float *d, float *u, float *x) {
"""


def compile_c(source: str, folder: Path) -> str:
    """Compiler output; empty when the source compiles without a warning that would hide a mistake."""
    path = folder / "example.c"
    path.write_text(source)
    command = [sys.executable, "-m", "ziglang", "cc", "--target=riscv64-freestanding-none"]
    command += ["-mcpu=generic_rv64+m+a+f+d+c", "-ffreestanding", "-O2", "-c", "-Wall", "-Werror"]
    # Fragments leave loop results unused, use file-scope counters and dead sizes on purpose.
    command += ["-Wno-unused", "-Wno-empty-body", "-Wno-misleading-indentation", "-I", str(API), str(path)]
    command += ["-o", str(folder / "example.o")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return run.stderr if run.returncode or run.stderr else ""


def kernels_of(topic: str) -> list[str]:
    """The complete kernels of a topic: C blocks that define solution()."""
    blocks = re.findall(r"^```c\n(.*?)^```", reference("gemmini", topic), re.DOTALL | re.MULTILINE)
    return [block for block in blocks if "void solution(" in block]


@pytest.mark.parametrize("option", load_menu("gemmini").options, ids=lambda option: option.id)
def test_example_compiles(option, tmp_path: Path) -> None:
    prologue = TINYMPC_PROLOGUE if option.families == ("tinympc",) else PROLOGUE
    assert compile_c(prologue + option.example + "\n}\n", tmp_path) == ""


@pytest.mark.parametrize("topic", topics("gemmini"))
def test_reference_code_compiles(topic: str, tmp_path: Path) -> None:
    blocks = re.findall(r"^```c\n(.*?)^```", reference("gemmini", topic), re.DOTALL | re.MULTILINE)
    for block in blocks:
        whole = "void solution(" in block
        assert compile_c(block if whole else PROLOGUE + block + "\n}\n", tmp_path) == "", block


def test_a_wrong_example_is_noticed(tmp_path: Path) -> None:
    assert "undeclared" in compile_c(PROLOGUE + "mvin(A, row, 64, 16);\n}\n", tmp_path)
