"""gemsim against the NumPy oracle: random legal command streams must leave the same bytes everywhere."""

from functools import partial

import anyio
import pytest
from autocomp_mcp.hardware_adapters.gemmini.gemsim import simulator
from autocomp_mcp.hardware_adapters.gemmini.toolchain import compile_kernel, cross_compiler
from autocomp_mcp.hardware_adapters.store import Home
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from refused_commands import REFUSED
from replay import REPLAY, SIMULATED_FEATURES, difference, first_difference, replay, simulated_stream


@pytest.fixture(scope="module")
def runner(tmp_path_factory, make_home):
    """gemsim, the replaying kernel, and a folder for them."""
    home = Home(make_home(tmp_path_factory.mktemp("differential") / "home"))
    gemsim = anyio.run(simulator, home)
    compiled = anyio.run(compile_kernel, home, cross_compiler(), REPLAY)
    assert compiled.program is not None, compiled.compilation.diagnostics
    return gemsim, compiled.program, tmp_path_factory.mktemp("streams")


@pytest.fixture(scope="module")
def machine(runner):
    """Runs streams on the simulator and fails with the first command that differs."""
    return partial(compare, *runner)


def compare(gemsim, kernel, folder, streams):
    for stream, got in zip(streams, replay(gemsim, kernel, streams, folder), strict=True):
        if difference(stream, got):
            pytest.fail(first_difference(gemsim, kernel, stream, folder))


@pytest.mark.parametrize("part", [*range(4), *(pytest.param(part, marks=pytest.mark.slow) for part in range(4, 20))])
def test_ten_thousand_streams(machine, part):
    machine([simulated_stream(500 * part + n, 12 + n % 60) for n in range(500)])


def test_what_the_contract_refuses(runner):
    """gemsim stops where the oracle does, with a fault of the kernel and no answer."""
    cases = {name: case for name, case in REFUSED.items() if case.feature in {None, *SIMULATED_FEATURES}}
    gemsim, kernel, folder = runner
    faults = replay(gemsim, kernel, [case.stream() for case in cases.values()], folder)
    accepted = {name for name, fault in zip(cases, faults, strict=True) if not isinstance(fault, str)}
    assert not accepted


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2**40), st.integers(1, 80)), min_size=1, max_size=16))
def test_drawn_streams(machine, drawn):
    machine([simulated_stream(seed, length) for seed, length in drawn])
