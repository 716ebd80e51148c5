"""What a step changed of its parent's kernel, counted and shown."""

import pytest
from autocomp_mcp.agent.runs.status import RunStatus, Step, Tokens
from autocomp_mcp.server.terminal.steps import change, detailed_lines

SCHEDULE = '// schedule: {{"tk": {tk}, "order": "{order}", "fences": "tile"}}\n'
BODY = "void solution(void) {\n  a();\n  b();\n  c();\n}\n"


def test_lines_are_counted_and_settings_of_the_schedule_named() -> None:
    made = change(
        SCHEDULE.format(tk=16, order="ij") + BODY,
        SCHEDULE.format(tk=64, order="ij") + BODY.replace("  b();\n", "  x();\n  y();\n"),
    )
    assert made is not None
    assert (made.added, made.removed, made.schedule) == (2, 1, ("tk 16 -> 64",))
    assert made.summary == "tk 16 -> 64; +2 -1 lines"
    assert [line for line in made.diff if line[0] in "+-"] == ["-  b();", "+  x();", "+  y();"]
    assert made.diff[0] == "@@ -2,5 +2,6 @@", "lines have the numbers that they have in the source"


@pytest.mark.parametrize("first", ["// schedule: {not json}\n", "// schedule: [1]\n", "// words\n", ""])
def test_a_first_line_that_is_no_schedule_is_a_line_like_others(first: str) -> None:
    made = change(first + BODY, "// other\n" + BODY)
    assert made is not None and made.schedule == ()
    assert (made.added, made.removed) == (1, 1 if first else 0)
    assert change(first + BODY, first + BODY).summary == "the source is the same"  # pyright: ignore[reportOptionalMemberAccess]


def test_lines_that_begin_with_signs_are_still_lines() -> None:
    made = change("x\n", "x\n++y;\n--z;\n")
    assert made is not None and (made.added, made.removed) == (2, 0)


def test_kernels_that_would_take_long_are_not_compared() -> None:
    assert change("a\n" * 15_000, "b\n" * 15_000) is None


def test_a_candidate_that_does_not_fit_behind_its_option_stands_below_it() -> None:
    status = RunStatus(
        run_id="r", problem="p", engine=None, model="m", state="finished", iteration=1, iterations=1, evaluations=2,
        model_calls=0, tokens=Tokens(), cost_usd=0.0, wall_s=1.0,
        lineage=(Step(candidate="0", latency=1e6), Step(candidate="6.1.0.0", option="separate-load-ids", latency=9e5)),
    )  # fmt: skip
    for width in (60, 61):
        lines = [str(line) for line in detailed_lines(status, {}, width)]
        assert max(map(len, lines)) <= width
        together = lines[1].endswith("separate-load-ids  (candidate 6.1.0.0)")
        assert together == (width == 61) and lines[-1].endswith("(candidate 6.1.0.0)")
