"""Diagnostics as data, and host programs built once however many ask."""

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters import toolchain
from autocomp_mcp.hardware_adapters.base import Diagnostic, EnvironmentLackError
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.hardware_adapters.toolchain import (
    MAX_DIAGNOSTICS,
    Compiler,
    HostProgram,
    build_host_program,
    parse_diagnostics,
    processor_families,
)
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
    first = anyio.run(build_host_program, home, HostProgram("toy", sources, ["-O1"]))
    assert subprocess.run([first], capture_output=True, text=True).stdout == "one\n"
    modified = first.stat().st_mtime_ns
    assert anyio.run(build_host_program, home, HostProgram("toy", sources, ["-O1"])) == first
    assert first.stat().st_mtime_ns == modified
    program(tmp_path, '#include <stdio.h>\nint main(void) { puts("two"); return 0; }\n')
    second = anyio.run(build_host_program, home, HostProgram("toy", sources, ["-O1"]))
    assert second != first
    assert subprocess.run([second], capture_output=True, text=True).stdout == "two\n"
    assert not list(home.cache.glob("build-*"))


BUILDER = """
import sys, anyio
from pathlib import Path
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.hardware_adapters.toolchain import HostProgram, build_host_program
toy = HostProgram("toy", [Path(sys.argv[2])], ["-O1"])
print(anyio.run(build_host_program, Home(Path(sys.argv[1])), toy))
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
        anyio.run(build_host_program, fresh_home, HostProgram("toy", sources, ["-O1"]))


def test_no_compiler_at_all_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "zig_binary", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(EnvironmentLackError, match="pip install ziglang"):
        toolchain.host_compiler()


def test_what_was_built_beforehand_is_taken_and_nothing_is_built(
    fresh_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def built(target: Path, compiler: Compiler, sources: Sequence[Path], flags: Sequence[str]) -> None:
        """In the compiler's place, whose own libraries for another family of processors would take it a minute."""
        await anyio.Path(target.parent).mkdir()
        await anyio.Path(target).write_text(" ".join(flags))

    monkeypatch.setattr(toolchain, "_build", built)
    toy = HostProgram("toy", program(tmp_path, "int main(void) { return 42; }\n"), ["-O1"])
    families = processor_families()
    for family in families:
        made = anyio.run(partial(build_host_program, fresh_home, toy, processors=family))
        assert made.read_text() == f"-O1 -mcpu={family}"
    monkeypatch.setenv("AUTOCOMP_PREBUILT", str(fresh_home.cache))
    empty = Home(tmp_path / "empty")
    taken = anyio.run(build_host_program, empty, toy)
    assert taken.is_relative_to(fresh_home.cache) and not (empty.path / "cache").exists()
    monkeypatch.setattr(toolchain, "_features", lambda: "flags : fpu sse2")
    toolchain._families_here.cache_clear()
    old = anyio.run(build_host_program, empty, toy)
    toolchain._families_here.cache_clear()
    assert old.read_text() == f"-O1 -mcpu={families[-1]}", "a processor got instructions that it does not have"
    program(tmp_path, "int main(void) { return 43; }\n")
    assert anyio.run(build_host_program, empty, toy).is_relative_to(empty.cache), "that was built for other sources"


@pytest.mark.slow
def test_with_all_built_beforehand_a_new_home_builds_no_program(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AUTOCOMP_")}
    folder, home = tmp_path / "prebuilt", tmp_path / "home"
    command = [sys.executable, "-m", "autocomp_mcp.hardware_adapters.prebuilt", folder]
    listed = subprocess.run(command, env=clean, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    assert {Path(line).name for line in listed.stdout.splitlines()} == {"gemsim", "cpusim", "launcher"}
    environment = clean | {"AUTOCOMP_PREBUILT": str(folder), "AUTOCOMP_HOME": str(home)}
    for problem in ("gemmini/gemm-32x32x32", "nvidia/sgemm-64x64x64"):
        program = [sys.executable, "-m", "autocomp_mcp"]
        kernel = subprocess.run([*program, "problems", "--baseline", problem], env=environment, capture_output=True)
        (tmp_path / "kernel").write_bytes(kernel.stdout)
        subprocess.run([*program, "evaluate", problem, tmp_path / "kernel"], env=environment, check=True)
    built = {path.name for path in (home / "cache").iterdir()}
    assert not built & {"launcher.lock", "gemsim.lock", "cpusim.lock"}
