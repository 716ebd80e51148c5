"""The two passes of TinyMPC's solver, in float32 on a 4x4 array.

TinyMPC (arXiv 2310.16985) solves model-predictive control by ADMM; each of its iterations walks the horizon once
backward, for the feed-forward terms d, and once forward, for the trajectory. K, Quu_inv and AmBKt are cached by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ..base import Tensor, UnknownProblemError
from ..problems import IdPattern
from .operators import CALL_RULES, FP32_CONFIGURATION, FP32_RULES, GENERAL_RULES, TARGET, too_large

if TYPE_CHECKING:
    import numpy as np

    from .operators import InputSet

    Array = np.ndarray

FAMILY = "tinympc"
CONFIGURATION = FP32_CONFIGURATION
PATTERNS = {name: IdPattern(TARGET, f"{FAMILY}-{name}", ("X", "U", "T")) for name in ("forward", "backward")}
LIMITS = {"X": 64, "U": 64, "T": 128}
MACS_PER_CYCLE = 16  # 4 x 4 array
# Of an output's largest magnitude. Sums in any order, rounded to float32 in every step of the horizon, differ by less
# than a hundredth of this; a product left out by far more.
CLOSENESS = 1e-4

_SEMANTICS = {
    "forward": "With x_0 = x0, for t = 0..T-1: u[t] = -(K x_t) - d[t]; x[t] = x_(t+1) = A x_t + B u[t].",
    "backward": "With p_T = q[T], for t = T-1..0: d[t] = Quu_inv (B' p_(t+1) + r[t]); "
    "p[t] = p_t = q[t] + AmBKt p_(t+1) - K' r[t]. ' is the transpose; Quu_inv is symmetric.",
}


class TinyMpc(NamedTuple):
    """One pass over a horizon of T steps: X states, U inputs of the system."""

    direction: str  # forward or backward
    states: int
    controls: int
    steps: int

    @classmethod
    def of(cls, problem_id: str) -> TinyMpc:
        """Raises UnknownProblemError."""
        direction = "backward" if problem_id.startswith(f"{TARGET}/{FAMILY}-backward") else "forward"
        dims, _ = PATTERNS[direction].parse(problem_id)
        pass_ = cls(direction, dims["X"], dims["U"], dims["T"])
        if refused := pass_.refused():
            raise UnknownProblemError(problem_id, refused)
        return pass_

    def refused(self) -> str | None:
        for name, value in self.dims.items():
            if not 1 <= value <= LIMITS[name]:
                return f"{name} = {value} is not in 1..{LIMITS[name]}"
        return too_large(self)

    @property
    def id(self) -> str:
        return PATTERNS[self.direction].format(self.dims, {})

    @property
    def family(self) -> str:
        return FAMILY

    @property
    def configuration(self) -> str:
        return CONFIGURATION

    @property
    def title(self) -> str:
        return f"TinyMPC {self.direction} pass: {self.states} states, {self.controls} inputs, {self.steps} steps"

    @property
    def dims(self) -> dict[str, int]:
        return {"X": self.states, "U": self.controls, "T": self.steps}

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        x, u, t = self.states, self.controls, self.steps
        if self.direction == "forward":
            inputs = {"A": (x, x), "B": (x, u), "K": (u, x), "x0": (x,), "d": (t, u)}
            outputs = {"u": (t, u), "x": (t, x)}
        else:
            inputs = {"B": (x, u), "Quu_inv": (u, u), "K": (u, x), "AmBKt": (x, x), "q": (t + 1, x), "r": (t, u)}
            outputs = {"d": (t, u), "p": (t, x)}
        taken = [Tensor(name=name, role="input", shape=shape, dtype="float32") for name, shape in inputs.items()]
        given = [Tensor(name=name, role="output", shape=shape, dtype="float32") for name, shape in outputs.items()]
        return (*taken, *given)

    @property
    def macs(self) -> int:
        square = self.states**2 if self.direction == "forward" else self.states**2 + self.controls**2
        return self.steps * (square + 2 * self.states * self.controls)

    @property
    def traits(self) -> tuple[str, ...]:
        return ()

    @property
    def macs_per_cycle(self) -> int:
        return MACS_PER_CYCLE

    @property
    def closeness(self) -> float:
        return CLOSENESS

    @property
    def semantics(self) -> str:
        return f"{_SEMANTICS[self.direction]} All in float32, arrays row-major without padding."

    @property
    def input_sets_text(self) -> str:
        return (
            "Three sets, different for every kernel and seed: 'full' (everything uniform, matrices scaled so that the "
            "system is stable), 'sparse' (two entries per row of each matrix) and 'large' (vectors up to ±1000)."
        )

    @property
    def tolerance(self) -> str:
        return f"every element within {CLOSENESS:g} of its output's largest magnitude, against float64"

    @property
    def rules(self) -> tuple[str, ...]:
        names = " and ".join(t.name for t in self.tensors if t.role == "output")
        return (*(rule.format(outputs=names) for rule in GENERAL_RULES), *FP32_RULES, *CALL_RULES)

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """In float64, rounded once at the end."""
        import numpy as np

        exact = {name: data.astype(np.float64) for name, data in inputs.items()}
        run = forward if self.direction == "forward" else backward
        return {name: data.astype(np.float32) for name, data in run(exact).items()}

    def draw(self, rng: np.random.Generator) -> tuple[InputSet, ...]:
        from .tinympc_inputs import draw_tinympc

        return draw_tinympc(self, rng)

    def mistakes(self, inputs: Mapping[str, Array]) -> Iterator[tuple[str, dict[str, Array]]]:
        from .tinympc_inputs import tinympc_mistakes

        return tinympc_mistakes(self, inputs)

    def baseline(self) -> str:
        from .tinympc_kernels import naive_kernel

        return naive_kernel(self)

    def hardware_loop(self) -> str | None:
        return None


def forward(inputs: Mapping[str, Array]) -> dict[str, Array]:
    import numpy as np

    state, controls, states = inputs["x0"], [], []
    for feed in inputs["d"]:
        controls.append(-(inputs["K"] @ state) - feed)
        state = inputs["A"] @ state + inputs["B"] @ controls[-1]
        states.append(state)
    return {"u": np.array(controls), "x": np.array(states)}


def backward(inputs: Mapping[str, Array]) -> dict[str, Array]:
    import numpy as np

    cost, feeds, costs = inputs["q"][-1], [], []
    for linear, effort in zip(inputs["q"][-2::-1], inputs["r"][::-1], strict=True):
        feeds.append(inputs["Quu_inv"] @ (inputs["B"].T @ cost + effort))
        cost = linear + inputs["AmBKt"] @ cost - inputs["K"].T @ effort
        costs.append(cost)
    return {"d": np.array(feeds[::-1]), "p": np.array(costs[::-1])}
