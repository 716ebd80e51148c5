"""What random streams can do beyond loads, weight-stationary products and stores: one set of actions per feature."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from command_encoding import config_ex, config_ld, config_norm, config_st, local, set_stat_id
from gemmini_isa import (
    ACCUMULATE,
    COMPUTE_ACCUMULATED,
    COMPUTE_PRELOADED,
    COUNTER,
    GARBAGE,
    IGELU,
    INV_STDDEV,
    INV_SUM_EXP,
    LAYERNORM,
    MAX,
    MEAN,
    MVIN,
    MVIN3,
    MVOUT,
    NORM_SHIFT,
    OS,
    PRELOAD,
    RELU,
    RESET,
    SUM,
    SUM_EXP,
    VARIANCE,
    WS,
    Command,
)
from gemmini_store import UNFINISHED, Pooling
from stream_conv import conv_loop
from stream_loops import matmul_loop, normalised_loop, residual_loop

if TYPE_CHECKING:
    from stream_maker import Maker

FEATURES = ("counters", "loads", "loop_conv", "loop_ws", "norm", "os", "pooling", "shift", "stores", "transposes")


class Features:
    """The chosen features of one stream. Raises KeyError for one that does not exist."""

    def __init__(self, maker: Maker, chosen: Collection[str]) -> None:
        if unknown := set(chosen) - set(FEATURES):
            raise KeyError(f"no such features: {sorted(unknown)}")
        if maker.array.floating:  # the normalised stores have no float form, nor has the shift
            chosen = set(chosen) - {"norm"}
        self.maker, self.rng, self.chosen = maker, maker.rng, frozenset(chosen)
        self.loops = bool(self.chosen & {"loop_ws", "loop_conv"})
        table: dict[str, list[Callable[[], None]]] = {
            "counters": [self.counter],
            "loads": [self.unusual_load_config, self.repeats_at_the_middle],
            "loop_conv": [lambda: conv_loop(maker)],
            "loop_ws": [lambda: matmul_loop(maker), lambda: residual_loop(maker)],
            "norm": [self.igelu, self.layernorm, self.softmax, self.lone_norm_command],
            "os": [self.turn_output_stationary, self.turn_output_stationary, self.large_sums],
            "pooling": [self.pool],
            "stores": [self.unusual_store_config],
        }
        self.actions = [action for name in sorted(self.chosen) for action in table.get(name, [])]
        if {"norm", "loop_ws"} <= self.chosen:
            self.actions.append(lambda: normalised_loop(maker))

    def counter(self) -> None:
        self.maker.add(Command(COUNTER, self.rng.choice([1, 2, 4, 0x9008, 0x10]), 0))

    # ------------------------------------------------------------ execution

    def execute(self, dataflow: int = WS, **fields: int) -> Command:
        """A config_ex with what the chosen features allow."""
        rng = self.rng
        if "transposes" in self.chosen:
            pairs = [(0, 0), (1, 0), (0, 1) if dataflow == WS else (1, 1)]
            fields["a_transpose"], fields["b_transpose"] = rng.choice(pairs)
        if "shift" in self.chosen:
            fields["shift"] = 0 if self.maker.array.floating else rng.choice([0, 1, 4, 7, 20])
            if rng.random() < 0.3:
                fields["strides_only"] = 1
        return config_ex(dataflow, **fields)

    def turn_output_stationary(self) -> None:
        self.maker.add(self.execute(OS, relu=self.rng.randrange(2), a_stride=self.rng.choice([1, 1, 2])))
        for _ in range(self.rng.randint(1, 4)):
            self.output_stationary()

    def output_stationary(self) -> None:
        """Preload D, one to three products, the result into C with the last."""
        maker, rng = self.maker, self.rng
        e = maker.oracle.execute
        if e is None:
            return
        m, n = maker.size(), maker.size()
        c = maker.sums(m) | rng.choice([0, ACCUMULATE]) if rng.random() < 0.5 and not e.shift else maker.region(m)
        count = rng.randint(1, 3)
        for number in range(count):
            d = maker.operand(m, n) if number == 0 and rng.random() < 0.6 else maker.nothing()
            to = c if number == count - 1 and rng.random() < 0.95 else GARBAGE
            k = maker.size()
            b = maker.operand(k, n, 1, e.b_transpose) if rng.random() < 0.95 else maker.nothing()
            a = maker.operand(m, k, e.a_stride, e.a_transpose)
            maker.add(Command(PRELOAD, d, local(to, n, m)))
            maker.add(Command(COMPUTE_ACCUMULATED if number else COMPUTE_PRELOADED, a, b))

    def large_sums(self) -> None:
        """A matrix of extremes times its transpose, three times over: more than 20 bits on the diagonal."""
        maker, dim = self.maker, self.maker.dim
        address = maker.region(dim)
        maker.add(config_ld(0, 64, 2.0 if maker.array.floating else 1e9, dim), config_ex(OS, a_transpose=1))
        maker.add(Command(MVIN, maker.source(64 * dim), local(address, dim, dim)))
        tile, to = local(address, dim, dim), local(maker.sums(dim), dim, dim)
        for number in range(3):
            maker.add(Command(PRELOAD, maker.nothing(), to if number == 2 else maker.nothing()))
            maker.add(Command(COMPUTE_ACCUMULATED if number else COMPUTE_PRELOADED, tile, tile))

    # ------------------------------------------------------------ loads and stores

    def unusual_load_config(self) -> None:
        rng = self.rng
        repeats = rng.choice([0, 1, 2, 3, 4])
        odd = 4 if self.maker.array.floating else 3
        number, stride, scale = rng.randrange(3), rng.choice([0, odd, 16, 64]), rng.choice([1.0, 0.5, -2.5])
        block_stride = self.maker.dim + rng.choice([0, 4, 8])
        self.maker.add(config_ld(number, stride, scale, block_stride, rng.random() < 0.5, repeats))
        for _ in range(rng.randint(1, 3)):
            self.maker.load()

    def repeats_at_the_middle(self) -> None:
        """Copies of the upper half's first rows would fall into the lower half."""
        maker, rng = self.maker, self.rng
        middle, repeats = maker.array.scratchpad_rows // 2, rng.randint(2, min(4, maker.dim))
        maker.add(config_ld(0, 16, 1.0, maker.dim, False, repeats))
        address = middle - rng.randint(0, maker.dim // 2)
        rows, cols = rng.randint(maker.dim // 2 + 1, maker.dim), rng.randint(1, maker.dim // repeats)
        maker.add(Command(MVIN, maker.source(rows * 16), local(address, cols, rows)))
        maker.add(config_ld(0, 64, 1.0, maker.dim))

    def unusual_store_config(self) -> None:
        rng = self.rng
        command = config_st(rng.choice([16, 64, 80]), rng.choice([-1.0, -0.03, 1e9, 0.0]), rng.randrange(2))
        if rng.random() < 0.4:
            command = command._replace(rs2=command.rs2 | 0xFFFFFFFF << 32)  # keep the scale
        self.maker.add(command)
        for _ in range(rng.randint(1, 3)):
            self.maker.store()

    def pool(self) -> None:
        maker, rng = self.maker, self.rng
        orows, ocols = rng.randint(1, 7), rng.randint(1, 7)
        porows, pocols = rng.randint(1, 3), rng.randint(1, 3)
        shape = {
            "orows": orows,
            "ocols": ocols,
            "porows": porows,
            "pocols": pocols,
            "out_dim": pocols + rng.randrange(2),
        }
        pads = {"upad": rng.randrange(3), "lpad": rng.randrange(3)}
        pooling = Pooling(stride=rng.randint(1, 3), size=rng.randint(1, 3), **shape, **pads)
        stride, cols = rng.choice([16, 20, 48]), rng.randint(1, maker.dim)
        address = maker.sums(orows * ocols) if rng.random() < 0.7 else maker.region(orows * ocols)
        maker.add(config_st(stride, rng.choice([1.0, 1 / 64, 0.3]), rng.randrange(2), pooling))
        dram = maker.target((porows * pooling.out_dim + pocols) * stride + cols * maker.item)
        maker.add(Command(MVOUT, dram, local(address, cols, rng.randint(0, maker.dim))))
        maker.add(config_st(stride, rng.choice([1.0, 1 / 64]), RELU))

    # ------------------------------------------------------------ normalisation

    def fill(self, rows: int, blocks: int) -> int:
        """Rows of moderate int32 values to normalise: loaded from int8, so that squares and sums do not overflow."""
        maker = self.maker
        address = maker.sums(maker.dim * (blocks - 1) + rows)
        maker.add(config_ld(2, 64, 1.0, maker.dim, True))
        cols = blocks * maker.dim
        maker.add(Command(MVIN3, maker.source(rows * 64 + 64), local(address, cols, rows)))
        return address

    def igelu(self) -> None:
        maker, rng = self.maker, self.rng
        rows, blocks = rng.randint(1, maker.dim), rng.randint(1, 2)
        address = self.fill(rows, blocks)
        maker.add(config_st(64, rng.choice([1.0, 1e-3, 3e-5]), IGELU))
        maker.add(config_norm(-rng.randint(1, 200), rng.choice([1, 300, -40000, 2**30]), stat_id=rng.randrange(4)))
        maker.add(
            Command(MVOUT, maker.target(rows * 64), local(address, blocks * maker.dim - rng.randrange(maker.dim), rows))
        )
        maker.add(config_st(64, 1.0, RELU))

    def passes(self, address: int, rows: int, cols: int, commands: tuple[int, ...]) -> None:
        """Every row of one stat id at a time, all passes; several rows in flight use several ids."""
        maker, rng = self.maker, self.rng
        group = rng.randint(1, 4)
        stride = maker.oracle.store.stride or 0
        dram = maker.target(rows * stride + 64)
        dim, apart = maker.dim, rng.random() < 0.5  # a row's blocks by one mvout each, or by one
        blocks = range(0, cols, dim) if apart else [0]
        for first in range(0, rows, group):
            for command in commands:
                for row in range(first, min(first + group, rows)):
                    maker.add(set_stat_id(row - first))
                    for block in blocks:
                        last = block == blocks[-1]
                        norm = (command if last else UNFINISHED.get(command, command)) << NORM_SHIFT
                        width = min(dim, cols - block) if apart else cols
                        at = dram + row * stride + block
                        maker.add(Command(MVOUT, at, local(address + block + row | norm, width, 1)))

    def layernorm(self) -> None:
        maker, rng = self.maker, self.rng
        rows, blocks = rng.randint(1, 4), rng.randint(1, min(3, maker.array.blocks))
        address = self.fill(rows, blocks)
        maker.add(config_st(64, rng.choice([1.0, 20.0, 40.5]), LAYERNORM))
        self.passes(address, rows, blocks * maker.dim - rng.randrange(maker.dim), (MEAN, INV_STDDEV, RESET))
        maker.add(config_st(64, 0.5, RELU))

    def softmax(self) -> None:
        maker, rng = self.maker, self.rng
        rows, blocks = rng.randint(1, 4), rng.randint(1, min(3, maker.array.blocks))
        address = self.fill(rows, blocks)
        maker.add(config_st(64, rng.choice([1.0, 0.5])))
        scale = rng.choice([0.02, 0.05, 0.1])
        qb, qc, qln2 = int(1.353 / scale), int(0.344 / 0.3585 / scale**2), max(1, int(0.6931 / scale))
        stat_id = rng.randrange(4)
        maker.add(config_norm(qb, qc, qln2, softmax=True, stat_id=stat_id))
        maker.add(config_norm(qb, qc, 65536 // qln2, inverse=True, softmax=True, stat_id=stat_id))
        if rng.random() < 0.5:
            maker.add(config_st(64, rng.choice([1.0, 0.5])))  # softmax stays
        self.passes(address, rows, blocks * maker.dim - rng.randrange(maker.dim), (MAX, INV_SUM_EXP, RESET))
        maker.add(config_st(64, 0.5, RELU))

    def lone_norm_command(self) -> None:
        """Statistics without use, over several rows: only later sums can tell."""
        maker, rng = self.maker, self.rng
        rows = rng.randint(1, 4)
        command = rng.choice([SUM, MEAN, VARIANCE, INV_STDDEV, MAX, SUM_EXP])
        maker.add(set_stat_id(rng.randrange(4)))
        address = maker.sums(rows + maker.dim) | command << NORM_SHIFT
        maker.add(Command(MVOUT, maker.target(1024), local(address, rng.randint(1, 2 * maker.dim), rows)))
