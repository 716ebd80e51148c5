"""What a GEMM kernel must compute, for the tests of schedules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from autocomp_mcp.hardware_adapters.gemmini.emit import emit
from autocomp_mcp.hardware_adapters.gemmini.problems import Gemm
from autocomp_mcp.hardware_adapters.gemmini.schedule import Schedule
from gemmini_oracle import Buffer, Command, GemminiOracle
from host_recorder import RecordedKernels


def inputs(gemm: Gemm, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """A, B, D; B is mostly zero, so that few outputs saturate and a wrong product shows."""
    a = rng.integers(-128, 128, (gemm.m, gemm.k), dtype=np.int8)
    b = rng.integers(-1, 2, (gemm.k, gemm.n), dtype=np.int8)
    b[rng.random(b.shape) > min(1.0, 3.0 / gemm.k) * 1.5] = 0
    b = np.clip(b.astype(np.int32) << gemm.shift, -128, 127).astype(np.int8)
    if not gemm.bias:
        return a, b, None
    shape = (gemm.n,) if gemm.bias == "bias" else (gemm.m, gemm.n)
    return a, b, rng.integers(-64 << gemm.shift, 65 << gemm.shift, shape, dtype=np.int32)


def expected(gemm: Gemm, a: np.ndarray, b: np.ndarray, d: np.ndarray | None) -> np.ndarray:
    total = a.astype(np.int64) @ b.astype(np.int64)
    if d is not None:
        total = total + d
    scaled = np.rint(total / float(1 << gemm.shift))
    if gemm.relu:
        scaled = np.maximum(scaled, 0)
    return np.clip(scaled, -128, 127).astype(np.int8)


def play(commands: list[Command], arrays: list[np.ndarray]) -> GemminiOracle:
    """Runs recorded commands whose DRAM addresses are those of `arrays`, which are changed in place."""
    flat = [array.reshape(-1).view(np.uint8) for array in arrays]
    oracle = GemminiOracle([Buffer(array.ctypes.data, data) for array, data in zip(arrays, flat, strict=True)])
    oracle.run(commands)
    return oracle


def check_on_host(cases: list[tuple[Gemm, Schedule]], folder: Path) -> None:
    """Every schedule's kernel, compiled for this machine, issues commands that compute its GEMM."""
    kernels = RecordedKernels([emit(gemm, schedule) for gemm, schedule in cases], folder)
    rng = np.random.default_rng(1)
    for number, (gemm, schedule) in enumerate(cases):
        a, b, d = inputs(gemm, rng)
        c = np.full((gemm.m, gemm.n), 0x5A, np.int8)
        arrays = [x for x in (a, b, d, c) if x is not None]
        play(kernels.commands(number, *(x.ctypes.data for x in arrays)), arrays)
        assert np.array_equal(c, expected(gemm, a, b, d)), (gemm, schedule)
