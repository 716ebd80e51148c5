"""What the compiler of NKI 1 is taken to do: reorder, spill and vectorise without changing what depends on what."""

from collections import Counter

import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.trainium.machines import machines
from autocomp_mcp.hardware_adapters.trainium.nkisim.machine import Access, Instruction, Limits, Machine
from autocomp_mcp.hardware_adapters.trainium.nkisim.nki1.reorder import reorder
from autocomp_mcp.hardware_adapters.trainium.nkisim.nki1.spill import spill
from autocomp_mcp.hardware_adapters.trainium.nkisim.schedule import schedule
from autocomp_mcp.hardware_adapters.trainium.nkisim.spec import Spec, spec_of
from hypothesis import given, settings
from hypothesis import strategies as st
from nki_job import run_kernel

SPEC: Spec = spec_of(machines()["trn1"].job)
ENGINES = ("pe", "vector", "scalar", "gpsimd", "dma")
STEP = st.tuples(
    st.sampled_from(ENGINES), st.integers(0, 7), st.integers(0, 7), st.integers(0, 3), st.integers(0, 3),
    st.integers(64, 900),
)  # fmt: skip


def logged(steps: list[tuple[str, int, int, int, int, int]], tile_bytes: int) -> Machine:
    """Instructions that read a quarter of a tile and write a quarter of another."""
    machine = Machine(Limits(SPEC.sbuf_bytes, SPEC.psum_bytes, 2))
    for number in range(8):
        machine.allocate(f"tile {number}", "sbuf", tile_bytes, (128, 32))
    for engine, source, target, part, where, cycles in steps:
        more = {"bytes": 65536, "run": 512} if engine == "dma" else {}
        reads = (Access(source, ((0, 128), (part * 8, part * 8 + 8))),)
        writes = (Access(target, ((0, 128), (where * 8, where * 8 + 8))),)
        machine.issue("op", engine, cycles, reads=reads, writes=writes, shape=(128, 8), dtype="float32", **more)
    return machine


def conflicts(first: Instruction, second: Instruction) -> bool:
    def meet(some: tuple[Access, ...], others: tuple[Access, ...]) -> bool:
        return any(
            a.storage == b.storage and all(x[0] < y[1] and y[0] < x[1] for x, y in zip(a.box, b.box, strict=True))
            for a in some
            for b in others
        )

    return meet(first.writes, second.reads) or meet(first.writes, second.writes) or meet(first.reads, second.writes)


@settings(deadline=None, max_examples=50)
@given(st.lists(STEP, min_size=1, max_size=40))
def test_reordering_keeps_every_dependency(steps: list[tuple[str, int, int, int, int, int]]) -> None:
    machine = logged(steps, 1024)
    before = list(machine.log)
    reorder(machine, SPEC)
    assert Counter(id(entry) for entry in machine.log) == Counter(id(entry) for entry in before)
    place = {id(entry): at for at, entry in enumerate(machine.log)}
    for at, first in enumerate(before):
        for second in before[at + 1 :]:
            if first is not second and conflicts(first, second):
                assert place[id(first)] < place[id(second)]


@settings(deadline=None, max_examples=50)
@given(st.lists(STEP, min_size=1, max_size=40))
def test_spilling_makes_room_and_moves_what_comes_back(steps: list[tuple[str, int, int, int, int, int]]) -> None:
    machine = logged(steps, SPEC.sbuf_bytes // 3)
    computing = [(entry.name, entry.engine, entry.cycles) for entry in machine.log]
    spill(machine, SPEC)
    assert [(e.name, e.engine, e.cycles) for e in machine.log if e.name == "op"] == computing
    assert schedule(machine, SPEC).peak["sbuf"] <= SPEC.sbuf_bytes
    reorder(machine, SPEC)
    assert schedule(machine, SPEC).peak["sbuf"] <= SPEC.sbuf_bytes
    stored = {entry.writes[0].storage for entry in machine.log if entry.name == "spill_store"}
    assert all(entry.reads[0].storage in stored for entry in machine.log if entry.name == "spill_load")


LOOP = """\
import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl
import numpy as np


@nki.jit
def solution(x):
    out = nl.ndarray((128, 64), dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.load(x)
    r = nl.zeros((128, 64), dtype=nl.float32)
    for i in nl.RANGE(64):
        BODY
    nl.store(out, value=r)
    return out
"""
WINDOW = (
    "r[:, i] = nisa.tensor_reduce(np.add, nisa.tensor_tensor(t[:, i:i + WIDE], t[:, i:i + WIDE], np.multiply), axis=1)"
)
CARRIED = "r[:, i] = nl.add(t[:, i], r[:, max(i - 1, 0)])"


@pytest.mark.parametrize(
    ("kind", "body", "instructions"),
    [
        ("affine_range", WINDOW.replace("WIDE", "4"), {"tensor_tensor": 1, "tensor_reduce": 1}),
        ("affine_range", WINDOW.replace("WIDE", "16"), {"tensor_tensor": 64, "tensor_reduce": 64}),
        ("sequential_range", WINDOW.replace("WIDE", "4"), {"tensor_tensor": 64, "tensor_reduce": 64}),
        ("affine_range", CARRIED, {"tensor_tensor": 64}),
    ],
    ids=["small and independent", "too wide", "sequential", "dependent"],
)
def test_loops_are_vectorised_where_that_is_allowed(kind: str, body: str, instructions: dict[str, int]) -> None:
    x = np.random.default_rng(2).standard_normal((128, 128)).astype(np.float32)
    text = LOOP.replace("RANGE", kind).replace("BODY", body)
    report, found = run_kernel(text, {"x": x}, [("out", (128, 64), "float32")], "trn1")
    assert report["faults"] == [None]
    counts = report["schedule"]["counts"]
    assert {name: counts.get(name, 0) for name in instructions} == instructions
    if "WIDE" not in body and "tensor_reduce" in body and ":i + 4" in body:
        windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64) ** 2, 4, axis=1)[:, :64]
        np.testing.assert_allclose(found["out"], windows.sum(axis=2), rtol=1e-5)


PLACED = """\
import neuronxcc.nki as nki
import neuronxcc.nki.language as nl


@nki.jit
def solution(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    tiles = nl.ndarray((4, nl.par_dim(128), 128), dtype=x.dtype,
                       buffer=nki.compiler.sbuf.mod_alloc(base_addr=0, num_free_tiles=(PLACES,)))
    for i in nl.affine_range(4):
        tiles[i] = nl.load(x[:, nl.ds(i * 128, 128)])
        READ
        nl.store(out[:, nl.ds(i * 128, 128)], value=tiles[i] * 2.0)
    return out
"""


def test_blocks_share_places_under_direct_allocation() -> None:
    x = np.random.default_rng(2).standard_normal((128, 512)).astype(np.float32)
    report, found = run_kernel(
        PLACED.replace("PLACES", "2").replace("READ", "pass"), {"x": x}, [("out", (128, 512), "float32")], "trn1"
    )
    assert report["faults"] == [None]
    np.testing.assert_array_equal(found["out"], 2 * x)


def test_a_block_that_another_overwrote_cannot_be_read() -> None:
    x = np.zeros((128, 512), np.float32)
    source = PLACED.replace("PLACES", "2").replace("READ", "nl.exp(tiles[max(0, i - 2)])")
    report, _ = run_kernel(source, {"x": x}, [("out", (128, 512), "float32")], "trn1")
    assert report["faults"][0]["kind"] == "overwritten" and report["faults"][0]["line"] == source.split("\n").index(
        "        nl.exp(tiles[max(0, i - 2)])"
    ) + 1  # fmt: skip
    wide = PLACED.replace("PLACES", "4").replace("base_addr=0", "base_addr=196000").replace("READ", "pass")
    report, _ = run_kernel(wide, {"x": x}, [("out", (128, 512), "float32")], "trn1")
    assert report["faults"][0]["kind"] == "out_of_capacity" and "196608" in report["faults"][0]["message"]
