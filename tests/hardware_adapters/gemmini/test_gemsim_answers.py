"""Jobs and answers of the simulator as text: layout of the operands, and refusal of answers that make no sense."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.base import EngineFailure
from autocomp_mcp.hardware_adapters.gemmini.gemm_operator import GemmOperator
from autocomp_mcp.hardware_adapters.gemmini.gemsim import (
    BUFFER_BASE,
    GUARD_BYTES,
    WARM_BELOW_CYCLES,
    Call,
    Case,
    JobCase,
    engine_version,
    job_cases,
    job_text,
    read_answer,
    read_profile,
)
from autocomp_mcp.hardware_adapters.gemmini.inputs import input_sets
from autocomp_mcp.hardware_adapters.process import Finished
from autocomp_mcp.hardware_adapters.simulating import generator
from hypothesis import given, settings
from hypothesis import strategies as st

CALL = {"cycles": 100, "instret": 12, "commands": 0, "counters": {"mvin": 1}}
ANSWER = {
    "version": "gemsim 1",
    "cases": [{"name": "full", "mode": "timed", "calls": [CALL, CALL], "status": "ok", "fault": None}],
}


def said(stdout: str, **other: Any) -> Finished:
    return Finished(0, stdout, "", False, False)._replace(**other)


@given(
    st.builds(GemmOperator, *[st.integers(1, 300)] * 3, st.sampled_from([None, "bias"]), st.booleans(), st.just(0)),
    st.integers(0, 99),
)
@settings(deadline=None, max_examples=30)
def test_operands_are_aligned_and_apart(gemm: GemmOperator, seed: int) -> None:
    rng = generator("p", "k", seed)
    sets = input_sets(gemm, rng)
    cases = job_cases(gemm.tensors, sets, rng)
    assert cases[0].buffers[0].address == BUFFER_BASE
    assert BUFFER_BASE % 4096 == 0
    assert [case.calls for case in cases] == [2, 2, 1]
    for case in cases:
        assert [buffer.name for buffer in case.buffers] == [tensor.name for tensor in gemm.tensors]
        for before, after in zip(case.buffers, case.buffers[1:], strict=False):
            assert after.address % 64 == 0
            assert after.address >= before.address + before.bytes + GUARD_BYTES
    assert len({case.buffers[0].address for case in cases}) > 1


def test_a_job_reads_as_specified() -> None:
    gemm = GemmOperator(2, 3, 4)
    sets = input_sets(gemm, generator("p", "k", 0))[:1]
    cases = job_cases(gemm.tensors, sets, np.random.default_rng(0))
    assert job_text(cases, 10, profile=True, timeline=True) == (
        "elf kernel.elf\nentry solution\nlimit-instructions 10\nlimit-cycles 160\nrepeat-below 1000000\n"
        "profile profile.json\ntimeline timeline.json\n"
        "case full timed\nbuffer A 0x90000000 8 input full.A\nbuffer B 0x90000080 12 input full.B\n"
        "buffer C 0x90000100 6 output full.C\ncalls 2\n"
    )


def test_a_sound_answer_is_read() -> None:
    answer = read_answer(said(json.dumps(ANSWER)), ["full"])
    assert answer.cases[0].calls[0].cycles == 100
    assert answer.cases[0].calls[0].counters == {"mvin": 1}


def test_a_case_without_all_its_calls_is_no_answer() -> None:
    call = Call(cycles=100, instret=1, commands=1)
    long = Call(cycles=WARM_BELOW_CYCLES, instret=1, commands=1)
    timed, functional = JobCase("full", True, ()), JobCase("sparse", False, ())
    assert timed.complete(Case(name="full", status="ok", calls=(call, call)))
    assert timed.complete(Case(name="full", status="ok", calls=(long,)))
    assert not timed.complete(Case(name="full", status="ok", calls=(call,)))
    assert not functional.complete(Case(name="sparse", status="ok", calls=(call,)))


def changed(**case: Any) -> str:
    return json.dumps({**ANSWER, "cases": [{**ANSWER["cases"][0], **case}]})  # type: ignore[index]


HOST_ERROR = {"kind": "host_error", "message": "out of memory", "pc": 0, "call": 1}


@pytest.mark.parametrize(
    ("finished", "reason"),
    [
        (said(""), "does not parse"),
        (said("{}"), "does not parse"),
        (said("Segmentation fault"), "does not parse"),
        (said(json.dumps(ANSWER), returncode=-11), "status -11"),
        (said("", returncode=2, stderr="gemsim: line 3: not a number"), "not a number"),
        (said(json.dumps(ANSWER), truncated=True), "longer"),
        (said(changed(name="other")), "asked was"),
        (said(changed(status="fault")), "contradicts itself"),
        (said(changed(status="fault", fault=HOST_ERROR)), "out of memory"),
        (said(changed(calls=[{"cycles": "many"}])), "does not parse"),
    ],
)
def test_an_answer_without_sense_is_the_engines_failure(finished: Finished, reason: str) -> None:
    with pytest.raises(EngineFailure, match=reason):
        read_answer(finished, ["full"])


def test_a_missing_or_broken_profile_is_the_engines_failure(tmp_path: Path) -> None:
    with pytest.raises(EngineFailure, match="profile"):
        read_profile(tmp_path / "none")
    (tmp_path / "half").write_text('{"cycles": 5, "counters"')
    with pytest.raises(EngineFailure, match="profile"):
        read_profile(tmp_path / "half")


def test_the_version_names_package_and_sources() -> None:
    package, _, digest = engine_version().partition("+")
    assert package
    assert len(digest) == 8
    assert engine_version() == engine_version()
