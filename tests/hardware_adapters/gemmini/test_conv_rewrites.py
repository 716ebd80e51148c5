"""Menu options applied to convolutions: mechanical, legal, and a way from the naive kernel to a fast one."""

from __future__ import annotations

import anyio
import pytest
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.hardware_adapters.gemmini.conv import Conv
from autocomp_mcp.hardware_adapters.gemmini.conv_schedule import layout, parse_line
from autocomp_mcp.hardware_adapters.gemmini.conv_variants import OPTIONS
from autocomp_mcp.hardware_adapters.gemmini.rewrites import REWRITES
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.menus.menu import load_menu

options, rewrites, rewrite = REWRITES.options, REWRITES.rewrites, REWRITES.rewrite

# One option after the other; each has to pay by itself, within a little.
PATH = (
    ("conv-input-band", "band-4x16"),
    ("wide-loads", "both-32"),
    ("weight-reuse", "reuse-qkj"),
    ("pointer-increments", "operands"),
    ("interleave-loads-with-compute", "both"),
    ("interleave-stores-with-compute", "spread"),
    ("keep-b-resident", "whole"),
    ("overwrite-first", "overwrite"),
    ("separate-banks", "banked"),
    ("conv-first-taps", "taps"),
)
PROBLEM = "gemmini/conv-32x32x32x32-k3-s1-p1-relu-shift6"


@pytest.fixture(scope="module")
def adapter(tmp_path_factory, make_home):
    return GemminiAdapter(Home(make_home(tmp_path_factory.mktemp("conv") / "home")))


def test_single_rewrites_lead_to_a_fast_kernel(adapter):
    problem = adapter.problem(PROBLEM)
    source = adapter.baseline(problem)
    first = best = anyio.run(adapter.evaluate, problem, source)
    assert first.passed
    for option, variant in PATH:
        names = [rewrite.name for rewrite in adapter.rewrites(problem, source, option)]
        variant = variant if variant in names or not variant.startswith("band") else names[0]
        assert variant in names, (option, names)
        source = adapter.rewrite(problem, source, option, variant)
        evaluation = anyio.run(adapter.evaluate, problem, source)
        assert evaluation.passed, (option, evaluation.message)
        assert evaluation.latency.value < 1.03 * best.latency.value, option
        best = evaluation
    assert best.latency.value * 3 < first.latency.value


@pytest.mark.parametrize(
    "problem", [PROBLEM, "gemmini/conv-9x13x24x40-k3-s2-p1-n2-bias", "gemmini/conv-7x7x64x48-k3-s1-p1"]
)
def test_every_variant_is_a_kernel_of_its_own_with_a_schedule_that_fits(adapter, problem):
    conv = Conv.of(problem)
    source = adapter.baseline(adapter.problem(problem))
    for step in ("conv-input-band", "weight-reuse", "interleave-loads-with-compute", "conv-output-pixels"):
        for option in OPTIONS:
            found = rewrites(problem, source, option)
            texts = [rewrite(problem, source, option, variant.name) for variant in found]
            assert len({source, *texts}) == len(texts) + 1
            for text in texts:
                layout(conv, parse_line(text))  # raises if it does not fit
        choices = rewrites(problem, source, step)
        if choices:
            source = rewrite(problem, source, step, choices[0].name)


@pytest.mark.parametrize("problem", [PROBLEM, "gemmini/conv-9x9x48x32-k3-s2-p1-n2-bias"])
def test_whole_plans_are_right_and_fast_at_once(adapter, problem):
    problem = adapter.problem(problem)
    source = adapter.baseline(problem)
    first = anyio.run(adapter.evaluate, problem, source)
    found = adapter.rewrites(problem, source, "conv-whole-plan")
    assert len(found) > 1
    for choice in found[:3]:
        kernel = adapter.rewrite(problem, source, "conv-whole-plan", choice.name)
        evaluation = anyio.run(adapter.evaluate, problem, kernel)
        assert evaluation.passed, (choice.name, evaluation.message)
        assert evaluation.latency.value * 2 < first.latency.value


def test_a_plan_leaves_the_rest_of_a_pipelined_kernel_alone(adapter):
    problem = adapter.problem(PROBLEM)
    plans = adapter.rewrites(problem, adapter.baseline(problem), "conv-whole-plan")
    source = adapter.rewrite(problem, adapter.baseline(problem), "conv-whole-plan", plans[0].name)
    by_row = adapter.rewrite(problem, source, "conv-moves-per-row", "rows")
    for other in adapter.rewrites(problem, by_row, "conv-whole-plan"):
        changed = parse_line(adapter.rewrite(problem, by_row, "conv-whole-plan", other.name))
        assert changed.slots == "rows"
        assert set(changed.model_dump().items()) ^ set(parse_line(by_row).model_dump().items())
    back = adapter.rewrite(problem, by_row, "conv-moves-per-row", "groups")
    assert parse_line(back) == parse_line(source)


def test_options_are_in_the_menu_for_convolutions():
    known = {option.id for option in load_menu("gemmini").options if "conv" in option.families}
    assert set(OPTIONS) <= known
    assert set(OPTIONS) <= set(options())


def test_an_edited_kernel_has_no_rewrites(adapter):
    source = adapter.baseline(adapter.problem(PROBLEM))
    assert rewrites(PROBLEM, source, "conv-input-band")
    assert rewrites(PROBLEM, source.replace("fence();", ""), "conv-input-band") == []
