"""Every problem proves itself: its baseline passes; constants, zeros, copies of an input and wrong tails do not."""

from collections.abc import Callable
from pathlib import Path

import anyio
import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.base import Evaluation, Profile, UnknownProblemError
from autocomp_mcp.hardware_adapters.evaluator import evaluate
from autocomp_mcp.hardware_adapters.nvidia.adapter import NvidiaAdapter
from autocomp_mcp.hardware_adapters.nvidia.embedded import judging_files
from autocomp_mcp.hardware_adapters.nvidia.emulation import host_compiler_title
from autocomp_mcp.hardware_adapters.nvidia.families import EXAMPLES, FAMILIES, SUITES, operator_of
from autocomp_mcp.hardware_adapters.nvidia.judge import Case, compared
from autocomp_mcp.hardware_adapters.nvidia.machines import VARIABLE, machines
from autocomp_mcp.hardware_adapters.nvidia.nvcc import find_nvcc, parse_ptxas, plain_name
from autocomp_mcp.hardware_adapters.nvidia.occupancy import residency
from autocomp_mcp.hardware_adapters.nvidia.operators import floor_ns, full_set, small_sets
from autocomp_mcp.hardware_adapters.registry import adapter_for, adapters
from autocomp_mcp.hardware_adapters.store import Home

SMALL = (
    "nvidia/sgemm-96x64x48", "nvidia/gemm-scale-leakyrelu-64x96x40", "nvidia/gemv-512x300", "nvidia/softmax-256x200",
    "nvidia/layernorm-256x200", "nvidia/cumsum-256x200", "nvidia/colsum-300x512", "nvidia/transpose-200x333",
    "nvidia/dwconv3x3-1x3x40x56", "nvidia/attention-2x64x16",
)  # fmt: skip
L40S = machines()["l40s"]


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]) -> NvidiaAdapter:
    return NvidiaAdapter(Home(make_home(tmp_path_factory.mktemp("nvidia") / "home")))


def judged(adapter: NvidiaAdapter, problem_id: str, source: str | None = None) -> Evaluation:
    async def run() -> Evaluation:
        problem = adapter.problem(problem_id)
        return await adapter.evaluate(problem, adapter.baseline(problem) if source is None else source, timeout_s=120)

    return anyio.run(run)


@pytest.mark.parametrize("problem_id", SMALL)
def test_baselines_pass(adapter: NvidiaAdapter, problem_id: str) -> None:
    evaluation = judged(adapter, problem_id)
    assert evaluation.passed, evaluation.message
    assert evaluation.source == "estimated" and evaluation.latency is not None and evaluation.latency.unit == "ns"
    assert evaluation.utilisation is not None and 0 < evaluation.utilisation <= 1
    assert evaluation.counters["blocks"] and evaluation.counters["global_load_sectors"]
    if find_nvcc() is not None:
        assert evaluation.compilation is not None and evaluation.compilation.facts["registers_per_thread"] > 8


def test_every_family_is_among_them() -> None:
    assert {operator_of(problem).family for problem in SMALL} == set(FAMILIES)
    assert {operator_of(f"nvidia/{size}").family for size in SUITES[EXAMPLES][1]} == set(FAMILIES)


@pytest.mark.parametrize("problem_id", SMALL)
def test_worthless_outputs_fail(problem_id: str) -> None:
    operator = operator_of(problem_id)
    for chosen in small_sets(operator, np.random.default_rng(3))[:2]:
        right = operator.expected(chosen.inputs)
        ((name, (values, _)),) = right.items()
        attempts = {
            "zeros": np.zeros(values.shape),
            "ones": np.ones(values.shape),
            "mean": np.full(values.shape, values.mean()),
            "nan": np.full(values.shape, np.nan),
            **{f"copy of {key}": np.resize(given, values.shape) for key, given in chosen.inputs.items()},
            **{
                f"without {key}": operator.expected({**chosen.inputs, key: given * 0})[name].values
                for key, given in chosen.inputs.items()
            },
        }
        for end in range(values.ndim):  # the last index of each dimension is left out
            tail = values.copy()
            tail[tuple(slice(None) if axis != end else slice(-1, None) for axis in range(values.ndim))] = np.nan
            attempts[f"no tail of dimension {end}"] = tail
        case = Case(chosen.name, 0)
        for what, attempt in attempts.items():
            wrong = compared(operator, case, right, {name: attempt.astype(np.float32)})
            assert wrong is not None and wrong.verdict == "wrong_result", what
        assert compared(operator, case, right, {name: values.astype(np.float32)}) is None
        single = values.astype(np.float32)
        single.flat[0] += 1 + abs(single.flat[0])
        one = compared(operator, case, right, {name: single})
        assert one is not None and one.wrong_elements == 1


@pytest.mark.parametrize("problem_id", ["softmax-4096x4096", "softmax-64x96", "attention-2x64x32"])
def test_some_rows_need_the_maximum(problem_id: str) -> None:
    operator = operator_of(f"nvidia/{problem_id}")
    for chosen in (full_set(operator, np.random.default_rng(7)), *small_sets(operator, np.random.default_rng(7))[:1]):
        if operator.family == "softmax":
            scores = chosen.inputs["x"]
        else:
            q, k = chosen.inputs["q"], chosen.inputs["k"]
            scores = (q @ k.swapaxes(1, 2) / np.float32(q.shape[2]) ** 0.5).reshape(-1, k.shape[1])
        assert scores.max() > 90 and np.isfinite(scores).all()
        far = (scores.max(axis=1) > 90).mean()
        assert 0 < far < 0.5, "ordinary rows remain"
        right = operator.expected(chosen.inputs)
        assert all(np.isfinite(found.values).all() for found in right.values())


LARGE_TILE = """#include <cuda_runtime.h>
#include <stdint.h>
__global__ void turn(const float *x, float *out, int R, int C) {
    extern __shared__ float tile[];
    for (int i = threadIdx.x; i < C; i += 32) tile[32 * 1024 - C + i] = x[blockIdx.x * C + i];
    __syncwarp();
#if __CUDA_ARCH__ >= 900
    for (int i = threadIdx.x; i < C; i += 32) out[i * R + blockIdx.x] = tile[32 * 1024 - C + i];
#endif
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    cudaFuncSetAttribute(turn, cudaFuncAttributeMaxDynamicSharedMemorySize, 128 << 10);
    turn<<<dims[0], 32, 128 << 10, stream>>>((const float *)buffers[0], (float *)buffers[1], dims[0], dims[1]);
    return cudaGetLastError();
}
"""


@pytest.mark.parametrize(("device", "verdict"), [("h100", "passed"), ("a100", "wrong_result"), ("l40s", "crashed")])
def test_kernels_may_use_what_the_device_has(
    adapter: NvidiaAdapter, device: str, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOCOMP_NVIDIA_DEVICE", device)
    found = judged(adapter, "nvidia/transpose-64x96", LARGE_TILE)
    assert found.verdict == verdict, found.message
    if verdict == "crashed":
        assert "the device has 101376 per block" in found.message


def test_what_judges_decides_the_version() -> None:
    names = {path.name for path in judging_files()}
    assert {"nvcc.py", "merging.py", "counts.py", "embedded.py", "screen.py", "rows.py", "spots.py"} <= names
    assert host_compiler_title() in NvidiaAdapter().configuration("cpu")


def tf32(values: np.ndarray) -> np.ndarray:
    """Rounded to 10 bits of mantissa."""
    return ((values.view(np.uint32) + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)


@pytest.mark.parametrize("problem_id", [name for name in SMALL if "transpose" not in name])
def test_a_silent_drop_of_precision_fails(problem_id: str) -> None:
    """Of the inputs alone; sums of products stay exact here."""
    operator = operator_of(problem_id)
    for chosen in small_sets(operator, np.random.default_rng(5))[:2]:
        right = operator.expected(chosen.inputs)
        narrow = operator.expected({name: tf32(values) for name, values in chosen.inputs.items()})
        outputs = {name: found.values.astype(np.float32) for name, found in narrow.items()}
        assert compared(operator, Case(chosen.name, 0), right, outputs) is not None
    allowed = operator_of("nvidia/sgemm-96x64x48-tf32")
    chosen = small_sets(allowed, np.random.default_rng(5))[0]
    narrow = allowed.expected({name: tf32(values) for name, values in chosen.inputs.items()})
    outputs = {name: found.values.astype(np.float32) for name, found in narrow.items()}
    assert compared(allowed, Case(chosen.name, 0), allowed.expected(chosen.inputs), outputs) is None


def test_float32_sums_in_any_order_pass() -> None:
    operator = operator_of("nvidia/gemv-4x65536")
    rng = np.random.default_rng(1)
    inputs = {name: v.astype(np.float32) for name, v in operator.draw(rng, operator.dims).items()}
    products = inputs["A"] * inputs["v"]
    serial = np.zeros(4, np.float32)
    for column in range(products.shape[1]):
        serial += products[:, column]
    assert compared(operator, Case("serial", 0), operator.expected(inputs), {"y": serial}) is None


def test_hidden_shapes_change_with_the_seed_and_are_odd() -> None:
    for problem_id in SMALL:
        operator = operator_of(problem_id)
        drawn = [tuple(s.name for s in small_sets(operator, np.random.default_rng(seed))) for seed in range(6)]
        assert len(set(drawn)) > 1
        for dims in operator.hidden(np.random.default_rng(9)):
            assert any(size % 2 for size in dims.values())


def test_ids_and_suites(adapter: NvidiaAdapter, tmp_path: Path) -> None:
    for name in SUITES:
        for summary in adapter.suite(name):
            assert adapter.problem(summary.id).id == summary.id
    for wrong, near in (("sgem-64x64x64", "sgemm-64x64x64"), ("dwconv3x3-2x3x4", "dwconv3x3-2x3x4x4")):
        with pytest.raises(UnknownProblemError, match=f"did you mean 'nvidia/{near}'"):
            adapter.problem(f"nvidia/{wrong}")
    for bad in ("sgemm-0x4x4", "sgemm-65536x65536x65536", "attention-1x70000x8", "sgemm-4x4x4-bf16"):
        with pytest.raises(UnknownProblemError):
            adapter.problem(f"nvidia/{bad}")
    assert adapters(Home(tmp_path))["nvidia"] is adapter_for(SMALL[0], Home(tmp_path))
    problem = adapter.problem("nvidia/sgemm-1024x1024x1024")
    assert problem.bound is not None
    assert problem.bound.value == pytest.approx(2 * 1024**3 / (142 * 128 * 2 * 2.52), rel=1e-4)
    assert all(floor_ns(operator_of(name), L40S) <= (adapter.problem(name).bound or 0).value for name in SMALL)


def test_another_device_has_another_bound(adapter: NvidiaAdapter, monkeypatch, tmp_path: Path) -> None:
    here, before = adapter.problem(SMALL[0]).bound, adapter.configuration("cpu")
    monkeypatch.setenv(VARIABLE, "h100")
    assert "H100" in (adapter.problem(SMALL[0]).bound or here).reason and adapter.configuration("cpu") != before
    own = tmp_path / "own.yaml"
    own.write_text("\n".join(f"{k}: {v!r}" for k, v in {**L40S.model_dump(), "title": "My GPU"}.items()))
    monkeypatch.setenv(VARIABLE, str(own))
    assert "My GPU" in (adapter.problem(SMALL[0]).bound or here).reason
    monkeypatch.setenv(VARIABLE, "rtx")
    status = adapter.engines()[0]
    assert not status.available and VARIABLE in status.reason and "l40s" in status.reason


@pytest.mark.parametrize(
    ("threads", "registers", "shared", "blocks", "limiter"),
    [
        (256, 32, 0, 6, "warps"),
        (256, 64, 0, 4, "registers"),
        (256, 40, 0, 6, "registers"),
        (128, 128, 0, 4, "registers"),
        (32, 16, 0, 24, "blocks"),
        (128, 32, 48 * 1024, 2, "shared_memory"),
        (128, 32, 99 * 1024, 1, "shared_memory"),
        (128, 32, 100 * 1024, 0, "shared_memory"),
        (1024, 65, 0, 0, "registers"),
        (1024, 64, 0, 1, "registers"),
        (96, 255, 0, 2, "registers"),
    ],
)
def test_occupancy_by_the_rules_of_cc_8_9(threads, registers, shared, blocks, limiter) -> None:
    """By hand: 64 K registers in portions of 256 per warp, 48 warps, 24 blocks, 100 KB less 1 KB per block."""
    found = residency(L40S, threads, registers, shared)
    assert (found.blocks, found.limiter) == (blocks, limiter), found
    assert found.occupancy == pytest.approx(blocks * -(-threads // 32) / 48)


def test_ptxas_figures_are_read() -> None:
    text = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_ZN2sp7productILi9EEEvPf' for 'sm_89'
ptxas info    : Function properties for _ZN2sp7productILi9EEEvPf
    40 bytes stack frame, 24 bytes spill stores, 16 bytes spill loads
ptxas info    : Used 42 registers, used 1 barriers, 40 bytes cumulative stack size, 9216 bytes smem, 360 bytes cmem[0]
ptxas info    : Compiling entry function '_Z5otherPf' for 'sm_89'
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 8 registers, used 0 barriers, 360 bytes cmem[0]
"""
    found = parse_ptxas(text)
    assert found["product"] == (42, 9216, 40, 24, 16, {}) and found["other"] == (8, 0, 0, 0, 0, {})
    assert plain_name("_Z7productPKfS0_Pfll") == "product" and plain_name("launch") == "launch"


def test_profiles_name_what_the_naive_product_lacks(adapter: NvidiaAdapter, tmp_path: Path) -> None:
    problem = adapter.problem("nvidia/sgemm-512x512x512")
    source = adapter.baseline(problem)

    async def run() -> Profile | Evaluation:
        return await adapter.profile(problem, source, timeout_s=120)

    profile = anyio.run(run)
    assert isinstance(profile, Profile)
    found = {entry.id for entry in profile.bottlenecks}
    assert {"lsu_bound", "repeated_loads"} <= found and "bank_conflict" not in found
    text = source.split("\n")
    assert "sum +=" in profile.lines[0].text == text[profile.lines[0].line - 1].strip()
    total = next(unit.busy for unit in profile.units if unit.unit == "fp32") + sum(s.cycles for s in profile.stalls)
    assert total == pytest.approx(profile.latency.value, rel=0.02)
    assert {stall.cause for stall in profile.stalls} <= set(adapter.causes())
    # Per step of K a warp of two rows loads 2 sectors of A and 2 of B; 1024 blocks of 8 warps.
    assert profile.counters["global_load_requests"] == 2 * 512 * 8 * 1024
    assert profile.counters["global_load_sectors"] == 4 * 512 * 8 * 1024
    line = profile.roofline
    assert line is not None and (line.work, line.time, line.bound) == ("flops", "ns", "L2")
    assert list(line.peaks) == ["FP32"] and list(line.memories) == list(line.intensities) == ["DRAM", "L2"]
    assert line.achieved == pytest.approx(2 * 512**3 / profile.latency.value, abs=0.1)
    assert line.intensity == pytest.approx(2 * 512**3 / profile.counters["dram_bytes"], rel=1e-3)  # type: ignore[operator]
    assert profile.spans[0].name == "launch" and len(profile.spans) == 2
    assert profile.spans[-1].start + profile.spans[-1].duration == pytest.approx(profile.latency.value, abs=1)


def test_an_evaluation_is_remembered_for_the_kernel_whatever_its_layout(adapter: NvidiaAdapter) -> None:
    problem = "nvidia/transpose-64x48"
    source = adapter.baseline(adapter.problem(problem))

    async def both() -> list[Evaluation]:
        texts = (source, f"// again\n{source}")
        return [await evaluate(problem, text, home=adapter.home, adapter=adapter) for text in texts]

    first, again = anyio.run(both)
    assert first.passed and not first.cached and again.cached
