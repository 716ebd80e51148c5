"""Installs stand-ins for the engines that this machine may lack: real processes, found as the real ones are."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

PROGRAM = Path(__file__).with_name("whole_machine.py")
DIMS = (48, 64, 80)
PROBLEM = "gemmini/gemm-48x64x80"
FIRESIM = """\
#!{python}
import json, re, subprocess, sys
from pathlib import Path
deploy = Path(__file__).parent
def note(text):
    with open({calls!r}, "a") as stream:
        stream.write(text + "\\n")
task = sys.argv[1]
name = re.fullmatch(r"workload workload_name (.*)[.]json", sys.argv[sys.argv.index("-x") + 1])[1]
note("begin " + task + " " + name)
described = json.loads((deploy / "workloads" / (name + ".json")).read_text())
assert described["benchmark_name"] == name and described["common_simulation_outputs"] == ["uartlog"]
if task == "infrasetup" and {behaviour!r} == "no run farm":
    sys.exit("no run hosts are up")
if task == "runworkload":
    program = deploy / "workloads" / name / described["common_bootbinary"]
    results = deploy / "results-workload" / ("2026-01-01--00-00-00-" + name) / (name + "0")
    results.mkdir(parents=True)
    ran = subprocess.run([{stand_in!r}, str(program)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    (results / "uartlog").write_bytes(ran.stdout)  # copied from the FPGA's machine, afterwards
note("end " + task + " " + name)
"""


class Installed(NamedTuple):
    environment: dict[str, str]
    log: Path  # a line of every run: pid, folder, nonce

    def runs(self) -> list[list[str]]:
        return [line.split(" ") for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def pids(self) -> list[int]:
        return [int(words[0]) for words in self.runs()]


def install(folder: Path, engine: str, behaviour: str = "right") -> Installed:
    """The environment in which `engine` is found, and nothing else."""
    log = folder / "runs.log"
    dims = ",".join(map(str, DIMS))
    call = [sys.executable, str(PROGRAM), behaviour, dims, str(log)]
    stand_in = _executable(folder / "bin" / engine, f'#!/bin/sh\nexec {shlex.join(call)} "$@"\n')
    environment = {"PATH": os.environ["PATH"]}
    if engine == "spike":
        (folder / "lib").mkdir()
        (folder / "lib" / "libgemmini.so").write_bytes(b"")
        environment["AUTOCOMP_SPIKE"] = str(stand_in)
    elif engine == "verilator":
        environment["AUTOCOMP_GEMMINI_VERILATOR"] = str(stand_in)
    else:
        deploy = folder / "deploy"
        calls = str(folder / "calls.log")
        text = FIRESIM.format(python=sys.executable, calls=calls, behaviour=behaviour, stand_in=str(stand_in))
        _executable(deploy / "firesim", text)
        (deploy / "workloads").mkdir()
        (deploy / "config_runtime.yaml").write_text("run_farm: {}\n")
        environment["AUTOCOMP_FIRESIM"] = str(deploy)
    return Installed(environment, log)


def _executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def left_over(pids: Iterable[int], patience_s: float = 5.0) -> list[int]:
    """Those of the processes that stay: a killed one takes a moment to be gone."""
    deadline = time.monotonic() + patience_s
    while (left := [pid for pid in pids if alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
