"""Named suites: every problem in them exists and is the one that the literature has."""

import pytest
from autocomp_mcp.hardware_adapters.base import UsageError
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter


def test_every_problem_of_every_suite_exists_once(gemmini: GemminiAdapter) -> None:
    for name in gemmini.suites():
        listed = gemmini.suite(name)
        assert len({problem.id for problem in listed}) == len(listed) > 0
        for problem in listed:
            assert gemmini.problem(problem.id).title == problem.title


def test_the_published_gemms_have_the_published_ideal_cycles(gemmini: GemminiAdapter) -> None:
    ideal = [gemmini.problem(p.id).bound.value for p in gemmini.suite("autocomp-gemm")]
    assert ideal == [524_288] + [802_816] * 5


def test_resnet50_adds_up(gemmini: GemminiAdapter) -> None:
    """Repeated as often as the network has them, the layers are its well-known 4.1 billion multiplications (less those
    with padding, and without the last matrix)."""
    layers = {p.id: gemmini.problem(p.id) for p in gemmini.suite("resnet50-conv")}
    assert len(layers) == 23
    total = 0
    for problem in layers.values():
        d = problem.dims
        blocks = {64: 3, 128: 4, 256: 6, 512: 3}
        once = d["K"] == 7 or d["S"] == 2 or (d["Ci"], d["Co"]) in ((64, 64), (256, 128), (512, 256), (1024, 512))
        if once and d["K"] == 3 and d["S"] == 1:
            once = False  # 64 -> 64, 3x3: in each block of the first stage
        if (d["Ci"], d["Co"], d["K"]) == (64, 256, 1):
            times = 3 + 1  # and on the way around the first block
        elif once:
            times = 1
        elif d["K"] == 3:
            times = blocks[d["Co"]] - (d["Co"] != 64)  # the first of a later stage strides
        else:
            narrow = min(d["Ci"], d["Co"])
            times = blocks[narrow] - (d["Ci"] > d["Co"])  # the first block takes the stage before it
        total += times * d["N"] * d["OH"] * d["OW"] * d["Ci"] * d["Co"] * d["K"] ** 2
    assert total == pytest.approx(4.09e9, rel=0.01)


def test_an_unknown_suite_is_refused_with_those_there_are(gemmini: GemminiAdapter) -> None:
    with pytest.raises(UsageError, match="autocomp-gemm"):
        gemmini.suite("autocomp")
