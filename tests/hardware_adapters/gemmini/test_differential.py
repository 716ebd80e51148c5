"""gemsim against the NumPy oracle: random legal command streams must leave the same bytes everywhere."""

from functools import partial

import anyio
import pytest
from autocomp_mcp.hardware_adapters.gemmini.gemsim import simulator
from autocomp_mcp.hardware_adapters.gemmini.toolchain import compile_kernel, cross_compiler
from autocomp_mcp.hardware_adapters.store import Home
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replay import REPLAY, difference, first_difference, replay, simulated_stream


@pytest.fixture(scope="module")
def machine(tmp_path_factory, make_home):
    """(check, folder): runs streams on the simulator and fails with the first command that differs."""
    home = Home(make_home(tmp_path_factory.mktemp("differential") / "home"))
    gemsim = anyio.run(simulator, home)
    compiled = anyio.run(compile_kernel, home, cross_compiler(), REPLAY)
    assert compiled.program is not None, compiled.compilation.diagnostics
    return partial(compare, gemsim, compiled.program, tmp_path_factory.mktemp("streams"))


def compare(gemsim, kernel, folder, streams):
    for stream, got in zip(streams, replay(gemsim, kernel, streams, folder), strict=True):
        if difference(stream, got):
            pytest.fail(first_difference(gemsim, kernel, stream, folder))


def test_two_hundred_streams(machine):
    machine([simulated_stream(seed, 12 + seed % 60) for seed in range(200)])


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2**40), st.integers(1, 80)), min_size=1, max_size=16))
def test_drawn_streams(machine, drawn):
    machine([simulated_stream(seed, length) for seed, length in drawn])


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
def test_ten_thousand_streams(machine, part):
    machine([simulated_stream(1_000_000 + 500 * part + n, 20 + n % 60) for n in range(500)])
