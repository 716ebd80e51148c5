"""Commands by name, for tests and random streams: one function per command, fields as in docs/gemmini_semantics.md."""

from __future__ import annotations

from gemmini_conv_fields import FIELDS, RUN
from gemmini_isa import (
    CONFIG,
    CONV_1,
    LOOP_AB,
    LOOP_BOUNDS,
    LOOP_CONV,
    LOOP_DC,
    LOOP_STRIDES_AB,
    LOOP_STRIDES_DC,
    LOOP_WS,
    WS,
    Command,
    bits_of,
)
from gemmini_store import Pooling


def local(address: int, cols: int, rows: int) -> int:
    return rows << 48 | cols << 32 | address


def config_ex(
    dataflow: int = WS,
    *,
    relu: int = 0,
    a_stride: int = 1,
    c_stride: int = 1,
    a_transpose: int = 0,
    b_transpose: int = 0,
    shift: int = 0,
    strides_only: int = 0,
) -> Command:
    transposes = b_transpose << 9 | a_transpose << 8 | strides_only << 7
    return Command(
        CONFIG, bits_of(1.0) << 32 | a_stride << 16 | transposes | relu << 3 | dataflow << 2, c_stride << 48 | shift
    )


def config_ld(
    number: int, stride: int, scale: float = 1.0, block_stride: int = 16, shrunk: bool = False, repeats: int = 1
) -> Command:
    rs1 = bits_of(scale) << 32 | block_stride << 16 | repeats << 8 | number << 3 | shrunk << 2 | 1
    return Command(CONFIG, rs1, stride)


def config_st(stride: int, scale: float = 1.0, activation: int = 0, pooling: Pooling | None = None) -> Command:
    p = pooling or Pooling()
    sizes = p.ocols << 56 | p.orows << 48 | p.pocols << 40 | p.porows << 32 | p.out_dim << 24
    windows = p.lpad << 10 | p.upad << 8 | p.size << 6 | p.stride << 4
    return Command(CONFIG, sizes | windows | activation << 2 | 2, bits_of(scale) << 32 | stride)


def config_norm(
    qb: int, qc: int, constant: int = 0, *, inverse: bool = False, softmax: bool = False, stat_id: int = 0
) -> Command:
    """`constant` is qln2, or qln2_inv if `inverse`."""
    word = 0xFFFFFFFF
    rs1 = (constant & word) << 32 | inverse << 18 | softmax << 16 | stat_id << 8 | 3
    return Command(CONFIG, rs1, (qc & word) << 32 | qb & word)


def set_stat_id(stat_id: int) -> Command:
    return Command(CONFIG, 1 << 17 | stat_id << 8 | 3, 0)


def loop_ws(
    bounds: tuple[int, int, int],
    pads: tuple[int, int, int],
    pointers: tuple[int, int, int, int],
    strides: tuple[int, int, int, int],
    *,
    ex_accumulate: int = 0,
    full_c: int = 0,
    low_d: int = 0,
    activation: int = 0,
    a_spad: int = 0,
    b_spad: int = 0,
    a_transpose: int = 0,
    b_transpose: int = 0,
    residual_add: int = 0,
) -> list[Command]:
    """Bounds and pads I, J, K; pointers and strides (in elements) A, B, D, C."""

    def packed(values: tuple[int, int, int]) -> int:
        return values[2] << 32 | values[1] << 16 | values[0]

    a, b, d, c = pointers
    flags = a_spad << 18 | b_spad << 16 | activation << 8 | low_d << 2 | full_c << 1 | ex_accumulate
    return [
        Command(LOOP_BOUNDS, packed(pads), packed(bounds)),
        Command(LOOP_AB, a, b),
        Command(LOOP_DC, d, c),
        Command(LOOP_STRIDES_AB, strides[0], strides[1]),
        Command(LOOP_STRIDES_DC, strides[2], strides[3]),
        Command(LOOP_WS, flags, residual_add << 2 | b_transpose << 1 | a_transpose),
    ]


def loop_conv(**values: int) -> list[Command]:
    """All configurations and the run; fields that are not named are 0."""
    commands = []
    for number, fields in enumerate([*FIELDS, RUN]):
        words = [0, 0, 0]
        for name, (register, low, width) in fields.items():
            value = values.pop(name, 0)
            if not 0 <= value < 1 << width:
                raise ValueError(f"{name}={value}")
            words[register] |= value << low
        commands.append(Command(CONV_1 + number if number < len(FIELDS) else LOOP_CONV, words[1], words[2]))
    if values:
        raise ValueError(f"no such fields: {sorted(values)}")
    return commands
