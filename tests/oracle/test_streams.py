"""The random streams: they do all that they should, in every configuration, and say the same twice."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from command_streams import FEATURES, OUTPUT_BYTES, make_stream
from gemmini_isa import ARRAYS, DEFAULT, Array
from stream_coverage import OF_FEATURE, PLAIN, TOGETHER, done_by

STREAMS = 60


def missing(wanted: frozenset[str], array: Array, features: Iterable[str]) -> list[str]:
    """What a sample of streams does not do."""
    left = set(wanted)
    for seed in range(STREAMS):
        left -= done_by(make_stream(seed, 60, tuple(features), array))
        if not left:
            break
    return sorted(left)


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: array.name)
def test_plain_streams_do_everything_plain(array):
    assert not missing(PLAIN, array, ())


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: array.name)
def test_plain_streams_do_nothing_else(array):
    """A simulator without a feature can run them."""
    done = set().union(*(done_by(make_stream(seed, 60, (), array)) for seed in range(10)))
    assert done - {"repeated rows of DRAM"} <= PLAIN


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: array.name)
@pytest.mark.parametrize("feature", FEATURES)
def test_every_feature_occurs(array, feature):
    wanted = frozenset() if array.floating and feature == "norm" else OF_FEATURE[feature]
    assert not missing(wanted, array, [feature])


@pytest.mark.parametrize("features", [sorted(names) for names in TOGETHER], ids=" ".join)
def test_features_that_need_each_other(features):
    assert not missing(TOGETHER[frozenset(features)], DEFAULT, features)


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: array.name)
def test_a_seed_names_a_stream_and_the_stream_its_output(array):
    first, second = (make_stream(7, 40, FEATURES, array) for _ in range(2))
    assert first.commands == second.commands
    out = first.expected()
    assert out.shape == (OUTPUT_BYTES,)
    assert np.array_equal(out, second.expected())
    assert len(np.unique(out)) > 10


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: array.name)
def test_what_the_making_took_back_left_no_trace(array):
    """The output comes from the oracle that made the stream and tried more than the stream holds."""
    for seed in range(20):
        stream = make_stream(seed, 60, FEATURES, array)
        assert np.array_equal(stream.expected(), stream.replayed()), seed


def test_a_prefix_is_a_legal_stream_itself():
    stream = make_stream(3, 20)
    outputs = [stream.prefix(length).expected() for length in range(stream.length + 1)]
    assert np.array_equal(outputs[-1], stream.expected())
    assert not np.array_equal(outputs[0], outputs[-1])


def test_an_unknown_feature():
    with pytest.raises(KeyError, match="no such features"):
        make_stream(0, 1, ["softmin"])
