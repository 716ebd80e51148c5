"""What the native runner is told and what it says: the job's file, the report's lines, the samples.

The formats are those of ../runner/job.h and ../runner/report.h.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...base import EngineFailure

if TYPE_CHECKING:
    import numpy as np

SAMPLES = 512  # elements of each output that are looked at after each timed call
MIXING = 0x5E7
MAX_LINES = 20_000


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
    """`programs`: the kernel's shared object, and perhaps that of one it is timed beside. Sizes in bytes. `picks`: flat
    elements (timed calls of the kernel x outputs x SAMPLES) that are looked at after each timed call."""

    mode: str  # check, time or profile
    programs: tuple[Path, ...]
    arguments: tuple[Argument, ...]
    cases: tuple[Case, ...]
    scratch: int
    flush: int
    seed: int
    picks: np.ndarray | None = None
    warmups: int = 3
    trials: int = 0  # in each of the rounds
    rounds: int = 0

    def write(self, folder: Path) -> Path:
        """The job's file in `folder`, and inputs and picks beside it."""
        import numpy as np

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
        if self.picks is not None:
            self.picks.astype(np.int64).tofile(folder / "picks")
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

    def sampled(self, folder: Path) -> list[dict[str, np.ndarray]]:
        """After each timed call of the kernel: the values of the elements that were picked, of every output."""
        import numpy as np

        of_one = np.dtype([(tensor.name, tensor.dtype, SAMPLES) for tensor in self.arguments if tensor.output])
        found = np.fromfile(folder / "samples", of_one)
        if len(found) < self.trials * self.rounds:
            raise EngineFailure(f"the runner looked at {len(found)} of {self.trials * self.rounds} timed calls")
        return [{name: calls[name] for name in of_one.names or ()} for calls in found]

    def given(self, trial: Trial, tensor: int, elements: np.ndarray) -> np.ndarray:
        """These (flat) elements of an input of a timed call. `tensor`: its place among the arguments."""
        import numpy as np

        place = sum(not before.output for before in self.arguments[:tensor])
        sources = [case.inputs[place].reshape(-1) for case in self.cases if case.timed]
        (seed,) = draw(self.seed ^ MIXING, np.array([trial.number * 64 + tensor]))
        chosen = draw(int(seed), elements) % np.uint64(len(sources))
        return np.choose(chosen.astype(np.intp), [source[elements] for source in sources])


def draw(seed: int, numbers: np.ndarray) -> np.ndarray:
    """SplitMix64, as ../runner/job.h: a uint64 for each number."""
    import numpy as np

    z = np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15) * (numbers.astype(np.uint64) + np.uint64(1))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


class Trial(NamedTuple):
    """One timed call, in ns: the work of the kernel's stream; how long the device was busy after it; the whole call by
    the host's clock."""

    program: int
    round: int
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
