"""The convolution family: what must be computed, and the reference result. Tensors are NHWC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Self

from ..base import Tensor, UnknownProblemError
from ..problems import IdPattern
from .operators import (
    CALL_RULES,
    DEFAULT_CONFIGURATION,
    GENERAL_RULES,
    INT8_RULES,
    SCRATCHPAD_BLOCKS,
    TARGET,
    chosen,
    too_large,
)
from .problems import (
    FULL_RANGE_VARIANCE,
    MACS_PER_CYCLE,
    MAX_SHIFT,
    finishing_steps,
)

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

FAMILY = "conv"
PATTERN = IdPattern(
    TARGET, FAMILY, ("H", "W", "Ci", "Co"), ("nN", "bias", "relu", "shiftS"), (("kK", 3), ("sS", 1), ("pP", 1))
)
MAX_EXTENT = 4096  # of an image's sides and of its channels
MAX_KERNEL = 15
MAX_STRIDE = 8
MAX_DEPTH = 65_536  # products of one sum: as many as int32 holds without wrapping, with room for the bias

RULES = (*(rule.format(outputs="output") for rule in GENERAL_RULES), *INT8_RULES, *CALL_RULES)


class Conv(NamedTuple):
    """output[n][y][x][co] = sat8(act(round_half_even((sum + D[co]) / 2^shift))), the sum over ky, kx, ci of
    input[n][y*stride + ky - padding][x*stride + kx - padding][ci] * weights[ky][kx][ci][co], zeros outside."""

    height: int  # of the input, without padding
    width: int
    channels_in: int
    channels_out: int
    kernel: int
    stride: int
    padding: int
    batch: int = 1
    bias: bool = False
    relu: bool = False
    shift: int = 0

    @classmethod
    def of(cls, problem_id: str) -> Self:
        """Raises UnknownProblemError."""
        dims, options = PATTERN.parse(problem_id)
        conv = cls(
            dims["H"], dims["W"], dims["Ci"], dims["Co"], options["k"], options["s"], options["p"],
            options.get("n", 1), "bias" in options, "relu" in options, options.get("shift", 0),
        )  # fmt: skip
        if refused := conv.refused():
            raise UnknownProblemError(problem_id, refused)
        if conv.id != problem_id:  # a batch of 1 is not written
            raise UnknownProblemError(problem_id, f"did you mean {conv.id!r}?")
        return conv

    def refused(self) -> str | None:
        """Why this size is not offered, or None."""
        sides = {"H": self.height, "W": self.width, "Ci": self.channels_in, "Co": self.channels_out, "N": self.batch}
        limits = {"K": (self.kernel, 1, MAX_KERNEL), "S": (self.stride, 1, MAX_STRIDE)}
        limits |= {name: (value, 1, MAX_EXTENT) for name, value in sides.items()}
        for name, (value, least, most) in limits.items():
            if not least <= value <= most:
                return f"{name} = {value} is not in {least}..{most}"
        if self.padding >= self.kernel:
            return f"a padding of {self.padding} is not below the kernel's {self.kernel}: outputs would see zeros only"
        if min(self.height, self.width) + 2 * self.padding < self.kernel:
            return f"a kernel of {self.kernel} does not fit into the padded image"
        if self.depth > MAX_DEPTH:
            return f"{self.depth} products per output; at most {MAX_DEPTH}, so that int32 holds their sum"
        if self.shift > MAX_SHIFT:
            return f"shift {self.shift} is not in 1..{MAX_SHIFT}"
        if FULL_RANGE_VARIANCE * self.depth**0.5 < 4 << self.shift:
            return (
                f"a shift of {self.shift} leaves next to nothing of sums of {self.depth} products: take a smaller one"
            )
        return too_large(self)

    @property
    def id(self) -> str:
        options = {
            "k": self.kernel, "s": self.stride, "p": self.padding, "n": self.batch if self.batch > 1 else 0,
            "bias": int(self.bias), "relu": int(self.relu), "shift": self.shift,
        }  # fmt: skip
        sides = {"H": self.height, "W": self.width, "Ci": self.channels_in, "Co": self.channels_out}
        return PATTERN.format(sides, options)

    @property
    def family(self) -> str:
        return FAMILY

    @property
    def configuration(self) -> str:
        return DEFAULT_CONFIGURATION

    @property
    def out_height(self) -> int:
        return (self.height + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def out_width(self) -> int:
        return (self.width + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def depth(self) -> int:
        """Products in one output: rows of the weights as a matrix."""
        return self.kernel * self.kernel * self.channels_in

    @property
    def dims(self) -> dict[str, int]:
        return {
            "N": self.batch, "H": self.height, "W": self.width, "Ci": self.channels_in, "Co": self.channels_out,
            "K": self.kernel, "S": self.stride, "P": self.padding, "OH": self.out_height, "OW": self.out_width,
        }  # fmt: skip

    @property
    def macs(self) -> int:
        """Without the products with padding, which a kernel may leave out."""
        rows, columns = (self._taps(side) for side in (self.height, self.width))
        return self.batch * rows * columns * self.channels_in * self.channels_out

    @property
    def macs_per_cycle(self) -> int:
        return MACS_PER_CYCLE

    @property
    def traits(self) -> tuple[str, ...]:
        in_blocks, out_blocks = -(-self.channels_in // 16), -(-self.channels_out // 16)
        return chosen(
            bias_row=self.bias,
            ragged=any(size % 16 for size in (self.out_width, self.channels_in, self.channels_out)),
            b_fits=self.kernel**2 * in_blocks * out_blocks < SCRATCHPAD_BLOCKS,
            taps=self.kernel > 1,
            short_rows=self.out_width % 16 != 0 or self.padding > 0,
            wide_rows=self.out_width > 16,
        )

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """In the order of the kernel's parameters."""
        k, ci, co = self.kernel, self.channels_in, self.channels_out
        image = Tensor(name="input", role="input", shape=(self.batch, self.height, self.width, ci), dtype="int8")
        weights = Tensor(name="weights", role="input", shape=(k, k, ci, co), dtype="int8")
        bias = (Tensor(name="D", role="input", shape=(co,), dtype="int32"),) if self.bias else ()
        shape = (self.batch, self.out_height, self.out_width, co)
        return image, weights, *bias, Tensor(name="output", role="output", shape=shape, dtype="int8")

    @property
    def title(self) -> str:
        batch = f"{self.batch} x " if self.batch > 1 else ""
        text = f"{batch}{self.height}x{self.width}x{self.channels_in} * {self.kernel}x{self.kernel}"
        text += f" -> {self.out_height}x{self.out_width}x{self.channels_out}, stride {self.stride}"
        text += f", padding {self.padding}"
        return text + (", bias" if self.bias else "") + (", ReLU" if self.relu else "")

    @property
    def rules(self) -> tuple[str, ...]:
        return RULES

    @property
    def semantics(self) -> str:
        added = " + D[co]" if self.bias else ""
        product = "input[n][y*S + ky - P][x*S + kx - P][ci] x weights[ky][kx][ci][co], which is 0 outside of the image"
        steps = [f"sum over ky, kx < K and ci < Ci in int32 of {product}{added}"]
        steps += finishing_steps(self.relu, self.shift)
        return f"output[n][y][x][co] = {'; '.join(steps)}. NHWC: all arrays row-major without padding."

    @property
    def input_sets_text(self) -> str:
        return (
            "Three sets, different for every kernel and seed: 'full' (int8 over -128..127, most outputs saturate), "
            "'sparse' (two or three small weights per output channel) and 'dense' (small values everywhere, outputs "
            "stay in range)."
        )

    @property
    def tolerance(self) -> str:
        return "exact: every element of output must be equal"

    @property
    def closeness(self) -> None:
        return None

    def sums(self, inputs: Mapping[str, Array]) -> Array:
        """What the accumulator holds in the end, int64[N][OH][OW][Co]. Exact: float32 holds integers up to 2^24."""
        import numpy as np

        image, weights, p = inputs["input"], inputs["weights"], self.padding
        padded = np.pad(image, ((0, 0), (p, p), (p, p), (0, 0)))
        exact = np.float32 if self.channels_in * 128 * 128 < 1 << 24 else np.float64
        rows, columns = ((size - 1) * self.stride + 1 for size in (self.out_height, self.out_width))
        total = np.zeros((self.batch, self.out_height, self.out_width, self.channels_out), np.int64)
        for ky in range(self.kernel):
            for kx in range(self.kernel):
                seen = padded[:, ky : ky + rows : self.stride, kx : kx + columns : self.stride]
                total += np.matmul(seen.astype(exact), weights[ky, kx].astype(exact)).astype(np.int64)
        return total + inputs["D"] if self.bias else total

    def finish(self, sums: Array) -> Array:
        """int8 of sums."""
        import numpy as np

        scaled = np.rint(sums / 2.0**self.shift) if self.shift else sums
        return np.clip(scaled, 0 if self.relu else -128, 127).astype(np.int8)

    def reference(self, inputs: Mapping[str, Array]) -> Array:
        """The expected output."""
        return self.finish(self.sums(inputs))

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return {"output": self.reference(inputs)}

    def _taps(self, side: int) -> int:
        """Pairs of an output and a kernel position along one side that meet inside the image."""
        count = (side + 2 * self.padding - self.kernel) // self.stride + 1
        starts = (place * self.stride - self.padding for place in range(count))
        return sum(min(side, start + self.kernel) - max(0, start) for start in starts)
