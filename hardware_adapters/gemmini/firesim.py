"""FireSim: the RTL on an FPGA, driven through FireSim's own manager.

The user's run farm has to be up (`firesim launchrunfarm`) and `config_runtime.yaml` has to name one simulation of a
Gemmini system. For each evaluation a workload of its own is set up, run, its console log read, and removed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import uuid
from pathlib import Path

import anyio
import anyio.to_thread

from ..base import EngineFailure
from ..process import Limits
from ..store import locked
from .engines import DOCUMENTATION, PROGRAM, Availability, Executed, WholeMachine, read_console_file, run_logged, stamp

VARIABLE = "AUTOCOMP_FIRESIM"
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
MANAGER = "firesim"
SETTINGS = "config_runtime.yaml"
KILL_S = 120.0


class FireSim(WholeMachine):
    name = "firesim"
    unit = "cycles"
    statistic = "first call, cold memory system; call and return not counted"
    source = "measured"
    trust = (
        "Cycles counted by the RTL on the FPGA, with FireSim's memory model. Correctness by hashes of the whole "
        "output, salted per evaluation, and samples, printed by the machine, on one input set. "
        "This project has not run it yet."
    )
    patience_s = 1800.0
    dumps_memory = False
    console_while_running = False
    input_sets = ("dense",)
    calls = 1

    def availability(self) -> Availability:
        named = self.environment.get(VARIABLE)
        if not named:
            return Availability(
                False,
                f"set {VARIABLE} to the deploy folder of a FireSim checkout whose run farm is up. See {DOCUMENTATION}",
            )
        deploy = self._deploy
        if not os.access(deploy / MANAGER, os.X_OK):
            return Availability(False, f"{VARIABLE}={named}: there is no FireSim manager in it ({deploy / MANAGER})")
        if not (deploy / SETTINGS).is_file():
            return Availability(False, f"{deploy / SETTINGS} is missing: run `firesim managerinit` and fill it in")
        # The runtime's settings name the hardware, whose image and address config_hwdb.yaml beside them tells.
        version = f"firesim+{stamp(*sorted(deploy.glob('config_*.yaml')))}"
        return Availability(
            True, f"{deploy / MANAGER}; whether its run farm is up shows at the first evaluation", version
        )

    @property
    def _deploy(self) -> Path:
        return Path(self.environment.get(VARIABLE, "")).absolute()

    async def execute(self, folder: Path, timeout_s: float) -> Executed:
        deploy = self._deploy
        workload = f"autocomp-{uuid.uuid4().hex[:12]}"
        deadline = time.monotonic() + timeout_s
        # One run farm: evaluations of all processes take turns, and waiting counts as time.
        with anyio.move_on_after(timeout_s) as waiting:
            async with locked(deploy / ".autocomp.lock"):
                waiting.deadline = float("inf")
                try:
                    await anyio.to_thread.run_sync(_set_up, deploy, workload, folder / PROGRAM)
                    return await self._run(deploy, workload, folder, deadline)
                finally:
                    with anyio.CancelScope(shield=True):
                        await anyio.to_thread.run_sync(_remove, deploy, workload)
        raise EngineFailure(f"FireSim was busy with other evaluations for {timeout_s:.0f} s")

    async def _run(self, deploy: Path, workload: str, folder: Path, deadline: float) -> Executed:
        # The manager logs in to its machines by itself, with AWS's own variables; other keys are none of its business.
        environment = {k: v for k, v in self.environment.items() if k.startswith("AWS_") or not _SECRET.search(k)}

        async def manager(task: str, seconds: float) -> Executed:
            # The manager works in its own folder; only what it prints comes here.
            order = f'cd "$1" && exec "./{MANAGER}" {task} -x "workload workload_name {workload}.json"'
            limits = Limits(
                wall_s=max(0.1, seconds), file_bytes=1 << 40, memory_bytes=None, processors=os.cpu_count() or 1
            )
            return await run_logged(
                ["/bin/sh", "-c", order, "sh", str(deploy)], cwd=folder, env=environment, limits=limits
            )

        prepared = await manager("infrasetup", deadline - time.monotonic())
        if prepared.timed_out or prepared.returncode != 0:
            raise EngineFailure(f"`firesim infrasetup` failed: {prepared.console.strip()[-600:]}")
        ended = False
        try:
            ran = await manager("runworkload", deadline - time.monotonic())
            ended = not ran.timed_out
        finally:
            if not ended:  # the simulation goes on by itself on the FPGA's machine
                with anyio.CancelScope(shield=True):
                    await manager("kill", KILL_S)
        logs = sorted((deploy / "results-workload").glob(f"*-{workload}*/*/uartlog"))
        said = "\n".join(read_console_file(log) for log in logs)
        return Executed(f"{ran.console}\n{said}", ran.returncode, ran.timed_out)


def _set_up(deploy: Path, workload: str, program: Path) -> None:
    folder = deploy / "workloads" / workload
    try:
        folder.mkdir(parents=True)
        shutil.copyfile(program, folder / PROGRAM)
        described = {
            "benchmark_name": workload,
            "common_bootbinary": PROGRAM,
            "common_rootfs": None,
            "common_simulation_outputs": ["uartlog"],
        }
        (deploy / "workloads" / f"{workload}.json").write_text(json.dumps(described))
    except OSError as error:
        raise EngineFailure(f"the workload cannot be put into {deploy}: {error}") from error


def _remove(deploy: Path, workload: str) -> None:
    (deploy / "workloads" / f"{workload}.json").unlink(missing_ok=True)
    shutil.rmtree(deploy / "workloads" / workload, ignore_errors=True)
    for results in (deploy / "results-workload").glob(f"*-{workload}*"):
        shutil.rmtree(results, ignore_errors=True)
