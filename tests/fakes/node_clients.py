"""Programs for Node that the tests drive, installed from npm once per version into the user's cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from platformdirs import user_cache_path

PACKAGES = Path(__file__).parents[1] / "node" / "package.json"
CACHE_VARIABLE = "AUTOCOMP_NODE_CLIENTS"
INSTALL_S = 600


class Lack(Exception):
    """What is missing here, and how to get it."""


class NodeClients(NamedTuple):
    folder: Path  # node_modules

    def run(self, program: str, *args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """One of node_modules/.bin, under the Node that was installed with it."""
        command = [self.folder / "node" / "bin" / "node", self.folder / ".bin" / program, *args]
        return subprocess.run(
            command,
            env=env or self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def environment(self, **more: str) -> dict[str, str]:
        """This one without what would change what server and clients do."""
        kept = {k: v for k, v in os.environ.items() if not re.match("ANTHROPIC_|AUTOCOMP_|CLAUDE|MCP_|NODE_", k)}
        return kept | {"PATH": f"{self.folder / 'node' / 'bin'}{os.pathsep}{kept['PATH']}"} | more


def installed() -> Path:
    """node_modules as package.json wants it. Raises Lack."""
    wanted = PACKAGES.read_bytes()
    base = Path(os.environ.get(CACHE_VARIABLE) or user_cache_path("autocomp-mcp") / "node-clients")
    folder = base / hashlib.sha256(wanted).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes share the folder
        if not (folder / "complete").exists():
            _install(wanted, folder)
            (folder / "complete").touch()
    return folder / "node_modules"


def _install(wanted: bytes, folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise Lack("npm is not on PATH. Any Node.js brings it; Node 22 itself then comes from npm")
    shutil.rmtree(folder / "node_modules", ignore_errors=True)
    (folder / "package.json").write_bytes(wanted)
    options = ("--no-package-lock", "--no-audit", "--no-fund", "--fetch-retries=1")
    try:
        done = subprocess.run(
            [npm, "install", *options], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=INSTALL_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Lack(f"`npm install` in {folder} took more than {INSTALL_S} s; run it there by hand") from None
    if done.returncode:
        raise Lack(f"`npm install` in {folder} failed (is the network there?): {done.stderr[-500:]}")
    node = folder / "node_modules" / "node" / "bin" / "node"
    version = subprocess.run([node, "--version"], capture_output=True, text=True) if node.exists() else None
    if version is None or version.returncode:
        raise Lack("npm's `node` package has no program for this platform; Linux and macOS on x64 or arm64 have one")
