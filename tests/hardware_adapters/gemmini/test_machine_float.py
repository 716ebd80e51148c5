"""F and D of the simulator's core against exact fractions: results and flags, every rounding mode."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

import float_reference as ref
from float_reference import F32, F64, Format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from riscv_machine import (
    A0,
    A1,
    A2,
    A3,
    A4,
    A5,
    RET,
    T0,
    ZERO,
    Machine,
    addi,
    branch,
    elf,
    i_type,
    ld,
    r_type,
    s_type,
    sd,
    words,
)

MASK32, MASK64 = (1 << 32) - 1, (1 << 64) - 1
BOX = MASK32 << 32
DIFFERENTIAL = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FFLAGS, FRM = 0x001, 0x002


def interesting(f: Format) -> st.SearchStrategy[int]:
    """Bits of a float: all classes, neighbours of powers of two, halves of units in the last place, anything."""
    width = f.exponent_bits + f.fraction_bits
    exponents = [0, 1, 2, 2 * f.bias - 1, 2 * f.bias, 2 * f.bias + 1]
    exponents += [f.bias + e for e in (-f.fraction_bits - 1, -1, 0, 1, 23, 31, 52, 63)]
    top = (1 << f.fraction_bits) - 1
    fractions = [0, 1, 2, top, top - 1, top >> 1, (top >> 1) + 1, (top >> 1) + 2, top & 0x5555555555555]
    shaped = st.builds(
        lambda sign, exponent, fraction: sign << width | exponent << f.fraction_bits | fraction,
        st.integers(0, 1),
        st.one_of(st.sampled_from(exponents), st.integers(0, 2 * f.bias + 1)),
        st.one_of(st.sampled_from(fractions), st.integers(0, top)),
    )
    return st.one_of(shaped, st.integers(0, (1 << width + 1) - 1))


def near_halves(f: Format) -> st.SearchStrategy[int]:
    """Integers, halves and quarters around zero and the edges of int32 and int64."""
    edges = [0, 1, 2, 3, 1 << 31, 1 << 32, 1 << 63, 1 << 64]

    def bits(edge: int, quarters: int, negative: bool) -> int:
        exact = ref.Fraction(4 * edge + quarters, 4)
        encoded = ref.round_to(f, exact, ref.RTZ)[0] if exact else 0
        return encoded ^ (f.sign if negative else 0)

    return st.builds(bits, st.sampled_from(edges), st.integers(-9, 9), st.booleans())


class Op(NamedTuple):
    """A floating-point instruction on (fa0, fa1, fa2) or a2, and what it must give."""

    name: str
    code: int
    result_is_float: bool
    expected: Callable[[int, int, int], tuple[int, int]]


def program(ops: list[Op]) -> bytes:
    """For every triple of the input and every op: the result's register bits and the flags it raised."""
    read_flags, clear_flags = i_type(0x73, 2, A5, ZERO, FFLAGS), i_type(0x73, 1, ZERO, ZERO, FFLAGS)
    body = [i_type(0x07, 3, 10 + n, A0, 8 * n) for n in range(3)] + [ld(A2, A0, 0)]
    for op in ops:
        store = s_type(0x27, 3, 13, A1, 0) if op.result_is_float else sd(A3, A1, 0)
        body += [clear_flags, op.code, read_flags, store, sd(A5, A1, 8), addi(A1, A1, 16)]
    loop = words(*body, addi(A0, A0, 24), addi(T0, T0, -1))
    assert len(loop) < 4096
    return elf(words(ld(T0, A0, 0), addi(A0, A0, 8)) + loop + words(branch(1, T0, ZERO, -len(loop)), RET))


def check(machine: Machine, ops: list[Op], triples: list[tuple[int, int, int]]) -> None:
    data = struct.pack(f"<{1 + 3 * len(triples)}Q", len(triples), *(v for triple in triples for v in triple))
    for start in range(0, len(ops), 32):
        part = ops[start : start + 32]
        got = machine.results(program(part), data, 2 * len(part) * len(triples))
        for at, triple in enumerate(triples):
            for index, op in enumerate(part):
                result, flags = got[2 * (at * len(part) + index) :][:2]
                assert (result, flags) == op.expected(*triple), (op.name, [hex(v) for v in triple], hex(result), flags)


def unbox(v: int) -> int:
    return v & MASK32 if v >> 32 == MASK32 else F32.nan


def variants(f: Format) -> tuple[str, int, Callable[[int], int], Callable[[tuple[int, int]], tuple[int, int]]]:
    """Suffix, format field, how operands are read from registers, how results are written to them."""
    if f is F32:
        return "s", 0, unbox, lambda r: (r[0] | BOX, r[1])
    return "d", 1, lambda v: v, lambda r: r


def op_fp(funct7: int, rd: int, rs1: int, rs2: int, rm: int) -> int:
    return r_type(0x53, rm, funct7, rd, rs1, rs2)


def rounding_ops(f: Format) -> list[Op]:
    suffix, fmt, read, write = variants(f)
    ops = []
    for rm in range(5):
        for name, funct5, function in (("fadd", 0, ref.add), ("fmul", 2, ref.mul), ("fdiv", 3, ref.div)):
            ops.append(
                Op(
                    f"{name}.{suffix} rm{rm}",
                    op_fp(funct5 << 2 | fmt, 13, 10, 11, rm),
                    True,
                    lambda a, b, c, g=function, rm=rm: write(g(f, read(a), read(b), rm)),
                )
            )
        ops.append(
            Op(
                f"fsub.{suffix} rm{rm}",
                op_fp(1 << 2 | fmt, 13, 10, 11, rm),
                True,
                lambda a, b, c, rm=rm: write(ref.add(f, read(a), read(b) ^ f.sign, rm)),
            )
        )
        ops.append(
            Op(
                f"fsqrt.{suffix} rm{rm}",
                op_fp(11 << 2 | fmt, 13, 10, 0, rm),
                True,
                lambda a, b, c, rm=rm: write(ref.sqrt(f, read(a), rm)),
            )
        )
        for opcode, product, addend in ((0x43, 0, 0), (0x47, 0, f.sign), (0x4B, f.sign, 0), (0x4F, f.sign, f.sign)):
            code = r_type(opcode, rm, 12 << 2 | fmt, 13, 10, 11)

            def fused(a: int, b: int, c: int, p: int = product, q: int = addend, rm: int = rm) -> tuple[int, int]:
                return write(ref.fma(f, read(a) ^ p, read(b), read(c) ^ q, rm))

            ops.append(Op(f"fused {opcode:#x}.{suffix} rm{rm}", code, True, fused))
    return ops


def exact_ops(f: Format) -> list[Op]:
    suffix, fmt, read, write = variants(f)
    keep = f.sign - 1

    def sign(name: str, funct3: int, function: Callable[[int, int], int]) -> Op:
        expected = lambda a, b, c: write((read(a) & keep | function(read(a), read(b)) & f.sign, 0))  # noqa: E731
        return Op(f"{name}.{suffix}", op_fp(4 << 2 | fmt, 13, 10, 11, funct3), True, expected)

    ops = [sign("fsgnj", 0, lambda a, b: b), sign("fsgnjn", 1, lambda a, b: ~b), sign("fsgnjx", 2, lambda a, b: a ^ b)]
    for funct3, name in enumerate(("fmin", "fmax")):
        ops.append(
            Op(
                f"{name}.{suffix}",
                op_fp(5 << 2 | fmt, 13, 10, 11, funct3),
                True,
                lambda a, b, c, m=bool(funct3): write(ref.min_max(f, read(a), read(b), m)),
            )
        )
    for funct3, kind in enumerate(("le", "lt", "eq")):
        ops.append(
            Op(
                f"f{kind}.{suffix}",
                op_fp(20 << 2 | fmt, A3, 10, 11, funct3),
                False,
                lambda a, b, c, k=kind: ref.compare(f, read(a), read(b), k),
            )
        )
    ops.append(
        Op(f"fclass.{suffix}", op_fp(28 << 2 | fmt, A3, 10, 0, 1), False, lambda a, b, c: (ref.classify(f, read(a)), 0))
    )
    move = (lambda a: a & MASK32 | (BOX if a >> 31 & 1 else 0)) if f is F32 else (lambda a: a)
    ops.append(Op(f"fmv.x.{suffix}", op_fp(28 << 2 | fmt, A3, 10, 0, 0), False, lambda a, b, c: (move(a), 0)))
    ops.append(
        Op(
            f"fmv.{suffix}.x",
            op_fp(30 << 2 | fmt, 13, A2, 0, 0),
            True,
            lambda a, b, c: write((a & (MASK32 if f is F32 else MASK64), 0)),
        )
    )
    return ops


def conversion_ops(f: Format) -> list[Op]:
    suffix, fmt, read, write = variants(f)
    ops = []
    for rm in range(5):
        for which, (bits, is_signed) in enumerate(((32, True), (32, False), (64, True), (64, False))):
            ops.append(
                Op(
                    f"fcvt.int{which}.{suffix} rm{rm}",
                    op_fp(24 << 2 | fmt, A3, 10, which, rm),
                    False,
                    lambda a, b, c, n=bits, s=is_signed, rm=rm: ref.to_int(f, read(a), n, s, rm),
                )
            )

            def number(v: int, n: int = bits, s: bool = is_signed) -> int:
                v &= (1 << n) - 1
                return v - (1 << n) if s and v >> (n - 1) else v

            ops.append(
                Op(
                    f"fcvt.{suffix}.int{which} rm{rm}",
                    op_fp(26 << 2 | fmt, 13, A2, which, rm),
                    True,
                    lambda a, b, c, g=number, rm=rm: write(ref.from_int(f, g(a), rm)),
                )
            )
        other, read_other = (F64, lambda v: v) if f is F32 else (F32, unbox)
        ops.append(
            Op(
                f"fcvt to .{suffix} rm{rm}",
                op_fp(8 << 2 | fmt, 13, 10, 1 - fmt, rm),
                True,
                lambda a, b, c, rm=rm, o=other, g=read_other: write(ref.convert(o, f, g(a), rm)),
            )
        )
    return ops


SINGLES = st.one_of(interesting(F32).map(lambda v: v | BOX), near_halves(F32).map(lambda v: v | BOX), interesting(F64))
DOUBLES = st.one_of(interesting(F64), near_halves(F64), interesting(F32).map(lambda v: v | BOX))


def triples(values: st.SearchStrategy[int]) -> st.SearchStrategy[list[tuple[int, int, int]]]:
    return st.lists(st.tuples(values, values, values), min_size=1, max_size=8)


@DIFFERENTIAL
@given(triples(SINGLES))
def test_single_precision_arithmetic(machine: Machine, operands: list[tuple[int, int, int]]) -> None:
    check(machine, rounding_ops(F32), operands)


@DIFFERENTIAL
@given(triples(DOUBLES))
def test_double_precision_arithmetic(machine: Machine, operands: list[tuple[int, int, int]]) -> None:
    check(machine, rounding_ops(F64), operands)


@DIFFERENTIAL
@given(triples(SINGLES), triples(DOUBLES))
def test_signs_comparisons_and_classes(
    machine: Machine, singles: list[tuple[int, int, int]], doubles: list[tuple[int, int, int]]
) -> None:
    check(machine, exact_ops(F32), singles)
    check(machine, exact_ops(F64), doubles)


@DIFFERENTIAL
@given(triples(st.one_of(SINGLES, DOUBLES)))
def test_conversions(machine: Machine, operands: list[tuple[int, int, int]]) -> None:
    check(machine, conversion_ops(F32), operands)
    check(machine, conversion_ops(F64), operands)


def test_every_pair_of_special_values(machine: Machine) -> None:
    """Zeros, infinities, NaNs of both kinds, the smallest and largest numbers and one, of either sign."""
    for f, box in ((F32, BOX), (F64, 0)):
        plain = [0, f.infinity, f.nan, f.infinity | 1, 1, f.infinity - 1, f.bias << f.fraction_bits]
        values = [box | sign | v for v in plain for sign in (0, f.sign)]
        pairs = [(a, b, values[(i + j) % len(values)]) for i, a in enumerate(values) for j, b in enumerate(values)]
        check(machine, exact_ops(f) + rounding_ops(f) + conversion_ops(f), pairs)


def test_dynamic_rounding_mode_and_fcsr(machine: Machine) -> None:
    """1 + 2^-60 rounds up only towards +infinity; fcsr shows mode and flags together; a reserved mode is illegal."""
    add = op_fp(1, 13, 10, 11, 7)
    loads = [i_type(0x07, 3, 10, A0, 0), i_type(0x07, 3, 11, A0, 8)]
    code = words(
        *loads,
        add,
        s_type(0x27, 3, 13, A1, 0),
        i_type(0x73, 5, ZERO, 3, FRM),
        add,
        s_type(0x27, 3, 13, A1, 8),
        i_type(0x73, 2, A4, ZERO, 3),
        sd(A4, A1, 16),
        RET,
    )
    data = struct.pack("<dd", 1.0, 2.0**-60) + bytes(48)
    got = machine.results(elf(code), data, 3)
    one = struct.unpack("<Q", struct.pack("<d", 1.0))[0]
    assert got == [one, one + 1, 3 << 5 | ref.NX]
    reserved = machine.run(elf(words(*loads, i_type(0x73, 5, ZERO, 5, FRM), add, RET)), data)
    assert reserved.fault["kind"] == "illegal_instruction"
