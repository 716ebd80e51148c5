"""Correct kernels compute what they should, in all orders of threads, and none is accused of anything."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from cuda_right_kernels import RIGHT


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_kernel_passes(name, run_cuda):
    right = RIGHT[name]
    expected = right.expected()
    for order in (0, 1, 2):
        for trace in (False, True):
            run = run_cuda(
                right.source, right.dims, right.inputs, right.outputs, order=order, trace=trace, seed=order + 3
            )
            assert run.report.fault is None
            assert run.report.returned == 0
            assert not run.report.notes
            for output, values in expected.items():
                tolerance = 2e-3 if run.outputs[output].dtype == np.float16 else 1e-5
                np.testing.assert_allclose(
                    run.outputs[output].astype(np.float64), values, rtol=tolerance, atol=tolerance
                )


def test_there_are_enough_of_them():
    assert len(RIGHT) >= 12


@pytest.mark.slow
@pytest.mark.parametrize("name", RIGHT)
def test_it_is_real_cuda(name, tmp_path):
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc on PATH: whether the test's kernels are real CUDA was NOT checked")
    (tmp_path / "k.cu").write_text(RIGHT[name].source)
    command = [nvcc, "-std=c++17", "-arch=sm_89", "-c", "-o", "k.o", "k.cu"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
