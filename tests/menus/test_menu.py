"""The menu loader: what it refuses and where it says so, selection, sampling; and the Gemmini menu itself."""

from pathlib import Path
from random import Random

import pytest
from autocomp_mcp.hardware_adapters.base import ProblemSummary
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.menus.menu import MenuFileError, UnknownNameError, load_menu, read_menu, targets
from hypothesis import given
from hypothesis import strategies as st

GEMMINI = load_menu("gemmini")

SMALL = """\
target: toy
families:
  gemm: "a matrix product"
  conv: "a convolution"
bottlenecks:
  load_bound: "the array waits for loads"
  fence: "the CPU waits in fences"
options:
  - id: first
    title: Do the first thing
    families: [gemm]
    triggers: [fence]
    when: Fences are in the loop.
    how: Remove the fences.
    preconditions: Nothing reads the result early.
    example: |
      fence();
    effect: Fewer cycles than before.
    provenance: Made up for this test.
  - id: second
    title: Do the second thing
    families: [gemm, conv]
    triggers: [load_bound]
    when: Loads are narrow ones.
    how: Make the loads wide.
    preconditions: Rows are long enough.
    example: |
      mvin(A, 0, 64, 16);
    effect: A quarter of the commands.
    provenance: Made up for this test.
"""


def refusal(tmp_path: Path, text: str) -> MenuFileError:
    path = tmp_path / "toy.yaml"
    path.write_text(text)
    with pytest.raises(MenuFileError) as caught:
        read_menu(path)
    assert str(caught.value).startswith(f"{path}:{caught.value.line}: ")
    return caught.value


def line_of(text: str, fragment: str, occurrence: int = 1) -> int:
    """Number, from 1, of the n-th line that contains the fragment."""
    return [number for number, line in enumerate(text.splitlines(), 1) if fragment in line][occurrence - 1]


def test_a_good_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "toy.yaml"
    path.write_text(SMALL)
    menu = read_menu(path)
    assert menu.target == "toy"
    assert [option.id for option in menu.options] == ["first", "second"]
    assert menu.get("second").families == ("gemm", "conv")
    assert menu.get("second").example == "mvin(A, 0, 64, 16);"


def test_duplicate_id(tmp_path: Path) -> None:
    text = SMALL.replace("id: second", "id: first")
    error = refusal(tmp_path, text)
    assert error.line == line_of(text, "id: first", 2)
    assert f"'first' is already used on line {line_of(text, 'id: first')}" in error.problem


@pytest.mark.parametrize(
    ("old", "new", "at", "says"),
    [
        ("    how: Remove the fences.", "    hw: Remove the fences.", "id: first", "field 'how': Field required"),
        ("    how: Remove the fences.\n", "    how: Remove the fences.\n    cost: 3\n", "cost: 3", "'cost'"),
        ("triggers: [fence]", "needs: [bias]", "needs: [bias]", "'bias' is unknown; declared: "),
        ("triggers: [fence]", "triggers: [fences]", "triggers: [fences]", "'fences' is unknown; declared: load_bound"),
        ("families: [gemm, conv]", "families: [gemm, pool]", "families: [gemm, pool]", "'pool' is unknown"),
        ("families: [gemm]", "families: []", "families: []", "at least 1 item"),
        ("id: first", "id: The First", "id: The First", "option 'The First', field 'id'"),
        ("how: Remove the fences.", "how: Go.", "how: Go.", "at least 10 characters"),
        ("title: Do the first thing", "title: [a, b]", "title: [a, b]", "valid string"),
        ("target: toy\n", "", "families:", "target: Field required"),
        ('conv: "a convolution"', 'gemm: "a convolution"', "a convolution", "'gemm' is given twice; first on line 3"),
    ],
)
def test_a_wrong_field_is_named_with_its_line(tmp_path: Path, old: str, new: str, at: str, says: str) -> None:
    text = SMALL.replace(old, new, 1)
    assert text != SMALL
    error = refusal(tmp_path, text)
    assert (error.line, says in error.problem) == (line_of(text, at), True), str(error)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("target: toy\nfamilies: {gemm: x\noptions: [", 3),
        ("target: toy\n\tfamilies: x", 2),
        ("a: b: c", 1),
        ("", 1),
        ("- just\n- a list\n", 1),
        ("target: &t\n  again: *t\n", 1),
    ],
)
def test_broken_yaml_is_an_error_with_a_line(tmp_path: Path, text: str, line: int) -> None:
    assert refusal(tmp_path, text).line == line


def test_a_missing_or_binary_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MenuFileError, match="cannot be read"):
        read_menu(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MenuFileError, match="cannot be read"):
        read_menu(tmp_path / "binary.yaml")


def test_unknown_names_help() -> None:
    with pytest.raises(UnknownNameError, match="unknown target 'gemini'; known: gemmini, nvidia, trainium"):
        load_menu("gemini")
    with pytest.raises(UnknownNameError, match=r"did you mean.*wide-loads"):
        GEMMINI.get("wide-load")
    with pytest.raises(UnknownNameError, match="operator family 'rmsnorm'; known: conv, gemm"):
        GEMMINI.select(family="rmsnorm")
    with pytest.raises(UnknownNameError, match=r"bottleneck 'bank_conflict'.*bank_conflict_acc"):
        GEMMINI.select(bottlenecks=["bank_conflict"])


# ---------------------------------------------------------------- selection


def test_selection_by_family() -> None:
    gemm = GEMMINI.select(family="gemm")
    assert {option.id for option in gemm} == {option.id for option in GEMMINI.options if "gemm" in option.families}
    assert "conv-input-band" not in {option.id for option in gemm}
    assert GEMMINI.select() == list(GEMMINI.options)


def test_options_that_a_problem_has_no_use_for_are_left_out() -> None:
    everything = {option.id for option in GEMMINI.select("gemm")}
    assert {option.id for option in GEMMINI.select("gemm", traits=None)} == everything
    assert everything - {option.id for option in GEMMINI.select("gemm", traits=["ragged", "a_fits"])} == {
        "bias-row-broadcast", "keep-b-resident", "split-k",
    }  # fmt: skip
    assert GEMMINI.addressing(["load_bound"], "gemm", ["bias_row"])["load_bound"].count("bias-row-broadcast") == 1
    assert "bias-row-broadcast" not in GEMMINI.addressing(["load_bound"], "gemm", [])["load_bound"]


@pytest.mark.parametrize("summary", GemminiAdapter().problems(), ids=lambda summary: summary.id)
def test_a_problem_has_traits_that_the_menu_declares_and_loses_no_rewrite_by_them(summary: ProblemSummary) -> None:
    adapter = GemminiAdapter()
    problem, baseline = adapter.problem(summary.id), adapter.baseline(adapter.problem(summary.id))
    assert problem.traits is not None and set(problem.traits) <= set(GEMMINI.traits)
    fitting = GEMMINI.select(problem.family, traits=problem.traits)
    useless = [option for option in GEMMINI.select(problem.family) if option not in fitting]
    assert {o.id: [r.name for r in adapter.rewrites(problem, baseline, o.id)] for o in useless} == {
        o.id: [] for o in useless
    }


def test_selection_puts_the_costliest_bottleneck_first() -> None:
    chosen = GEMMINI.select(bottlenecks=["fence", "config_drain"])
    assert set(chosen) == set(GEMMINI.options)
    ranks = [0 if "fence" in o.triggers else 1 if "config_drain" in o.triggers else 2 for o in chosen]
    assert ranks == sorted(ranks)
    assert {0, 1, 2} == set(ranks)
    # Within one rank the menu's own order stays.
    order = {option.id: place for place, option in enumerate(GEMMINI.options)}
    last = [order[option.id] for option, rank in zip(chosen, ranks, strict=True) if rank == 2]
    assert last == sorted(last)


# ---------------------------------------------------------------- sampling

OPTIONS = st.lists(st.sampled_from(GEMMINI.options), min_size=1, unique_by=lambda option: option.id)


@given(seed=st.integers(), drop=st.floats(0, 1), options=OPTIONS)
def test_a_sample_is_never_empty_and_keeps_the_order(seed: int, drop: float, options: list) -> None:
    kept = GEMMINI.sample(Random(seed), drop, options)
    assert kept
    assert kept == [option for option in options if option in kept]


@given(seed=st.integers(), drop=st.floats(0, 1))
def test_a_sample_is_decided_by_the_generator(seed: int, drop: float) -> None:
    assert GEMMINI.sample(Random(seed), drop) == GEMMINI.sample(Random(seed), drop)


@given(seed=st.integers(), options=OPTIONS)
def test_drop_0_keeps_all_and_drop_1_keeps_one(seed: int, options: list) -> None:
    assert GEMMINI.sample(Random(seed), 0, options) == options
    assert len(GEMMINI.sample(Random(seed), 1, options)) == 1


def test_drop_is_a_probability() -> None:
    rng = Random(0)
    mean = sum(len(GEMMINI.sample(rng, 0.7)) for _ in range(400)) / 400
    assert mean == pytest.approx(0.3 * len(GEMMINI.options), rel=0.05)
    survivors = {GEMMINI.sample(rng, 1)[0].id for _ in range(2000)}
    assert survivors == {option.id for option in GEMMINI.options}  # the one that stays is drawn evenly


@pytest.mark.parametrize("drop", [-0.1, 1.1, float("nan")])
def test_a_drop_outside_0_to_1_is_refused(drop: float) -> None:
    with pytest.raises(ValueError, match="probability"):
        GEMMINI.sample(Random(0), drop)
    with pytest.raises(ValueError, match="no options"):
        GEMMINI.sample(Random(0), 0.5, [])


# ---------------------------------------------------------------- the Gemmini menu

# Rewrites, prompts and journals refer to these ids: an id may be added, never renamed.
STABLE_IDS = [
    "larger-tile",
    "square-tile-for-reuse",
    "wide-loads",
    "separate-banks",
    "double-buffer-a",
    "double-buffer-b",
    "accumulator-ping-pong",
    "prefetch-next-tile",
    "interleave-loads-with-compute",
    "interleave-stores-with-compute",
    "keep-b-resident",
    "keep-a-resident",
    "keep-panel-resident",
    "loop-order",
    "overwrite-first",
    "weight-reuse",
    "fewer-fences",
    "hoist-config",
    "separate-load-ids",
    "unroll-inner",
    "unroll-k",
    "pointer-increments",
    "strip-edge-checks",
    "contiguous-inner-order",
    "wide-stores",
    "k-tile-depth",
    "aligned-rows",
    "early-store",
    "constant-addresses",
    "block-stride-placement",
    "split-k",
    "zero-free-padding",
    "fuse-epilogue",
]
BOTTLENECKS = [
    "load_bound",
    "store_bound",
    "issue_bound",
    "dependency",
    "bank_conflict_spad",
    "weights_alone",
    "bank_conflict_acc",
    "config_drain",
    "fence",
    "dram_bound",
    "reload_traffic",
    "array_bound",
    "startup",
    "accumulator_zero_fill",
    "array_unused",
]


def test_gemmini_has_every_stable_id() -> None:
    assert set(STABLE_IDS) <= {option.id for option in GEMMINI.options}
    assert targets() == ["gemmini", "nvidia", "trainium"]


def test_gemmini_declares_every_bottleneck_and_addresses_each() -> None:
    assert list(GEMMINI.bottlenecks) == BOTTLENECKS
    assert {trigger for option in GEMMINI.options for trigger in option.triggers} == set(BOTTLENECKS)


def test_every_family_has_an_answer_to_reloads() -> None:
    for family in GEMMINI.families:
        assert any("reload_traffic" in option.triggers for option in GEMMINI.select(family)), family


def test_gemmini_options_fit_a_prompt() -> None:
    """A listing shows four fields of every option, a plan shows one option whole."""
    for family in GEMMINI.families:
        options = GEMMINI.select(family)
        assert sum(len(option.id + option.title + option.when + option.effect) for option in options) < 12_000, family
    assert max(len(option.model_dump_json()) for option in GEMMINI.options) < 2_500


def test_gemmini_effects_carry_figures() -> None:
    for option in GEMMINI.options:
        assert any(character.isdigit() for character in option.effect), option.id
        assert option.triggers, option.id
