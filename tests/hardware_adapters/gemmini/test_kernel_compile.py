"""From C to a program: what compiles, what is said about what does not, and what is never given to a compiler."""

from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import Compilation, EnvironmentLackError, InvalidSourceError
from autocomp_mcp.hardware_adapters.gemmini import toolchain
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.hardware_adapters.gemmini.debug_info import LineTable
from autocomp_mcp.hardware_adapters.gemmini.screen import refused_assembly, refused_source
from autocomp_mcp.hardware_adapters.store import Home
from hypothesis import given
from hypothesis import strategies as st

PROBLEM = "gemmini/gemm-64x64x64"
EMPTY = "void solution(void) {}\n"


@pytest.fixture(params=["gcc", "zig"])
def adapter(request: pytest.FixtureRequest, home: Home, tmp_path: Path) -> GemminiAdapter:
    """Both compilers: zig is what is left when PATH has no cross compiler."""
    made = GemminiAdapter(home, path=None if request.param == "gcc" else str(tmp_path))
    wanted = toolchain.GCC if request.param == "gcc" else "zig cc"
    if toolchain.cross_compiler(made._path).kind != wanted:
        pytest.skip(f"{wanted} is not installed")
    return made


def compiled(adapter: GemminiAdapter, source: str) -> Compilation:
    return anyio.run(adapter.compile, adapter.problem(PROBLEM), source)


def message(compilation: Compilation) -> str:
    assert not compilation.ok
    assert compilation.artifact is None
    return compilation.diagnostics[0].message


def test_the_baseline_compiles_and_equal_sources_give_equal_programs(adapter: GemminiAdapter) -> None:
    source = adapter.baseline(adapter.problem(PROBLEM))
    first, second = compiled(adapter, source), compiled(adapter, source)
    assert first.ok, first.diagnostics
    assert first.artifact is not None
    assert first.artifact == second.artifact
    assert 100 < first.facts["text_bytes"] < 4000
    assert first.facts["gemmini_instructions"] >= 8
    program = adapter.home.artifact(first.artifact, ".elf").read_bytes()
    assert b"autocomp-compile-" not in program, "the temporary folder's name is in the program"


def test_kernels_that_begin_with_another_gp_are_two_to_the_machine(adapter: GemminiAdapter) -> None:
    source = 'void solution(long *x) { __asm__("sd gp, 0(%0)" : : "r"(x)); }\n'
    plain, own = compiled(adapter, source), compiled(adapter, source + 'asm(".set __global_pointer$, 7");\n')
    assert plain.ok and own.ok
    assert plain.code != own.code


def test_every_published_spelling_compiles(adapter: GemminiAdapter) -> None:
    source = """
    #include "gemmini_api.h"
    #include <string.h>
    void solution(const elem_t A[64][64], const elem_t B[64][64], elem_t C[64][64]) {
      config_ex(WEIGHT_STATIONARY, NO_ACTIVATION, 1, false, false);
      config_ex(OUTPUT_STATIONARY, RELU, 1, true, false);
      gemmini_extended_config_ex(WS, 0, 0, 1, false, false);
      gemmini_extended_config_st(64, RELU, 1.0f); gemmini_extended3_config_ld(64, 1.0f, false, 1);
      config_st_ext(64, NOACT, 0.5f); config_ld(64, 1.0f, 16, 0);
      mvin(A, 0, 16, 16); mvin2(&B[0][16], 1 << 12, 64, 16); mvin3(NULL, ACC, 16, 16);
      preload(0, ACCADD, 16, 16, 16, 16); compute_preloaded(0, NONE, 16, 16, 16, 16);
      preload(GARBAGE_ADDR, ACC, 16, 16, 16, 16); compute_accumulated(0, ~((uint32_t)0), 16, 16, 16, 16);
      mvout(C, ACC, 16, 16); gemmini_flush(0); fence(); gemmini_fence();
    }
    """
    result = compiled(adapter, source)
    assert result.ok, result.diagnostics
    assert result.diagnostics == ()


def test_an_error_has_its_line_and_column(adapter: GemminiAdapter) -> None:
    result = compiled(adapter, "void solution(void) {\n  int a = 1;\n  a = nowhere;\n}\n")
    assert not result.ok
    error = result.diagnostics[0]
    assert (error.severity, error.line, error.column) == ("error", 3, 7)
    assert "nowhere" in error.message


def test_a_warning_does_not_fail(adapter: GemminiAdapter) -> None:
    result = compiled(adapter, "void solution(void) { int unused_one; }\n")
    assert result.ok
    assert "unused_one" in result.diagnostics[0].message


@pytest.mark.parametrize("source", ["void other(void) {}\n", "static void solution(void) {}\n", "int x;\n"])
def test_a_missing_entry_point_is_named(adapter: GemminiAdapter, source: str) -> None:
    result = compiled(adapter, source)
    assert not result.ok
    assert any("no function `solution`" in d.message for d in result.diagnostics)


def test_functions_that_do_not_exist_are_named(adapter: GemminiAdapter) -> None:
    result = compiled(adapter, "int printf(const char *, ...);\nvoid solution(void) {\n  printf(0);\n}\n")
    assert "printf is not defined" in message(result)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("char big[1 << 28];\nvoid solution(char *a) { big[a[0]] = a[1]; }", "64 MiB"),
        ("char big[1 << 28] = {1};\nvoid solution(char *a) { big[a[0]] = a[1]; }", "compiler"),
        ('void solution(void) { asm("florp x1"); }', "unrecogni"),
    ],
)
def test_what_is_too_much_is_said(adapter: GemminiAdapter, source: str, reason: str) -> None:
    result = compiled(adapter, source)
    assert not result.ok
    assert any(reason in d.message for d in result.diagnostics), result.diagnostics


def test_a_source_that_explodes_is_stopped(adapter: GemminiAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "COMPILE_LIMITS", toolchain.COMPILE_LIMITS._replace(wall_s=2.0))
    explosive = "#define A(x) x x x x x x x x x x\nvoid solution(void) { A(A(A(A(A(A(A(A(A(;))))))))) }"
    assert "the compiler" in message(compiled(adapter, explosive))


READERS = [
    '#include "/etc/passwd"',
    "#include </etc/passwd>",
    '#include "../../../etc/passwd"',
    '#  include /**/ "/etc/passwd"',
    '#incl\\\nude "/etc/passwd"',
    '%:include "/etc/passwd"',
    '#define X "/etc/passwd"\n#include X',
    "#include __FILE__",
    '#include "kernel.c"',
    "#include <stdio.h>",
    '#include_next "/etc/passwd"',
    '#import "/etc/passwd"',
    'const char t[] = {\n#embed "/etc/passwd"\n};',
    '#if __has_include("/etc/shadow")\n#endif',
    '#pragma GCC dependency "/etc/passwd"',
    'asm(".incbin \\"/etc/passwd\\"");',
    'asm(".inc" "bin \\"/etc/passwd\\"");',
    'asm("\\x2eincbin \\"/etc/passwd\\"");',
    'asm(".INCBIN \\"/etc/passwd\\"");',
    'asm(".include \\"/etc/passwd\\"");',
    'asm(".macro m a b\\n.\\\\a\\\\b \\"/etc/passwd\\"\\n.endm\\nm inc,bin");',
    '__attribute__((section(".text\\n.incbin \\"/etc/passwd\\"\\n"))) int v = 1;',
    '#define J(a, b) a##b\nJ(as, m)(".incbin \\"/etc/passwd\\"");',
    '#incl\\\v\nude "/etc/passwd"',
    '#if 0\nit\'s /*\n#endif\n#include "/etc/passwd"\n/* */',
    '#if 0\nthe 6" /*\n#endif\n#include "/etc/passwd"\n/* */',
    'const char *t = R"(\n/*\n)";\n#include "/etc/passwd"\n/* */',
    'const char *t = "\r/*";\n#include "/etc/passwd"\n/* */',
    'asm(".byte \'\\"\'; .incbin \\"/etc/passwd\\"; .byte \'\\"\'");',
    'asm("/* \\" */ .incbin \\"/etc/passwd\\" /* \\" */");',
    'asm(".ascii \\"a\\n\\"; .incbin \\"/etc/passwd\\"; .ascii \\"\\nb\\"");',
]


@pytest.mark.parametrize("reader", READERS)
def test_host_files_cannot_be_read(adapter: GemminiAdapter, reader: str) -> None:
    result = compiled(adapter, f"{reader}\n{EMPTY}")
    assert not result.ok
    assert "root:" not in result.model_dump_json()
    assert any("not allowed" in d.message or "name the header" in d.message for d in result.diagnostics)


def test_a_symbol_name_reads_no_file(adapter: GemminiAdapter) -> None:
    """gcc writes the name as it is (and is refused), clang in quotes (and means only a strange name)."""
    result = compiled(adapter, f'int v asm("v\\n.incbin \\"/etc/passwd\\"\\n") = 1;\n{EMPTY}')
    if result.ok:
        assert result.artifact is not None
        assert b"root:" not in adapter.home.artifact(result.artifact, ".elf").read_bytes()
    else:
        assert "not allowed" in message(result)


def test_a_line_directive_shows_nothing_of_the_file_it_names(adapter: GemminiAdapter) -> None:
    result = compiled(adapter, '#line 1 "/etc/passwd"\nvoid solution(void) { nowhere; }\n')
    assert not result.ok
    assert "root:" not in result.model_dump_json()


@pytest.mark.parametrize(
    "source",
    [
        '#include "gemmini_api.h"\n#include <stdint.h>\n#  include <string.h> // copies\n',
        '// #include "/etc/passwd"\n/* #include "/etc/passwd"\n#include <stdio.h> */\n',
        'static const char *t = "#include <stdio.h>";\n',
        "static const char *t = \"R\", u = '\"'; /* it's */\n#if 0\nit's // no code\n#endif\n",
        "#define N 5 // it's\n#if N > 4\n#pragma GCC unroll 4\n#endif\n",
    ],
)
def test_honest_text_is_not_refused(source: str) -> None:
    assert refused_source(source) is None


def test_a_string_that_looks_like_a_directive_is_not_refused() -> None:
    assert refused_assembly('\t.string\t"use .include here"\n') is None
    assert refused_assembly('\t.incbin "x"\n') is not None
    assert refused_assembly('\t.string "a"; .incbin "x"\n') is not None


@given(st.text())
def test_screening_takes_any_text(text: str) -> None:
    refused_source(text)
    refused_assembly(text)


def test_sources_no_compiler_should_see(adapter: GemminiAdapter) -> None:
    for source, reason in (("", "empty"), (" \n", "empty"), ("//" + "x" * (1 << 20), "at most"), ("a\0b", "NUL")):
        with pytest.raises(InvalidSourceError, match=reason):
            compiled(adapter, source)


def test_odd_characters_do_not_stop_the_compiler(adapter: GemminiAdapter) -> None:
    assert compiled(adapter, f"// π \x07\r\n{EMPTY}").ok


def test_machine_code_is_traced_back_to_lines(adapter: GemminiAdapter) -> None:
    source = '#include "gemmini_api.h"\nvoid solution(int *a) {\n  a[0] = 1;\n  fence();\n  a[1] = 2;\n}\n'
    result = compiled(adapter, source)
    assert result.artifact is not None
    table = LineTable(adapter.home.artifact(result.artifact, ".elf"), "kernel.c")
    lines = {table.line(address) for address in range(0x8000_0000, 0x8000_0020, 2)}
    assert {3, 4, 5} <= lines
    assert table.line(0x1000) is None


def test_no_compiler_is_said(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "zig_binary", lambda: None)
    adapter = GemminiAdapter(home, path=str(tmp_path))
    with pytest.raises(EnvironmentLackError, match="pip install ziglang"):
        compiled(adapter, EMPTY)
    status = adapter.engine()
    assert not status.available
    assert "ziglang" in status.reason
