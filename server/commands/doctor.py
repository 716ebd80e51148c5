"""doctor: what this machine has, what it lacks, and the step that mends each."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from ... import __version__
from ...hardware_adapters.base import AdapterError, EnvironmentLackError
from ..shell import DONE, ENVIRONMENT, emit, tell

PACKAGES = ("mcp", "anthropic", "pydantic", "anyio", "numpy", "ml_dtypes", "ziglang", "pyelftools", "rich")
MIN_FREE_MB = 500
# Name, a package that its extra brings, environment variables of which one must be set, and what to do.
PROVIDERS = (
    ("anthropic", None, ("ANTHROPIC_API_KEY",), "export it to let a Claude model search, not the offline tuner"),
    ("openai", "openai", ("OPENAI_API_KEY", "OPENAI_BASE_URL"), "export the key, or a server's address"),
    ("bedrock", "boto3", ("AWS_REGION", "AWS_DEFAULT_REGION"), "export it; the login is that of the AWS tools"),
    ("vertex", "google-auth", ("CLOUD_ML_REGION",), "export it and ANTHROPIC_VERTEX_PROJECT_ID; log in with gcloud"),
)


class Check(NamedTuple):
    name: str
    ok: bool
    found: str
    mend: str = ""
    required: bool = True


def doctor(as_json: bool) -> int:
    checks = [
        _python(),
        *_packages(),
        _home(),
        *_runs(),
        *_sandbox(),
        *_engines(),
        *_compilers(),
        _triton(),
        _ray(),
        *_models(),
    ]
    failed = [c for c in checks if c.required and not c.ok]
    if as_json:
        emit({"version": __version__, "ok": not failed, "checks": [c._asdict() for c in checks]})
    else:
        for c in checks:
            mark = "ok  " if c.ok else "MISS" if c.required else "-   "
            tell(f"{mark} {c.name:<22} {c.found}")
            if not c.ok and c.mend:
                tell(f"     {'':<22} {c.mend}")
        verdict = "everything needed is here" if not failed else f"{len(failed)} required item(s) missing"
        tell(f"\nautocomp-mcp {__version__}: {verdict}")
    return DONE if not failed else ENVIRONMENT


def _python() -> Check:
    return Check("python", sys.version_info >= (3, 11), platform.python_version(), "Python 3.11 or newer is needed")


def _packages() -> list[Check]:
    checks = []
    for name in PACKAGES:
        found = _installed(name)
        checks.append(Check(f"package {name}", found is not None, found or "not installed", f"pip install {name}"))
    return checks


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _home() -> Check:
    from ...hardware_adapters.store import HOME_VARIABLE, Home

    home = Home()
    try:
        probe = home.cache / f".doctor.{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
        free = shutil.disk_usage(home.path).free // 2**20
    except (AdapterError, OSError) as error:
        return Check("home", False, str(home.path), f"{error}; set {HOME_VARIABLE} to a folder that can be written")
    return Check("home", free >= MIN_FREE_MB, f"{home.path} ({free:,} MB free)", f"free {MIN_FREE_MB} MB of disk")


def _runs() -> list[Check]:
    """Said only where they are not in the home."""
    from ...agent.errors import AgentError
    from ...agent.runs.database import DATABASE_VARIABLE, opened, place_of
    from ...hardware_adapters.store import Home

    try:
        place = place_of(Home())
        if not isinstance(place, str):
            return []
        with closing(opened(place)) as database:
            database.moment()
            return [Check("runs", True, database.name)]
    except AgentError as error:
        return [Check("runs", False, str(error), f"set {DATABASE_VARIABLE} right, or unset it")]


def _sandbox() -> list[Check]:
    """Required only where the user requires it."""
    import anyio

    from ...hardware_adapters.sandbox import sandbox, sandbox_required

    try:
        layers = anyio.run(sandbox).layers
    except AdapterError as error:
        return [Check("sandbox", False, str(error), "", sandbox_required())]
    return [Check(f"sandbox {layer.name}", layer.active, layer.by, layer.mend, sandbox_required()) for layer in layers]


def _engines() -> list[Check]:
    """The default engine of each target is required; others are offered where the user has them."""
    from ...hardware_adapters.registry import adapters

    checks = []
    for target, adapter in adapters().items():
        for engine in adapter.engines():
            here = f"{engine.version or ''} ({engine.reason})" if engine.available else "not available"
            found = f"{here}. {engine.trust}".strip()
            checks.append(
                Check(f"engine {target}/{engine.name}", engine.available, found, engine.reason, engine.default)
            )
    return checks


def _compilers() -> list[Check]:
    name = "riscv64-unknown-elf-gcc"
    path = shutil.which(name)
    return [
        Check(
            "compiler riscv-gcc",
            path is not None,
            path or f"no {name} on PATH: kernels are compiled with the ziglang wheel",
            "optional; cycle counts were calibrated with gcc 12.2 (Debian: gcc-riscv64-unknown-elf)",
            required=False,
        )
    ]


def _triton() -> Check:
    from ...hardware_adapters.nvidia.forms import EXTRA, INSTALL, require_triton

    try:
        return Check("extra triton", True, f"Triton {require_triton()}: Triton kernels are judged", required=False)
    except EnvironmentLackError as error:
        found = f"the extra {EXTRA!r} is not installed" if _installed("triton") is None else str(error)
        return Check("extra triton", False, found, f"for Triton kernels of nvidia/ problems: {INSTALL}", required=False)


def _ray() -> Check:
    found = _installed("ray")
    if found is None:
        said, mend = "the extra 'ray' is not installed", "for `--executor ray`: pip install 'autocomp-mcp[ray]'"
        return Check("extra ray", False, said, mend, required=False)
    return Check("extra ray", True, f"Ray {found}: --executor ray judges kernels on a cluster", required=False)


def _models() -> list[Check]:
    """None is required: without a model the offline tuner searches."""
    checks = []
    for provider, package, variables, mend in PROVIDERS:
        name = f"model {provider}"
        origins = [origin for variable in variables if (origin := _given(variable))]
        if package is not None and _installed(package) is None:
            wanted = f"pip install 'autocomp-mcp[{provider}]'"
            checks.append(Check(name, False, f"the extra {provider!r} is not installed", wanted, required=False))
        elif not origins:
            checks.append(Check(name, False, f"{' or '.join(variables)} is not set", mend, required=False))
        else:
            checks.append(Check(name, True, origins[0], required=False))
    return checks


def _given(variable: str) -> str | None:
    """Where it is set; of a key never what it is."""
    from ...agent.errors import ModelUsageError
    from ...agent.keys import find_key

    if variable.endswith("_KEY"):
        try:
            found = find_key(variable)
        except ModelUsageError:
            return None
        return f"{variable} is set: {found.origin}" if found is not None else None
    return f"{variable} is set" if os.environ.get(variable) else None
