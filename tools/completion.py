"""completion/complete: ids that a person, or a host for him, would otherwise have to remember."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from mcp.server import MCPServer
from mcp.types import Completion, CompletionArgument, CompletionContext, PromptReference, ResourceTemplateReference

from ..agent.errors import AgentError
from ..hardware_adapters.base import AdapterError
from ..menus.menu import UnknownNameError
from ..menus.menu import targets as menu_targets
from ..menus.reference import topics
from . import records
from .bench import Bench, in_thread

MAX_VALUES = 100  # the protocol's limit


def register(server: MCPServer, bench: Bench) -> None:
    @server.completion()
    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion | None:
        scheme = ref.uri.partition("://")[0] if isinstance(ref, ResourceTemplateReference) else "prompt"
        given = (context.arguments if context else None) or {}
        known = await in_thread(_known, bench, scheme, argument, given)
        if known is None:
            return None
        return _fitting(argument.value, known)


def _known(bench: Bench, scheme: str, argument: CompletionArgument, given: dict[str, str]) -> list[str] | None:
    """All values that the argument can have, or those worth proposing; None for an argument that has no list."""
    try:
        match scheme, argument.name:
            case _, "target":
                return menu_targets()
            case "reference", "topic":
                return list(topics(given["target"])) if "target" in given else _all_topics()
            case "problem", "id":
                return problem_ids(bench, argument.value)
            case "prompt", "problem":
                return problem_ids(bench, argument.value)
            case ("run", "id") | ("kernel", "run"):
                with records.open_journal(bench.home) as journal:
                    return journal.run_ids()
            case "kernel", "candidate" if "run" in given:
                with records.open_journal(bench.home) as journal:
                    return [records.BEST, *records.candidates(journal, records.checked_run(journal, given["run"]))]
    except (UnknownNameError, AdapterError, AgentError):
        return []  # nothing fits what was typed so far, or nothing can be known of it now
    return None


def problem_ids(bench: Bench, typed: str) -> list[str]:
    """Examples and the problems of suites; first the id that was typed, or the valid one nearest to it."""
    found: dict[str, None] = {}
    for adapter in bench.adapters().values():
        try:
            found[adapter.problem(typed).id] = None
        except AdapterError:
            if near := adapter.nearest(typed):
                found[near] = None
        for summary in adapter.problems():
            found[summary.id] = None
        for suite in adapter.suites():
            found |= {summary.id: None for summary in adapter.suite(suite)}
    return list(found)


def _all_topics() -> list[str]:
    return list(dict.fromkeys(topic for target in menu_targets() for topic in topics(target)))


def _fitting(typed: str, known: Iterable[str]) -> Completion:
    """What begins with the typed text, then what has it anywhere; where nothing does, what is near to it."""
    wanted, known = typed.lower(), list(known)
    first = [value for value in known if value.lower().startswith(wanted)]
    inside = [value for value in known if wanted in value.lower() and value not in first]
    values = first + inside or difflib.get_close_matches(typed[:100], known, 5, 0.6)
    return Completion(values=values[:MAX_VALUES], total=len(values), has_more=len(values) > MAX_VALUES)
