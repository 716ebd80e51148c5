"""The panel at any size with any content: it fits, leaves out what matters least first, and no words steer it."""

from autocomp_mcp.agent.runs.events import SearchEvent
from autocomp_mcp.agent.runs.progress import PhaseTally, Work
from autocomp_mcp.agent.runs.status import Mark, Step, Tokens
from autocomp_mcp.server.terminal.charts import ASCII, BLOCKS, bar, characters, curve
from autocomp_mcp.server.terminal.panel import Seen, picture
from hypothesis import example, given
from hypothesis import strategies as st

EVIL = "\x1b[2J\u202e\x9b31m[bold]:smile:\n漢字" + "w" * 300


def event(option: str = "wide-loads", steps: int = 3, works: int = 4, **more: object) -> SearchEvent:
    latencies = [1000.0 - 10 * number for number in range(steps)]
    phases = ("evaluate", "generate")
    data = {
        "kind": "candidate", "run_id": "r", "iteration": 3, "iterations": 10, "option": option, "verdict": "passed",
        "candidate": "3.0.0.0", "latency": 980.0, "evaluations": 12, "max_evaluations": 50,
        "baseline": Mark(candidate="0", latency=1000.0, unit="cycles", source="estimated"),
        "best": Mark(candidate="2", latency=latencies[-1], unit="cycles", utilisation=0.5, source="estimated"),
        "lineage": tuple(
            Step(candidate=f"{number}.0.0.0", option=option if number else None, latency=latency)
            for number, latency in enumerate(latencies)
        ),
        "tokens": Tokens(input=1_200_000, output=40_000), "max_tokens": 2_000_000, "cost_usd": 0.4,
        "cost_left_usd": 0.6, "elapsed_s": 60.0, "time_left_s": 30.0,
        "tallies": {"plan": PhaseTally(done=6, expected=6), "generate": PhaseTally(done=3, expected=6)},
        "works": tuple(
            Work(place=f"3.0.{n}.0", phase=phases[n % 2], option=option, began_s=50.0, waits=n > 2)
            for n in range(works)
        ),
    }  # fmt: skip
    return SearchEvent.model_validate(data | more)


def drawn(seen: Seen, width: int, height: int) -> list[str]:
    return [line.plain for line in picture(seen, 61.0, 1.0, width, height)]


def whole(event: SearchEvent) -> Seen:
    return Seen("gemmini/gemm", event=event, recent=[event] * 6, bests=[1000.0, 990.0, 980.0], most_works=4)


@given(
    st.integers(20, 200),
    st.integers(1, 60),
    st.text(max_size=40),
    st.integers(1, 40),
    st.integers(0, 70),
    st.booleans(),
)
@example(40, 24, EVIL, 20, 64, True)
def test_it_fits_any_terminal(width: int, height: int, words: str, steps: int, works: int, noted: bool) -> None:
    seen = whole(event(words, steps, works))
    seen.most_works = works
    seen.note, seen.confirming = (words, words) if noted else ("", "")
    lines = picture(seen, 61.0, 1.0, width, height)
    assert len(lines) <= height
    for line in lines:
        assert line.cell_len < max(width, 21) and line.plain.isprintable(), line.plain


def test_everything_is_there_where_there_is_room() -> None:
    text = "\n".join(drawn(whole(event()), 100, 40))
    for part in (
        "3 of 10", "6/6", "3/6  1 running, 1 waiting", "2 running", "12 of 50", "61 s, 29 s left",
        "0.40 USD, 0.60 USD left, 1.2 M tokens in (0% cached), 40 k out, 760 k tokens left",
        "1.02x, 980 cycles (estimated), 50.0% of the bound", "best of the first 3", "1,000          the first kernel",
        "  990   1.01x  wide-loads", "3.0.0.0  evaluate   11 s  wide-loads", "3.0.3.0  generate  waits  wide-loads",
    ):  # fmt: skip
        assert part in text, part


def test_what_matters_least_goes_first() -> None:
    def labels(height: int) -> set[str]:
        lines = drawn(whole(event(steps=8)), 100, height)
        return {line[:11].strip() for line in lines} - {""}

    assert {"steps", "in flight", "tried last"} <= labels(26)
    assert {"steps", "in flight"} <= labels(16) and "tried last" not in labels(16)
    assert {"best", "evaluations", "cost", "iteration"} <= labels(10)
    lines = drawn(whole(event(steps=8)), 100, 18)
    assert any("6 before" in line or "5 before" in line for line in lines) and any("930" in line for line in lines)


def test_an_estimate_is_never_shown_as_a_measurement() -> None:
    for source in ("estimated", "measured"):
        best = Mark(candidate="1", latency=500.0, unit="ns", source=source)
        for width in (20, 40, 100):
            assert any(f"({source})" in line for line in drawn(whole(event(best=best)), max(width, 40), 40))


@given(st.floats(0, 1), st.integers(1, 60), st.sampled_from((BLOCKS, ASCII)))
def test_a_bar_is_as_long_as_its_share(share: float, width: int, chars: object) -> None:
    assert chars in (BLOCKS, ASCII)
    drawn = bar(share, width, BLOCKS if chars is BLOCKS else ASCII)
    assert len(drawn) == width
    full = sum(c in "█#" for c in drawn)
    assert abs(full - share * width) <= 1 and (drawn[0] not in "·.") == (share > 0)


def test_a_curve_rises_and_keeps_its_last_value() -> None:
    assert curve([1.0, 2.0, 8.0], 10, low=1.0) == "▁▂█"
    assert (
        len(curve([float(n) for n in range(1000)], 40)) == 40 and curve([float(n) for n in range(1000)], 40)[-1] == "█"
    )
    assert curve([5.0] * 3, 10) == "▁▁▁" and curve([], 10) == ""


def test_characters_are_those_that_the_stream_can_carry(tmp_path) -> None:
    for encoding, found in (("utf-8", BLOCKS), ("ascii", ASCII), ("latin-1", ASCII)):
        with (tmp_path / encoding).open("w", encoding=encoding) as stream:
            assert characters(stream) is found
