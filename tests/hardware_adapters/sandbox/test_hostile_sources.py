"""Sources that attack the compiler's machine: contained, told why, and the judge goes on."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import EngineFailure
from autocomp_mcp.hardware_adapters.gemmini import toolchain
from autocomp_mcp.hardware_adapters.nvidia.adapter import NvidiaAdapter
from autocomp_mcp.hardware_adapters.sandbox import Sandbox
from autocomp_mcp.hardware_adapters.store import Home

EMPTY = "void solution(const signed char *A, const signed char *B, signed char *C) {}\n"
CUDA = 'extern "C" int launch(void** buffers, const int64_t* dims, cudaStream_t stream) { return 0; }\n'

# What the text of a kernel says, and the word by which it is refused before a compiler reads it.
REFUSED = {
    '#include "/etc/passwd"': "/etc/passwd",
    "#include </proc/self/environ>": "/proc/self/environ",
    '#  include "../../../etc/passwd"': "../../../etc/passwd",
    '#define F "/etc/passwd"\n#include F': "#include",
    '??=include "/etc/passwd"': "/etc/passwd",
    '%:include "/etc/passwd"': "/etc/passwd",
    '#inc\\\nlude "/etc/passwd"': "/etc/passwd",
    "#if __has_include(</etc/shadow>)\n#endif": "__has_include",
    'const char a[] = {\n#embed "/etc/passwd"\n};': "#embed",
    '__asm__(".incbin \\"/etc/shadow\\"");': ".incbin",
    '__asm__(".include \\"/etc/passwd\\"");': ".include",
    '__asm__(".in" "cbin \\"/etc/shadow\\"");': ".incbin",
    "#pragma GCC dependency \"/etc/passwd\"": "#pragma",
}  # fmt: skip


@pytest.fixture(scope="module")
def home(make_home, tmp_path_factory: pytest.TempPathFactory) -> Home:  # type: ignore[no-untyped-def]
    return Home(make_home(tmp_path_factory.mktemp("hostile") / "home"))


@pytest.mark.parametrize("line", REFUSED, ids=range(len(REFUSED)))
def test_gemmini_names_what_would_read_a_file(home: Home, line: str) -> None:
    compiled = anyio.run(toolchain.compile_kernel, home, toolchain.cross_compiler(), f"{line}\n{EMPTY}")
    assert compiled.program is None and compiled.refused is not None
    assert REFUSED[line] in compiled.refused


@pytest.mark.parametrize(
    "line", [line for line in REFUSED if "asm" not in line], ids=lambda line: line.split()[-1][:20]
)
def test_nvidia_names_what_would_read_a_file(home: Home, line: str) -> None:
    adapter = NvidiaAdapter(home)

    async def judge() -> str:
        problem = adapter.problem("nvidia/softmax-16x16")
        found = await adapter.evaluate(problem, f"#include <cstdint>\n{line}\n{CUDA}", engine="cpu", timeout_s=60)
        assert found.verdict in ("rejected", "compile_error")
        return found.message + " ".join(d.message for d in found.compilation.diagnostics if found.compilation)

    said = anyio.run(judge)
    assert any(
        word in said
        for word in ("include", "embed", "#inc is not", "directive", "trigraph", "digraph", "pragma", "pasting")
    ), said
    assert "root:" not in said


EXPANDING = {
    "macros": "#define A(x) x x x x x x x x x x\n#define B(x) A(A(A(A(A(A(A(A(A(x)))))))))\n"
    "int t = 0 B(+ 1);\n" + EMPTY,
    "nesting": "int t = " + "(" * 20_000 + "1" + ")" * 20_000 + ";\n" + EMPTY,
    "large array": "char t[1ll << 31] = {1};\n" + EMPTY.replace("{}", "{ C[0] = t[A[0]]; }"),
    "many errors": "".join(f"int v{n} = undeclared_{n};\n" for n in range(12_000)) + EMPTY,
    "self inclusion": "#include \"kernel.c\"\n" + EMPTY,
}  # fmt: skip


@pytest.mark.parametrize("what", EXPANDING)
def test_a_source_that_explodes_is_a_failed_compilation(home: Home, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = toolchain.COMPILE_LIMITS._replace(wall_s=6, memory_bytes=1 << 30)
    monkeypatch.setattr(toolchain, "COMPILE_LIMITS", limits)
    started = time.monotonic()
    compiled = anyio.run(toolchain.compile_kernel, home, toolchain.cross_compiler(), EXPANDING[what])
    said = compiled.compilation.diagnostics
    if what != "nesting":  # which some compilers manage
        assert compiled.program is None and not compiled.compilation.ok
        assert said and all(d.message for d in said)
    assert sum(len(d.message) for d in said) < 20_000
    assert time.monotonic() - started < 120  # not a claim about speed: it ended
    assert anyio.run(toolchain.compile_kernel, home, toolchain.cross_compiler(), EMPTY).compilation.ok


TEMPLATES = {
    "recursion": "template <int N> struct R { static const int v = R<N + 1>::v; };\nint t = R<0>::v;\n",
    "doubling": "template <int N, int M> struct T { T<N - 1, 2 * M> a; T<N - 1, 2 * M + 1> b; };\n"
    "template <int M> struct T<0, M> { int x; };\nint t = sizeof(T<22, 0>);\n",
    "constexpr": "constexpr int f(int n) { int s = 0; for (;;) s += n; return s; }\nconstexpr int t = f(1);\n",
}


@pytest.mark.parametrize(
    "what", [pytest.param(w, marks=[pytest.mark.slow] if n else []) for n, w in enumerate(TEMPLATES)]
)
def test_absurd_templates_end(home: Home, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from autocomp_mcp.hardware_adapters.nvidia import nvcc
    from autocomp_mcp.hardware_adapters.nvidia.cpusim import build

    monkeypatch.setattr(build, "COMPILE_LIMITS", build.COMPILE_LIMITS._replace(wall_s=8, memory_bytes=2 << 30))
    monkeypatch.setattr(nvcc, "LIMITS", nvcc.LIMITS._replace(wall_s=8))
    adapter = NvidiaAdapter(home)

    async def judge() -> str:
        problem = adapter.problem("nvidia/softmax-16x16")
        found = await adapter.evaluate(problem, TEMPLATES[what] + CUDA, engine="cpu", timeout_s=60)
        assert found.verdict in ("compile_error", "rejected"), found
        return found.message

    assert anyio.run(judge)


READS = '#include "/etc/passwd"\n#include "{key}"\n'


@pytest.mark.usefixtures("confinement")
def test_a_compiler_that_is_fooled_finds_no_file(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, confinement: Sandbox
) -> None:
    """As if the screen had let it pass."""
    monkeypatch.setattr(toolchain, "refused_source", lambda source: None)
    monkeypatch.setattr(toolchain, "refused_assembly", lambda assembly: None)
    key = tmp_path / "key"
    key.write_text("canary_in_a_file;\n")
    for text in (
        READS.format(key=key),
        f'__asm__(".incbin \\"{key}\\"");\n',
        '__asm__(".incbin \\"/etc/passwd\\"");\n',
    ):
        try:
            compiled = anyio.run(toolchain.compile_kernel, home, toolchain.cross_compiler(), text + EMPTY)
        except EngineFailure as error:
            raise AssertionError(f"the judge failed with {confinement.way}") from error
        assert compiled.program is None, text
        said = " ".join(d.message for d in compiled.compilation.diagnostics).lower()
        assert "canary_in_a_file" not in said and "root:" not in said
        assert any(words in said for words in ("no such file", "not found", "permission denied", "could not", "can't"))
