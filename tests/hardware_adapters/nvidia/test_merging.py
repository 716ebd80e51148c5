"""Loads of shared memory that ptxas makes one: by PTX, and with nvcc by kernels whose machine code was looked at."""

from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.nvidia.merging import merged_loads
from autocomp_mcp.hardware_adapters.nvidia.nvcc import compile_for, find_nvcc

LADDER = Path(__file__).parents[2] / "benchmarks" / "nvidia_ladder"


def ptx(*body: str) -> str:
    lines = "\n".join(f"\t{line}" for line in body)
    return f".visible .entry sums(\n\t.param .u64 sums_param_0\n)\n{{\n{lines}\n\tret;\n}}\n"


def loads(base: str, *offsets: int, line: int = 7) -> list[str]:
    places = [f"{base}+{offset}" if offset else base for offset in offsets]
    return [f".loc\t1 {line} 3", *(f"ld.shared.f32 \t%f{n}, [{place}];" for n, place in enumerate(places))]


SYMBOL = "mov.u32 \t%r1, _ZZ4sumsPfE1t;"


def shares(*body: str) -> dict[int, float]:
    return merged_loads(ptx(SYMBOL, *body)).get("sums", {})


def test_four_neighbours_become_one_load() -> None:
    assert shares(*loads("%r1", 0, 4, 8, 12)) == {7: 0.25}
    assert shares(*loads("%r1", 16, 8, 12, 20)) == {7: 0.5}  # two halves
    assert shares(*loads("%r1", 0, 4, 8, 12, 16)) == {7: 0.4}  # and one that is left over
    assert shares(*loads("%r1", 4, 8)) == {}  # not at a multiple of 8
    assert shares(*loads("%r1", 0, 128, 256)) == {}


def test_what_is_one_load_in_ptx_already() -> None:
    four = "ld.shared.v4.f32 \t{%f1, %f2, %f3, %f4}, [%r9+16];"
    two = "ld.shared.v2.f32 \t{%f1, %f2}, [%r9];"
    assert shares(".loc\t1 7 3", four) == {7: 0.25}
    assert shares(".loc\t1 7 3", two) == {7: 0.5}
    assert shares(".loc\t1 7 3", four, *loads("%r1", 0, 256)) == {7: 0.5}  # three loads of six floats


def test_loads_of_several_lines_share_one() -> None:
    assert shares(*loads("%r1", 0, 4), *loads("%r1", 8, 12, line=8)) == {7: 0.25, 8: 0.25}


@pytest.mark.parametrize("end", ["bar.sync \t0;", "$L__BB0_2:", "@%p1 bra \t$L__BB0_2;", "st.shared.f32 \t[%r9], %f1;"])
def test_not_across_the_end_of_a_stretch(end: str) -> None:
    assert shares(*loads("%r1", 0), end, *loads("%r1", 4)) == {}


@pytest.mark.parametrize(
    ("made", "share"),
    [
        ("shl.b32 \t%r2, %r9, 4;", 0.25),
        ("shl.b32 \t%r2, %r9, 3;", 0.5),
        ("mad.lo.s32 \t%r2, %r9, 128, %r1;", 0.25),
        ("mad.lo.s32 \t%r2, %r9, 132, %r1;", None),  # rows padded by one float
        ("mad.lo.s32 \t%r2, %r9, 136, %r1;", 0.5),
        ("add.s32 \t%r2, %r1, 48;", 0.25),
        ("and.b32 \t%r2, %r9, -16;", 0.25),
        ("ld.param.u32 \t%r2, [sums_param_0];", None),
    ],
)
def test_only_where_the_address_is_known_to_be_aligned(made: str, share: float | None) -> None:
    assert shares(made, *loads("%r2", 0, 4, 8, 12)) == ({7: share} if share else {})


def test_a_variable_of_a_loop_is_as_aligned_as_its_steps() -> None:
    begin, step = "mov.u32 \t%r2, %r1;", "add.s32 \t%r2, %r2, {};"
    body = loads("%r2", 0, 4, 8, 12)
    assert shares(begin, "$L1:", *body, step.format(64)) == {7: 0.25}
    assert shares(begin, "$L1:", *body, step.format(4)) == {}


# As counted in the machine code for sm_86: 32 of 32 and 8 of 32 loads are left; 16 of 64; 2 of 8; float4 as written.
SEEN = {"3_shared": [0.625], "4_column_per_thread": [0.25], "5_tile_per_thread": [0.25], "6_vectors": [0.25, 0.25]}


@pytest.mark.skipif(find_nvcc() is None, reason="no nvcc on this machine: what it merges cannot be looked at")
@pytest.mark.parametrize("name", SEEN)
def test_kernels_whose_machine_code_is_known(name: str) -> None:
    nvcc = find_nvcc()
    assert nvcc is not None
    source = (LADDER / f"{name}.cu").read_text(encoding="utf-8")
    (facts,) = anyio.run(lambda: compile_for(nvcc, "sm_86", source)).kernels.values()
    assert list(facts.merged.values()) == SEEN[name]
