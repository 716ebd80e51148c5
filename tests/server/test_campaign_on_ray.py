"""A campaign on a real Ray cluster finds what it finds on this machine, also where the cluster is lost on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.agent.runs.journal import Journal

pytest.importorskip("ray", reason="the extra 'ray' is not installed: no campaign on a cluster is tested")

from ray_machines import ray_machines

SMALL = ("gemmini/gemm-32x32x32", "gemmini/gemm-64x32x32")
SIX = ("suite: gemmini/autocomp-gemm",)
MakeHome = Callable[[Path], Path]


def written(path: Path, problems: tuple[str, ...], iterations: int) -> Path:
    settings = f"{{iterations: {iterations}, plans: 3, timeout_s: 3000}}"
    path.write_text(f"model: offline\nsettings: {settings}\nproblems:\n" + "".join(f"  - {p}\n" for p in problems))
    return path


def begun(home: Path, file: Path, *more: str) -> subprocess.Popen[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_", "RAY_"))}
    command = [sys.executable, "-m", "autocomp_mcp", "campaign", str(file), "--json", *more]
    return subprocess.Popen(
        command,
        env=clean | {"AUTOCOMP_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def campaign(home: Path, file: Path, *more: str) -> list[Any]:
    """Of each problem the best kernel, as text, its latency, and how many were evaluated."""
    process = begun(home, file, *more)
    out, err = process.communicate()
    assert process.returncode == 0, err[-3000:]
    return results(home, out)


def results(home: Path, out: str) -> list[Any]:
    journal = Journal(home / "autocomp.db")
    runs = [entry["run"] for entry in json.loads(out)["entries"]]
    return [
        (run["problem"], journal.status(run["run_id"]).best_source, run["best"]["latency"], run["evaluations"])
        for run in runs
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("problems", "iterations"), [(SMALL, 2), (SIX, 2)], ids=["two small", "the six shapes"])
def test_a_campaign_on_the_cluster_finds_the_same_kernels(
    problems: tuple[str, ...], iterations: int, tmp_path: Path, make_home: MakeHome
) -> None:
    file = written(tmp_path / "campaign.yaml", problems, iterations)
    here = campaign(make_home(tmp_path / "here"), file)
    with ray_machines(make_home(tmp_path / "workers"), {"num_cpus": 2}) as cluster:
        there = campaign(
            make_home(tmp_path / "there"), file, "--executor", "ray", "--ray-address", cluster.address
        )  # fmt: skip
    assert there == here and all(best for _, best, _, _ in here)


def at_work(workers: Path) -> list[int]:
    """Processes of Ray that judge a kernel now, of nodes that have this home."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            title = (folder / "cmdline").read_bytes()
            if not title.startswith(b"ray::") or title.startswith(b"ray::IDLE") or b"Agent" in title:
                continue  # a node ends with its agents
            if f"AUTOCOMP_HOME={workers}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def raylet(node: Any) -> int:
    return node.all_processes["raylet"][0].process.pid


def store(process: int) -> set[str]:
    """The object stores that it has in its memory: that of its node."""
    lines = Path(f"/proc/{process}/maps").read_text().splitlines()
    return {line.split()[4] for line in lines if "plasma" in line}


@pytest.mark.slow
def test_killed_workers_and_a_killed_node_lose_no_finished_evaluation(tmp_path: Path, make_home: MakeHome) -> None:
    file = written(tmp_path / "campaign.yaml", SMALL, 2)
    workers, home = make_home(tmp_path / "workers"), make_home(tmp_path / "there")
    journal, killed, seen = Journal(home / "autocomp.db"), 0, 0
    with ray_machines(workers, {"num_cpus": 1}, {"num_cpus": 1}) as cluster:
        process = begun(home, file, "--executor", "ray", "--ray-address", cluster.address)
        deadline = time.monotonic() + 400
        while process.poll() is None and time.monotonic() < deadline:
            finished = sum(status.evaluations for status in journal.statuses())
            assert finished >= seen, "a finished evaluation is gone"
            seen = finished
            if killed < 3 and finished >= 3 * (killed + 1) and (busy := at_work(workers)):
                os.kill(busy[0], signal.SIGKILL)
                killed += 1
            elif killed == 3 and finished >= 12 and len(cluster.list_all_nodes()) == 3:
                # A driver ends with the node that it is connected to, as it does with its machine.
                away = [node for node in cluster.worker_nodes if not store(raylet(node)) & store(process.pid)]
                cluster.remove_node(away[0], allow_graceful=False)
            time.sleep(0.05)
        out, err = process.communicate()
        left = len(cluster.list_all_nodes())
    assert process.returncode == 0, err[-3000:]
    there = results(home, out)
    print(f"{killed} workers and {3 - left} node killed, {sum(found[3] for found in there)} evaluations")
    assert killed == 3 and left == 2, "the campaign ended too soon for this test"
    assert there == campaign(make_home(tmp_path / "here"), file), "what was tried again counts once"


@pytest.mark.slow
def test_a_lost_head_loses_no_finished_evaluation(tmp_path: Path, make_home: MakeHome) -> None:
    file = written(tmp_path / "campaign.yaml", SMALL, 2)
    workers, home = make_home(tmp_path / "workers"), make_home(tmp_path / "there")
    journal = Journal(home / "autocomp.db")
    with ray_machines(workers, {"num_cpus": 2}) as cluster:
        process = begun(home, file, "--executor", "ray", "--ray-address", cluster.address)
        deadline = time.monotonic() + 200
        while sum(status.evaluations for status in journal.statuses()) < 5 and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)
        try:
            process.communicate(timeout=120)
        except subprocess.TimeoutExpired:  # a user would press Ctrl-C
            process.send_signal(signal.SIGINT)
            process.communicate()
    assert process.returncode != 0
    before = {status.run_id: status.evaluations for status in journal.statuses()}
    with ray_machines(workers, {"num_cpus": 2}) as cluster:
        there = campaign(home, file, "--executor", "ray", "--ray-address", cluster.address)
    print(f"{sum(before.values())} evaluations before the head was killed, {sum(run[3] for run in there)} in all")
    assert sum(before.values()) >= 5
    assert there == campaign(make_home(tmp_path / "here"), file)
