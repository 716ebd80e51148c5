"""What all commands share: exit statuses, a clean stop, errors as one line, JSON on stdout and words on stderr."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

if TYPE_CHECKING:
    from rich.text import Text

from ..agent.errors import AgentError, AgentUsageError
from ..hardware_adapters.base import (
    MAX_SOURCE_BYTES,
    AdapterError,
    EngineFailure,
    EnvironmentLackError,
    InvalidSourceError,
)
from ..hardware_adapters.sandbox.layers import sandbox_required
from .inert import code_lines, inert

DONE, KERNEL_FAILED, USAGE, ENVIRONMENT, LIMIT = 0, 1, 2, 3, 4
SIGNALLED = 128  # plus the signal's number, as shells do

T = TypeVar("T")


class Stopped(Exception):
    """SIGINT or SIGTERM ended the work, and all that it had started is gone."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(f"stopped by {number.name}")
        self.name = number.name
        self.status = SIGNALLED + number


def run(work: Callable[[], Awaitable[T]]) -> T:
    """As anyio.run, but a signal cancels the work, so that no compiler or simulator outlives it. Raises Stopped, and
    the work's own errors without a group around them."""
    caught: list[signal.Signals] = []
    results: list[T] = []

    async def main() -> None:
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                    async for number in signals:
                        caught.append(signal.Signals(number))
                        tasks.cancel_scope.cancel()

            tasks.start_soon(watch)
            if sandbox_required():
                from ..hardware_adapters.sandbox import check_required

                await check_required()
            results.append(await work())
            tasks.cancel_scope.cancel()

    try:
        anyio.run(main)
    except BaseExceptionGroup as group:
        raise _first(group) from group
    if caught:
        raise Stopped(caught[0])
    return results[0]


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def say(text: str) -> None:
    """Lines for the person, never mixed with JSON; whatever is quoted in them steers no terminal."""
    print(_inert(text), file=sys.stderr, flush=True)


def tell(*lines: str | Text) -> None:
    """The same on stdout: what a command was asked for; styles only where a terminal shows them."""
    if not sys.stdout.isatty() or all(isinstance(line, str) for line in lines):
        print("\n".join(_inert(str(line)) for line in lines), flush=True)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for line in lines:
        safe = isinstance(line, Text) and line.plain.isprintable()
        console.print(line if safe else Text(_inert(str(line))), soft_wrap=True)


def tell_source(source: str) -> None:
    """A kernel as it is, for a file or another program; on a terminal it steers nothing."""
    print("\n".join(code_lines(source)) if sys.stdout.isatty() else source, end="", flush=True)


def _inert(text: str) -> str:
    return "\n".join(map(inert, text.split("\n")))


def emit(data: Any) -> None:
    """The one JSON object on stdout. Within it only strings hold what does not print, and there it can be escaped."""
    text = json.dumps(data, ensure_ascii=False)
    print(text if text.isprintable() else "".join(map(_escaped, text)), flush=True)


def _escaped(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]


def read_source(file: Path) -> str:
    """Raises InvalidSourceError, naming the file."""
    try:
        data = sys.stdin.buffer.read(MAX_SOURCE_BYTES + 1) if str(file) == "-" else file.read_bytes()
        return data.decode()
    except OSError as error:
        raise InvalidSourceError(f"cannot read {str(file)!r}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidSourceError(f"{str(file)!r} is not UTF-8 text (byte {error.start})") from error


def guarded(command: Callable[[], int], as_json: bool) -> int:
    """Run a command; what it refuses becomes one line (or JSON `error`) and an exit status."""
    from ..menus.menu import MenuFileError, UnknownNameError

    try:
        return command()
    except Stopped as stop:
        return _refuse("interrupted", str(stop), stop.status, as_json)
    except KeyboardInterrupt:
        stop = Stopped(signal.SIGINT)
        return _refuse("interrupted", str(stop), stop.status, as_json)
    except (EnvironmentLackError, EngineFailure) as error:
        return _refuse("environment", str(error), ENVIRONMENT, as_json)
    except (AdapterError, AgentUsageError, UnknownNameError) as error:
        return _refuse("usage", str(error), USAGE, as_json)
    except (AgentError, MenuFileError) as error:
        return _refuse("environment", str(error), ENVIRONMENT, as_json)
    except BrokenPipeError:
        sys.stderr.close()
        return DONE


def _refuse(kind: str, message: str, status: int, as_json: bool) -> int:
    say(f"autocomp-mcp: {message}")
    if as_json:
        emit({"error": {"kind": kind, "message": message}})
    return status
