"""Stores out of the accumulator: activations, normalisation statistics, pooling."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NoReturn

import numpy as np
from gemmini_arithmetic import iexp, igelu, rectified, scaled, truncated, wrap32
from gemmini_isa import (
    IGELU,
    INV_STDDEV,
    INV_SUM_EXP,
    LAYERNORM,
    MAX,
    MEAN,
    NONE,
    RELU,
    RESET,
    SOFTMAX,
    STAT_IDS,
    SUM,
    SUM_EXP,
    VARIANCE,
    Array,
    IllegalCommand,
    bits,
    float_of,
    require,
    signed,
)

_LOWEST = -(1 << 31)
UNFINISHED = {MEAN: SUM, INV_STDDEV: VARIANCE, INV_SUM_EXP: SUM_EXP}  # what all but a row's last block do


@dataclass(frozen=True)
class Pooling:
    stride: int = 0
    size: int = 0
    upad: int = 0
    lpad: int = 0
    out_dim: int = 0
    porows: int = 0
    pocols: int = 0
    orows: int = 0
    ocols: int = 0

    @classmethod
    def of(cls, rs1: int) -> Pooling:
        ends = {"stride": 5, "size": 7, "upad": 9, "lpad": 11}
        small = {name: bits(rs1, high, high - 1) for name, high in ends.items()}
        ends = {"out_dim": 31, "porows": 39, "pocols": 47, "orows": 55, "ocols": 63}
        return cls(**small, **{name: bits(rs1, high, high - 7) for name, high in ends.items()})


@dataclass
class Statistics:
    reset: bool = True
    sum: int = 0
    count: int = 0
    running_max: int = _LOWEST
    max: int | None = None
    mean: int | None = None
    inv_stddev: np.float32 | None = None
    inv_sum_exp: np.float32 | None = None


@dataclass
class Store:
    """Configuration and statistics of the store pipeline."""

    array: Array
    stride: int | None = None
    scale: float | None = None
    activation: int = NONE
    pooling: Pooling = Pooling()
    qb: int | None = None
    qc: int | None = None
    qln2: int | None = None
    qln2_inv: int | None = None
    stat_id: int | None = None
    statistics: list[Statistics] = field(default_factory=lambda: [Statistics() for _ in range(STAT_IDS)])

    def copy(self) -> Store:
        return replace(self, statistics=[Statistics(**vars(s)) for s in self.statistics])

    def configure(self, rs1: int, rs2: int) -> None:
        self.stride = rs2 & 0xFFFFFFFF
        activation = bits(rs1, 3, 2)
        if activation != NONE or self.activation != SOFTMAX:  # softmax is sticky, as in the functional model
            self.activation = activation
        if rs2 >> 32 != 0xFFFFFFFF:  # RTL: "no change"; the functional model would take a NaN
            self.scale = float_of(rs2 >> 32)
        self.pooling = Pooling.of(rs1)
        require(self.pooling.stride > 0 or self.pooling.size == 0, "pool_size without pool_stride")

    def configure_norm(self, rs1: int, rs2: int) -> None:
        require(not self.array.floating, "normalisation with floats")
        stat_id = bits(rs1, 15, 8)
        require(stat_id < STAT_IDS, f"stat id {stat_id}")
        self.stat_id = stat_id
        if bits(rs1, 17, 17):
            return
        self.qb, self.qc = signed(rs2), signed(rs2 >> 32)
        if bits(rs1, 18, 18):
            self.qln2_inv = signed(rs1 >> 32)
        else:
            self.qln2 = signed(rs1 >> 32)
        self.activation |= bits(rs1, 16, 16) << 2
        require(self.activation <= SOFTMAX, "softmax together with another activation")

    @property
    def current(self) -> Statistics:
        """Stat id 0 until one is set: the registers exist from the start, only their use needs a value."""
        return self.statistics[self.stat_id or 0]

    def outputs(self, values: np.ndarray) -> np.ndarray:
        """Elements that leave the accumulator."""
        if self.scale is None:
            raise_unset("scale")
        if self.activation == RELU:
            values = rectified(values)  # before the scale, as in the RTL: differs for negative scales only
        elif self.activation == IGELU:
            qb, qc = self._polynomial()
            values = igelu(values, qb, qc)
        elif self.activation == LAYERNORM:
            mean, inv_stddev = self.current.mean, self.current.inv_stddev
            if mean is None or inv_stddev is None:
                raise_unset("mean or inverse stddev")
            # The functional model truncates before the scale; the RTL multiplies the two factors first.
            values = truncated(wrap32(values - np.int64(mean)).astype(np.float32) * inv_stddev)
        elif self.activation == SOFTMAX:
            inverse, maximum = self.current.inv_sum_exp, self.current.max
            if inverse is None or maximum is None:
                raise_unset("maximum or inverse sum")
            values = scaled(self._exponential(values, maximum), float(inverse), self.array)
        return scaled(values, self.scale, self.array)

    def _polynomial(self) -> tuple[int, int]:
        if self.qb is None or self.qc is None:
            raise_unset("qb, qc")
        return self.qb, self.qc

    def _exponential(self, values: np.ndarray, maximum: int) -> np.ndarray:
        qb, qc = self._polynomial()
        if self.qln2 is None or self.qln2_inv is None:
            raise_unset("qln2, qln2_inv")
        return iexp(wrap32(values.astype(np.int64) - maximum), qb, qc, self.qln2, self.qln2_inv)

    def normalise(self, blocks: list[np.ndarray], command: int) -> None:
        """The statistics of rows, their blocks of columns side by side; only RESET writes the rows to DRAM."""
        if command == RESET:
            self.current.reset = True
            return
        for r in range(len(blocks[0])):
            for n, block in enumerate(blocks):
                self._block(block[r], command, n == len(blocks) - 1)

    def _block(self, values: np.ndarray, command: int, last: bool) -> None:
        command = command if last else UNFINISHED.get(command, command)
        s = self.current
        if s.reset:
            s.sum, s.count, s.running_max = 0, 0, _LOWEST
        s.reset = command in (MEAN, INV_STDDEV)
        values = values.astype(np.int64)
        if command in (SUM, MEAN):
            self._add(values)
        elif command in (VARIANCE, INV_STDDEV):
            if s.mean is None:
                raise_unset("mean")
            error = wrap32(values - s.mean)
            self._add(wrap32(error * error))
        elif command == MAX:
            s.running_max = max(s.running_max, int(values.max()))
        else:
            s.max = s.running_max
            s.sum = int(wrap32(s.sum + int(self._exponential(values, s.max).sum())))
        if command == MEAN:
            s.mean = int(s.sum / s.count)  # exact: |sum| < 2^31
        elif command == INV_STDDEV:
            variance = int(s.sum / s.count)
            require(variance >= 0, "negative variance: the sum of squares overflowed")
            s.inv_stddev = np.float32(1) / np.float32(max(1, int(np.sqrt(float(variance)))))
        elif command == INV_SUM_EXP:
            require(s.sum > 0, "sum of exponentials is not positive")
            s.running_max = _LOWEST
            s.inv_sum_exp = np.float32(127) / np.float32(s.sum)

    def _add(self, values: np.ndarray) -> None:
        self.current.sum = int(wrap32(self.current.sum + int(values.sum())))
        self.current.count += len(values)


def raise_unset(what: str) -> NoReturn:
    raise IllegalCommand(f"{what} used before set")
