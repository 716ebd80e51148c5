"""What the native runner is told and what it says: the job's file, the report's lines, the samples.

The formats are those of ../runner/job.h and ../runner/report.h.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...base import EngineFailure

if TYPE_CHECKING:
    import numpy as np

SAMPLES = 512  # elements of each output that are looked at after each timed call
MAX_LINES = 20_000
_MASK = (1 << 64) - 1


class Argument(NamedTuple):
    """One tensor of the kernel."""

    name: str
    output: bool
    dtype: str

    @property
    def element_bytes(self) -> int:
        import numpy as np

        return np.dtype(self.dtype).itemsize


class Case(NamedTuple):
    """One shape with its data. `elements`: of each tensor; `inputs`: in the order of the arguments."""

    name: str
    timed: bool
    dims: tuple[int, ...]
    elements: tuple[int, ...]
    inputs: tuple[np.ndarray, ...]


class Job(NamedTuple):
    """`programs`: the kernel's shared object, and perhaps that of one it is timed beside. Sizes in bytes."""

    mode: str  # check, time or profile
    programs: tuple[Path, ...]
    arguments: tuple[Argument, ...]
    cases: tuple[Case, ...]
    scratch: int
    flush: int
    seed: int
    warmups: int = 10
    trials: int = 50
    rounds: int = 3

    def write(self, folder: Path) -> Path:
        """The job's file in `folder`, and the inputs beside it."""
        lines = [f"mode {self.mode}", *(f"program {path}" for path in self.programs)]
        for tensor in self.arguments:
            lines.append(f"tensor {tensor.name} {'output' if tensor.output else 'input'} {tensor.element_bytes}")
        for number, case in enumerate(self.cases):
            lines.append(f"case {number}.out {'timed' if case.timed else 'checked'}")
            lines += [*(f"dim {n}" for n in case.dims), *(f"elements {n}" for n in case.elements)]
            for position, values in enumerate(case.inputs):
                values.tofile(folder / f"{number}.{position}.in")
                lines.append(f"input {number}.{position}.in")
        lines += [f"scratch {self.scratch}", f"flush {self.flush}", f"samples {SAMPLES}", f"seed {self.seed}"]
        lines += [f"warmups {self.warmups}", f"trials {self.trials}", f"rounds {self.rounds}"]
        path = folder / "job"
        path.write_text("\n".join(lines) + "\n")
        return path

    def outputs(self, folder: Path, number: int) -> dict[str, np.ndarray]:
        """What the kernel wrote of a case, flat."""
        import numpy as np

        found, at = {}, 0
        data = (folder / f"{number}.out").read_bytes()
        for tensor, elements in zip(self.arguments, self.cases[number].elements, strict=True):
            if tensor.output:
                if len(data) < at + elements * tensor.element_bytes:
                    raise EngineFailure(f"the runner wrote {len(data)} bytes of outputs, which is too few")
                found[tensor.name] = np.frombuffer(data, tensor.dtype, elements, at)
                at += elements * tensor.element_bytes
        return found

    def sampled(self, folder: Path, trials: Sequence[Trial]) -> list[dict[str, tuple[np.ndarray, np.ndarray]]]:
        """After each of these trials, of every output: which elements were looked at, and their values."""
        import numpy as np

        data, at, found = (folder / "samples").read_bytes(), 0, []
        for trial in trials:
            looked = {}
            for position, tensor in enumerate(self.arguments):
                if not tensor.output:
                    continue
                elements = self.cases[trial.case].elements[position]
                seed = draw(self.seed, trial.number * 64 + position)
                indices = np.array([draw(seed, i) % elements for i in range(SAMPLES)], np.int64)
                if len(data) < at + SAMPLES * tensor.element_bytes:
                    raise EngineFailure("the runner wrote too few samples")
                looked[tensor.name] = indices, np.frombuffer(data, tensor.dtype, SAMPLES, at)
                at += SAMPLES * tensor.element_bytes
            found.append(looked)
        return found


def draw(seed: int, number: int) -> int:
    """SplitMix64, as ../runner/job.h."""
    z = (seed + 0x9E3779B97F4A7C15 * (number + 1)) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


class Trial(NamedTuple):
    """One timed call, in ns: the work of the kernel's stream; how long the device was busy after it; the whole call by
    the host's clock."""

    program: int
    round: int
    case: int
    number: int
    stream_ns: float
    late_ns: float
    wall_ns: float


class Empty(NamedTuple):
    """A call of nothing: what the clocks themselves take."""

    stream_ns: float
    late_ns: float
    wall_ns: float


class Report(NamedTuple):
    device: dict[str, Any]
    checked: int  # cases
    trials: tuple[Trial, ...]
    empty: tuple[Empty, ...]
    fault: tuple[str, str] | None  # kind and message
    ended: bool

    def of(self, program: int) -> tuple[Trial, ...]:
        return tuple(trial for trial in self.trials if trial.program == program)


def read_report(stdout: str) -> Report:
    """Raises EngineFailure for what the runner could not do itself, and for a report that is none."""
    device: dict[str, Any] = {}
    checked, trials, empty, fault, ended = 0, [], [], None, False
    for line in stdout.splitlines()[:MAX_LINES]:
        try:
            said = json.loads(line)
            kind = said.pop("type")
            if kind == "device":
                device = said
            elif kind == "checked":
                checked += 1
            elif kind == "trial":
                trials.append(Trial(**said))
            elif kind == "empty":
                empty.append(Empty(**said))
            elif kind == "fault":
                fault = said["kind"], said["message"]
            elif kind == "failure":
                raise EngineFailure(f"{said['stage']}: {said['error']}, {said['message']}")
            elif kind == "end":
                ended = True
            else:
                raise ValueError(f"unknown line {kind}")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise EngineFailure(f"the runner's report cannot be read: {line[:200]!r} ({error})") from error
    return Report(device, checked, tuple(trials), tuple(empty), fault, ended)
