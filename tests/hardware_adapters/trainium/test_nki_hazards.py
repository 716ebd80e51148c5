"""Which earlier accesses overlap a box: against looking at all of them."""

import pytest
from autocomp_mcp.hardware_adapters.trainium.nkisim.hazards import Boxes, covers, overlaps
from hypothesis import given, settings
from hypothesis import strategies as st

SHAPE = (6, 130, 700)


def boxes() -> st.SearchStrategy:
    def span(extent: int) -> st.SearchStrategy:
        return st.tuples(st.integers(0, extent - 1), st.integers(1, extent)).map(
            lambda t: (t[0], min(extent, t[0] + t[1]))
        )

    narrow = st.tuples(*(st.integers(0, extent - 1).map(lambda low: (low, low + 1)) for extent in SHAPE))
    return st.one_of(st.tuples(*(span(extent) for extent in SHAPE)), narrow)


@pytest.mark.parametrize("on_chip", [False, True])
@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from(["keep", "write"]), boxes()), max_size=60), last=boxes())
def test_boxes_are_found_again_by_what_they_overlap(on_chip: bool, steps: list, last: tuple) -> None:
    found: Boxes[int] = Boxes(SHAPE, on_chip)
    kept: list[tuple[tuple, int]] = []
    for number, (kind, box) in enumerate(steps):
        if kind == "write":
            found.drop_covered(box)
            kept = [(other, item) for other, item in kept if not covers(box, other)]
        found.keep(box, number)
        kept.append((box, number))
        assert set(found.touching(box)) == {item for other, item in kept if overlaps(box, other)}
    assert set(found.touching(last)) == {item for other, item in kept if overlaps(last, other)}
