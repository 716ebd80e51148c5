"""Several models as one: the search says which of them answers."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import AgentUsageError
from .base import CodeReply, CodeRequest, Models, PlanReply, PlanRequest
from .budget import Use
from .spec import ModelSpec


class Ensemble(Models):
    """`members`: spec -> the model, each once, though it may both plan and write."""

    def __init__(self, spec: ModelSpec, members: Mapping[str, Models]) -> None:
        if wrong := next((name for name, member in members.items() if member.mechanical), None):
            raise AgentUsageError(f"{wrong!r} applies ready-made rewrites and cannot be one of several models")
        self.spec = str(spec)
        self.planners, self.coders = spec.planners, spec.coders
        self.priced = all(member.priced for member in members.values())
        self._members = dict(members)

    @property
    def members(self) -> Mapping[str, Models]:
        return self._members

    async def plan(self, request: PlanRequest) -> PlanReply:
        return await self._asked(request).plan(request)

    async def generate(self, request: CodeRequest) -> CodeReply:
        return await self._asked(request).generate(request)

    def most(self, request: PlanRequest | CodeRequest) -> Use:
        return self._asked(request).most(request)

    def _asked(self, request: PlanRequest | CodeRequest) -> Models:
        """Raises AgentUsageError."""
        able = self.planners if isinstance(request, PlanRequest) else self.coders
        name = request.model or next(iter(able))
        if name not in able:
            raise AgentUsageError(f"model {name!r} is none of {', '.join(able)}")
        return self._members[name]

    async def aclose(self) -> None:
        for member in self._members.values():
            await member.aclose()
