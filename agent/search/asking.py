"""What the models say: every call within the budget, journalled, and asked again once when its answer is no good."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from ...hardware_adapters.base import InvalidSourceError, check_source
from ..models.base import CodeReply, CodeRequest, Models, PlanReply, PlanRequest, Reply
from ..models.budget import Budget, Use
from ..runs.candidate import Plan
from .brake import Brake
from .metering import answered
from .record import RunRecord

ATTEMPTS = 2  # a malformed reply is sent back once with what is wrong with it

BATCHED = 256  # calls that may wait together for the batch service

R = TypeVar("R", bound=Reply)


class Asker:
    def __init__(self, record: RunRecord, models: Models, brake: Brake) -> None:
        settings = record.settings
        self._record = record
        self._brake = brake
        self._models = models
        spent = Use(record.cost_usd or 0.0, record.used.total)
        self._budget = Budget(settings.max_cost_usd, settings.max_tokens, spent)
        # A batch is worth waiting for when many calls share it: nothing runs here meanwhile.
        slots = max(BATCHED, settings.max_parallel_model) if settings.batch else settings.max_parallel_model
        self._slots = anyio.CapacityLimiter(slots)

    async def plan(self, request: PlanRequest) -> PlanReply:
        """Raises LimitExceeded, ModelUnavailableError, ModelUsageError, InfrastructureError."""
        reply = PlanReply()
        for attempt in range(ATTEMPTS):
            asked = request.model_copy(
                update={"attempt": attempt, "complaint": reply.complaint, "previous": reply.text}
            )
            reply = await self._call(f"plan/{request.key}/{attempt}", PlanReply, self._models.plan, asked)
            if reply.plan is not None or reply.final:
                break
        if reply.plan is None:
            return reply
        costliest = next((found.id for found in request.bottlenecks), None)
        made: Plan = reply.plan.model_copy(update={"bottleneck": costliest, "model": request.model})
        return reply.model_copy(update={"plan": made})

    async def code(self, request: CodeRequest) -> CodeReply:
        """Raises as `plan`."""
        reply = CodeReply()
        for attempt in range(ATTEMPTS):
            asked = request.model_copy(update={"attempt": attempt, "complaint": reply.complaint})
            reply = await self._call(f"code/{request.key}/{attempt}", CodeReply, self._models.generate, asked)
            if reply.source is not None:
                try:
                    check_source(reply.source)
                    break
                except InvalidSourceError as error:
                    reply = reply.model_copy(update={"source": None, "complaint": str(error)})
            if reply.final:
                break
        return reply

    async def _call(
        self, key: str, kind: type[R], ask: Callable[..., Awaitable[R]], request: PlanRequest | CodeRequest
    ) -> R:
        """One call of a model, or its journalled reply."""
        known = self._record.get(key)
        if known is not None:
            return kind.model_validate(known["reply"])
        async with self._slots:
            with self._brake.asking():
                return await self._paid(key, kind, ask, request)

    async def _paid(
        self, key: str, kind: type[R], ask: Callable[..., Awaitable[R]], request: PlanRequest | CodeRequest
    ) -> R:
        async with self._budget.call(self._models.most(request)) as spending:
            self._record.progress.runs(request.key)
            reply = await ask(request)
            planning = kind is PlanReply
            several = self._models.planners if planning else self._models.coders
            answered(request.model or next(iter(several)), "plan" if planning else "code", reply)
            spending.used = Use(reply.cost_usd or 0.0, reply.usage.total)
            said = {"reply": reply.model_dump(mode="json"), "model": request.model}
            await self._record.keep("model", key, said)
        return reply
