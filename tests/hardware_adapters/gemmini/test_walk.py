"""The rewrites lead, one at a time, from the naive kernel to a fast one, by the simulator's own measure."""

import anyio
import pytest
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.hardware_adapters.store import Home

SQUARE = (
    ("larger-tile", "128x64x64"),
    ("separate-banks", "banked"),
    ("wide-loads", "both-64"),
    ("interleave-loads-with-compute", "both"),
    ("overwrite-first", "overwrite"),
    ("interleave-stores-with-compute", "spread-64"),
    ("fewer-fences", "fences-none"),
)
THIN = (
    ("larger-tile", "128x64x64"),
    ("separate-banks", "banked"),
    ("wide-loads", "both-64"),
    ("keep-b-resident", "whole"),
    ("interleave-stores-with-compute", "spread-64"),
    ("interleave-loads-with-compute", "both"),
    ("overwrite-first", "overwrite"),
    ("fewer-fences", "fences-none"),
)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory, make_home):
    return GemminiAdapter(Home(make_home(tmp_path_factory.mktemp("walk") / "home")))


@pytest.mark.parametrize(
    ("problem_id", "path"), [("gemmini/gemm-512x512x512", SQUARE), ("gemmini/gemm-1024x128x256", THIN)]
)
def test_single_rewrites_lead_to_a_fast_kernel(adapter, problem_id, path):
    problem = adapter.problem(problem_id)
    source = adapter.baseline(problem)
    first = anyio.run(adapter.evaluate, problem, source)
    assert first.passed
    assert 0.08 < first.utilisation < 0.2
    evaluations = [first]
    for option, variant in path:
        assert variant in [rewrite.name for rewrite in adapter.rewrites(problem, source, option)], option
        source = adapter.rewrite(problem, source, option, variant)
        evaluation = anyio.run(adapter.evaluate, problem, source)
        assert evaluation.passed, (option, evaluation.message)
        assert evaluation.latency.value < 1.02 * evaluations[-1].latency.value, option
        evaluations.append(evaluation)
    assert evaluations[-1].utilisation > 0.85
