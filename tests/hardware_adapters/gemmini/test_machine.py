"""The RV64 core: integer, compressed and atomic instructions against values computed here."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from riscv_machine import (
    A0,
    A1,
    A2,
    A3,
    A4,
    A5,
    CODE,
    DATA,
    IN,
    OUT,
    RA,
    RET,
    SP,
    T0,
    T1,
    T2,
    ZERO,
    Machine,
    addi,
    branch,
    elf,
    i_type,
    jal,
    jalr,
    ld,
    lui,
    r_type,
    s_type,
    sd,
    words,
)

MASK = (1 << 64) - 1
EDGES = [0, 1, 2, 3, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32]
EDGES += [(1 << 63) - 1, 1 << 63, MASK, MASK - 1]
WORDS = st.one_of(st.sampled_from(EDGES), st.integers(0, MASK))
DIFFERENTIAL = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def signed(v: int, bits: int = 64) -> int:
    v &= (1 << bits) - 1
    return v - (1 << bits) if v >> (bits - 1) else v


def sext32(v: int) -> int:
    return signed(v, 32) & MASK


def quotient(a: int, b: int, bits: int) -> int:
    """Division of signed numbers with RISC-V's answers for zero divisors and overflow."""
    if b == 0:
        return -1
    magnitude = abs(a) // abs(b)
    return signed(magnitude if (a < 0) == (b < 0) else -magnitude, bits)


def remainder(a: int, b: int) -> int:
    if b == 0:
        return a
    return abs(a) % abs(b) * (-1 if a < 0 else 1)


# name: (opcode, funct3, funct7, expected result of unsigned operands)
INTEGER: dict[str, tuple[int, int, int, Callable[[int, int], int]]] = {
    "add": (0x33, 0, 0, lambda a, b: a + b),
    "sub": (0x33, 0, 0x20, lambda a, b: a - b),
    "sll": (0x33, 1, 0, lambda a, b: a << (b & 63)),
    "slt": (0x33, 2, 0, lambda a, b: signed(a) < signed(b)),
    "sltu": (0x33, 3, 0, lambda a, b: a < b),
    "xor": (0x33, 4, 0, lambda a, b: a ^ b),
    "srl": (0x33, 5, 0, lambda a, b: a >> (b & 63)),
    "sra": (0x33, 5, 0x20, lambda a, b: signed(a) >> (b & 63)),
    "or": (0x33, 6, 0, lambda a, b: a | b),
    "and": (0x33, 7, 0, lambda a, b: a & b),
    "addw": (0x3B, 0, 0, lambda a, b: sext32(a + b)),
    "subw": (0x3B, 0, 0x20, lambda a, b: sext32(a - b)),
    "sllw": (0x3B, 1, 0, lambda a, b: sext32(a << (b & 31))),
    "srlw": (0x3B, 5, 0, lambda a, b: sext32((a & 0xFFFFFFFF) >> (b & 31))),
    "sraw": (0x3B, 5, 0x20, lambda a, b: signed(a, 32) >> (b & 31)),
    "mul": (0x33, 0, 1, lambda a, b: a * b),
    "mulh": (0x33, 1, 1, lambda a, b: signed(a) * signed(b) >> 64),
    "mulhsu": (0x33, 2, 1, lambda a, b: signed(a) * b >> 64),
    "mulhu": (0x33, 3, 1, lambda a, b: a * b >> 64),
    "div": (0x33, 4, 1, lambda a, b: quotient(signed(a), signed(b), 64)),
    "divu": (0x33, 5, 1, lambda a, b: a // b if b else MASK),
    "rem": (0x33, 6, 1, lambda a, b: remainder(signed(a), signed(b))),
    "remu": (0x33, 7, 1, lambda a, b: a % b if b else a),
    "mulw": (0x3B, 0, 1, lambda a, b: sext32(a * b)),
    "divw": (0x3B, 4, 1, lambda a, b: quotient(signed(a, 32), signed(b, 32), 32)),
    "divuw": (0x3B, 5, 1, lambda a, b: sext32((a & 0xFFFFFFFF) // (b & 0xFFFFFFFF)) if b & 0xFFFFFFFF else MASK),
    "remw": (0x3B, 6, 1, lambda a, b: remainder(signed(a, 32), signed(b, 32))),
    "remuw": (0x3B, 7, 1, lambda a, b: sext32((a & 0xFFFFFFFF) % (b & 0xFFFFFFFF)) if b & 0xFFFFFFFF else sext32(a)),
}


def over_pairs(*body: int, outputs: int) -> bytes:
    """A loop over (a2, a3) pairs: the count is the first word of the input; the body leaves its results at a1."""
    step = addi(A1, A1, 8 * outputs)
    head = words(ld(T0, A0, 0), addi(A0, A0, 8))
    loop = words(ld(A2, A0, 0), ld(A3, A0, 8), *body, step, addi(A0, A0, 16), addi(T0, T0, -1))
    return head + loop + words(branch(1, T0, ZERO, -len(loop)), RET)


def pairs_data(pairs: list[tuple[int, int]]) -> bytes:
    return struct.pack(f"<{1 + 2 * len(pairs)}Q", len(pairs), *(v for pair in pairs for v in pair))


def integer_program() -> bytes:
    body: list[int] = []
    for index, (opcode, funct3, funct7, _) in enumerate(INTEGER.values()):
        body += [r_type(opcode, funct3, funct7, A4, A2, A3), sd(A4, A1, 8 * index)]
    return elf(over_pairs(*body, outputs=len(INTEGER)))


@DIFFERENTIAL
@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=40))
def test_register_arithmetic(machine: Machine, pairs: list[tuple[int, int]]) -> None:
    got = machine.results(integer_program(), pairs_data(pairs), len(pairs) * len(INTEGER))
    for at, (a, b) in enumerate(pairs):
        for index, (name, (_, _, _, expected)) in enumerate(INTEGER.items()):
            assert got[at * len(INTEGER) + index] == int(expected(a, b)) & MASK, (name, hex(a), hex(b))


@DIFFERENTIAL
@given(WORDS, st.integers(-2048, 2047), st.integers(0, 63))
def test_immediate_arithmetic(machine: Machine, a: int, imm: int, shift: int) -> None:
    expected = {
        i_type(0x13, 0, A4, A2, imm): a + imm,
        i_type(0x13, 2, A4, A2, imm): int(signed(a) < imm),
        i_type(0x13, 3, A4, A2, imm): int(a < imm & MASK),
        i_type(0x13, 4, A4, A2, imm): a ^ imm,
        i_type(0x13, 6, A4, A2, imm): a | imm,
        i_type(0x13, 7, A4, A2, imm): a & imm,
        i_type(0x13, 1, A4, A2, shift): a << shift,
        i_type(0x13, 5, A4, A2, shift): a >> shift,
        i_type(0x13, 5, A4, A2, 0x400 | shift): signed(a) >> shift,
        i_type(0x1B, 0, A4, A2, imm): sext32(a + imm),
        i_type(0x1B, 1, A4, A2, shift & 31): sext32(a << (shift & 31)),
        i_type(0x1B, 5, A4, A2, shift & 31): sext32((a & 0xFFFFFFFF) >> (shift & 31)),
        i_type(0x1B, 5, A4, A2, 0x400 | shift & 31): signed(a, 32) >> (shift & 31),
    }
    body = [code for index, instruction in enumerate(expected) for code in (instruction, sd(A4, A1, 8 * index))]
    got = machine.results(elf(words(ld(A2, A0, 0), *body, RET)), struct.pack("<Q", a) + bytes(56), len(expected))
    assert got == [v & MASK for v in expected.values()]


@DIFFERENTIAL
@given(WORDS, WORDS)
def test_branches(machine: Machine, a: int, b: int) -> None:
    conditions = {0: a == b, 1: a != b, 4: signed(a) < signed(b), 5: signed(a) >= signed(b), 6: a < b, 7: a >= b}
    code = [ld(A2, A0, 0), ld(A3, A0, 8)]
    for index, funct3 in enumerate(conditions):
        code += [addi(A4, ZERO, 1), branch(funct3, A2, A3, 8), addi(A4, ZERO, 0), sd(A4, A1, 8 * index)]
    got = machine.results(elf(words(*code, RET)), struct.pack("<QQ", a, b) + bytes(48), 6)
    assert got == [int(v) for v in conditions.values()]


def test_loads_extend_and_stores_truncate(machine: Machine) -> None:
    value = 0xF1E2D3C4_B5A69788
    code = [i_type(0x03, funct3, A4, A0, 0) for funct3 in range(7)]
    body = [c for index, load in enumerate(code) for c in (load, sd(A4, A1, 8 * index))]
    body += [ld(A4, A0, 0), *(s_type(0x23, funct3, A4, A1, 56 + 8 * funct3) for funct3 in range(4))]
    got = machine.results(elf(words(*body, RET)), struct.pack("<Q", value) + bytes(56), 11)
    widths = [8, 16, 32, 64, 8, 16, 32]
    loads = [signed(value, w) & MASK if i < 4 else value & (1 << w) - 1 for i, w in enumerate(widths)]
    poison = 0xA5A5A5A5_A5A5A5A5
    stores = [poison & ~((1 << w) - 1) & MASK | value & (1 << w) - 1 for w in (8, 16, 32, 64)]
    assert got == loads + stores


def test_upper_immediates_jumps_and_links(machine: Machine) -> None:
    code = words(
        lui(A2, 0x80000),
        sd(A2, A1, 0),  # sign-extended
        0x1000 | A2 << 7 | 0x17,
        sd(A2, A1, 8),  # auipc a2, 1
        addi(T0, RA, 0),
        jal(RA, 12),
        sd(ZERO, A1, 16),
        addi(ZERO, ZERO, 0),
        sd(RA, A1, 16),
        T1 << 7 | 0x17,
        addi(T1, T1, 20),
        jalr(T2, T1, 1),
        sd(ZERO, A1, 24),
        RET,
        sd(T2, A1, 24),
        addi(RA, T0, 0),
        RET,
    )
    got = machine.results(elf(code), bytes(64), 4)
    assert got == [0xFFFFFFFF_80000000, CODE + 8 + 0x1000, CODE + 24, CODE + 48]


# --- compressed instructions, each beside the ordinary one it abbreviates


def scatter(value: int, *pieces: tuple[int, int, int]) -> int:
    """Immediate bits high..low of value, placed at bit `at`: the compressed formats shuffle them."""
    return sum((value >> low & (1 << (high - low + 1)) - 1) << at for high, low, at in pieces)


def ci(quadrant: int, funct3: int, rd: int, imm: int) -> int:
    return funct3 << 13 | scatter(imm, (5, 5, 12), (4, 0, 2)) | rd << 7 | quadrant


@DIFFERENTIAL
@given(WORDS, WORDS, st.integers(-32, 31), st.integers(1, 63), st.integers(0, 63))
def test_compressed_arithmetic(machine: Machine, a: int, b: int, imm: int, shift: int, upper: int) -> None:
    short = A2 - 8

    def two(which: int, word: int) -> int:
        return 0x8C01 | word << 12 | short << 7 | which << 5 | (A3 - 8) << 2

    upper = upper or 1
    cases = [
        (ci(1, 0, A2, imm or 1), a + (imm or 1)),
        (ci(1, 1, A2, imm), sext32(a + imm)),
        (ci(1, 2, A2, imm), imm),
        (ci(1, 3, A2, upper), signed(upper << 26, 32) >> 14),
        (ci(2, 0, A2, shift), a << shift),
        (0x8001 | scatter(shift, (5, 5, 12), (4, 0, 2)) | short << 7, a >> shift),
        (0x8401 | scatter(shift, (5, 5, 12), (4, 0, 2)) | short << 7, signed(a) >> shift),
        (0x8801 | scatter(imm, (5, 5, 12), (4, 0, 2)) | short << 7, a & imm),
        (two(0, 0), a - b),
        (two(1, 0), a ^ b),
        (two(2, 0), a | b),
        (two(3, 0), a & b),
        (two(0, 1), sext32(a - b)),
        (two(1, 1), sext32(a + b)),
        (0x8002 | A2 << 7 | A3 << 2, b),
        (0x9002 | A2 << 7 | A3 << 2, a + b),
    ]
    body = [c for i, (code, _) in enumerate(cases) for c in (ld(A2, A0, 0), ld(A3, A0, 8), code, sd(A2, A1, 8 * i))]
    got = machine.results(elf(words(*body, RET)), struct.pack("<QQ", a, b) + bytes(48), len(cases))
    assert got == [v & MASK for _, v in cases]


@DIFFERENTIAL
@given(st.integers(0, 31), st.integers(0, 31), st.integers(1, 255), st.integers(-32, 31))
def test_compressed_memory_and_stack(machine: Machine, word: int, dword: int, wide: int, frame: int) -> None:
    """Offsets of c.lw/c.sw/c.ld/c.sd and their sp forms, c.addi4spn, c.addi16sp."""
    w, d, frame = 4 * word, 8 * dword, frame or 1
    base, value = A0 - 8, A2 - 8
    cw = scatter(w, (5, 3, 10), (2, 2, 6), (6, 6, 5)) | base << 7 | value << 2
    cd = scatter(d, (5, 3, 10), (7, 6, 5)) | base << 7 | value << 2
    sw_sp, sd_sp = scatter(w, (5, 2, 9), (7, 6, 7)) | A2 << 2, scatter(d, (5, 3, 10), (8, 6, 7)) | A2 << 2
    lw_sp = scatter(w, (5, 5, 12), (4, 2, 4), (7, 6, 2)) | A3 << 7
    ld_sp = scatter(d, (5, 5, 12), (4, 3, 5), (8, 6, 2)) | A3 << 7
    sp4 = scatter(4 * wide, (5, 4, 11), (9, 6, 7), (2, 2, 6), (3, 3, 5)) | (A3 - 8) << 2
    sp16 = scatter(16 * frame, (9, 9, 12), (4, 4, 6), (6, 6, 5), (8, 7, 3), (5, 5, 2)) | SP << 7
    code = words(
        0x4000 | cw,
        sd(A2, A1, 0),
        0x6000 | cd,
        sd(A2, A1, 8),  # c.lw, c.ld
        addi(SP, SP, -2048),
        ld(A2, A0, 0),
        0xC002 | sw_sp,
        0x4002 | lw_sp,
        sd(A3, A1, 16),  # c.swsp, c.lwsp
        0xE002 | sd_sp,
        0x6002 | ld_sp,
        sd(A3, A1, 24),  # c.sdsp, c.ldsp
        sp4,
        r_type(0x33, 0, 0x20, A3, A3, SP),
        sd(A3, A1, 32),  # c.addi4spn
        addi(A4, SP, 0),
        0x6001 | sp16,
        r_type(0x33, 0, 0x20, A3, SP, A4),
        sd(A3, A1, 40),  # c.addi16sp
        addi(A0, A1, 512),
        addi(A2, ZERO, -1),
        0xC000 | cw,
        0xE000 | cd,
        RET,  # c.sw, c.sd
    )
    data = bytes((37 * i + 11) % 251 for i in range(512))
    outcome = machine.run(elf(code), data)
    assert outcome.case["status"] == "ok", outcome.case
    got = outcome.outputs[0]
    first = struct.unpack_from("<Q", data)[0]
    assert struct.unpack_from("<6Q", got) == (
        struct.unpack_from("<i", data, w)[0] & MASK,
        struct.unpack_from("<Q", data, d)[0],
        sext32(first),
        first,
        4 * wide,
        16 * frame & MASK,
    )
    expected = bytearray(b"\xa5" * 512)
    expected[w : w + 4] = b"\xff" * 4
    expected[d : d + 8] = b"\xff" * 8
    assert got[512:1024] == expected


@DIFFERENTIAL
@given(st.integers(3, 120), st.booleans())
def test_compressed_control_flow(machine: Machine, distance: int, zero: bool) -> None:
    """c.j over a gap, c.beqz/c.bnez taken and not, and c.jr back."""
    gap = 2 * distance
    j = 0xA001 | scatter(gap, (11, 11, 12), (4, 4, 11), (9, 8, 9), (10, 10, 8))
    j |= scatter(gap, (6, 6, 7), (7, 7, 6), (3, 1, 3), (5, 5, 2))
    skip = scatter(6, (8, 8, 12), (4, 3, 10), (7, 6, 5), (2, 1, 3), (5, 5, 2)) | (A2 - 8) << 7
    nops = [0x0001] * (distance - 1)
    code = words(
        addi(A2, ZERO, 0 if zero else 5),
        j,
        *nops,
        0xC001 | skip,
        sd(A1, A1, 0),
        0xE001 | skip,
        sd(A1, A1, 8),
        0x8082,
    )
    outcome = machine.run(elf(code), bytes(64))
    assert outcome.case["status"] == "ok", outcome.case
    first, second = struct.unpack_from("<QQ", outcome.outputs[0])
    assert (first == OUT, second == OUT) == (not zero, zero)


# --- atomics

AMO: dict[int, Callable[[int, int, int], int]] = {
    0x04: lambda a, b, w: b,
    0x00: lambda a, b, w: a + b,
    0x10: lambda a, b, w: a ^ b,
    0x30: lambda a, b, w: a & b,
    0x20: lambda a, b, w: a | b,
    0x40: lambda a, b, w: min(a, b, key=lambda v: signed(v, w)),
    0x50: lambda a, b, w: max(a, b, key=lambda v: signed(v, w)),
    0x60: lambda a, b, w: min(a & (1 << w) - 1, b & (1 << w) - 1),
    0x70: lambda a, b, w: max(a & (1 << w) - 1, b & (1 << w) - 1),
}


@DIFFERENTIAL
@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=16))
def test_atomics(machine: Machine, pairs: list[tuple[int, int]]) -> None:
    body: list[int] = []
    cells = [(funct7, width) for funct7 in AMO for width in (4, 8)]
    for index, (funct7, width) in enumerate(cells):
        at, funct3 = 16 * index, 2 if width == 4 else 3
        body += [sd(A2, A1, at), addi(A5, A1, at), r_type(0x2F, funct3, funct7, A4, A5, A3), sd(A4, A1, at + 8)]
    program = elf(over_pairs(*body, outputs=2 * len(cells)))
    got = machine.results(program, pairs_data(pairs), 2 * len(cells) * len(pairs))
    for at, (a, b) in enumerate(pairs):
        for index, (funct7, width) in enumerate(cells):
            memory, old = got[2 * (at * len(cells) + index) :][:2]
            mask = (1 << 8 * width) - 1
            assert old == (sext32(a) if width == 4 else a)
            assert memory == a & ~mask | AMO[funct7](a, b, 8 * width) & mask, (hex(funct7), width, hex(a), hex(b))


def test_store_conditional_needs_its_reservation(machine: Machine) -> None:
    def lr(rd: int, at: int) -> int:
        return r_type(0x2F, 3, 0x08, rd, at, 0)

    def sc(rd: int, at: int, value: int) -> int:
        return r_type(0x2F, 3, 0x0C, rd, at, value)

    code = words(
        addi(A2, A1, 64),
        addi(A3, ZERO, 7),
        sd(ZERO, A2, 0),
        sc(A4, A2, A3),
        sd(A4, A1, 0),  # none yet: fails
        lr(A5, A2),
        sc(A4, A2, A3),
        sd(A4, A1, 8),
        sc(A4, A2, A3),
        sd(A4, A1, 16),  # succeeds once
        lr(A5, A2),
        addi(T0, A2, 8),
        sc(A4, T0, A3),
        sd(A4, A1, 24),
        sd(A5, A1, 32),
        RET,  # another address: fails
    )
    assert machine.results(elf(code), bytes(64), 5) == [1, 0, 1, 1, 7]


# --- counters, memory, whole programs


def test_counters_count_instructions(machine: Machine) -> None:
    before, after = (i_type(0x73, 2, rd, ZERO, 0xC02) for rd in (A2, A3))
    nop = addi(ZERO, ZERO, 0)
    code = words(before, nop, nop, after, r_type(0x33, 0, 0x20, A3, A3, A2), sd(A3, A1, 0), RET)
    outcome = machine.run(elf(code), mode="timed", calls=2)
    assert [struct.unpack_from("<Q", out)[0] for out in outcome.outputs] == [3, 3]
    assert [call["instret"] for call in outcome.case["calls"]] == [7 + 5 + 2 * 2] * 2  # the harness: 5, 2 per argument


def test_timed_cycles_of_an_empty_kernel(machine: Machine) -> None:
    """Three arguments: 11 cycles and 12 instructions when warm, as measured on RTL; more when the code is cold."""
    extra = ("case first timed", f"buffer a {IN + 4096:#x} 64 output /dev/null")
    extra += (f"buffer b {IN + 8192:#x} 64 output /dev/null", f"buffer c {IN + 12288:#x} 64 output /dev/null")
    extra += ("calls 2",)
    finished = machine.run(elf(words(RET)), mode="functional", extra=extra)
    assert finished.case["name"] == "first"
    cold, warm = finished.case["calls"]
    assert (warm["cycles"], warm["instret"]) == (11, 12)
    assert cold["cycles"] > 80


def test_outputs_are_poisoned_differently_before_every_call_and_data_is_reloaded_per_case(machine: Machine) -> None:
    """The counter in .data goes on between the calls of a case and starts again with the next case."""
    code = words(lui(T0, DATA >> 12), ld(A2, T0, 0), addi(A2, A2, 1), sd(A2, T0, 0), sd(A2, A1, 0), RET)
    # lui sign-extends: DATA has bit 31 set, so the upper half is cleared by a pair of shifts
    clear = [i_type(0x13, 1, T0, T0, 32), i_type(0x13, 5, T0, T0, 32)]
    code = code[:4] + words(*clear) + code[4:]
    outcome = machine.run(elf(code, data=struct.pack("<Q", 40)), calls=2)
    assert [struct.unpack_from("<Q", out)[0] for out in outcome.outputs] == [41, 42]
    assert outcome.outputs[0][8:16] == b"\xa5" * 8 and outcome.outputs[1][8:16] == b"\x5a" * 8
    again = machine.run(elf(code, data=struct.pack("<Q", 40)))
    assert struct.unpack_from("<Q", again.outputs[0])[0] == 41


def test_code_that_crosses_pages(machine: Machine) -> None:
    """A four-byte instruction over a page boundary, then sequential flow into the next page."""
    nops = [0x0001] * ((4096 - 4 - 2) // 2)
    code = words(addi(A2, ZERO, 0), *nops, addi(A2, A2, 7), *[addi(A2, A2, 1)] * 3, sd(A2, A1, 0), RET)
    assert machine.results(elf(code), bytes(64), 1) == [10]


def test_profile_adds_up(machine: Machine, tmp_path: Path) -> None:
    code = words(addi(A2, ZERO, 100), addi(A2, A2, -1), branch(1, A2, ZERO, -4), RET)
    profile = tmp_path / "profile.json"
    outcome = machine.run(elf(code), mode="timed", calls=2, extra=(f"profile {profile}",))
    written = json.loads(profile.read_text())
    by_pc = {pc: (cycles, count) for pc, cycles, count in written["pc_cycles"]}
    assert {pc: count for pc, (_, count) in by_pc.items()} == {CODE: 1, CODE + 4: 100, CODE + 8: 100, CODE + 12: 1}
    assert written["cycles"] == outcome.case["calls"][0]["cycles"]
    assert sum(cycles for cycles, _ in by_pc.values()) <= written["cycles"]
    assert [b["name"] for b in written["buffers"]] == ["in", "out"]


@pytest.mark.parametrize("mode", ["functional", "timed"])
def test_modes_agree(machine: Machine, mode: str) -> None:
    pairs = [(a, b) for a in EDGES[::3] for b in EDGES[1::3]]
    outcome = machine.run(integer_program(), pairs_data(pairs), mode=mode, out_bytes=8 * len(pairs) * len(INTEGER))
    reference = machine.results(integer_program(), pairs_data(pairs), len(pairs) * len(INTEGER))
    assert list(struct.unpack(f"<{len(reference)}Q", outcome.outputs[0])) == reference
