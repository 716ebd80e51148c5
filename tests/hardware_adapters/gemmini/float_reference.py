"""IEEE 754 arithmetic on exact fractions: an independent model of RISC-V's F and D results and flags."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt
from typing import NamedTuple

NX, UF, OF, DZ, NV = 1, 2, 4, 8, 16
RNE, RTZ, RDN, RUP, RMM = range(5)


class Format(NamedTuple):
    exponent_bits: int
    fraction_bits: int

    @property
    def bias(self) -> int:
        return (1 << (self.exponent_bits - 1)) - 1

    @property
    def infinity(self) -> int:
        return ((1 << self.exponent_bits) - 1) << self.fraction_bits

    @property
    def nan(self) -> int:
        return self.infinity | 1 << (self.fraction_bits - 1)

    @property
    def sign(self) -> int:
        return 1 << (self.exponent_bits + self.fraction_bits)


F32, F64 = Format(8, 23), Format(11, 52)


def is_nan(f: Format, a: int) -> bool:
    return a & ~f.sign > f.infinity


def is_signalling(f: Format, a: int) -> bool:
    return is_nan(f, a) and not a >> (f.fraction_bits - 1) & 1


def is_infinite(f: Format, a: int) -> bool:
    return a & ~f.sign == f.infinity


def is_zero(f: Format, a: int) -> bool:
    return a & ~f.sign == 0


def negative(f: Format, a: int) -> bool:
    return bool(a & f.sign)


def value(f: Format, a: int) -> Fraction:
    exponent, fraction = a >> f.fraction_bits & ((1 << f.exponent_bits) - 1), a & ((1 << f.fraction_bits) - 1)
    if exponent:
        fraction |= 1 << f.fraction_bits
    scale = max(exponent, 1) - f.bias - f.fraction_bits
    return (-1 if negative(f, a) else 1) * Fraction(fraction) * Fraction(2) ** scale


def round_integer(v: Fraction, rm: int) -> int:
    low = v.numerator // v.denominator
    rest = v - low
    if rm == RDN or rest == 0:
        return low
    if rm == RUP:
        return low + 1
    if rm == RTZ:
        return low + (v < 0)
    if rest != Fraction(1, 2):
        return low + (rest > Fraction(1, 2))
    return low + (low & 1) if rm == RNE else low + (v > 0)


def _exponent(v: Fraction) -> int:
    """The e with 2^e <= v < 2^(e+1)."""
    e = v.numerator.bit_length() - v.denominator.bit_length()
    return e if Fraction(2) ** e <= v else e - 1


def round_to(f: Format, v: Fraction, rm: int) -> tuple[int, int]:
    """Bits and flags of a nonzero exact value."""
    sign = f.sign if v < 0 else 0
    e, lowest = _exponent(abs(v)), 1 - f.bias
    unit = Fraction(2) ** (max(e, lowest) - f.fraction_bits)
    rounded = round_integer(v / unit, rm)
    flags = NX if rounded * unit != v else 0
    unbounded = Fraction(2) ** (e - f.fraction_bits)
    if flags and abs(round_integer(v / unbounded, rm) * unbounded) < Fraction(2) ** lowest:
        flags |= UF
    magnitude = abs(rounded) * unit
    if magnitude >= Fraction(2) ** (f.bias + 1):
        away = rm in (RNE, RMM) or rm == (RDN if v < 0 else RUP)
        return sign | (f.infinity if away else f.infinity - 1), OF | NX
    if magnitude == 0:
        return sign, flags
    e = _exponent(magnitude)
    if e < lowest:
        return sign | int(magnitude / Fraction(2) ** (lowest - f.fraction_bits)), flags
    fraction = int(magnitude / Fraction(2) ** (e - f.fraction_bits)) - (1 << f.fraction_bits)
    return sign | (e + f.bias) << f.fraction_bits | fraction, flags


def _nan(f: Format, *operands: int, invalid: bool = False) -> tuple[int, int]:
    return f.nan, NV if invalid or any(is_signalling(f, a) for a in operands) else 0


def add(f: Format, a: int, b: int, rm: int) -> tuple[int, int]:
    if is_nan(f, a) or is_nan(f, b):
        return _nan(f, a, b)
    if is_infinite(f, a) or is_infinite(f, b):
        if is_infinite(f, a) and is_infinite(f, b) and a != b:
            return _nan(f, invalid=True)
        return (a if is_infinite(f, a) else b), 0
    total = value(f, a) + value(f, b)
    if total:
        return round_to(f, total, rm)
    if is_zero(f, a) and is_zero(f, b) and a == b:
        return a, 0
    return (f.sign if rm == RDN else 0), 0


def mul(f: Format, a: int, b: int, rm: int) -> tuple[int, int]:
    sign = (a ^ b) & f.sign
    if is_nan(f, a) or is_nan(f, b):
        return _nan(f, a, b)
    if is_infinite(f, a) or is_infinite(f, b):
        return _nan(f, invalid=True) if is_zero(f, a) or is_zero(f, b) else (sign | f.infinity, 0)
    if is_zero(f, a) or is_zero(f, b):
        return sign, 0
    return round_to(f, value(f, a) * value(f, b), rm)


def div(f: Format, a: int, b: int, rm: int) -> tuple[int, int]:
    sign = (a ^ b) & f.sign
    if is_nan(f, a) or is_nan(f, b):
        return _nan(f, a, b)
    if is_infinite(f, a):
        return _nan(f, invalid=True) if is_infinite(f, b) else (sign | f.infinity, 0)
    if is_infinite(f, b):
        return sign, 0
    if is_zero(f, b):
        return _nan(f, invalid=True) if is_zero(f, a) else (sign | f.infinity, DZ)
    return (sign, 0) if is_zero(f, a) else round_to(f, value(f, a) / value(f, b), rm)


def sqrt(f: Format, a: int, rm: int) -> tuple[int, int]:
    if is_nan(f, a):
        return _nan(f, a)
    if is_zero(f, a):
        return a, 0
    if negative(f, a):
        return _nan(f, invalid=True)
    if is_infinite(f, a):
        return a, 0
    scale = 1 << 1400  # an even power of two: plenty of digits of the root, plus one that says whether it is exact
    scaled = value(f, a) * scale * scale
    root = isqrt(int(scaled))
    exact = root * root == scaled
    return round_to(f, Fraction(2 * root + (not exact), 2 * scale), rm)


def fma(f: Format, a: int, b: int, c: int, rm: int) -> tuple[int, int]:
    product_invalid = (is_infinite(f, a) and is_zero(f, b)) or (is_zero(f, a) and is_infinite(f, b))
    if product_invalid or is_nan(f, a) or is_nan(f, b) or is_nan(f, c):
        return _nan(f, a, b, c, invalid=product_invalid)
    sign = (a ^ b) & f.sign
    if is_infinite(f, a) or is_infinite(f, b):
        if is_infinite(f, c) and c & f.sign != sign:
            return _nan(f, invalid=True)
        return sign | f.infinity, 0
    if is_infinite(f, c):
        return c, 0
    total = value(f, a) * value(f, b) + value(f, c)
    if total:
        return round_to(f, total, rm)
    if is_zero(f, c) and (is_zero(f, a) or is_zero(f, b)) and c & f.sign == sign:
        return c, 0
    return (f.sign if rm == RDN else 0), 0


def convert(source: Format, target: Format, a: int, rm: int) -> tuple[int, int]:
    sign = target.sign if negative(source, a) else 0
    if is_nan(source, a):
        return target.nan, NV if is_signalling(source, a) else 0
    if is_infinite(source, a):
        return sign | target.infinity, 0
    return (sign, 0) if is_zero(source, a) else round_to(target, value(source, a), rm)


def from_int(f: Format, v: int, rm: int) -> tuple[int, int]:
    return round_to(f, Fraction(v), rm) if v else (0, 0)


def to_int(f: Format, a: int, bits: int, signed: bool, rm: int) -> tuple[int, int]:
    """Result sign-extended to 64 bits, as a non-negative Python integer."""
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if is_nan(f, a) or is_infinite(f, a):
        rounded, flags = (low if negative(f, a) and not is_nan(f, a) else high), NV
    else:
        exact = value(f, a)
        rounded = round_integer(exact, rm)
        flags = NX if rounded != exact else 0
        if not low <= rounded <= high:
            rounded, flags = (low if rounded < low else high), NV
    if bits == 32 and rounded >> 31 & 1:
        rounded |= ~0xFFFFFFFF
    return rounded & 0xFFFFFFFFFFFFFFFF, flags


def compare(f: Format, a: int, b: int, kind: str) -> tuple[int, int]:
    """kind: eq (quiet), lt, le (signalling)."""
    if is_nan(f, a) or is_nan(f, b):
        return 0, NV if kind != "eq" or is_signalling(f, a) or is_signalling(f, b) else 0
    x, y = (Fraction(2) ** 2000 * (-1 if negative(f, v) else 1) if is_infinite(f, v) else value(f, v) for v in (a, b))
    return int({"eq": x == y, "lt": x < y, "le": x <= y}[kind]), 0


def min_max(f: Format, a: int, b: int, maximum: bool) -> tuple[int, int]:
    flags = NV if is_signalling(f, a) or is_signalling(f, b) else 0
    if is_nan(f, a):
        return (f.nan if is_nan(f, b) else b), flags
    if is_nan(f, b):
        return a, flags
    if is_zero(f, a) and is_zero(f, b):
        return ((a & b) if maximum else (a | b)), flags
    first_is_less = compare(f, a, b, "lt")[0]
    return (a if first_is_less != maximum else b), flags


def classify(f: Format, a: int) -> int:
    if is_nan(f, a):
        return 1 << (8 if is_signalling(f, a) else 9)
    normal = a & f.infinity != 0
    kind = 0 if is_infinite(f, a) else 3 if is_zero(f, a) else 1 if normal else 2
    return 1 << (kind if negative(f, a) else 7 - kind)
