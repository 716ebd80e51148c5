"""The Trainium menu: every example runs in the simulator, and its names are those of the target."""

import re

import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.trainium import bottlenecks
from autocomp_mcp.hardware_adapters.trainium.families import EXAMPLES, FAMILIES, SUITES, operator_of
from autocomp_mcp.menus.menu import load_menu
from autocomp_mcp.menus.reference import reference, topics
from nki_job import kernel, run_kernel

MENU = load_menu("trainium")
PRELUDE = """
out = nl.ndarray((256, 2048), dtype=nl.float32, buffer=nl.shared_hbm)
t = nl.ndarray((128, 512), dtype=nl.float32, buffer=nl.sbuf)
u = nl.ndarray((128, 512), dtype=nl.float32, buffer=nl.sbuf)
v = nl.ndarray((128, 512), dtype=nl.float32, buffer=nl.sbuf)
col = nl.ndarray((128, 1), dtype=nl.float32, buffer=nl.sbuf)
w = nl.ndarray((128, 128), dtype=nl.float32, buffer=nl.sbuf)
p = nl.ndarray((128, 512), dtype=nl.float32, buffer=nl.psum)
for tile in (t, u, v, col, w):
    nisa.memset(dst=tile, value=0.5)
nisa.nc_matmul(dst=p, stationary=w, moving=t)
"""
SHAPES = {"x": (256, 2048), "a_t": (512, 256), "b": (512, 1024), "gain": (1, 2048)}


@pytest.mark.parametrize("option", MENU.options, ids=lambda option: option.id)
def test_every_example_runs(option) -> None:
    rng = np.random.default_rng(0)
    inputs = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
    source = kernel(f"{PRELUDE.strip()}\n{option.example.rstrip()}\nreturn out", ", ".join(SHAPES))
    report, _ = run_kernel(source, inputs, [("out", (256, 2048), "float32")])
    assert report["faults"] == [None], report["faults"]


def test_the_menu_is_that_of_the_target() -> None:
    assert len(MENU.options) >= 30
    assert set(MENU.families) == set(FAMILIES)
    problems = [
        operator_of(f"trainium/{size}") for name in (EXAMPLES, "trainium-published") for size in SUITES[name][1]
    ]
    assert {trait for problem in problems for trait in problem.traits} <= set(MENU.traits)


def test_every_bottleneck_has_options_and_every_family_enough() -> None:
    triggers = {trigger for option in MENU.options for trigger in option.triggers}
    assert triggers >= set(MENU.bottlenecks)
    for family in FAMILIES:
        assert len(MENU.select(family)) >= 10


def test_every_bottleneck_that_a_profile_names_is_in_the_menu() -> None:
    """Schedules in which everything goes wrong at once make every rule speak."""
    waits = {f"wait_{name}": 90.0 for name in ("load", "store", "pe", "vector", "sbuf_space", "psum_space")}
    found = set()
    for unit in bottlenecks.COMPUTE:
        for dma in (10.0, 900.0):
            schedule = {
                "latency_ns": 1000.0,
                "busy_ns": {**dict.fromkeys(bottlenecks.COMPUTE, 0.0), unit: 900.0, "dma": dma},
                "stalls_ns": {unit: {**waits, "drain": 90.0}},
                "dma": {"count": 100, "bytes": 1000, "small_run_bytes": 900},
                "short_ns": 300.0,
                "fp32_pe_ns": 300.0,
                "partition_fill": 0.1,
            }
            found |= {entry.id for entry in bottlenecks.find_bottlenecks(schedule, (), 0.95)}
    assert found == set(MENU.bottlenecks) - {"reload_traffic"}


@pytest.mark.parametrize("topic", topics("trainium"))
def test_every_example_of_the_reference_runs(topic: str) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", reference("trainium", topic), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        if "@nki.jit" in block:
            inputs, source = {"x": np.ones((130, 64), np.float32)}, block
        else:
            inputs = {name: np.ones(shape, np.float32) for name, shape in SHAPES.items()}
            source = kernel(f"{PRELUDE.strip()}\n{block.rstrip()}\nreturn out", ", ".join(SHAPES))
        shape = (130, 64) if "@nki.jit" in block else (256, 2048)
        report, _ = run_kernel(source, inputs, [("out", shape, "float32")])
        assert report["faults"] == [None], report["faults"]
