"""The NVIDIA menu: every example computes what it says, on the CPU; and its names are those of the target."""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.nvidia.bottlenecks import TEXTS
from autocomp_mcp.hardware_adapters.nvidia.cpusim.build import build
from autocomp_mcp.hardware_adapters.nvidia.cpusim.emulate import Buffer, Job, emulate
from autocomp_mcp.hardware_adapters.nvidia.cpusim.report import Report
from autocomp_mcp.hardware_adapters.nvidia.cpusim.rewrite import rewrite
from autocomp_mcp.hardware_adapters.nvidia.families import EXAMPLES, FAMILIES, SUITES, operator_of
from autocomp_mcp.hardware_adapters.nvidia.machines import machine
from autocomp_mcp.hardware_adapters.nvidia.nvcc import compile_for, find_nvcc
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.menus.menu import load_menu
from autocomp_mcp.menus.reference import reference, topics

MENU = load_menu("nvidia")
RNG = np.random.default_rng(7)
Array = np.ndarray


class Case(NamedTuple):
    """`launch` calls the example's kernels on in0, in1, … and out, with stream `s`."""

    launch: str
    inputs: tuple[Array, ...]
    expected: Array
    closeness: float = 1e-4


def drawn(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def convolved(x: Array, w: Array) -> Array:
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    _, h, width = x.shape
    return sum(padded[:, i : i + h, j : j + width] * w[:, i, j, None, None] for i in range(3) for j in range(3))


def swizzled_numbers(rows: int, columns: int) -> Array:
    """Tiles in groups of 8 rows, each group column by column; as 32-bit patterns, which is how they are compared."""
    numbers, found = 0, np.zeros((rows, columns), np.int32)
    for first in range(0, rows, 8):
        for column in range(columns):
            for row in range(first, min(first + 8, rows)):
                found[row, column] = numbers
                numbers += 1
    return found.view(np.float32)


M, N, K = 37, 50, 29
A, B, X, TILE, ROW = drawn(M, K), drawn(K, N), drawn(M, 100), drawn(32, 32), drawn(3, 700)
SQUARE_A, SQUARE_B = drawn(32, 48), drawn(48, 32)
WIDE_A, WIDE_B = drawn(64, 40), drawn(40, 96)
Q, KEYS, V = drawn(2, 37, 24), drawn(2, 37, 24), drawn(2, 37, 24)
IMAGE, TAPS = drawn(3, 13, 21), drawn(3, 3, 3)
LINE, SEVEN = drawn(130), drawn(7)
MANY, BIAS = drawn(1403), drawn(100)
FLAT = X.reshape(-1)
SUMS = f"<<<dim3({-(-100 // 64)}), 64, 0, s>>>(in0, out, {M}, 100);"
PRODUCT = f"(in0, in1, out, {M}, {N}, {K});"
FUSED = 2 * (X + BIAS)

CASES = {
    "coalesce-accesses": Case(f"row_sums<<<{-(-M // 4)}, 128, 0, s>>>(in0, out, {M}, 100);", (X,), X.sum(axis=1)),
    "block-per-row": Case(
        f"normalise<<<{M}, 128, 0, s>>>(in0, out, 100);",
        (X,), (X - X.mean(1, keepdims=True)) / np.sqrt(X.var(1, keepdims=True) + 1e-5),
    ),
    "shared-tiles": Case("product<<<dim3(4, 3), dim3(16, 16), 0, s>>>" + PRODUCT, (A, B), A @ B),
    "register-tile": Case("product<<<dim3(1, 1), dim3(16, 16), 0, s>>>" + PRODUCT, (A, B), A @ B),
    "plan-tiles-together": Case(
        "product<<<dim3(3, 2), 64, 0, s>>>(in0, in1, out, 96, 40);", (WIDE_A, WIDE_B), WIDE_A @ WIDE_B
    ),
    "vector-loads": Case("scaled<<<3, 64, 0, s>>>(in0, out, 1403);", (MANY,), 2 * MANY),
    "transpose-through-shared": Case(
        f"transpose<<<dim3(4, 2), dim3(32, 8), 0, s>>>(in0, out, {M}, 100);", (X,), X.T, 0.0
    ),
    "pad-shared-rows": Case("tile_row_sums<<<1, 32, 0, s>>>(in0, out);", (TILE,), TILE.sum(axis=1)),
    "swizzle-shared": Case("transpose_tile<<<1, 32, 0, s>>>(in0, out);", (TILE,), TILE.T, 0.0),
    "vector-shared-reads": Case(
        "product<<<1, dim3(8, 8), 0, s>>>(in0, in1, out, 48);", (SQUARE_A.T.copy(), SQUARE_B), SQUARE_A @ SQUARE_B
    ),
    "larger-block-tile": Case(f"sums<<<1, 64, 0, s>>>(in0, out, {M}, 100);", (X,), X.sum(axis=0)),
    "order-blocks-for-l2": Case(
        "visit<<<13 * 5, 32, 0, s>>>((int *)out, 13, 5);", (LINE,), swizzled_numbers(13, 5), 0.0
    ),
    "double-buffer-shared": Case(
        "product<<<dim3(2, 2), dim3(16, 16), 0, s>>>(in0, in1, out, 32, 48);", (SQUARE_A, SQUARE_B), SQUARE_A @ SQUARE_B
    ),
    "keep-row-in-registers": Case("softmax<<<3, 256, 0, s>>>(in0, out, 700);", (ROW,), softmax(ROW)),
    "online-softmax": Case(f"softmax<<<{-(-M // 4)}, 128, 0, s>>>(in0, out, {M}, 100);", (X,), softmax(X)),
    "flash-attention": Case(
        "attend<<<dim3(1, 2), 64, 0, s>>>(in0, in1, in2, out, 37, 24);",
        (Q, KEYS, V), softmax(Q @ KEYS.transpose(0, 2, 1) / math.sqrt(24)) @ V,
    ),
    "warp-shuffle-reduction": Case("sum_all<<<1, 256, 0, s>>>(in0, out, 1403);", (MANY,), MANY.sum(keepdims=True)),
    "scan-in-warps": Case("scan<<<3, 256, 0, s>>>(in0, out, 700);", (ROW,), ROW.astype(np.float64).cumsum(axis=1)),
    "split-reduction": Case(
        f"parts<<<dim3(2, 5), 64, 0, s>>>(in0, scratch, {M}, 100); together<<<2, 64, 0, s>>>(scratch, out, 5, 100);",
        (X,), X.sum(axis=0),
    ),
    "reduce-before-atomics": Case(
        "zero<<<1, 1, 0, s>>>(out); sum_all<<<2, 64, 0, s>>>(in0, out, 1403);", (MANY,), MANY.sum(keepdims=True)
    ),
    "several-loads-under-way": Case("sums" + SUMS, (X,), X.sum(axis=0)),
    "unroll-inner-loop": Case(
        "smooth<7><<<3, 64, 0, s>>>(in0, in1, out, 130);", (LINE, SEVEN), np.correlate(LINE, SEVEN, "same")
    ),
    "restrict-pointers": Case(f"scale_rows<<<2, 64, 0, s>>>(in0, in1, out, {M}, 100);", (X, BIAS), X * BIAS),
    "choose-block-size": Case("scaled<<<6, 256, 0, s>>>(in0, out, 1403);", (MANY,), 3 * MANY),
    "bound-registers": Case("squares<<<2, 128, 0, s>>>(in0, out, 1403);", (MANY,), MANY * MANY),
    "grid-stride-loop": Case(f"add_bias<<<3, 64, 0, s>>>(in0, in1, out, {M}, 100);", (X, BIAS), X + BIAS),
    "fast-path-for-full-tiles": Case("doubled<<<2, 128, 0, s>>>(in0, out, 1403);", (MANY,), 2 * MANY),
    "fuse-passes": Case(
        f"last_step<<<dim3(2, 3), 64, 0, s>>>(in0, in1, out, {M}, 100);", (X, BIAS), np.maximum(FUSED, 0.1 * FUSED)
    ),
    "slide-over-rows": Case(
        "convolve<<<dim3(1, 2, 3), 32, 0, s>>>(in0, in1, out, 3, 13, 21);", (IMAGE, TAPS), convolved(IMAGE, TAPS)
    ),
    "cheaper-functions": Case("powers<<<22, 64, 0, s>>>(in0, out, 3.0f, 1403);", (MANY,), np.exp(MANY) / 3),
}  # fmt: skip
# Instructions that the CPU engine refuses by name.
DEVICE_ONLY = {"async-copy": "asynchronous copies", "tensor-cores": "mma.h"}


def whole(options: Sequence[str]) -> str:
    """All examples in one source, each in a name space of its own; dims[0] says which one launch runs."""
    parts = ["#include <cuda_runtime.h>", "#include <math.h>", "#include <stdint.h>"]
    examples = {option.id: option.example for option in MENU.options}
    parts += [f"namespace n{number} {{\n{examples[name]}\n}}" for number, name in enumerate(options)]
    parts.append('extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t s) {')
    parts.append("int count = (int)dims[1];")
    parts += [f"const float *in{i} = (const float *)buffers[{i}];" for i in range(3)]
    parts.append("float *out = (float *)buffers[count], *scratch = (float *)buffers[count + 1];")
    parts.append("(void)in0, (void)in1, (void)in2, (void)scratch;")
    for number, name in enumerate(options):
        parts.append(f"if (dims[0] == {number}) {{ using namespace n{number}; {CASES[name].launch} }}")
    parts.append("return cudaGetLastError();\n}")
    return "\n".join(parts)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]) -> Callable[[str, int], Any]:
    """One build of all examples; runs the one of this name in this order of threads."""
    home = Home(make_home(tmp_path_factory.mktemp("menu") / "home"))
    names = list(CASES)
    built = anyio.run(lambda: build(home, rewrite(whole(names))))
    assert built.program is not None, built.diagnostics

    def emulated(name: str, order: int) -> tuple[Report, Array]:
        case, folder = CASES[name], tmp_path_factory.mktemp(name)
        for i, values in enumerate(case.inputs):
            values.astype(np.float32).tofile(folder / f"in{i}")
        buffers = [Buffer(f"in{i}", values.size * 4, "input", f"in{i}") for i, values in enumerate(case.inputs)]
        # Examples name at most three inputs; buffers that are not there are never looked at.
        buffers += [Buffer("out", case.expected.size * 4, "output", "out"), Buffer("scratch", 1 << 16, "scratch")]
        job = Job((names.index(name), len(case.inputs)), tuple(buffers), order=order, trace=True)
        report = anyio.run(lambda: emulate(built.program, job, folder))
        found = np.fromfile(folder / "out", np.float32) if report.fault is None else np.zeros(0)
        return report, found

    return emulated


@pytest.mark.parametrize("name", CASES)
def test_every_example_is_right(name: str, run: Callable[[str, int], tuple[Report, Array]]) -> None:
    case = CASES[name]
    for order in (0, 2):
        report, found = run(name, order)
        assert report.fault is None, report.fault
        if case.closeness == 0:
            assert found.tobytes() == np.ascontiguousarray(case.expected, np.float32).tobytes()
        else:
            scale = np.abs(case.expected).max()
            np.testing.assert_allclose(found, case.expected.ravel(), atol=case.closeness * scale, rtol=0)


def test_the_figures_of_shared_memory_hold(run: Callable[[str, int], tuple[Report, Array]]) -> None:
    for name in ("pad-shared-rows", "swizzle-shared", "transpose-through-shared"):
        shared = [site for site in run(name, 0)[0].sites if site.space == "shared"]
        assert shared and all(site.wavefronts == site.ideal_wavefronts for site in shared), name


@pytest.mark.parametrize("option", [option for option in MENU.options if option.id in DEVICE_ONLY], ids=lambda o: o.id)
def test_what_the_cpu_cannot_run_is_said_and_compiles_for_the_device(option) -> None:
    from autocomp_mcp.hardware_adapters.nvidia.cpusim.rewrite import Unsupported

    source = f"#include <cuda_runtime.h>\n#include <stdint.h>\n{option.example}"
    with pytest.raises(Unsupported):
        rewrite(source)
    assert "on the CPU" in option.how
    if (nvcc := find_nvcc()) is None:
        pytest.skip("no nvcc on this machine: the example was not compiled")
    compiled = anyio.run(compile_for, nvcc, machine().architecture, source)
    assert compiled.ok, compiled.diagnostics


def test_every_option_has_its_test() -> None:
    assert set(CASES) | set(DEVICE_ONLY) == {option.id for option in MENU.options}


def test_the_menu_is_that_of_the_target() -> None:
    assert len(MENU.options) >= 25
    assert set(MENU.families) == set(FAMILIES)
    problems = [operator_of(f"nvidia/{size}") for size in SUITES[EXAMPLES][1]]
    more = [operator_of("nvidia/sgemm-33x64x64-tf32"), operator_of("nvidia/softmax-3x5")]
    assert {trait for problem in (*problems, *more) for trait in problem.traits} == set(MENU.traits)
    for problem in problems:
        assert len(MENU.select(problem.family, traits=problem.traits)) >= 8


def test_every_bottleneck_has_options() -> None:
    triggers = {trigger for option in MENU.options for trigger in option.triggers}
    assert triggers == set(MENU.bottlenecks)
    assert {name for name, _ in TEXTS.values()} <= set(MENU.bottlenecks)


def test_nothing_in_the_menu_games_a_benchmark() -> None:
    for option in MENU.options:
        text = option.model_dump_json().lower()
        assert not re.search(r"persist|cudagraph|graph capture|cublas|cudnn|__half|bfloat16", text), option.id


@pytest.mark.parametrize("topic", topics("nvidia"))
def test_code_of_the_reference_compiles(topic: str, tmp_path: Path, make_home: Callable[[Path], Path]) -> None:
    blocks = re.findall(r"^```cuda\n(.*?)^```$", reference("nvidia", topic), re.MULTILINE | re.DOTALL)
    home = Home(make_home(tmp_path / "home"))
    for block in blocks:
        if "CPU engine refuses" in block:
            continue
        source = block if "#include" in block else f"#include <cuda_runtime.h>\n#include <stdint.h>\n{block}"
        built = anyio.run(lambda text=source: build(home, rewrite(text)))
        assert built.program is not None, (built.diagnostics, block)
