import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.checking import MAX_MISMATCHES, Check, compare

RIGHT = np.arange(40 * 40, dtype=np.int64).reshape(40, 40).astype(np.int8)
POISON = 0xA5
FILLED = np.full_like(RIGHT, np.uint8(POISON).view(np.int8))


def check(got: np.ndarray) -> Check:
    return compare("C", got, RIGHT, POISON, 16)


def test_equal_passes() -> None:
    assert check(RIGHT.copy()).passed


def test_one_wrong_element_is_found_and_named() -> None:
    got = RIGHT.copy()
    got[5, 33] += 1
    result = check(got)
    assert (result.wrong, result.total) == (1, 1600)
    assert [(m.output, m.index, m.got - m.expected) for m in result.mismatches] == [("C", (5, 33), 1.0)]


def test_mismatches_are_counted_all_and_listed_few() -> None:
    result = check(RIGHT + 1)
    assert result.wrong == 1600
    assert len(result.mismatches) == MAX_MISMATCHES
    assert result.hint == "every element is wrong"


def test_an_untouched_output_is_recognised() -> None:
    assert "nothing was written" in check(FILLED).hint


def test_a_part_never_written_is_recognised() -> None:
    got = RIGHT.copy()
    got[32:, :16] = FILLED[32:, :16]
    assert check(got).hint.startswith(
        "the wrong elements were never written ([32..39][0..15]); only elements of partial"
    )


def test_right_values_that_equal_the_poison_are_right() -> None:
    assert compare("C", FILLED, FILLED, POISON, 16).passed


@pytest.mark.parametrize(
    ("place", "hint"),
    [
        (np.s_[32:, :], "partial tiles"),
        (np.s_[:, ::16], "only column 0 of each 16-column tile"),
        (np.s_[3::16, :], "only row 3 of each 16-row tile"),
        (np.s_[16:32, 16:32], "only 1 of 9 tiles of 16x16 are wrong, at tile (row, column) (1,1)"),
        (np.s_[2:38, 2:38], "[2..37][2..37]"),
    ],
)
def test_what_errors_have_in_common(place: tuple[slice, slice], hint: str) -> None:
    got = RIGHT.copy()
    got[place] ^= 1
    assert hint in check(got).hint


def test_shapes_and_types_are_the_callers_duty() -> None:
    with pytest.raises(ValueError, match="C: got"):
        compare("C", RIGHT.astype(np.int32), RIGHT)
    with pytest.raises(ValueError, match="C: got"):
        compare("C", RIGHT[:-1], RIGHT)


@pytest.mark.parametrize(
    ("place", "hint"),
    [
        (np.s_[[r for r in range(256) if r % 64 >= 48], :], "only rows 48..63 of every 64 are wrong"),
        (np.s_[[r for r in range(256) if r % 128 < 32], :200], "only rows 0..31 of every 128 are wrong"),
        (np.s_[:, [c for c in range(256) if c % 32 >= 16]], "only columns 16..31 of every 32 are wrong"),
        (np.s_[48:64, :], "only 16 of 256 tiles"),
    ],
)
def test_what_repeats_from_tile_to_tile_is_told(place: tuple[list[int] | slice, ...], hint: str) -> None:
    right = np.arange(256 * 256, dtype=np.int32).reshape(256, 256)
    got = right.copy()
    got[place] += 1
    assert hint in compare("C", got, right, POISON, 16).hint
