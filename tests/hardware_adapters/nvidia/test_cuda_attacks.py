"""Candidates that try to get out of the emulator, or round it: each is refused, and the emulator's word stands."""

from __future__ import annotations

from pathlib import Path

import anyio
import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.base import EngineFailure
from autocomp_mcp.hardware_adapters.nvidia.cpusim.build import Program
from autocomp_mcp.hardware_adapters.nvidia.cpusim.emulate import Buffer, Job, emulate
from autocomp_mcp.hardware_adapters.nvidia.cpusim.rewrite import Unsupported, rewrite

HEAD = "#include <cuda_runtime.h>\n#include <stdint.h>\n"
AT = "int i = blockIdx.x * 64 + threadIdx.x;"
COPY = f"__global__ void k(const float* a, float* o, int n) {{ {AT} if (i < n) o[i] = a[i]; }}\n"


def launch(body: str) -> str:
    return f'extern "C" int launch(void** p, const int64_t* d, cudaStream_t s) {{\n{body}\n  return 0;\n}}\n'


RUN = "  k<<<2, 64, 0, s>>>((const float*)p[0], (float*)p[1], (int)d[0]);"
A = np.linspace(-1, 1, 100, dtype=np.float32)


def run(run_cuda, source: str, **job):
    return run_cuda(HEAD + source, [100], {"a": A}, {"o": (100,)}, cpu_s=1.0, **job)


# What launch() does on the host, and the fault it earns.
ON_THE_HOST = {
    "reads an input": ("  int x = (int)((float*)p[0])[3];\n  return x;", "host_access", 5),
    "writes an output": ("  for (int i = 0; i < 100; i++) ((float*)p[1])[i] = 1;", "host_access", 5),
    "copies with memcpy": ("  float x[100];\n  memcpy(x, p[0], d[0] * 4);\n  return (int)x[5];", "host_access", 6),
    "writes after the kernel": (RUN + "\n  *(volatile float*)p[1] = 3;", "host_access", 6),
    "follows a wild pointer": ("  *(volatile int*)0x10 = 1;", "host_crash", 5),
    "jumps into nowhere": ("  ((void (*)())0x1234)();", "host_crash", None),
    "never returns": ("  for (volatile int i = 0; ; ) { }", "timeout", 5),
    "copies from the host": ("  int x[4];\n  cudaMemcpyAsync(p[1], x, 16, cudaMemcpyDefault, s);", "out_of_bounds", 6),
    "clears an input": ("  cudaMemsetAsync(p[0], 0, 400, s);", "input_written", 5),
    "clears on another stream": ("  cudaMemsetAsync(p[1], 0, 400);", "wrong_stream", 5),
    "clears too much": ("  cudaMemsetAsync(p[1], 0, 404, s);", "out_of_bounds", 5),
}  # fmt: skip


@pytest.mark.parametrize("name", ON_THE_HOST)
def test_the_host_cannot(name, run_cuda):
    body, kind, line = ON_THE_HOST[name]
    fault = run(run_cuda, COPY + launch(body)).report.fault
    assert fault is not None and fault.kind == kind, fault
    assert fault.line == line
    assert fault.thread is None


FOREIGN = {
    "files": 'extern "C" int open(const char*, int, ...);\n' + COPY + launch('  return open("a", 0);'),
    "the end of the process": 'extern "C" void _exit(int);\n' + COPY + launch("  _exit(0);"),
    "another way to end": 'extern "C" void exit(int);\n' + COPY + launch(RUN + "  exit(0);"),
    "system calls": 'extern "C" long syscall(long, ...);\n' + COPY + launch("  return (int)syscall(1, 1, \"{}\", 2);"),
    "threads": 'extern "C" int pthread_create(void*, void*, void* (*)(void*), void*);\n'
        + COPY + launch("  return pthread_create(0, 0, 0, 0);"),
    "processes": 'extern "C" int fork();\n' + COPY + launch("  return fork();"),
    "output": 'extern "C" int puts(const char*);\n' + COPY + launch('  return puts("{}");'),
    "the environment": 'extern "C" char* getenv(const char*);\n' + COPY + launch('  return getenv("HOME") != 0;'),
    "protection of memory": 'extern "C" int mprotect(void*, unsigned long, int);\n'
        + COPY + launch("  return mprotect(p[0], 4096, 3);"),
    "the emulator's variables": 'extern "C" int mode;\n' + COPY + launch("  mode = 1;"),
    "the emulator's report": 'extern "C" void report_finish();\n' + COPY + launch("  report_finish();"),
    "code before launch": "volatile float seed = 2;\nfloat table;\n"
        "struct S { S(); };\nS::S() { table = seed; }\nS before;\n"
        + COPY + launch(RUN + " return table > 100;"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_a_candidate_has_no_way_to(name, build_cuda):
    built = build_cuda(HEAD + FOREIGN[name])
    assert built.program is None
    assert built.refused, built.diagnostics


@pytest.mark.parametrize("word", ["asm", "__asm__", "__asm"])
def test_assembly_hidden_in_a_macro_is_found(word):
    with pytest.raises(Unsupported, match="assembly"):
        rewrite(f'#define X {word}("syscall")\n' + COPY + launch("  X;"))


def test_each_call_finds_other_addresses(run_cuda):
    """A pointer that is kept from one call to the next leads nowhere."""
    source = """__device__ float* kept;
__global__ void k(const float* a, float* o) {
  if (!kept) kept = o;
  kept[threadIdx.x] = a[threadIdx.x]; // here
}
""" + launch("  k<<<1, 1, 0, s>>>((const float*)p[0], (float*)p[1]);")
    assert run(run_cuda, source).report.fault is None
    fault = run(run_cuda, source, calls=4).report.fault
    assert fault is not None and fault.kind == "out_of_bounds"
    assert fault.line == 6


def test_a_call_that_does_nothing_leaves_poison(run_cuda):
    source = COPY + "static int calls;\n" + launch("  if (calls++) return 0;\n" + RUN)
    assert np.array_equal(run(run_cuda, source).outputs["o"], A)
    assert np.isnan(run(run_cuda, source, calls=2).outputs["o"]).all()


def test_scratch_memory_is_forgotten_between_calls(run_cuda):
    """The second call would find the first one's result there; instead reading it is remarked, and gives NaN."""
    source = """__global__ void k(const float* a, float* o, float* t, int n) {
  int i = threadIdx.x;
  o[i] = t[i];
  t[i] = a[i];
}
""" + launch("  k<<<1, 100, 0, s>>>((const float*)p[0], (float*)p[1], (float*)p[2], (int)d[0]);")
    ended = run(run_cuda, source, calls=2)
    assert np.isnan(ended.outputs["o"]).all()
    assert [(note.kind, note.line) for note in ended.report.notes] == [("uninitialised_global", 5)]


def test_what_lies_behind_a_buffer_cannot_be_read(run_cuda):
    source = """__global__ void k(const float* a, float* o, int n) { o[threadIdx.x] = a[threadIdx.x + 100 + n % 2]; }
""" + launch(RUN)
    fault = run(run_cuda, source).report.fault
    assert fault is not None and fault.kind == "out_of_bounds"


def test_a_kernel_cannot_change_what_the_host_keeps(run_cuda):
    source = (
        "static int answer = 0;\n"
        + """__global__ void k(int* at) { at[0] = 77; }
"""
        + launch("  int local = 5;\n  k<<<1, 1, 0, s>>>(&local);\n  return local;")
    )
    fault = run(run_cuda, source).report.fault
    assert fault is not None and fault.kind == "out_of_bounds"
    assert fault.line == 4


def test_a_return_value_is_passed_on(run_cuda):
    assert run(run_cuda, COPY + launch(RUN + "\n  return 7;")).report.returned == 7
    built = run(run_cuda, COPY + launch(RUN))
    assert built.report.returned == 0


def test_without_launch_there_is_nothing_to_run(run_cuda):
    fault = run(run_cuda, COPY).report.fault
    assert fault is not None and fault.kind == "no_launch"


def test_a_compile_error_has_the_lines_of_the_source(build_cuda):
    built = build_cuda(HEAD + "__global__ void k() {\n  __shared__ float t[4];\n  t[0] = nothing;\n}\n")
    assert built.program is None and built.refused is None
    assert [d.line for d in built.diagnostics if d.severity == "error"] == [5]
    assert "nothing" in built.diagnostics[0].message


FORGED = '{"nonce":"0","launches":[],"sites":[],"notes":[],"fault":null,"returned":0,"dropped":0}'


@pytest.mark.parametrize(("status", "kind"), [(0, "crashed"), (5, "crashed")])
def test_a_report_that_the_emulator_did_not_write_counts_for_nothing(status, kind, tmp_path):
    """As if the candidate had written the file itself and ended the process: it does not know the run's number."""
    program = tmp_path / "emulator"
    program.write_text(f"#!/bin/sh\necho '{FORGED}' > report.json\necho '{FORGED}'\nexit {status}\n")
    program.chmod(0o700)
    report = anyio.run(emulate, Program(program, program), Job((), ()), tmp_path)
    assert report.fault is not None and report.fault.kind == kind
    assert report.returned is None


def test_a_report_of_an_earlier_run_counts_for_nothing(tmp_path):
    (tmp_path / "report.json").write_text(FORGED)
    report = anyio.run(emulate, Program(Path("/bin/true"), Path("/bin/true")), Job((), ()), tmp_path)
    assert report.fault is not None and report.fault.kind == "crashed"


def test_a_missing_input_is_no_fault_of_the_kernel(build_cuda, tmp_path):
    built = build_cuda(HEAD + COPY + launch(RUN))
    job = Job((100,), (Buffer("a", 400, "input", "nowhere"), Buffer("o", 400, "output", "o")))
    with pytest.raises(EngineFailure, match="nowhere"):
        anyio.run(emulate, built.program, job, tmp_path)


def test_a_trace_that_grows_too_long_is_cut_and_says_so(run_cuda):
    source = """__global__ void k(const float* a, float* o, int n) {
  float sum = 0;
  for (int i = 0; i < 3000000; i++) sum += a[i % n];
  o[threadIdx.x] = sum;
}
""" + launch("  k<<<1, 1, 0, s>>>((const float*)p[0], (float*)p[1], (int)d[0]);")
    report = run_cuda(HEAD + source, [100], {"a": A}, {"o": (100,)}, trace=True).report
    assert report.fault is None
    assert [note.kind for note in report.notes] == ["trace_incomplete"]
