"""What the rewriter makes of a source, and what it refuses: always with the line."""

from __future__ import annotations

import pytest
from autocomp_mcp.hardware_adapters.nvidia.cpusim.rewrite import Unsupported, rewrite
from autocomp_mcp.hardware_adapters.nvidia.cpusim.tokens import tokens_of
from cuda_right_kernels import RIGHT
from hypothesis import given
from hypothesis import strategies as st


def lines(source: str) -> list[str]:
    head, *rest = rewrite(source).text.split("\n")
    assert head == '#line 1 "kernel.cu"'
    return rest[:-1]


@pytest.mark.parametrize("name", RIGHT)
def test_lines_stay_where_they_are(name):
    source = RIGHT[name].source
    made = lines(source)
    assert len(made) == len(source.split("\n"))
    for before, after in zip(source.split("\n"), made, strict=True):
        if not any(word in before for word in ("<<<", "__shared__", "cudaFuncSetAttribute")):
            assert after == before


def test_a_launch_over_several_lines_keeps_them():
    made = lines("void f() {\n  k<int,\n    4><<<grid,\n    dim3(1, 2)>>>(a,\n    b);\n}\n")
    assert len(made) == 7
    assert made[4].strip() == "b);"
    assert '::cpusim::launch("k<int,4>"' in made[1]


def test_what_looks_like_a_launch_is_left_alone():
    source = """const char* s = "k<<<1, 2>>>(x)"; // k<<<1, 2>>>(x)
/* __shared__ int x; */ auto r = R"(k<<<1>>>())";
int y = 1 << 2 >> 1;
"""
    assert lines(source) == source.split("\n")


def test_text_that_is_no_unicode_is_no_accident():
    assert rewrite("// \ud800 \u00e9\r\nint x;\r\n").text == '#line 1 "kernel.cu"\n// ? \u00e9\nint x;\n\n'


def test_kernels_are_named():
    source = """__global__ void a(int* x) {}
template <int N> __global__ void __launch_bounds__(128, 2) b(int* x) {}
__device__ void c() {}
"""
    assert rewrite(source).kernels == ("a", "b")


def test_several_shared_variables_of_one_declaration():
    made = lines("__global__ void k() {\n  __shared__ __align__(16) float a[4][5], b[6];\n}\n")[1]
    assert "struct cpusim_shared_a { alignas(16) float a[4][5]; }" in made
    assert "struct cpusim_shared_b { alignas(16) float b[6]; }" in made


def test_a_macro_may_launch_and_declare():
    made = "\n".join(
        lines(
            "#define RUN(k, x) \\\n  k<<<1, \\\n    32, 0, s>>>(x)\n#define TILE(n) __shared__ float tile[n];\nint z;\n"
        )
    )
    assert made.count("\n") == 5
    assert "::cpusim::launch" in made and "cpusim_shared_tile" in made


REFUSED = {
    'asm("bar.sync 0;");': "assembly",
    "asm volatile(\"mov.u32 %0, %smid;\" : \"=r\"(x));": "assembly",
    "nvcuda::wmma::fragment<int> f;": "tensor cores",
    "cg::this_grid().sync();": "grid-wide",
    "__pipeline_commit();": "asynchronous copies",
    "cuda::barrier<cuda::thread_scope_block> b;": "library cuda",
    "cub::BlockReduce<float, 128> r;": "library cub",
    "tex2D<float>(t, 1, 2);": "textures",
    "cudaTextureObject_t t;": "cudaTextureObject_t",
    "cudaMalloc(&p, 4);": "cudaMalloc",
    "cudaDeviceSynchronize();": "cudaDeviceSynchronize",
    "cudaMemcpyAsync(x, p, 4, cudaMemcpyDeviceToHost, s);": "cudaMemcpyDeviceToHost",
    "cudaStreamCreate(&s);": "cudaStreamCreate",
    "cudaLaunchCooperativeKernel(f, g, b, a);": "cudaLaunchCooperativeKernel",
    "int* p = new int[4];": "allocation",
    "void* p = malloc(4);": "allocation",
    'printf("%d", 1);': "printf",
    "#include <fstream>": "fstream",
    "#include <thread>": "thread",
    '#include "/etc/passwd"': "passwd",
    "#pragma GCC optimize(\"O3\")": "GCC",
    "__attribute__((constructor)) void f() {}": "constructor",
    "[[gnu::constructor]] void f() {}": "gnu",
    "int x = __builtin_return_address(0);": "__builtin_return_address",
    "cpusim_fail(0, 0, 0);": "internals",
    "__shared__ int x;": "outside of a function",
    "#define SHARED __shared__": "another name",
    "#define P(a, b) a##b": "##",
    "try { } catch (...) { }": "exceptions",
    "thread_local int x;": "thread_local",
    "__managed__ int x;": "managed",
    "int x = 1 \\\n + 2;": "backslash",
    'const char* s = "abc;': "belong",
    "/* a comment": "does not end",
    "void f() { kernels[0]<<<1, 1>>>(x); }": "launch",
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_emulated_is_named_with_its_line(text):
    with pytest.raises(Unsupported) as raised:
        rewrite(f"int a;\n\nint b;\n{text}\n")
    assert REFUSED[text] in raised.value.message
    assert raised.value.line == 4


@given(st.text(alphabet="ab01 \n\t<>=(){}[];,.+-*/%&|!~^?:\"'\\#R_", max_size=60))
def test_any_text_is_tokens_or_refused(text):
    try:
        tokens = tokens_of(text)
    except Unsupported:
        return
    at = 0
    for token in tokens:
        assert text[token.start : token.end] == token.text
        assert token.start >= at
        assert token.line == text.count("\n", 0, token.start) + 1
        at = token.end


@given(st.text(alphabet="ab01 \n<>=(){}[];,k\"'\\#_", max_size=60))
def test_rewriting_never_fails_in_another_way(text):
    for around in (text, f"__global__ void k() {{ __shared__ {text}; }}", f"void f() {{ k<<<{text}>>>(1); }}"):
        try:
            made = rewrite(around)
        except Unsupported:
            continue
        assert made.text.count("\n") == around.count("\n") + 2
