"""What a watcher is told of work under way."""

import pytest
from autocomp_mcp.agent.runs.progress import PhaseTally, Progress


def test_work_is_told_from_its_beginning_through_its_turn_to_its_end() -> None:
    now = 10.0
    told: list[tuple[int, int]] = []
    progress = Progress(lambda: now, lambda: told.append((len(progress.works), progress.tallies["evaluate"].done)))
    progress.begin(plan=1, evaluate=2)
    assert progress.tallies == {"plan": PhaseTally(expected=1), "evaluate": PhaseTally(expected=2)} and not told
    with progress.work("1.0.0.0", "evaluate", "wide-loads"):
        assert progress.works[0].waits and progress.works[0].began_s == 10.0
        now = 13.0
        progress.runs("1.0.0.0")
        assert not progress.works[0].waits and progress.works[0].began_s == 13.0, "its time begins with its turn"
        with pytest.raises(ValueError), progress.work("1.0.1.0", "evaluate"):
            assert [work.place for work in progress.works] == ["1.0.0.0", "1.0.1.0"]
            raise ValueError
    progress.runs("1.0.0.0")  # of what has ended nothing is told
    assert told == [(1, 0), (1, 0), (2, 0), (1, 1), (0, 2)]
    progress.expect("evaluate", +1)
    assert progress.tallies["evaluate"] == PhaseTally(done=2, expected=3)
    progress.begin()
    assert progress.tallies == {} and progress.works == ()
