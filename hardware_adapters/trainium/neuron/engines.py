"""The engines `neuron` (the device) and `nki-simulate` (AWS's functional simulator): one evaluation or profile."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import anyio
import anyio.to_thread

from ...base import (
    Diagnostic,
    EngineFailure,
    EngineStatus,
    EnvironmentLackError,
    Evaluation,
    Fault,
    Latency,
    LatencySource,
    Problem,
    Profile,
    Recall,
    UsageError,
    kernel_digest,
)
from ...host_faults import check_process
from ...process import Limits, run
from ...sandbox import devices
from ...sandbox.reach import installation
from ...simulating import Judgement, compile_error, generator
from ...store import Home, locked
from ..judge import compared
from ..machines import machines
from ..operators import InputSet, Operator, bound, encoded, inputs_of, numpy_type, outputs_of
from ..rules import folder_digest
from ..screen import NKI_1, Screened, screen
from .profiler import WARM_UPS, Timing, timed
from .runtime_errors import runtime_status
from .sdk import DEVICE_VARIABLE, PROFILER_VARIABLE, PROFILERS, Availability, Machine, Sdk
from .summary import measured_profile

if TYPE_CHECKING:
    import numpy as np

RUNNER = Path(__file__).with_name("runner.py")
SDK_FILE_BYTES = 4 << 30
OUT_OF_TIME = -24  # SIGXCPU
APIS = {"nki": "NKI 2 (`nki`)", "neuronxcc": "NKI 1 (`neuronxcc.nki`)"}


class Outcome(NamedTuple):
    evaluation: Evaluation
    summary: Mapping[str, Any] | None = None


class NeuronEngine(ABC):
    """What both engines share: screening, a process of the SDK's Python, judging in this one."""

    name: ClassVar[str]
    kind: ClassVar[Any]
    mode: ClassVar[str]  # of the runner
    source: ClassVar[LatencySource]
    trust: ClassVar[str]
    patience_s: ClassVar[float]
    profiles: ClassVar[bool]
    ranks: ClassVar[bool]

    def __init__(self, home: Home, environment: Mapping[str, str] | None = None) -> None:
        self.home, self.machine = home, Machine(environment)

    @abstractmethod
    def availability(self) -> Availability:
        """Whether it works here, and if not, the step that would make it so. Nothing touches the device."""

    def status(self) -> EngineStatus:
        found = self.availability()
        return EngineStatus(
            name=self.name, kind=self.kind, available=found.available, reason=found.reason, version=found.version,
            source=self.source, trust=self.trust, patience_s=self.patience_s, profiles=self.profiles, ranks=self.ranks,
        )  # fmt: skip

    @property
    def configuration(self) -> str:
        return f"{self.machine.platform()} {folder_digest('neuron')[:8]}"

    async def evaluate(
        self,
        problem: Problem,
        operator: Operator,
        source: str,
        seed: int,
        timeout_s: float,
        recall: Recall | None = None,
    ) -> Outcome:
        """Raises EnvironmentLackError, UsageError, EngineFailure."""
        found = await anyio.to_thread.run_sync(self.availability)
        sdk = await anyio.to_thread.run_sync(self.machine.sdk)
        if not found.available or isinstance(sdk, str):
            raise EnvironmentLackError(f"engine {self.name!r} is not available: {found.reason}")
        screened = await anyio.to_thread.run_sync(screen, source)
        call = _Call(self, problem, operator, source, seed, found.version or "", sdk, screened)
        if screened.refused:
            return call.concluded(Judgement("rejected", screened.refused))
        if not screened.compilation.ok:
            return call.concluded(compile_error(screened.compilation.diagnostics[0]))
        self.check_api(sdk, screened.api)
        if recall is not None and (known := await recall(screened.compilation)) is not None:
            return Outcome(known)
        with tempfile.TemporaryDirectory(prefix="autocomp-neuron-", ignore_cleanup_errors=True) as scratch:
            async with self.alone():
                return await call.run(Path(scratch), timeout_s)

    def check_api(self, sdk: Sdk, api: str) -> None:
        """Raises EnvironmentLackError for a kernel of the API that is not there."""
        if api not in sdk.apis:
            here = " and ".join(APIS[name] for name in sdk.apis)
            raise EnvironmentLackError(f"{sdk.python} has {here}; this kernel is written for {APIS[api]}")

    def alone(self) -> contextlib.AbstractAsyncContextManager[None]:
        return contextlib.nullcontext()

    @abstractmethod
    async def after(self, call: _Call, neffs: Sequence[Path], timeout_s: float) -> tuple[Judgement, Timing | None]:
        """Of a kernel whose results are right. `neffs`: what was compiled for the input sets, where it differs."""


class NkiSimulate(NeuronEngine):
    name, kind, mode, source = "nki-simulate", "simulator", "simulate", "estimated"
    trust = (
        "Functional: AWS's own simulator says whether results are right. It has no time and does not check what fits "
        "on chip. This project has run it against stand-ins only."
    )
    patience_s, profiles, ranks = 300.0, False, False

    def availability(self) -> Availability:
        sdk = self.machine.sdk()
        if isinstance(sdk, str):
            return Availability(False, sdk)
        if not any(sdk.apis.values()):
            return Availability(
                False, f"{sdk.python} has NKI ({sdk.version}) without a simulator: nki.simulate needs NKI 0.3 or newer"
            )
        return Availability(True, f"{sdk.python}: {sdk.version}", sdk.version)

    def check_api(self, sdk: Sdk, api: str) -> None:
        super().check_api(sdk, api)
        if not sdk.apis[api]:
            raise EnvironmentLackError(f"{sdk.python} has no simulator of {APIS[api]}")

    async def after(self, call: _Call, neffs: Sequence[Path], timeout_s: float) -> tuple[Judgement, Timing | None]:
        text = "correct on all input sets in AWS's simulator, which tells no time"
        return Judgement("passed", text), None


class Neuron(NeuronEngine):
    name, kind, mode, source = "neuron", "hardware", "device", "measured"
    trust = (
        "Measured by the device's own profiler. This project has never run it on hardware: it was tested against "
        "stand-ins that behave as the SDK is documented to."
    )
    patience_s, profiles, ranks = 900.0, True, True

    def availability(self) -> Availability:
        if self.machine.device() is None:
            return Availability(
                False,
                "no /dev/neuron0: use a Trainium instance with the Neuron driver (aws-neuronx-dkms) installed, or name "
                f"the device in {DEVICE_VARIABLE}",
            )
        sdk = self.machine.sdk()
        if isinstance(sdk, str):
            return Availability(False, sdk)
        tool = self.machine.profiler()
        if tool is None:
            return Availability(
                False,
                f"neither {' nor '.join(PROFILERS)} is on PATH: install aws-neuronx-tools, or name the program in "
                f"{PROFILER_VARIABLE}; it takes the times",
            )
        where = self.machine.platform() or "platform unknown"
        return Availability(True, f"{sdk.python}: {sdk.version}; {tool.name}; {where}", f"{sdk.version} {tool.name}")

    def alone(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Two kernels on one core would time each other."""
        return locked(self.home.path / "neuron.lock")

    async def after(self, call: _Call, neffs: Sequence[Path], timeout_s: float) -> tuple[Judgement, Timing | None]:
        tool = self.machine.profiler()
        if not neffs or tool is None:
            raise EngineFailure("the SDK left no compiled kernel (.neff) to be timed")
        found = [await timed(tool, neff, self.machine.quiet_environment(neff.parent), timeout_s) for neff in neffs]
        timing = max(found, key=lambda each: each.p50)
        return measured(call.operator, self.machine.platform(), tool.name, timing), timing


def measured(operator: Operator, platform: str | None, tool: str, timing: Timing) -> Judgement:
    """The median counts: one execution that was disturbed does not decide."""
    core = machines().get(platform or "")
    latency_ns = round(timing.p50)
    least = bound(operator, core) if core else None
    if least and latency_ns < least.value:
        message = f"{latency_ns} ns are fewer than the machine can need ({least.reason}): the work was not done"
        return Judgement("rejected", message)
    count = len(timing.executions_ns)
    statistic = f"median of {count} executions on the device after {WARM_UPS} warm-ups, total_time of {tool}"
    utilisation = least.value / latency_ns if least else None
    of_bound = f", {100 * utilisation:.1f} % of the bound" if utilisation is not None else ""
    return Judgement(
        "passed",
        f"correct on all input sets; {latency_ns} ns (measured; p99 {round(timing.p99)} ns){of_bound}",
        latency=Latency(value=latency_ns, unit="ns", statistic=statistic, spread=round(timing.spread, 1)),
        utilisation=utilisation,
        counters={
            "latency_p50_ns": latency_ns,
            "latency_p99_ns": round(timing.p99),
            "latency_min_ns": round(min(timing.executions_ns)),
            "executions_timed": count,
            "executions_warming": WARM_UPS,
        },
    )


class _Call:
    """One kernel on one engine."""

    def __init__(
        self, engine: NeuronEngine, problem: Problem, operator: Operator, source: str, seed: int, version: str,
        sdk: Sdk, screened: Screened,
    ) -> None:  # fmt: skip
        self.engine, self.problem, self.operator, self.source, self.seed = engine, problem, operator, source, seed
        self.version, self.sdk, self.screened = version, sdk, screened
        self.sets: tuple[InputSet, ...] = ()
        self.seconds: dict[str, float] = {}

    def concluded(self, judged: Judgement, summary: Mapping[str, Any] | None = None) -> Outcome:
        compilation = self.screened.compilation
        if judged.verdict == "compile_error" and compilation.ok and judged.fault is not None:
            said = Diagnostic(severity="error", message=judged.fault.message, line=judged.fault.line)
            compilation = compilation.model_copy(
                update={"ok": False, "compiler": self.sdk.version, "diagnostics": (said,), "code": None}
            )
        evaluation = Evaluation(
            problem=self.problem.id,
            kernel=kernel_digest(self.source),
            engine=self.engine.name,
            engine_version=self.version,
            source=self.engine.source,
            compilation=compilation,
            input_sets=tuple(chosen.name for chosen in self.sets),
            seed=self.seed,
            seconds={"compile": compilation.seconds, **self.seconds},
            **judged._asdict(),
        )
        return Outcome(evaluation, summary)

    async def run(self, folder: Path, timeout_s: float) -> Outcome:
        rng = generator(self.problem.digest, kernel_digest(self.source), self.seed)
        self.sets = await anyio.to_thread.run_sync(self.operator.sets, rng)
        await anyio.to_thread.run_sync(self._prepare, folder)
        started = time.monotonic()
        environment = self.engine.machine.quiet_environment(folder)
        limits = Limits(
            wall_s=timeout_s, file_bytes=SDK_FILE_BYTES, memory_bytes=None, output_bytes=1 << 18,
            processors=os.cpu_count() or 1,
        )  # fmt: skip
        command = [self.sdk.python, "-I", RUNNER, folder]
        try:
            reach = devices("neuron*", read=(RUNNER, *installation(self.sdk.python)))
            finished = await run(command, cwd=folder, env=environment, limits=limits, reach=reach)
        except OSError as error:
            raise EngineFailure(f"{self.sdk.python} cannot be started: {error}") from error
        self.seconds["run"] = time.monotonic() - started
        check_process("the SDK's process", finished)  # it waits for the device
        if finished.timed_out or finished.returncode == OUT_OF_TIME:
            text = f"stopped after {timeout_s:.0f} s of compiling and running"
            return self.concluded(Judgement("timed_out", text))
        report = await anyio.to_thread.run_sync(_report, folder, finished.returncode, finished.stderr)
        fault = next((fault for fault in report["faults"] if fault is not None), None)
        if fault is not None:
            return self.concluded(self._faulted(fault, finished.stderr))
        checked = time.monotonic()
        outputs = await anyio.to_thread.run_sync(_outputs, folder, self.operator, len(self.sets))
        expected = await self.operator.results(self.sets)
        compare = partial(compared, self.operator, self.sets, expected, outputs, published=True)
        wrong = await anyio.to_thread.run_sync(compare)
        self.seconds["check"] = time.monotonic() - checked
        if wrong is not None:
            return self.concluded(wrong)
        neffs = [folder / each for each in report["neffs"]]
        started = time.monotonic()
        judged, timing = await self.engine.after(self, neffs, timeout_s)
        self.seconds["time"] = time.monotonic() - started
        return self.concluded(judged, timing.summary if timing else None)

    def _prepare(self, folder: Path) -> None:
        """Everything the SDK's process is given. The expected results are not among it."""
        from ..nkisim import modules  # with NumPy
        from ..nkisim.nki1 import modules as nki1

        jobs = []
        for number, chosen in enumerate(self.sets):
            entries = []
            for tensor in inputs_of(self.operator):
                file = f"{tensor.name}.{number}.in"
                chosen.inputs[tensor.name].tofile(folder / file)
                entries.append({"name": tensor.name, "file": file, "dtype": tensor.dtype, "shape": list(tensor.shape)})
            jobs.append({"inputs": entries})
        outputs = [{"name": t.name, "dtype": t.dtype, "shape": list(t.shape)} for t in outputs_of(self.operator)]
        constants = {name: encoded(value) for name, value in self.operator.constants.items()}
        job = {
            "api": self.screened.api,
            "mode": self.engine.mode,
            "sets": jobs,
            "outputs": outputs,
            "constants": constants,
            "builtins": modules.BUILTINS,
            "modules": modules.plain_names(nki1.MODULES if self.screened.api == NKI_1 else modules.MODULES),
        }
        (folder / "job.json").write_text(json.dumps(job))
        (folder / "kernel.py").write_text(self.source, encoding="utf-8")

    def _faulted(self, said: Mapping[str, Any], log: str) -> Judgement:
        """Raises EngineFailure for what is not the kernel's fault."""
        message = " ".join(str(said["message"]).split())[:1200] or said["type"]
        line = said["line"]
        lines = self.source.split("\n")
        text = lines[line - 1].strip()[:120] if line and line <= len(lines) else None
        where = f"; line {line}: {text}" if text else ""
        status = runtime_status(f"{said['type']}: {said['message']}") or runtime_status(log)
        if status is not None:
            code = f"{status.name}({status.number})" if status.number is not None else status.name
            if not status.by_kernel:
                raise EngineFailure(f"{code}: {status.meaning}: {message[:400]}")
            fault = Fault(kind=status.name.lower(), message=message, instruction=text, line=line)
            return Judgement("crashed", f"{code}: {status.meaning}{where}", fault)
        if said["type"] == "EntryError":
            return Judgement("compile_error", message, Fault(kind="no_entry", message=message))
        if said["type"] == "ManyKernelsError":
            return Judgement("rejected", message)
        if said["type"] == "ResultError":
            return Judgement("wrong_result", message, Fault(kind="wrong_output", message=message))
        fault = Fault(kind="compile_error", message=f"{said['type']}: {message}", instruction=text, line=line)
        if self.engine.mode == "simulate":
            fault = fault.model_copy(update={"kind": "simulator_error"})
            return Judgement("crashed", f"{said['type']}: {message}{where}", fault)
        return Judgement("compile_error", f"the kernel does not compile: {said['type']}: {message}{where}", fault)


def _report(folder: Path, returncode: int, stderr: str) -> dict[str, Any]:
    path = folder / "report.json"
    if returncode == 0 and path.is_file():
        return json.loads(path.read_text())
    if (status := runtime_status(stderr)) is not None and not status.by_kernel:
        raise EngineFailure(f"{status.name}: {status.meaning}: {stderr.strip()[-400:]}")
    raise EngineFailure(f"the SDK's process ended with status {returncode}: {stderr.strip()[-600:] or 'no words'}")


def _outputs(folder: Path, operator: Operator, count: int) -> list[dict[str, np.ndarray]]:
    import numpy as np

    return [
        {
            t.name: np.fromfile(folder / f"{t.name}.{number}.out", numpy_type(t.dtype)).reshape(t.shape)
            for t in outputs_of(operator)
        }
        for number in range(count)
    ]


async def profile_on(
    engine: NeuronEngine, problem: Problem, operator: Operator, source: str, timeout_s: float
) -> Profile | Evaluation:
    """Raises as NeuronEngine.evaluate."""
    if not engine.profiles:
        raise UsageError(f"engine {engine.name!r} does not profile kernels: it tells no time")
    outcome = await engine.evaluate(problem, operator, source, 0, timeout_s)
    if not outcome.evaluation.passed or outcome.summary is None:
        return outcome.evaluation
    return measured_profile(problem, outcome.evaluation, outcome.summary)
