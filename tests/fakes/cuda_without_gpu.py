"""Builds the native runner and kernels for a device that is made of threads (see cuda/fake_device.cpp)."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import autocomp_mcp.hardware_adapters.nvidia as nvidia

FAKE = Path(__file__).with_name("cuda")
RUNNER = Path(nvidia.__file__).with_name("runner")
LAUNCH = re.compile(r"\b(\w+)<<<(.*?)>>>\((.*?)\);", re.DOTALL)


def as_cpp(text: str) -> str:
    return LAUNCH.sub(lambda m: f"fake_launch({m[2]}, std::bind({', '.join(filter(None, (m[1], m[3])))}));", text)


def build_runner(folder: Path) -> Path:
    """A program that takes the runner's arguments; it exports the device's functions to the kernels it loads."""
    for name in ("bench.cuh", "job.h", "memory.cuh", "report.h", "runner.cu"):
        (folder / name).write_text(as_cpp((RUNNER / name).read_text()))
    program = folder / "runner"
    compile_cpp(folder / "runner.cu", program, str(FAKE / "fake_device.cpp"), "-rdynamic", "-ldl")
    return program


def build_kernel(source: str, folder: Path, name: str = "kernel") -> Path:
    (folder / f"{name}.cu").write_text(as_cpp('#include "cuda_runtime.h"\n' + source))
    library = folder / f"{name}.so"
    compile_cpp(folder / f"{name}.cu", library, "-shared", "-fPIC")
    return library


def compile_cpp(source: Path, to: Path, *more: str) -> None:
    command = ["c++", "-std=c++17", "-O1", "-w", "-pthread", "-I", str(FAKE), "-x", "c++", str(source), *more]
    subprocess.run([*command, "-o", str(to)], check=True)
