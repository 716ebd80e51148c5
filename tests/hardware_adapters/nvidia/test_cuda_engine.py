"""The engine for real GPUs on a machine whose programs are stand-ins: its whole path, with a device made of threads."""

import os
import shutil
from functools import partial
from pathlib import Path

import anyio
import nvidia_machine
import pytest
from autocomp_mcp.hardware_adapters.base import EngineFailure, EnvironmentLackError
from autocomp_mcp.hardware_adapters.nvidia.cuda import engines, evaluation, library, native, sanitizer
from autocomp_mcp.hardware_adapters.nvidia.cuda.device import NoGpuError, gpu, machine_of
from autocomp_mcp.hardware_adapters.nvidia.cuda.job import Job, Report
from autocomp_mcp.hardware_adapters.nvidia.cuda.judge import judge
from autocomp_mcp.hardware_adapters.nvidia.families import operator_of
from autocomp_mcp.hardware_adapters.nvidia.machines import machines
from autocomp_mcp.hardware_adapters.nvidia.operators import FULL, describe, floor_ns
from autocomp_mcp.hardware_adapters.simulating import Judgement
from autocomp_mcp.hardware_adapters.store import Home

pytestmark = pytest.mark.usefixtures("stand_ins_shown")
PROBLEM = "nvidia/sgemm-64x48x40"
# What the stand-in's kernels want from their runtime in place of CUDA's.
STAND_IN = ("_Z", "blockIdx", "blockDim", "threadIdx", "gridDim")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> str:
    """PATH of a machine with a GPU."""
    folder = nvidia_machine.install(tmp_path_factory.mktemp("gpu"))
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture
def run(machine: str, home: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", machine)
    monkeypatch.setattr(library, "PLAIN", _Everything(library.PLAIN))
    monkeypatch.setattr(native, "TRIALS", 6)
    monkeypatch.setattr(native, "FLUSH_BYTES", 1 << 12)  # this device walks through memory word by word
    monkeypatch.setattr(native, "SCRATCH_BYTES", 1 << 12)
    operator = operator_of(PROBLEM)

    def evaluate(source: str | None = None, **more) -> evaluation.Run:
        call = partial(
            evaluation.evaluate_on_cuda, home, None, describe(operator), operator, source or operator.baseline(),
            **{"engine": "cuda", "seed": 0, "timeout_s": 120.0, **more},
        )  # fmt: skip
        return anyio.run(call)

    return evaluate


class _Everything(frozenset):
    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or str(name).startswith(STAND_IN)


def test_a_kernel_is_compiled_checked_and_timed(run) -> None:
    evaluation = run().evaluation
    assert evaluation.verdict == "passed", evaluation.message
    assert evaluation.source == "measured" and evaluation.latency is not None
    assert evaluation.latency.spread is not None and "18 calls" in evaluation.latency.statistic
    assert evaluation.compilation is not None and evaluation.compilation.facts == {
        "registers_per_thread": 40, "spill_bytes_per_thread": 16,
    }  # fmt: skip
    assert "measured" in evaluation.message and "Made of threads" in evaluation.message
    assert len([name for name in evaluation.input_sets if name.startswith(FULL)]) == 3


def test_it_is_timed_in_turns_with_another(run) -> None:
    operator = operator_of(PROBLEM)
    evaluation = run(incumbent=operator.baseline() + "\n// the same\n").evaluation
    assert evaluation.passed and "the kernel timed beside it" in evaluation.message


def test_wrong_and_cheating_kernels(run) -> None:
    baseline = operator_of(PROBLEM).baseline()
    entry = "cudaStream_t stream)"
    assert entry in baseline and baseline.count("{") > 1
    head, _, body = baseline.partition(entry)
    once = head + entry + body.replace("{", "{ static int calls; if (++calls > 8) return 0;", 1)
    verdict = run(once).evaluation
    assert verdict.verdict == "wrong_result" and "timed calls" in verdict.message, verdict.message
    never = head + entry + body.replace("{", "{ return 0;", 1)
    verdict = run(never).evaluation
    assert verdict.verdict == "wrong_result" and "never written" in verdict.message
    failing = head + entry + body.replace("{", "{ return 1;", 1)
    assert run(failing).evaluation.verdict == "crashed"
    assert run(baseline.replace("launch(", "lunch(")).evaluation.verdict in ("rejected", "compile_error")
    assert run(baseline + "\nint undefined_thing = x;\n").evaluation.verdict == "compile_error"
    sneaky = head + entry + body.replace("{", '{ (void)!system("true");', 1)
    verdict = run(sneaky).evaluation
    assert verdict.verdict == "rejected" and "system" in verdict.message
    direct = run(head + entry + body.replace("{", '{ asm volatile("syscall");', 1)).evaluation
    assert direct.verdict == "rejected" and "inline assembly" in direct.message
    unseen = run(baseline + "\nint getppid();\nint parent = getppid();\n").evaluation  # no word of the screen's
    assert unseen.verdict == "rejected" and "getppid" in unseen.message


def test_what_cannot_be_so_fast_is_refused(run, monkeypatch: pytest.MonkeyPatch) -> None:
    from autocomp_mcp.hardware_adapters.nvidia.cuda import judge

    monkeypatch.setattr(judge, "floor_ns", lambda operator, device: 1e12)
    verdict = run().evaluation
    assert verdict.verdict == "rejected" and "peak rates" in verdict.message


def test_a_profile_is_what_ncu_counted(run) -> None:
    found = run(mode="profile")
    profile = found.profile
    assert profile is not None and profile.source == "measured" and profile.latency.value == 123456
    assert sum(span.duration for span in profile.spans) == 123456 and found.spans[0].detail["blocks"] > 0
    assert profile.counters["global_load_sectors"] == 1600 and profile.counters["l2_hit_percent"] is None
    ids = [entry.id for entry in profile.bottlenecks]
    assert {"latency_bound", "uncoalesced", "low_occupancy", "register_spills"} <= set(ids)
    low = next(entry for entry in profile.bottlenecks if entry.id == "low_occupancy")
    assert "limited by warps" in low.explanation
    assert profile.stalls[0].cause == "wait_latency" and profile.stalls[0].share == pytest.approx(0.9)


@pytest.fixture
def in_the_folder(monkeypatch: pytest.MonkeyPatch):
    """Files that the stand-ins look for where they run."""
    plain = native.Bench.execute

    def put(**files: str) -> None:
        async def execute(self, wrapper=()):
            for name, text in files.items():
                (self.folder / f".{name}").write_text(text)
            return await plain(self, wrapper)

        monkeypatch.setattr(native.Bench, "execute", execute)

    return put


def test_counters_that_are_not_permitted(run, in_the_folder) -> None:
    in_the_folder(**{"no-permission": ""})
    with pytest.raises(EnvironmentLackError, match="NVreg_RestrictProfilingToAdminUsers"):
        run(mode="profile")


def test_metrics_that_a_device_lacks_are_left_out(run, in_the_folder) -> None:
    in_the_folder(lacking="dram__bytes_read.sum")
    profile = run(mode="profile").profile
    assert profile is not None and profile.latency.value == 123456


@pytest.mark.parametrize("log", ["==ERROR== Profiling failed because a driver resource was unavailable.\n", ""])
def test_a_profiler_that_fails_is_not_held_against_the_kernel(run, in_the_folder, log: str) -> None:
    in_the_folder(**{"ncu-fails": log})
    with pytest.raises(EngineFailure, match=f"ncu ended with status 1: {log.strip() or 'it said nothing'}"):
        run(mode="profile")


def test_without_a_profiler_it_says_what_is_missing(run, machine: str, tmp_path: Path, monkeypatch) -> None:
    for program in Path(machine.partition(os.pathsep)[0]).iterdir():
        if program.name != "ncu":
            (tmp_path / program.name).symlink_to(program)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{machine.partition(os.pathsep)[2]}")
    if shutil.which("ncu") is None:
        with pytest.raises(EnvironmentLackError, match=r"ncu is not on PATH; .*Nsight Compute"):
            run(mode="profile")


BEGINS = "========= COMPUTE-SANITIZER\n========= "


@pytest.mark.parametrize(
    "log",
    [
        f"{BEGINS}Error: Target application terminated before first instrumented API call\n",
        f"{BEGINS}ERROR SUMMARY: 0 errors\n",  # but the runner did not come to its end
        "",
    ],
)
def test_a_sanitizer_that_does_not_work_passes_nothing(run, in_the_folder, log: str) -> None:
    in_the_folder(sanitizer=log)
    with pytest.raises(EngineFailure, match="compute-sanitizer memcheck ended with status 1"):
        run(mode="check")


def test_what_the_sanitizer_says_at_its_end() -> None:
    assert sanitizer.clean(f"{BEGINS}ERROR SUMMARY: 0 errors\n", "synccheck")
    assert sanitizer.clean(f"{BEGINS}RACECHECK SUMMARY: 1 hazard displayed (0 errors, 1 warning)\n", "racecheck")
    assert not sanitizer.clean(f"{BEGINS}RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)\n", "racecheck")
    assert not sanitizer.clean(f"{BEGINS}ERROR SUMMARY: 10 errors\n", "memcheck")
    assert not sanitizer.clean(f"{BEGINS}ERROR SUMMARY: 0 errors\n", "racecheck")
    assert not sanitizer.clean("ERROR SUMMARY: 0 errors\n", "memcheck"), "the kernel's own words"


def test_a_failing_gpu_is_not_held_against_the_kernel() -> None:
    operator = operator_of(PROBLEM)
    given = native.Task(operator, (), Job("check", (), (), (), 0, 0, 1))

    def judged(kind: str) -> Judgement:
        said = Report({}, 0, (), (), (kind, "words of the runtime"), False)
        return judge(given, (), Path(), said, machines()["l40s"])

    with pytest.raises(EngineFailure, match=r"ECC cannot correct.*words of the runtime"):
        judged("cudaErrorECCUncorrectable")
    with pytest.raises(EngineFailure, match="cannot be loaded: words of the runtime"):
        judged("not_loaded")
    assert judged("cudaErrorIllegalAddress").verdict == "crashed"
    assert judged("threads").verdict == "rejected"


def test_nothing_is_too_fast_that_tensor_cores_can_do() -> None:
    """Rates of data sheets: 77 TFLOP/s of TF32 and 155 of halves on an A6000; on an A100 156 and 312, so that a product
    made of three of halves may be done at 104."""
    product, narrow = (operator_of(f"nvidia/sgemm-4096x4096x4096{kind}") for kind in ("", "-tf32"))
    device = {
        "name": "x", "clock_khz": 1_800_000, "memory_khz": 0, "memory_bits": 384, "l2_bytes": 6 << 20,
        "registers_per_multiprocessor": 65536, "threads_per_multiprocessor": 1536, "blocks_per_multiprocessor": 16,
        "shared_per_multiprocessor": 102400, "shared_per_block": 101376,
    }  # fmt: skip
    a6000 = machine_of({**device, "major": 8, "minor": 6, "multiprocessors": 84})
    assert floor_ns(narrow, a6000) == pytest.approx(narrow.flops / 154_800, rel=0.01)
    a100 = machine_of({**device, "major": 8, "minor": 0, "multiprocessors": 108, "clock_khz": 1_410_000})
    assert floor_ns(product, a100) == pytest.approx(product.flops / 104_000, rel=0.01)
    unknown = machine_of({**device, "major": 99, "minor": 0, "multiprocessors": 84})
    assert floor_ns(narrow, unknown) < floor_ns(narrow, a6000)


def test_the_gpu_that_is_asked_is_the_one_that_runs(run, machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", machine)
    assert gpu().architecture == "sm_89"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    assert gpu().architecture == "sm_90"
    with pytest.raises(EnvironmentLackError, match=r"compiled for Made of other threads \(sm_90\).*\(sm_89\)"):
        run(mode="profile")


def test_a_driver_that_comes_up_later_is_found(tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n[ -e {tmp_path}/up ] || exit 9\necho 'Late, 8.9, 570.00'\n")
    program.chmod(0o755)
    with pytest.raises(NoGpuError):
        gpu({"PATH": str(tmp_path)})
    (tmp_path / "up").touch()
    assert gpu({"PATH": str(tmp_path)}).name == "Late"


def test_the_sanitizers_log() -> None:
    log = """========= COMPUTE-SANITIZER
========= Invalid __global__ read of size 4 bytes
=========     at sgemm(const float *, const float *, float *, long, long, long)+0x1f0 in kernel.cu:12
=========     by thread (7,0,0) in block (2,0,0)
=========     Address 0x7f0a3c000a40 is out of bounds
=========     Saved host backtrace up to driver entry point at kernel launch time
=========     Host Frame: launch in kernel.cu:20 [0x1]
=========
========= ERROR SUMMARY: 1 error
"""
    found = sanitizer.complaint(log, "memcheck")
    assert found is not None and found.fault is not None
    assert (found.verdict, found.fault.kind, found.fault.line) == ("crashed", "out_of_bounds", 12)
    assert "Host Frame" not in found.message and "thread (7,0,0)" in found.message
    race = """========= Error: Race reported between Write access at k(float *)+0xc0 in kernel.cu:9
=========     and Read access at k(float *)+0x130 in kernel.cu:11 [512 hazards]
========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)
"""
    found = sanitizer.complaint(race, "racecheck")
    assert found is not None and found.fault is not None and found.fault.kind == "race_shared" and found.fault.line == 9
    assert sanitizer.complaint("========= COMPUTE-SANITIZER\n========= ERROR SUMMARY: 0 errors\n", "memcheck") is None


def test_a_kernel_under_the_sanitizer(run) -> None:
    evaluation = run(mode="check").evaluation
    assert evaluation.passed and evaluation.latency is None


def test_without_a_gpu_it_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(NoGpuError, match="nvidia-smi"):
        gpu({"PATH": str(tmp_path)})
    nvidia_machine.install(tmp_path)
    with pytest.raises(EnvironmentLackError, match="the engine cpu works everywhere"):
        (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
        engines.setup(f"{tmp_path}{os.pathsep}/usr/bin:/bin")


def test_bounds_come_from_the_device_itself() -> None:
    told = {
        "name": "Some GPU", "major": 8, "minor": 6, "multiprocessors": 84, "clock_khz": 1_695_000,
        "memory_khz": 9_751_000, "memory_bits": 384, "l2_bytes": 6 << 20, "shared_per_block": 101_376,
        "shared_per_multiprocessor": 102_400, "registers_per_multiprocessor": 65_536,
        "threads_per_multiprocessor": 1536, "blocks_per_multiprocessor": 16,
    }  # fmt: skip
    device = machine_of(told)
    assert device.architecture == "sm_86" and device.warps == 48
    assert device.dram_rate == pytest.approx(936.1, rel=1e-3)  # the data sheet's 936 GB/s
    assert device.fp32_flops_per_ns == pytest.approx(36_450, rel=1e-2)
