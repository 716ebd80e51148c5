"""Causal self-attention before its division: of one head, of several heads, and of one tile of queries at a time.

Beside o, the sum of the weighted values, l and m are results: whoever goes on with further keys needs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..base import Tensor, UnknownProblemError
from ..problems import IdPattern
from .attention import check_lengths, ragged
from .causal_kernels import HEADS, ONE_HEAD, TILE
from .operators import PARTITIONS, TARGET, Closeness, Constant, ElementType, Operator, check_size

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

CSA, MHA, CSA_TILE = "csa", "mha", "csatile"
CSA_PATTERN = IdPattern(TARGET, CSA, ("S", "D"))
MHA_PATTERN = IdPattern(TARGET, MHA, ("H", "S", "D"))
TILE_PATTERN = IdPattern(TARGET, CSA_TILE, ("S", "D"), needed=(("qI", 0),))
MAX_LENGTH, MAX_TILE_LENGTH = 4096, 16384
MASKED = -9984.0  # instead of minus infinity, as public kernels have it
BF16, FP32 = ElementType("bfloat16"), ElementType("float32")
_TYPES: dict[str, Constant] = {"kernel_dtype": BF16, "acc_type": FP32}


def _tensor(name: str, role: str, shape: tuple[int, ...], dtype: str = "float32") -> Tensor:
    return Tensor(name=name, role=role, shape=shape, dtype=dtype)  # type: ignore[arg-type]


def _attended(q: Array, keys: Array, v: Array, mask: Array) -> tuple[Array, Array, Array]:
    """o, l and m of queries in rows, keys in columns."""
    import numpy as np

    scores = np.where(mask != 0, q @ keys, MASKED)
    m = scores.max(axis=1, keepdims=True)
    weights = np.exp(scores - m)
    return weights @ v, np.log(weights.sum(axis=1, keepdims=True)) + m, m


def _rounded(values: Array) -> Array:
    """What bfloat16 holds exactly: kernels may take the inputs in that type."""
    import ml_dtypes
    import numpy as np

    return values.astype(ml_dtypes.bfloat16).astype(np.float64)


class _Causal(Operator):
    demands_float32 = False  # of the published kernels, as of attention

    @property
    def closeness(self) -> Closeness:
        return Closeness(1e-2, 1e-2)

    @property
    def wide(self) -> str:
        return "scores that differ three times as much, larger v with an offset"


@dataclass(frozen=True)
class Causal(_Causal):
    """Without a dimension H: one head, whose tensors have no dimension for it."""

    id: str
    family: str
    dims: dict[str, int] = field(hash=False)
    dtype: str = "float32"

    @classmethod
    def of(cls, problem_id: str) -> Causal:
        family = CSA if problem_id.startswith(f"{TARGET}/{CSA}-") else MHA
        dims, _ = (CSA_PATTERN if family == CSA else MHA_PATTERN).parse(problem_id)
        made = cls(problem_id, family, dims)
        check_lengths(problem_id, dims["S"], dims["D"], MAX_LENGTH)
        check_size(made)
        return made

    @property
    def heads(self) -> int:
        return self.dims.get("H", 1)

    @property
    def title(self) -> str:
        s, d = self.dims["S"], self.dims["D"]
        heads = "" if self.family == CSA else f"{self.heads} heads of "
        return f"Causal self-attention, {heads}{s} positions, {d} wide"

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        s, d = self.dims["S"], self.dims["D"]
        lead = () if self.family == CSA else (self.heads,)
        return (
            _tensor("q", "input", (*lead, s, d)),
            _tensor("k", "input", (*lead, d, s)),
            _tensor("v", "input", (*lead, s, d)),
            _tensor("causal_mask", "input", (s, s)),
            _tensor("o", "output", (*lead, s, d), "bfloat16"),
            _tensor("l", "output", (*lead, s, 1)),
            _tensor("m", "output", (*lead, s, 1)),
        )

    @property
    def constants(self) -> Mapping[str, Constant]:
        heads = {} if self.family == CSA else {"num_heads": self.heads}
        return {**_TYPES, **heads, "seq_len": self.dims["S"], "d_head": self.dims["D"]}

    @property
    def semantics(self) -> str:
        what = "" if self.family == CSA else "for every head: "
        return (
            f"{what}s = q @ k where causal_mask is 1, else {MASKED:g}; m = the highest of each row of s; "
            "p = exp(s - m); o = p @ v, not divided by the sum; l = log(sum of each row of p) + m. causal_mask[i][j] "
            "is 1 where j <= i, else 0. q, k and v hold numbers that bfloat16 has"
        )

    @property
    def _pairs(self) -> int:
        return self.heads * self.dims["S"] * (self.dims["S"] + 1) // 2

    @property
    def macs(self) -> int:
        return 2 * self._pairs * self.dims["D"]

    @property
    def needed_bytes(self) -> int:
        """A kernel that knows the mask need not read it."""
        s, d = self.dims["S"], self.dims["D"]
        return self.heads * s * (3 * 4 * d + 2 * d + 8)

    @property
    def exponentials(self) -> int:
        return self._pairs // PARTITIONS

    @property
    def traits(self) -> tuple[str, ...]:
        return ("matmul", "row_reduction", "softmax", "causal", "fp32", *ragged(self.dims["S"]))

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        import numpy as np

        q, k, v, mask = (inputs[name].astype(np.float64) for name in ("q", "k", "v", "causal_mask"))
        if self.family == CSA:
            return dict(zip("olm", _attended(q, k, v, mask), strict=True))
        each = [_attended(q[head], k[head], v[head], mask) for head in range(self.heads)]
        return {name: np.stack(parts) for name, parts in zip("olm", zip(*each, strict=True), strict=True)}

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, Array], dict[str, Array]]:
        import numpy as np

        shapes = {t.name: t.shape for t in self.tensors}
        mask = {"causal_mask": np.tril(np.ones(shapes["causal_mask"]))}

        def drawn(reach: float, low: float, high: float) -> dict[str, Array]:
            spread = reach * (128 / self.dims["D"]) ** 0.25
            qk = {name: _rounded(rng.uniform(-spread, spread, shapes[name])) for name in ("q", "k")}
            # v of one sign: what cancels out would be lost in the rounding of the weights.
            return {**qk, "v": _rounded(rng.uniform(low, high, shapes["v"])), **mask}

        return drawn(1.0, 0.0, 1.0), drawn(1.75, 1.0, 9.0)

    def baseline(self) -> str:
        return ONE_HEAD if self.family == CSA else HEADS


@dataclass(frozen=True)
class CausalTile(_Causal):
    """128 queries, number I of those that S positions have, with all keys, added to an earlier o, l and m."""

    id: str
    dims: dict[str, int] = field(hash=False)
    index: int
    dtype: str = "float32"
    family: str = CSA_TILE

    @classmethod
    def of(cls, problem_id: str) -> CausalTile:
        dims, options = TILE_PATTERN.parse(problem_id)
        made = cls(problem_id, dims, options["q"])
        check_lengths(problem_id, dims["S"], dims["D"], MAX_TILE_LENGTH)
        if dims["S"] % 512 or not 0 <= made.index < dims["S"] // PARTITIONS:
            raise UnknownProblemError(problem_id, f"S is a multiple of 512, and I below S / {PARTITIONS}")
        check_size(made)
        return made

    @property
    def title(self) -> str:
        s, d = self.dims.values()
        return f"Causal self-attention of 128 queries, {s} keys, {d} wide"

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        s, d = self.dims.values()
        return (
            _tensor("q", "input", (d, s)),
            _tensor("k", "input", (d, s)),
            _tensor("v", "input", (PARTITIONS, s // PARTITIONS, d)),
            _tensor("olm_prev", "input", (PARTITIONS, d + 2)),
            _tensor("tile_mask", "input", (PARTITIONS, s), "bool"),
            _tensor("olm", "output", (PARTITIONS, d + 2), "bfloat16"),
        )

    @property
    def constants(self) -> Mapping[str, Constant]:
        sizes = {"Q_TILE_SIZE": PARTITIONS, "LARGE_KV_TILE_SIZE": self.dims["S"], "B_P_SIZE": PARTITIONS}
        return {**_TYPES, "q_tile_idx": self.index, **sizes, "B_F_SIZE": 512, "B_D_SIZE": self.dims["D"]}

    @property
    def semantics(self) -> str:
        return (
            f"Q = columns {PARTITIONS * self.index}..{PARTITIONS * (self.index + 1) - 1} of q; V[128 c + r] = v[r][c]; "
            f"s = Q.T @ k where tile_mask is true, else {MASKED:g}; olm_prev has o, l and m of earlier keys in its "
            "first D columns and the two after them; m' = the higher of m and the highest of each row of s; "
            "p = exp(s - m'); olm = o * exp(m - m') + p @ V, l * exp(m - m') + sum of each row of p, m'. l is a sum "
            f"here, no logarithm. tile_mask[i][j] is true where j <= {PARTITIONS * self.index} + i"
        )

    @property
    def _pairs(self) -> int:
        seen = PARTITIONS * self.index
        return PARTITIONS * seen + PARTITIONS * (PARTITIONS + 1) // 2

    @property
    def macs(self) -> int:
        return 2 * self._pairs * self.dims["D"]

    @property
    def needed_bytes(self) -> int:
        d, seen = self.dims["D"], PARTITIONS * (self.index + 1)
        return 4 * d * (PARTITIONS + 2 * seen) + PARTITIONS * (d + 2) * (4 + 2)

    @property
    def exponentials(self) -> int:
        return self._pairs // PARTITIONS

    @property
    def traits(self) -> tuple[str, ...]:
        return ("matmul", "row_reduction", "softmax", "causal", "fp32")

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        import numpy as np

        q, k, v, before = (inputs[name].astype(np.float64) for name in ("q", "k", "v", "olm_prev"))
        d, first = self.dims["D"], PARTITIONS * self.index
        values = v.transpose(1, 0, 2).reshape(-1, d)
        scores = np.where(inputs["tile_mask"], q[:, first : first + PARTITIONS].T @ k, MASKED)
        m = np.maximum(scores.max(axis=1, keepdims=True), before[:, d + 1 :])
        weights, kept = np.exp(scores - m), np.exp(before[:, d + 1 :] - m)
        o = before[:, :d] * kept + weights @ values
        return {"olm": np.concatenate((o, before[:, d : d + 1] * kept + weights.sum(axis=1, keepdims=True), m), axis=1)}

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, Array], dict[str, Array]]:
        import numpy as np

        s, d = self.dims.values()
        rows = PARTITIONS * self.index + np.arange(PARTITIONS)
        mask = np.arange(s)[None, :] <= rows[:, None]

        def drawn(reach: float, low: float, high: float) -> dict[str, Array]:
            spread = reach * (128 / d) ** 0.25
            drawn = {name: rng.uniform(-spread, spread, (d, s)) for name in ("q", "k")}
            drawn["v"] = rng.uniform(low, high, (PARTITIONS, s // PARTITIONS, d))
            # Earlier keys whose highest scores are about as high as those to come: neither side is forgotten.
            earlier = rng.uniform(10, 100, (PARTITIONS, d + 2))
            earlier[:, d + 1] = rng.uniform(8 * reach**2, 14 * reach**2, PARTITIONS)
            drawn["olm_prev"] = earlier
            return {**{name: _rounded(values) for name, values in drawn.items()}, "tile_mask": mask}

        return drawn(1.0, 0.0, 1.0), drawn(1.75, 1.0, 9.0)

    def baseline(self) -> str:
        return TILE
