"""Attacks on the native runner of the engine `cuda`, on a device made of threads: the runner alone, without the screen
that refuses most of them before, as it is what stands behind."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.nvidia.cuda import timing
from autocomp_mcp.hardware_adapters.nvidia.cuda.library import refusal
from cuda_without_gpu import build_kernel, build_runner
from native_job import ENTRY, HONEST, judged, wrong_samples

pytestmark = pytest.mark.trust
BEGINS = "int64_t n = dims[0];"
SLOW = "#include <chrono>\n#include <thread>\n" + HONEST.replace(
    "if (i < n)", "if (i == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));\n    if (i < n)"
)


def first(text: str) -> str:
    return HONEST.replace(BEGINS, f"{text} {BEGINS}")


def host(text: str) -> str:
    """Without a kernel: what the stand-in calls its launches is on no list."""
    return ENTRY + " { " + text + " return 0; }"


HALF = "static int calls; if (++calls > 5) const_cast<int64_t*>(dims)[0] /= 2;"
STEP = "b[i] = 2 * a[i];"  # of the kernel


def step(text: str) -> str:
    return HONEST.replace(STEP, text)


class Attack(NamedTuple):
    """`found`: by what the runner says (a fault of that kind), by wrong numbers, by work behind the clock, or by the
    names that the shared object wants or defines."""

    row: int
    source: str
    found: str | Literal["wrong", "late", "names"]


ATTACKS = {
    "defines the clock": Attack(
        3, host("") + '\nextern "C" cudaError_t cudaEventElapsedTime(float* ms, void*, void*) { return cudaSuccess; }',
        "names",
    ),
    "asks for the time": Attack(3, "#include <ctime>\n" + host("timespec now; clock_gettime(0, &now);"), "names"),
    "another stream": Attack(
        4, SLOW.replace(BEGINS, "static cudaStream_t mine; if (!mine) cudaStreamCreate(&mine); " + BEGINS)
        .replace("0, stream>>>", "0, mine>>>"),
        "late",
    ),
    "a thread": Attack(
        4, "#include <thread>\n#include <chrono>\n"
        + first("std::thread([] { std::this_thread::sleep_for(std::chrono::hours(1)); }).detach();"), "threads",
    ),
    "another process": Attack(4, "#include <unistd.h>\n" + host("if (fork() == 0) _exit(0);"), "names"),
    "cached by pointer": Attack(
        5, first("static void* seen[64]; static int count; for (int i = 0; i < count; i++) if (seen[i] == buffers[0]) "
                 "return 0; if (count < 64) seen[count++] = buffers[0];"), "wrong",
    ),
    "cached by shape": Attack(5, first("static int64_t done; if (done == dims[0]) return 0; done = dims[0];"), "wrong"),
    "cached by content": Attack(  # of some elements, as all of them cost as much to compare as the work itself
        5, "static float kept[8][1000], key[8][4]; static int count;\n"
        + first("const float* a = (const float*)buffers[0]; float* b = (float*)buffers[1]; "
                "for (int k = 0; k < count; k++) if (dims[0] == 1000 && key[k][0] == a[0] && key[k][1] == a[400] "
                "&& key[k][2] == a[999]) { for (int i = 0; i < 1000; i++) b[i] = kept[k][i]; return 0; } "
                "if (dims[0] == 1000 && count < 8) { key[count][0] = a[0]; key[count][1] = a[400]; "
                "key[count][2] = a[999]; for (int i = 0; i < 1000; i++) kept[count][i] = 2 * a[i]; count++; }"),
        "wrong",
    ),
    "cached by the place of the output": Attack(
        5, first("static void* last; int same = last == buffers[1]; last = buffers[1]; if (same) return 0; "
                 "static int calls; if (calls++ > 3) return 0;"), "wrong",
    ),
    "the first calls only": Attack(6, first("static int calls; if (++calls > 6) return 0;"), "wrong"),
    "every second call": Attack(6, first("static int calls; if (calls++ % 2) return 0;"), "wrong"),
    "what is timed is half of it": Attack(12, first(HALF), "wrong"),
    "nothing": Attack(7, first("return 0;"), "wrong"),
    "what the scratch area holds": Attack(
        19, step("b[i] = ((const float*)b)[i];").replace("(const float*)buffers[0]", "(const float*)buffers[2]"),
        "wrong",
    ),
    "zeros over the input": Attack(8, step("b[i] = 0, ((float*)a)[i] = 0;"), "input_written"),
    "one element of the input": Attack(
        8, step("b[i] = 2 * a[i]; if (i == n - 1) ((float*)a)[i] = 0;"), "input_written",
    ),
    "writes behind its buffer": Attack(17, HONEST.replace("[1], n)", "[1], n + 1)"), "out_of_bounds"),
    "writes before its buffer": Attack(17, step("b[i] = 2 * a[i]; if (i == 0) b[-1] = 0;"), "out_of_bounds"),
    "persisting L2": Attack(
        9, 'extern "C" int cudaStreamSetAttribute(void*, int, const void*);\n'
        + host("cudaStreamSetAttribute(stream, 1, dims);"), "names",
    ),
    "a library": Attack(15, 'extern "C" int cublasSgemm_v2(void*);\n' + host("cublasSgemm_v2(0);"), "names"),
    "the loader": Attack(15, "#include <dlfcn.h>\n" + host('dlopen("libcublas.so", RTLD_NOW);'), "names"),
    "its own report": Attack(2, '#include <cstdio>\n' + host('std::puts("{}");'), "names"),
}  # fmt: skip


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_runner(tmp_path_factory.mktemp("runner"))


def found_by(runner: Path, folder: Path, source: str) -> set[str]:
    given, report = judged(runner, folder, source, trials=15)
    said = {report.fault[0]} if report.fault is not None else set()
    if report.fault is None:
        checked = [given.outputs(folder, n)["b"] for n in range(report.checked)]
        right = all(np.array_equal(got, 2 * case.inputs[0]) for got, case in zip(checked, given.cases, strict=False))
        if not right or wrong_samples(given, folder, report) > 0:
            said.add("wrong")
        if timing.hidden_work(report) is not None:
            said.add("late")
    return said


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "name" in metafunc.fixturenames:
        step = 1 if metafunc.config.getoption("--full") else 3
        metafunc.parametrize("name", list(ATTACKS)[::step])


def test_the_runner_finds(name: str, runner: Path, tmp_path: Path, score) -> None:
    attack = ATTACKS[name]
    if attack.found == "names":
        says = str(refusal(build_kernel(attack.source, tmp_path)))
        held = says != "None"
    else:
        found = found_by(runner, tmp_path, attack.source)
        # A stream of the stand-in is a thread, which the runner may see before it hears the clock.
        held, says = bool(found & {attack.found, *(["threads"] if attack.row == 4 else [])}), str(found)
    score("attacks refused, nvidia on a device of threads", held)
    assert held, says


def test_what_it_is_measured_against_is_honest(runner: Path, tmp_path: Path) -> None:
    assert ENTRY in HONEST and BEGINS in HONEST
    assert found_by(runner, tmp_path, HONEST) == set()
    assert refusal(build_kernel(host(""), tmp_path, "plain")) is None
