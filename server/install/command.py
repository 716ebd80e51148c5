"""install: writes a host's configuration, after showing the change."""

from __future__ import annotations

import difflib
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from ...menus.menu import UnknownNameError
from ..shell import DONE, ENVIRONMENT, USAGE, guarded, run, say
from .hosts import HOSTS, Host, Machine, fleeting, serve_command, serve_environment
from .json_text import JsonTextError, parse, with_entry
from .links import LINKS

BOM = "\ufeff"


class InstallError(Exception):
    """It cannot be written here; the message says what to do instead."""

    status = ENVIRONMENT


class InstallUsageError(InstallError):
    status = USAGE


class Change(NamedTuple):
    file: Path
    before: str
    after: str
    entry: dict[str, Any]

    def diff(self) -> str:
        name = str(self.file)
        lines = difflib.unified_diff(self.before.splitlines(), self.after.splitlines(), name, name, lineterm="", n=1)
        return "\n".join(lines)


def install(key: str, scope: str | None, name: str, yes: bool, print_only: bool) -> int:
    def command() -> int:
        if key not in HOSTS:
            raise UnknownNameError("host", key, HOSTS)
        host = HOSTS[key]
        if fleeting(serve_command()):
            say(
                "autocomp-mcp: warning: this installation is in uv's cache and may be gone one day; "
                "`uv tool install autocomp-mcp` gives it a place to stay, then install from there"
            )
        try:
            if print_only or not host.files(Machine.this(), Path.cwd()):
                return _print(key, host, scope, name)
            change = _planned(host, scope, name)
            if change.before == change.after:
                say(f"{host.title} has it already: {name!r} in {change.file}")
            elif not _agreed(change, yes):
                say("nothing was written")
                return DONE
            else:
                _write(change)
                status = guarded(_build, False)
                say(f"Next: {host.after}")
                return status
        except InstallError as error:
            say(f"autocomp-mcp: {error}")
            return error.status
        return DONE

    return guarded(command, False)


def _entry(host: Host) -> dict[str, Any]:
    return host.entry(serve_command(), serve_environment(os.environ))


def _file(host: Host, scope: str | None) -> Path:
    """Raises InstallUsageError."""
    files = host.files(Machine.this(), Path.cwd())
    wanted = scope or next(iter(files), "user")
    if wanted not in ("user", "project"):
        raise InstallUsageError(f"unknown scope {wanted!r}; known: user, project")
    if wanted not in files:
        raise InstallUsageError(f"{host.title} has no file for the scope {wanted!r}; leave --scope out")
    return files[wanted]


def _print(key: str, host: Host, scope: str | None, name: str) -> int:
    """The snippet on stdout, where it goes on stderr."""
    entry = _entry(host)
    print(json.dumps({host.section: {name: entry}}, indent=2))
    if host.user is None:
        say(host.after)
    else:
        say(f"This belongs into {_file(host, scope)}")
    if key in LINKS:
        say(f"or open this link: {LINKS[key](name, entry)}")
    return DONE


def _planned(host: Host, scope: str | None, name: str) -> Change:
    """Raises InstallError."""
    file, entry = _file(host, scope), _entry(host)
    try:
        before = file.read_bytes().decode() if file.exists() else ""
        mark = BOM if before.startswith(BOM) else ""
        text = before.removeprefix(BOM)
        settings = parse(text) if text.strip() else {}
        old = settings[host.section][name] if _has(settings, host.section, name) else {}
        merged = _merged(old, entry, file, name)
        return Change(file, before, mark + with_entry(text, host.section, name, merged), merged)
    except OSError as error:
        raise InstallError(f"cannot read {file}: {error.strerror}") from error
    except (JsonTextError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
        snippet = json.dumps({name: entry}, indent=2)
        raise InstallError(
            f"{file} was left alone: {reason}. Add this to its {host.section!r} by hand:\n{snippet}"
        ) from error


def _has(settings: Any, section: str, name: str) -> bool:
    servers = settings.get(section) if isinstance(settings, dict) else None
    return isinstance(servers, dict) and isinstance(servers.get(name), dict)


def _merged(old: dict[str, Any], new: dict[str, Any], file: Path, name: str) -> dict[str, Any]:
    """What somebody added to our entry stays: variables, options of `serve`, the host's own switches."""
    if "url" in old or "serverUrl" in old:
        raise InstallUsageError(
            f"{name!r} in {file} connects to a server over HTTP; take it out first, or pass another --name"
        )
    merged = {**old, **new}
    arguments = old.get("args")
    if isinstance(arguments, list) and "serve" in arguments:
        merged["args"] = [*new["args"], *arguments[arguments.index("serve") + 1 :]]
    if isinstance(old.get("env"), dict):
        merged["env"] = {**old["env"], **new.get("env", {})}
    return merged


def _agreed(change: Change, yes: bool) -> bool:
    """Raises InstallUsageError where nobody can be asked."""
    print(change.diff(), flush=True)
    if yes:
        return True
    if not sys.stdin.isatty():
        raise InstallUsageError("there is no terminal to ask on; look at the change above, and repeat with --yes")
    say(f"\nWrite this to {change.file}? [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _write(change: Change) -> None:
    """A copy of the old file beside it, then the new one in one step. Raises InstallError."""
    file = change.file.resolve()  # a link stays one: dotfiles often are
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        now = file.read_bytes().decode() if file.exists() else ""
        if now != change.before:
            raise InstallError(f"{change.file} changed in the meantime; run the command again")
        with tempfile.TemporaryDirectory(prefix=".autocomp-", dir=file.parent) as folder:
            part = Path(folder) / file.name
            part.write_bytes(change.after.encode())
            if file.exists():
                backup = file.with_name(f"{file.name}.{time.strftime('%Y%m%d-%H%M%S')}.bak")
                shutil.copy2(file, backup)
                shutil.copymode(file, part)
                say(f"the old file is kept as {backup}")
            part.replace(file)
    except OSError as error:
        raise InstallError(f"cannot write {change.file}: {error.strerror}") from error
    say(f"written: {change.file}")


def _build() -> int:
    """So that an assistant's first call is as quick as the others."""
    from ...hardware_adapters.registry import adapters

    async def build() -> None:
        for adapter in adapters().values():
            await adapter.prepare(None, lambda what: say(f"building {what}, once for this machine …"))

    run(build)
    return DONE
