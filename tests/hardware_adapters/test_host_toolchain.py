"""Diagnostics as data, and host programs built once however many ask."""

import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters import toolchain
from autocomp_mcp.hardware_adapters.base import Diagnostic, EnvironmentLackError
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.hardware_adapters.toolchain import MAX_DIAGNOSTICS, build_host_program, parse_diagnostics
from hypothesis import given
from hypothesis import strategies as st

GCC = """\
kernel.c: In function 'solution':
kernel.c:7:3: warning: unused variable 'q' [-Wunused-variable]
kernel.c:3:14: error: expected ';' before '}' token
/etc/passwd:1:1: error: unknown type name 'root'
kernel.c:9: note: declared here
kernel.c:1:10: fatal error: nothing.h: No such file or directory
"""


def test_diagnostics_are_read_errors_first_and_only_of_the_kernel() -> None:
    assert parse_diagnostics(GCC, "kernel.c") == (
        Diagnostic(severity="error", message="expected ';' before '}' token", line=3, column=14),
        Diagnostic(severity="error", message="nothing.h: No such file or directory", line=1, column=10),
        Diagnostic(severity="warning", message="unused variable 'q' [-Wunused-variable]", line=7, column=3),
        Diagnostic(severity="note", message="declared here", line=9),
    )


def test_diagnostics_are_capped_in_number_and_length() -> None:
    found = parse_diagnostics(f"kernel.c:1:1: error: {'x' * 100_000}\n" * 1000, "kernel.c")
    assert len(found) == MAX_DIAGNOSTICS
    assert all(len(d.message) <= toolchain.MAX_MESSAGE_CHARS for d in found)


@given(st.text())
def test_any_output_can_be_read(text: str) -> None:
    parse_diagnostics(text, "kernel.c")


def program(folder: Path, body: str) -> list[Path]:
    (folder / "main.c").write_text(body)
    return [folder / "main.c"]


def test_a_program_is_built_once_and_again_when_its_source_changes(fresh_home: Home, tmp_path: Path) -> None:
    home = fresh_home
    sources = program(tmp_path, '#include <stdio.h>\nint main(void) { puts("one"); return 0; }\n')
    first = anyio.run(build_host_program, home, "toy", sources, ["-O1"])
    assert subprocess.run([first], capture_output=True, text=True).stdout == "one\n"
    modified = first.stat().st_mtime_ns
    assert anyio.run(build_host_program, home, "toy", sources, ["-O1"]) == first
    assert first.stat().st_mtime_ns == modified
    program(tmp_path, '#include <stdio.h>\nint main(void) { puts("two"); return 0; }\n')
    second = anyio.run(build_host_program, home, "toy", sources, ["-O1"])
    assert second != first
    assert subprocess.run([second], capture_output=True, text=True).stdout == "two\n"
    assert not list(home.cache.glob("build-*"))


BUILDER = """
import sys, anyio
from pathlib import Path
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.hardware_adapters.toolchain import build_host_program
print(anyio.run(build_host_program, Home(Path(sys.argv[1])), "toy", [Path(sys.argv[2])], ["-O1"]))
"""


def test_two_processes_that_build_at_once_get_the_same_whole_program(fresh_home: Home, tmp_path: Path) -> None:
    (source,) = program(tmp_path, "int main(void) { return 42; }\n")
    command = [sys.executable, "-c", BUILDER, fresh_home.path, source]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.communicate()[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    (built,) = said
    assert subprocess.run([built]).returncode == 42


def test_a_program_that_does_not_build_is_the_environments_fault(fresh_home: Home, tmp_path: Path) -> None:
    sources = program(tmp_path, "int main(void) { return nowhere; }\n")
    with pytest.raises(EnvironmentLackError, match=r"toy could not be built with .*nowhere"):
        anyio.run(build_host_program, fresh_home, "toy", sources, ["-O1"])


def test_no_compiler_at_all_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "zig_binary", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(EnvironmentLackError, match="pip install ziglang"):
        toolchain.host_compiler()
