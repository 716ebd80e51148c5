"""The bound takes exponentials to be made as fast as engines can make them, and no faster."""

from __future__ import annotations

import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.trainium.families import operator_of
from autocomp_mcp.hardware_adapters.trainium.machines import machines
from autocomp_mcp.hardware_adapters.trainium.operators import bound
from nki_job import kernel, run_kernel

# By each engine as many as it makes in about a us.
MADE = {
    "scalar": "nisa.activation(dst={dst}, op=nl.exp, data=t[:, 0:{n}])\n",
    "vector": "nisa.tensor_scalar(dst={dst}, data=t[:, 0:{n}], op0=nl.power, operand0=2.718281828459045, reverse0=True, engine=nisa.engine.vector)\n",  # noqa: E501
    "gpsimd": "nisa.tensor_scalar(dst={dst}, data=t[:, 0:{n}], op0=nl.power, operand0=2.718281828459045, reverse0=True, engine=nisa.engine.gpsimd)\n",  # noqa: E501
    "exponential": "nisa.exponential(dst={dst}, src=t[:, 0:{n}])\n",
}
ENGINES = {
    "trn1": ("scalar", "gpsimd"),
    "trn2": ("scalar", "vector", "gpsimd"),
    "trn3": ("scalar", "exponential", "gpsimd"),
}


@pytest.mark.parametrize("name", ENGINES)
def test_exponentials_of_the_bound_can_be_made(name: str) -> None:
    machine = machines()[name]
    rates = {**machine.clocks_ghz, "exponential": 4 * machine.clocks_ghz["vector"]}
    numbers = {engine: round(1000 * rates[engine]) for engine in ENGINES[name]}
    body = f"t = nl.ndarray((128, {max(numbers.values())}), dtype=nl.float32)\nnisa.memset(dst=t, value=0.5)\n"
    for engine, n in numbers.items():
        body += f"{engine} = nl.ndarray((128, {n}), dtype=nl.float32)\n"
    body += "out = nl.ndarray((128, 1), dtype=nl.float32, buffer=nl.shared_hbm)\nfor i in range({times}):\n"
    for engine, n in numbers.items():
        body += "    " + MADE[engine].format(dst=engine, n=n)
    body += f"nisa.dma_copy(dst=out, src={ENGINES[name][0]}[:, 0:1])\nreturn out\n"

    def latency_ns(times: int) -> float:
        text = kernel(body.format(times=times))
        report, outputs = run_kernel(text, {"x": np.zeros((1, 1), np.float32)}, [("out", (128, 1), "float32")], name)
        assert np.allclose(outputs["out"], np.exp(0.5), rtol=1e-5), report["faults"]
        return report["schedule"]["latency_ns"]

    made, took_ns = 4 * sum(numbers.values()), latency_ns(8) - latency_ns(4)
    assert made / took_ns == pytest.approx(machine.exponentials_per_ns, rel=0.01)


def test_the_bound_says_what_it_counts() -> None:
    said = bound(operator_of("trainium/sdattention-4096x16"), machines()["trn2"])
    assert said.value == pytest.approx(4096**2 / 128 / (1.2 + 0.96 + 1.2), rel=0.01)
    assert "131072 exponentials per partition / 3.36 per ns" in said.reason


def test_states_of_few_channels_fill_the_partitions_too() -> None:
    assert operator_of("trainium/mamba-64x2048x16").exponentials == 64 * 2048 * 16 // 128
