"""What a stream does, by name: so that a test can tell whether the random streams still do everything."""

from __future__ import annotations

import numpy as np
from command_streams import Stream
from gemmini_conv_fields import RUN, decode
from gemmini_isa import (
    ACCUMULATE,
    COMPUTE_ACCUMULATED,
    COMPUTE_PRELOADED,
    CONFIG,
    CONV_6,
    COUNTER,
    FLUSH,
    GARBAGE,
    LAYERNORM,
    LOOP_AB,
    LOOP_CONV,
    LOOP_DC,
    LOOP_WS,
    MVIN,
    MVIN2,
    MVIN3,
    MVOUT,
    OS,
    SOFTMAX,
    Array,
    Buffer,
    Command,
    Operand,
    bits,
    float_of,
)
from gemmini_oracle import GemminiOracle
from stream_layout import INPUT, OUTPUT, OUTPUT_BYTES

_ACTIVATIONS = ("none", "relu", "layernorm", "igelu", "softmax")
_NORM_COMMANDS = ("reset", "sum", "mean", "variance", "inverse stddev", "max", "sum of exp", "inverse sum of exp")

PLAIN = frozenset(
    [
        "mvin",
        "mvin2",
        "mvin3",
        "shrunk load",
        "scaled load",
        "several blocks in",
        "several blocks out",
        "wide block stride",
        "zero fill",
        "accumulating load",
        "load into the accumulator",
        "product into the scratchpad",
        "product into the accumulator",
        "product added",
        "product dropped",
        "weights kept",
        "zero weights",
        "more rows of C than of A",
        "bias D",
        "A stride",
        "C stride",
        "relu of a product",
        "partial operand",
        "mvout from the scratchpad",
        "full width mvout",
        "mvout none",
        "mvout relu",
        "flush",
    ]
)
OF_FEATURE: dict[str, frozenset[str]] = {
    "counters": frozenset({"counter"}),
    "loads": frozenset({"pixel repeats", "repeats stopped at the middle", "repeated rows of DRAM"}),
    "loop_conv": frozenset(
        {"convolution on earlier sums", *(f"convolution {name}" for name in RUN if name != "activation")}
    ),
    "loop_ws": frozenset(
        [
            "loop A transpose",
            "loop B transpose",
            "loop full C",
            "loop low D",
            "loop ex accumulate",
            "loop residual add",
            "loop spad ids",
            "loop null A",
            "loop null B",
            "loop null C",
            "loop null D",
        ]
    ),
    "norm": frozenset(
        {"mvout igelu", "mvout layernorm", "mvout softmax", "stat id", *(f"norm {name}" for name in _NORM_COMMANDS[1:])}
    ),
    "os": frozenset(
        {"output stationary", "sums kept", "output stationary bias", "output stationary into the accumulator"}
    ),
    "pooling": frozenset({"pooling", "pooling with padding", "pooling from the scratchpad"}),
    "shift": frozenset({"strides only"}),
    "stores": frozenset({"negative scale out", "scale kept"}),
    "transposes": frozenset({"A transpose", "B transpose"}),
}
TOGETHER: dict[frozenset[str], frozenset[str]] = {
    frozenset({"os", "shift"}): frozenset({"shifted result"}),
    frozenset({"os", "transposes"}): frozenset({"output stationary both transposes"}),
    frozenset({"os"}): frozenset({"more than 20 bits"}),
    frozenset({"loop_ws", "norm"}): frozenset({"loop layernorm", "loop softmax"}),
}


class _Witness(GemminiOracle):
    """An oracle that notes what it is told to do."""

    def __init__(self, buffers: list[Buffer], array: Array) -> None:
        super().__init__(buffers, array)
        self.seen: set[str] = set()

    def note(self, **facts: object) -> None:
        self.seen |= {name.replace("_", " ") for name, true in facts.items() if true}

    def step(self, command: Command) -> None:
        loaded = self.preloaded
        super().step(command)
        funct, rs1, rs2 = command
        self.note(flush=funct == FLUSH, counter=funct == COUNTER)
        if funct == CONFIG:
            self.note_config(rs1, rs2)
        elif funct in (MVIN, MVIN2, MVIN3):
            self.note_mvin({MVIN: 0, MVIN2: 1, MVIN3: 2}[funct], rs1, Operand.of(rs2))
        elif funct == MVOUT:
            self.note_mvout(Operand.of(rs2))
        elif funct in (COMPUTE_PRELOADED, COMPUTE_ACCUMULATED) and loaded is not None:
            self.note_product(*loaded, Operand.of(rs1), Operand.of(rs2), funct == COMPUTE_ACCUMULATED)
        elif funct == LOOP_WS:
            self.note_loop(rs1, rs2)
        elif funct == LOOP_CONV:
            self.note_convolution(rs1, rs2)
        elif funct == LOOP_AB:
            self.note(loop_null_A=not rs1, loop_null_B=not rs2)
        elif funct == LOOP_DC:
            self.note(loop_null_D=not rs1, loop_null_C=not rs2)
        elif funct == CONV_6:
            self.note(convolution_on_earlier_sums=not rs1)

    def note_config(self, rs1: int, rs2: int) -> None:
        kind = rs1 & 3
        self.note(strides_only=kind == 0 and bits(rs1, 7, 7), stat_id=kind == 3 and bits(rs1, 15, 8))
        if kind == 2:
            kept = rs2 >> 32 == GARBAGE
            self.note(scale_kept=kept, negative_scale_out=not kept and float_of(rs2 >> 32) < 0)

    def note_mvin(self, number: int, dram: int, to: Operand) -> None:
        load = self.loads[number]
        self.seen.add(("mvin", "mvin2", "mvin3")[number])
        several, middle = to.cols > self.array.dim, self.array.scratchpad_rows // 2
        self.note(
            shrunk_load=to.in_accumulator and load.shrunk,
            scaled_load=load.scale != 1 and dram,
            several_blocks_in=several,
            wide_block_stride=several and load.block_stride > self.array.dim,
            zero_fill=not dram,
            accumulating_load=to.in_accumulator and to.address & ACCUMULATE,
            load_into_the_accumulator=to.in_accumulator,
            pixel_repeats=load.repeats > 1,
            repeats_stopped_at_the_middle=to.row - load.repeats + 1 < middle < to.row + to.rows and load.repeats > 1,
            repeated_rows_of_DRAM=not load.stride and dram and to.rows > 1,
        )

    def note_mvout(self, source: Operand) -> None:
        pooling, inside = self.store.pooling, source.in_accumulator
        if inside and not source.norm_command and not source.full_width:
            self.seen.add(f"mvout {_ACTIVATIONS[self.store.activation]}")
        if inside and source.norm_command:
            self.seen.add(f"norm {_NORM_COMMANDS[source.norm_command]}")
        self.note(
            mvout_from_the_scratchpad=not inside,
            full_width_mvout=source.full_width,
            several_blocks_out=source.cols > self.array.dim,
            pooling=pooling.stride and inside,
            pooling_with_padding=pooling.stride and (pooling.upad or pooling.lpad),
            pooling_from_the_scratchpad=pooling.stride and not inside,
        )

    def note_product(self, loaded: Operand, c: Operand, a: Operand, other: Operand, kept: bool) -> None:
        e = self.execute
        if e is None:
            return
        os = e.dataflow == OS
        self.note(
            A_transpose=e.a_transpose,
            B_transpose=e.b_transpose and not os,
            A_stride=e.a_stride > 1,
            C_stride=e.c_stride > 1,
            product_dropped=c.address == GARBAGE,
            partial_operand=min(a.rows, a.cols, other.rows, other.cols) < self.array.dim,
        )
        if os:
            self.note(
                output_stationary=True,
                sums_kept=kept,
                output_stationary_bias=not kept and loaded.address != GARBAGE,
                output_stationary_into_the_accumulator=c.in_accumulator and c.address != GARBAGE,
                output_stationary_both_transposes=e.a_transpose and e.b_transpose,
                more_than_20_bits=c.in_accumulator and c.address != GARBAGE and self.largest() >= 1 << 19,
                shifted_result=e.shift and c.address != GARBAGE,
            )
        else:
            self.note(
                weights_kept=kept,
                more_rows_of_C_than_of_A=c.address != GARBAGE and c.rows > a.rows,
                zero_weights=not kept and loaded.address == GARBAGE,
                bias_D=other.address != GARBAGE,
                product_into_the_scratchpad=not c.in_accumulator,
                relu_of_a_product=not c.in_accumulator and e.relu,
                product_into_the_accumulator=c.in_accumulator and c.address != GARBAGE,
                product_added=c.address != GARBAGE and c.address & ACCUMULATE,
            )

    def largest(self) -> float:
        """Of the array's partial sums."""
        return 0 if self.stationary is None else float(np.abs(self.stationary).max())

    def note_loop(self, flags: int, modes: int) -> None:
        activation = bits(flags, 10, 8)
        self.note(
            loop_ex_accumulate=flags & 1,
            loop_full_C=flags & 2,
            loop_low_D=flags & 4,
            loop_layernorm=activation == LAYERNORM,
            loop_softmax=activation == SOFTMAX,
            loop_spad_ids=flags >> 16,
            loop_A_transpose=modes & 1,
            loop_B_transpose=modes & 2,
            loop_residual_add=modes & 4,
        )

    def note_convolution(self, rs1: int, rs2: int) -> None:
        self.seen |= {f"convolution {name}" for name, value in decode(RUN, rs1, rs2).items() if value}


def done_by(stream: Stream) -> set[str]:
    """What the stream's commands do, those that its loops expand to included."""
    buffers = [Buffer(INPUT, stream.data.copy()), Buffer(OUTPUT, np.zeros(OUTPUT_BYTES, np.uint8))]
    witness = _Witness(buffers, stream.array)
    witness.run(stream.commands)
    return witness.seen
