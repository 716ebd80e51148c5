"""Rewrites: every variant is legal, correct, described, and reachable by single steps."""

import random

import pytest
from autocomp_mcp.hardware_adapters.base import UsageError
from autocomp_mcp.hardware_adapters.gemmini.emit import emit
from autocomp_mcp.hardware_adapters.gemmini.problems import Gemm
from autocomp_mcp.hardware_adapters.gemmini.rewrites import REWRITES
from autocomp_mcp.hardware_adapters.gemmini.schedule import baseline_schedule, layout, parse_line
from gemm_reference import check_on_host

options, rewrites, rewrite = REWRITES.options, REWRITES.rewrites, REWRITES.rewrite

SQUARE = "gemmini/gemm-512x512x512"
REQUIRED = [
    "larger-tile", "square-tile-for-reuse", "wide-loads", "separate-banks", "double-buffer-a", "double-buffer-b",
    "accumulator-ping-pong", "prefetch-next-tile", "interleave-loads-with-compute", "interleave-stores-with-compute",
    "keep-b-resident", "keep-a-resident", "keep-panel-resident", "loop-order", "overwrite-first", "weight-reuse",
    "fewer-fences", "hoist-config", "separate-load-ids", "unroll-inner", "unroll-k", "pointer-increments",
    "strip-edge-checks", "contiguous-inner-order", "wide-stores", "k-tile-depth",
]  # fmt: skip


def baseline(problem: str) -> str:
    gemm = Gemm.of(problem)
    return emit(gemm, baseline_schedule(gemm))


def test_every_promised_option_has_rewrites_somewhere():
    assert set(REQUIRED) <= set(options())
    rng = random.Random(1)
    reached = set()
    for problem in ("gemmini/gemm-256x256x256", "gemmini/gemm-200x136x150"):
        source = baseline(problem)
        for _ in range(25):
            available = [(o, r.name) for o in options() for r in rewrites(problem, source, o)]
            reached |= {option for option, _ in available}
            source = rewrite(problem, source, *rng.choice(available))
    assert set(REQUIRED) <= reached


@pytest.mark.parametrize("problem", [SQUARE, "gemmini/gemm-77x130x200-bias-relu", "gemmini/gemm-1x1x1"])
def test_variants_are_legal_distinct_and_deterministic(problem):
    source = baseline(problem)
    for option in options():
        found = rewrites(problem, source, option)
        assert found == rewrites(problem, source, option)
        assert len({r.name for r in found}) == len(found)
        texts = [rewrite(problem, source, option, r.name) for r in found]
        assert len({source, *texts}) == len(texts) + 1
        for text in texts:
            layout(Gemm.of(problem), parse_line(text))
        for r in found:
            assert 10 < len(r.summary) < 250


def test_random_walks_stay_correct(tmp_path):
    rng = random.Random(5)
    cases = []
    for problem in ("gemmini/gemm-96x64x128", "gemmini/gemm-77x130x100", "gemmini/gemm-64x80x48-biasmat-relu-shift3"):
        source = baseline(problem)
        for step in range(12):
            available = [(o, r.name) for o in options() for r in rewrites(problem, source, o)]
            source = rewrite(problem, source, *rng.choice(available))
            if step % 2:
                cases.append((Gemm.of(problem), parse_line(source)))
    check_on_host(cases, tmp_path)


def test_a_variant_says_what_else_it_changes():
    source = baseline(SQUARE)
    (hoist,) = rewrites(SQUARE, source, "hoist-config")
    assert "load ids" in hoist.summary
    wide = rewrites(SQUARE, source, "wide-loads")[0]
    assert "tj=64" in wide.summary
    assert parse_line(rewrite(SQUARE, source, "wide-loads", wide.name)).tk == 64


def test_concessions_are_named():
    """A C tile of 128x128 fills the accumulator, so that a second one needs smaller tiles."""
    gemm = Gemm.of(SQUARE)
    source = emit(gemm, baseline_schedule(gemm).with_(ti=128, tj=128))
    (twice,) = rewrites(SQUARE, source, "accumulator-ping-pong")
    assert twice.summary.endswith("(tile reduced to tj=64 to fit)")
    made = parse_line(rewrite(SQUARE, source, "accumulator-ping-pong", twice.name))
    assert (made.ti, made.tj, made.c_buffers) == (128, 64, 2)


def test_nothing_for_edited_or_foreign_sources():
    source = baseline(SQUARE)
    edited = source.replace("fence();", "")
    for text in (edited, "void solution(void) {}", source.partition("\n")[2]):
        assert all(rewrites(SQUARE, text, option) == [] for option in options())
    assert rewrites(SQUARE, source, "no-such-option") == []
    assert rewrites("gemmini/conv-8x8x16x16-k3-s1-p0", source, "larger-tile") == []
    with pytest.raises(UsageError, match="overwrite"):
        rewrite(SQUARE, source, "overwrite-first", "nonsense")


def test_comments_do_not_hide_a_schedule():
    source = baseline(SQUARE)
    first, _, rest = source.partition("\n")
    assert rewrites(SQUARE, f"{first}\n// a remark\n{rest}", "overwrite-first")
