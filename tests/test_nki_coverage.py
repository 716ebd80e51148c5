"""The measurement of public NKI kernels: its manifest, and published optimisation traces taken apart."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
import nki_coverage
import nki_manifest
import nki_sources
import nki_traces

KERNEL = """@nki.jit
def test(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.load(x)
    nl.store(out, nl.multiply(t, {factor}))
    return out
"""
TRACE = (
    "CodeCandidate(parent=CodeCandidate(parent=CodeCandidate(parent=None, plan=None,\ncode='''{0}''',\nscore=2.5,"
    " model='a'),\nplan='''a (plan)''', code='''{1}''', score=1, model='b'), plan='p', code='''{2}''', score=0.5)\n"
)
MANIFEST = """
collections: {mine: {repository: a/b, commit: c, folder: b}}
groups: [{collection: mine, folder: traces, preamble: nki1, machine: trn1, entry: test, trace: trn1}]
kernels:
  traces:
    - file: k_trace.py
      arguments: {x: [float32, [128, 64]]}
      reference: 3 * x
      tolerance: [0.0, 1.0e-6]
      scale: 10
      numbers: {1: {scale: 20, replace: [["multiply(t, 3.0", "multiply(t, 3.0)"]]}}
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A collection with one trace: right, right once it is repaired, wrong."""
    lacking = KERNEL.format(factor="3.0").replace("3.0)", "3.0", 1)
    kernels = (KERNEL.format(factor="3.0"), lacking, KERNEL.format(factor="4.0"))
    (tmp_path / "b" / "traces").mkdir(parents=True)
    (tmp_path / "b" / "traces" / "k_trace.py").write_text(TRACE.format(*kernels))
    (tmp_path / "manifest.yaml").write_text(MANIFEST)
    monkeypatch.setattr(nki_manifest, "MANIFEST", tmp_path / "manifest.yaml")
    return tmp_path


def test_a_trace_is_taken_apart_from_its_first_kernel_to_its_last() -> None:
    found = nki_traces.traced(TRACE.format("first", "second", "third"))
    assert found == [("first", 2.5), ("second", 1.0), ("third", 0.5)]


def test_what_is_no_candidate_is_not_taken() -> None:
    assert nki_traces.traced("Other(code='x', score=1.0)\nCodeCandidate(code='x')\nCodeCandidate('x', 1.0)\n") == []


def test_a_repair_must_fit_exactly_once() -> None:
    assert nki_traces.replaced("a b a", [["b", "c"]]) == "a c a"
    for pair in (["a", "c"], ["x", "c"]):
        with pytest.raises(ValueError, match="times in the text"):
            nki_traces.replaced("a b a", [pair])


def test_rank_correlation() -> None:
    assert nki_traces.rank_correlation([3.0, 2.0, 1.0], [30.0, 21.0, 20.0]) == pytest.approx(1.0)
    assert nki_traces.rank_correlation([3.0, 2.0, 1.0], [1.0, 2.0, 3.0]) == pytest.approx(-1.0)
    # by hand: ranks 1 2 3 4 and 1.5 1.5 3 4
    assert nki_traces.rank_correlation([1.0, 2.0, 3.0, 4.0], [5.0, 5.0, 6.0, 7.0]) == pytest.approx(
        4.5 / math.sqrt(22.5)
    )
    assert math.isnan(nki_traces.rank_correlation([1.0, 2.0], [1.0, 1.0]))


def test_kernels_of_a_trace_get_their_scores_and_facts_of_their_own(mine: Path) -> None:
    (entry,) = nki_manifest.kernels(mine)
    found = list(nki_manifest.texts(entry))
    assert [kernel.measured_ms for kernel in found] == [2.5, 1.0, 0.5]
    assert [kernel.facts["scale"] for kernel in found] == [10, 20, 10]
    assert found[0].text == found[1].text and found[1].text == KERNEL.format(factor="3.0")
    assert [kernel.name[-8:] for kernel in found] == ["[0]:test", "[1]:test", "[2]:test"]


def test_latencies_stand_beside_estimates_of_the_whole_shape(
    mine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["nki_coverage.py", str(mine), "--latencies"])
    nki_coverage.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:3]] == [["right", "nki1"], ["right", "nki1"], ["wrong", "nki1"]]
    at = lines.index("mine/traces/k_trace.py, 3 of 3 estimated")
    published, estimate = (line.split()[1:] for line in lines[at + 1 : at + 3])
    assert published == ["2.500", "1.000", "0.500"]
    # one kernel thrice, but for a constant; rounded to three digits of a ms before and after
    assert float(estimate[1]) == pytest.approx(2 * float(estimate[0]), abs=0.002) and float(estimate[0]) > 0
    assert estimate[2] == estimate[0]
    assert lines[at + 3].startswith("  rank correlation ")
    assert lines[at + 4].startswith("  first ") and lines[at + 5].startswith("  last ")


def test_what_cannot_be_read_is_an_error_of_its_own(
    mine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (mine / "b" / "traces" / "k_trace.py").unlink()
    monkeypatch.setattr(sys, "argv", ["nki_coverage.py", str(mine), "--latencies"])
    nki_coverage.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("error") and "FileNotFoundError" in lines[0]


def test_a_file_of_an_older_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "b"
    root.mkdir()

    def git(*arguments: str) -> str:
        who = ("-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", "-C", str(root), *who, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    git("init", "-q")
    (root / "k.py").write_text("first")
    git("add", "k.py")
    git("commit", "-q", "-m", "1")
    commit = git("rev-parse", "HEAD")
    (root / "k.py").write_text("second")
    kernel = nki_manifest.Kernel("g", root, root / "k.py", {"file": "k.py", "commit": commit})
    assert [each.text for each in nki_manifest.texts(kernel)] == ["first"]
    lost = kernel._replace(facts={"file": "k.py", "commit": "0" * 40})
    with pytest.raises(OSError, match="git show"):
        list(nki_manifest.texts(lost))


def test_names_that_a_file_lacks_come_from_its_helpers(tmp_path: Path) -> None:
    (tmp_path / "k.py").write_text("@nki.jit\ndef solution(x):\n    return up(x, 2)\n")
    (tmp_path / "h.py").write_text(
        "import torch\n\ndef up(n, d):\n    return low(n) // d\n\ndef low(n):\n    return n\n"
    )
    found = nki_sources.source_of(tmp_path / "k.py", "solution", "nki1", None, tmp_path / "h.py")
    assert found.version == "nki1" and "torch" not in found.text
    assert found.text.index("def low") < found.text.index("def up") < found.text.index("def solution")


def test_the_manifest_names_traces_and_their_machine() -> None:
    found = [kernel for kernel in nki_manifest.kernels(Path("nowhere")) if kernel.facts.get("trace")]
    assert len(found) == 5
    for kernel in found:
        assert kernel.facts["machine"] == kernel.facts["trace"] == "trn1", kernel.name
        assert ("scale" in kernel.facts) <= ("reduced" in kernel.facts), kernel.name
        for facts in kernel.facts.get("numbers", {}).values():
            assert all(len(pair) == 2 for pair in facts.get("replace", [])), kernel.name
