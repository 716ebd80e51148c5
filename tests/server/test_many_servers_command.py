"""`optimize` with several `--server`: real servers, one of them killed in the middle."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faults import rows, until
from server_process import Serving, clean_environment

AUTOCOMP = [sys.executable, "-m", "autocomp_mcp"]
SEARCH = [
    *AUTOCOMP, "optimize", "gemmini/gemm-64x64x64", "--model", "offline", "--reuse", "none", "--iterations", "2",
    "--max-evaluations", "12", "--json",
]  # fmt: skip

MakeHome = Callable[[Path], Path]


def evaluations(home: Path) -> int:
    database = home / "autocomp.db"
    try:
        return len(rows(database, "SELECT 1 FROM events WHERE kind = 'candidate'")) if database.exists() else 0
    except Exception:  # its tables are being made
        return 0


def begin(home: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*SEARCH, *options], env=clean_environment(home), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def found(result: dict[str, Any]) -> Any:
    best = result["best"]
    return best["candidate"], best["latency"], result["evaluations"], result["speedup"], result["stop_reason"]


def judged(home: Path) -> int:
    """Evaluations in a server's cache."""
    return rows(home / "autocomp.db", "SELECT count(*) FROM evaluations")[0][0]


@pytest.mark.slow
def test_one_of_three_is_killed_and_the_search_ends_as_if_nothing_had_happened(
    tmp_path: Path, make_home: MakeHome
) -> None:
    homes = [make_home(tmp_path / name) for name in ("alone", "here", "a", "b", "c")]
    alone = begin(homes[0])
    with Serving(homes[2]) as first, Serving(homes[3]) as second, Serving(homes[4]) as third:
        output, complaint = alone.communicate(timeout=180)
        assert alone.returncode == 0, complaint
        urls = [word for url in (first.url, second.url, third.url) for word in ("--server", url)]
        search = begin(homes[1], *urls, "--server", "http://127.0.0.1:9")
        assert until(lambda: evaluations(homes[1]) >= 3 or search.poll() is not None)
        second.process.send_signal(signal.SIGKILL)
        result, said = search.communicate(timeout=180)
    assert search.returncode == 0, said
    assert found(json.loads(result)) == found(json.loads(output))
    assert said.count("http://127.0.0.1:9/mcp not reached: ") == 1, said
    assert said.count(f"server {second.url} set aside: ") == 1, said
    assert said.count(first.url) == said.count(third.url) == 0 and "Traceback" not in said, said
    assert judged(homes[2]) >= 1 and judged(homes[4]) >= 1


@pytest.mark.slow
def test_when_the_last_one_dies_the_search_goes_on_later(tmp_path: Path, make_home: MakeHome) -> None:
    here, a, b = (make_home(tmp_path / name) for name in ("here", "a", "b"))
    with Serving(a) as first, Serving(b) as second:
        search = begin(here, "--server", first.url, "--server", second.url)
        assert until(lambda: evaluations(here) >= 3 or search.poll() is not None)
        for server in (first, second):
            server.process.send_signal(signal.SIGKILL)
        result, said = search.communicate(timeout=120)
    assert search.returncode == 3, (result, said)
    assert "Traceback" not in said and "go on with: autocomp-mcp resume" in said
    reason = json.loads(result)["stop_reason"]
    assert first.url in reason and second.url in reason and "no server is left" in reason
    before = evaluations(here)
    with Serving(a) as first, Serving(b) as second:
        resumed = subprocess.run(
            [*AUTOCOMP, "resume", "last", "--server", first.url, "--server", second.url, "--json"],
            env=clean_environment(here), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["evaluations"] == 12 > before
