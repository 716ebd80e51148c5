"""A server as a container has it: no user known by name, a file system that is read-only but for home and /tmp."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from server_process import clean_environment

ROOT = Path(__file__).parents[2]
# Root within a user name space arranges the mounts, then somebody with no capability at all goes on.
ARRANGED = """
set -e
mount --make-rprivate /
for place in "$WRITABLE" "$BUILDS"; do mount --bind "$place" "$place"; done
mount -t tmpfs -o noexec,nosuid,nodev,mode=1777,size=1g tmpfs "$TMPDIR"
mount -o remount,bind,ro /
! touch "$ROOT/written" 2>/dev/null
exec unshare --user --map-user=10001 --map-group=10001 "$@"
"""
MakeHome = Callable[[Path], Path]


@pytest.fixture
def contained(tmp_path: Path, make_home: MakeHome, builds: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts `autocomp-mcp` with these words in such a container."""
    unshare = shutil.which("unshare")
    tried = unshare and subprocess.run(
        [unshare, "--user", "--map-root-user", "--mount", "unshare", "--user", "--map-user=10001", "true"],
        capture_output=True,
    )
    if not tried or tried.returncode != 0:
        pytest.skip("CONTAINER NOT TESTED: `unshare --user --mount` does not work here")
    home = make_home(tmp_path / "home")
    (tmp_path / "tmp").mkdir()
    variables = {"WRITABLE": str(home), "BUILDS": str(builds), "TMPDIR": str(tmp_path / "tmp"), "ROOT": str(ROOT)}

    def start(*words: str) -> subprocess.Popen[str]:
        command = [str(unshare), "--user", "--map-root-user", "--mount", "sh", "-c", ARRANGED, "sh"]
        return subprocess.Popen(
            [*command, sys.executable, "-m", "autocomp_mcp", *words], env=clean_environment(home, **variables),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    return start


def test_kernels_are_judged_with_every_layer_where_only_home_and_tmp_can_be_written(
    tmp_path: Path, contained: Callable[..., subprocess.Popen[str]]
) -> None:
    """noexec of /tmp is inherited by the sandbox, which may not drop it."""
    problem = "gemmini/gemm-32x32x32"
    listed = contained("problems", "--baseline", problem)
    kernel = tmp_path / "home" / "kernel.c"
    kernel.write_text(listed.communicate()[0])
    judged = contained("evaluate", problem, str(kernel))
    said, complained = judged.communicate()
    assert judged.returncode == 0, complained
    assert "passed" in said and "cycles" in said
    layers = contained("doctor").communicate()[0]
    if "MISS sandbox" not in layers and not re.search(r"^-    sandbox", layers, re.MULTILINE):
        strict = contained("evaluate", problem, str(kernel), "--require-sandbox")
        assert strict.communicate() and strict.returncode == 0


def test_a_server_answers_and_ends(contained: Callable[..., subprocess.Popen[str]]) -> None:
    server = contained("serve", "--http", "127.0.0.1:0")
    assert server.stderr
    try:
        address = re.search(r"http://\S+(?=/mcp)", server.stderr.readline())
        assert address
        with urllib.request.urlopen(f"{address[0]}/healthz", timeout=20) as answer:
            assert answer.status == 200 and answer.read().strip() == b"ok"
    finally:
        server.terminate()
        server.communicate(timeout=30)
    assert server.returncode == 143
