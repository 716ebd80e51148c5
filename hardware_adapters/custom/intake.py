"""From what a caller names, a folder or an id, to the id of a problem that has proven itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..base import HardwareAdapter, InvalidProblemError, ProblemSummary, UsageError
from ..store import Home
from . import folder, shelf
from .definition import Definition, is_own
from .proof import Proof, take_in


class Intake:
    """`roots`: folders that may be read from (see folder.roots). `anywhere`: all may, for a user's own command."""

    def __init__(
        self,
        home: Home,
        adapters: Mapping[str, HardwareAdapter],
        roots: Sequence[Path],
        *,
        anywhere: bool = False,
        announce: Callable[[str], None] = lambda what: None,
        within_s: float | None = None,
    ) -> None:
        self._home = home
        self._adapters = adapters
        self.roots = roots
        self._anywhere = anywhere
        self._announce = announce
        self._within_s = within_s

    async def problem_id_of(self, problem: str) -> str:
        """The id. A folder's problem, and one of a root that is asked for by its id, is taken in first; an id of any
        other kind is returned as it is. Raises UsageError, EnvironmentLackError, EngineFailure."""
        if folder.is_path(problem) or (self._anywhere and (Path(problem) / folder.PROBLEM_FILE).is_file()):
            return (await self.define(self._read(problem)))[0]
        if is_own(problem) and (definition := self._in_roots(problem)) is not None:
            return (await self.define(definition))[0]
        return problem

    async def define(self, definition: Definition) -> tuple[str, Proof | None]:
        """Take it in, unless it is here; its id, and the proof where there was one to make. Raises as
        `problem_id_of`."""
        adapter = self.adapter(definition)
        return definition.id, await take_in(definition, adapter, self._home, self._announce, self._within_s)

    def adapter(self, definition: Definition) -> HardwareAdapter:
        """Raises InvalidProblemError."""
        if definition.target not in self._adapters:
            known = ", ".join(self._adapters)
            raise InvalidProblemError("target", f"{definition.target[:60]!r} is unknown; there are: {known}")
        return self._adapters[definition.target]

    def listed(self, target: str) -> list[ProblemSummary]:
        """Problems below the roots that can be read, whether they have proven themselves or not."""
        found: list[ProblemSummary] = []
        for root, path in folder.folders(self.roots):
            try:
                definition = folder.read_folder(path, root)
                if definition.target == target:
                    found.append(self.adapter(definition).custom(definition))
            except UsageError:
                continue  # `problem check` says what is wrong with it
        return [ProblemSummary(**problem.model_dump(include=set(ProblemSummary.model_fields))) for problem in found]

    def _read(self, named: str) -> Definition:
        if self._anywhere:
            return folder.read_folder(Path(named).expanduser())
        path = folder.allowed(named, self.roots)
        return folder.read_folder(path, next(r.resolve() for r in self.roots if path.is_relative_to(r.resolve())))

    def _in_roots(self, problem_id: str) -> Definition | None:
        """None also for one that has been taken in."""
        try:
            shelf.proven(self._home, problem_id)
        except UsageError:
            pass
        else:
            return None
        for root, path in folder.folders(self.roots):
            try:
                definition = folder.read_folder(path, root)
            except UsageError:
                continue
            if definition.id == problem_id:
                return definition
        return None
