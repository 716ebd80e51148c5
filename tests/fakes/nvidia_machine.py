#!/usr/bin/env python3
"""A machine with a GPU, as far as programs tell: nvcc, nvidia-smi, ncu and compute-sanitizer, told apart by the name
they are called by. The device is made of threads (cuda/fake_device.cpp)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
PROGRAMS = ("nvcc", "nvidia-smi", "ncu", "compute-sanitizer")
NCU_TABLE = """==PROF== Connected to process 77
"ID","Process ID","Process Name","Host Name","Kernel Name","Context","Stream","Block Size","Grid Size","Device","CC",{names}
"","","","","","","","","","","",{units}
"0","77","runner","127.0.0.1","sgemm(const float *, const float *, float *)","1","13","(16, 16, 1)","(4, 4, 1)","0","8.9",{values}
==PROF== Disconnected from process 77
"""  # noqa: E501
COUNTERS = {
    "gpu__time_duration.sum": ("ns", "123,456"), "dram__bytes_read.sum": ("byte", "8,388,608"),
    "dram__bytes_write.sum": ("byte", "65536"), "sm__throughput.avg.pct_of_peak_sustained_elapsed": ("%", "31.5"),
    "gpu__dram_throughput.avg.pct_of_peak_sustained_elapsed": ("%", "12.25"),
    "l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum": ("sector", "1,600"),
    "l1tex__t_requests_pipe_lsu_mem_global_op_ld.sum": ("request", "100"),
    "sm__warps_active.avg.pct_of_peak_sustained_active": ("%", "24.5"),
    "launch__registers_per_thread": ("register/thread", "40"), "launch__occupancy_limit_registers": ("block", "6"),
    "launch__occupancy_limit_warps": ("block", "5"), "lts__t_sector_hit_rate.pct": ("%", "n/a"),
    "smsp__average_warps_issue_stalled_long_scoreboard_per_issue_active.ratio": ("inst", "9.0"),
    "smsp__average_warps_issue_stalled_wait_per_issue_active.ratio": ("inst", "1.0"),
}  # fmt: skip


def install(folder: Path) -> Path:
    """A folder for PATH. Returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        path = folder / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" {name} "$@"\n')
        path.chmod(0o755)
    return folder


def nvcc(arguments: list[str]) -> int:
    from cuda_without_gpu import FAKE, as_cpp, compile_cpp

    if "--version" in arguments:
        print("nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release 13.0, V13.0.88")
        return 0
    to = Path(arguments[arguments.index("-o") + 1]).resolve()
    (given,) = [Path(word) for word in arguments if word.endswith(".cu")]
    scratch = to.parent / "translated"
    scratch.mkdir(exist_ok=True)
    for name in {
        given.name,
        *(p.name for p in given.parent.glob("*.h")),
        *(p.name for p in given.parent.glob("*.cuh")),
    }:
        (scratch / name).write_text(as_cpp((given.parent / name).read_text()))
    shared = "-shared" in arguments
    more = ("-shared", "-fPIC") if shared else (str(FAKE / "fake_device.cpp"), "-rdynamic", "-ldl")
    try:
        compile_cpp(scratch / given.name, to, *more)
    except subprocess.CalledProcessError:
        print('kernel.cu(3): error: identifier "x" is undefined')
        return 2
    if shared:
        print("ptxas info    : Compiling entry function '_Z5sgemmPKf' for 'sm_89'", file=sys.stderr)
        print("    0 bytes stack frame, 8 bytes spill stores, 8 bytes spill loads", file=sys.stderr)
        print("ptxas info    : Used 40 registers, used 0 barriers, 376 bytes cmem[0]", file=sys.stderr)
    return 0


def nvidia_smi(arguments: list[str]) -> int:
    assert arguments[0].startswith("--query-gpu=name,compute_cap,driver_version"), arguments
    other = arguments[2:] == ["-i", "1"]
    print("Made of other threads, 9.0, 570.00" if other else "Made of threads, 8.9, 570.00")
    return 0


def ncu(arguments: list[str]) -> int:
    log = Path(arguments[arguments.index("--log-file") + 1])
    asked = arguments[arguments.index("--metrics") + 1].split(",")
    assert len(set(COUNTERS) - set(asked)) <= 1 and arguments[arguments.index("--profile-from-start") + 1] == "off"
    assert os.environ["NV_COMPUTE_PROFILER_LOCAL_CONNECTION_OVERRIDE"] == "uds", "the sandbox has no network"
    if (lacking := Path(".lacking")).exists() and (name := lacking.read_text()) in asked:
        log.write_text(f"==PROF== Connected to process 77\n==ERROR== Failed to find metric regex:^{name}\n")
        return 1
    if (words := Path(".ncu-fails")).exists():
        log.write_text(words.read_text())
        return 1
    status = subprocess.run(arguments[-2:], env={**os.environ, "FAKE_CUDA_NOTES": "profiled"}).returncode
    if Path(".no-permission").exists():
        log.write_text("==ERROR== ERR_NVGPUCTRPERM - The user does not have permission to access NVIDIA GPU counters\n")
        return 1
    assert Path("profiled").read_text().split() == ["start", "stop"]
    names, cells = zip(*COUNTERS.items(), strict=True)
    units, values = zip(*cells, strict=True)
    columns = {"names": names, "units": units, "values": values}
    log.write_text(NCU_TABLE.format(**{what: ",".join(f'"{c}"' for c in row) for what, row in columns.items()}))
    return status


def compute_sanitizer(arguments: list[str]) -> int:
    """Finds nothing, unless a file `.sanitizer` has what it is to say in place of running the program."""
    log, tool = Path(arguments[arguments.index("--log-file") + 1]), arguments[arguments.index("--tool") + 1]
    assert ("--report-api-errors no" in " ".join(arguments)) == (tool == "memcheck"), arguments
    if (words := Path(".sanitizer")).exists():
        log.write_text(words.read_text())
        return 1
    status = subprocess.run(arguments[-2:]).returncode
    summary = "RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)"
    log.write_text(
        f"========= COMPUTE-SANITIZER\n========= {summary if tool == 'racecheck' else 'ERROR SUMMARY: 0 errors'}\n"
    )
    return status


if __name__ == "__main__":
    program = {"nvcc": nvcc, "nvidia-smi": nvidia_smi, "ncu": ncu, "compute-sanitizer": compute_sanitizer}
    sys.exit(program[sys.argv[1]](sys.argv[2:]))
