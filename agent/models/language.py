"""Plans and kernels from a language model, whoever provides it.

What never changes in a run comes first, so that the provider caches it; then the parent kernel, shared by all calls
about it; then what is asked. Models take no sampling temperature any more: variety comes from the thinned menu and the
slot's number.
"""

from __future__ import annotations

from typing import Any

import anyio

from ...hardware_adapters.base import Problem
from ..errors import ToolUsageError
from ..runs.status import Tokens
from ..toolbox import OptionDetail, Toolbox
from .answers import edited_source, fenced_source, judged, read_option, read_plan
from .base import TRANSLATE, CodeReply, CodeRequest, Models, PlanReply, PlanRequest
from .budget import Use
from .feedback import bare_source
from .prompting import code_text, parent_text, plan_text, system_text
from .transport import Answer, LanguageOptions, Prompt, Transport

# Pages of the target's reference that go into the prompt, in this order; those a target lacks are left out. Without the
# pages on instructions and costs a plan is a guess; what stays out is for instructions that not every engine runs.
TOPICS = ("guide", "machine", "addresses", "config", "mvin", "mvout", "compute", "fence", "semantics",
          "language", "isa", "memory", "engines", "warps", "occupancy", "timing",
          "causes", "pitfalls", "fast-kernel")  # fmt: skip
CHARACTERS_PER_TOKEN = 2.5  # on the low side, so that the most a call can cost is not underestimated
CHARACTERS_ASKED = 30_000  # of the part of a prompt that asks for something, at the most
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "option": {"type": "string", "description": "One id of the menu"},
        "plan": {"type": "string", "description": "What to change and why, at most 350 words"},
    },
    "required": ["option", "plan"],
    "additionalProperties": False,
}


class LanguageModels(Models):
    """One model, for both phases."""

    def __init__(self, transport: Transport, toolbox: Toolbox, options: LanguageOptions) -> None:
        self.spec = transport.spec
        self.planners = self.coders = {self.spec: 1.0}
        self.priced = transport.priced
        self.transport = transport
        self.options = options
        self._toolbox = toolbox
        self._system: dict[str, str] = {}
        self._reading = anyio.Lock()

    async def aclose(self) -> None:
        await self.transport.aclose()

    def most(self, request: PlanRequest | CodeRequest) -> Use:
        system = max((len(text) for text in self._system.values()), default=50_000)
        failed = getattr(request, "failed_source", None) or ""
        size = system + len(request.parent.source) + len(failed) + CHARACTERS_ASKED
        output = self.options.plan_tokens if isinstance(request, PlanRequest) else self.options.max_tokens
        tokens = Tokens(cache_write=round(size / CHARACTERS_PER_TOKEN), output=output)
        return Use(self.transport.cost(tokens) or 0.0, tokens.total)

    # ------------------------------------------------------------ the two phases

    async def plan(self, request: PlanRequest) -> PlanReply:
        answer = await self._ask(request, plan_text(request), self.options.plan_tokens, SCHEMA)
        plan, complaint = read_plan(answer.text, None if answer.accepted else request.choices)
        complaint, final = judged(answer.stop, complaint)
        return PlanReply(
            plan=None if complaint else plan,
            complaint=complaint,
            text=answer.text[:2000] if complaint else None,
            final=final,
            usage=answer.usage,
            cost_usd=answer.cost_usd,
        )

    async def generate(self, request: CodeRequest) -> CodeReply:
        direct = request.direct if request.failed_source is None else None  # a repair has its option already
        request = request if direct else request.model_copy(update={"direct": None})
        question = code_text(request, None if direct else await self._option(request))
        answer = await self._ask(request, question, self.options.max_tokens)
        if request.edits:
            source, complaint = edited_source(answer.text, request.failed_source or bare_source(request.parent.source))
        else:
            source, complaint = fenced_source(answer.text)
        option: str | None = None
        if direct and not complaint:
            option, complaint = read_option(answer.text, None if answer.accepted else direct.choices)
        complaint, final = judged(answer.stop, complaint)
        return CodeReply(
            source=None if complaint else source,
            option=None if complaint else option,
            complaint=complaint,
            text=answer.text[:2000] if complaint else None,
            final=final,
            usage=answer.usage,
            cost_usd=answer.cost_usd,
        )

    async def _option(self, request: CodeRequest) -> OptionDetail | None:
        if request.plan.option == TRANSLATE:
            return None
        try:
            return await self._toolbox.get_optimization(request.plan.option, request.problem.id)
        except ToolUsageError:  # the menu may have changed since the plan was journalled
            return None

    # ------------------------------------------------------------ one call

    async def _ask(
        self,
        request: PlanRequest | CodeRequest,
        question: str,
        max_tokens: int,
        schema: dict[str, Any] | None = None,
    ) -> Answer:
        phase = "plan" if isinstance(request, PlanRequest) else "code"
        prompt = Prompt(
            key=f"{phase}/{request.key}/{request.attempt}",
            system=await self.prefix(request.problem),
            parent=parent_text(request),
            question=question,
            max_tokens=max_tokens,
            schema=schema,
        )
        return await self.transport.ask(prompt)

    async def prefix(self, problem: Problem) -> str:
        """What every prompt about this problem begins with."""
        async with self._reading:
            if problem.id not in self._system:
                pages: list[tuple[str, str]] = []
                for topic in (*TOPICS, problem.family):
                    try:
                        pages.append((topic, await self._toolbox.reference(problem.target, topic)))
                    except ToolUsageError:
                        continue
                self._system[problem.id] = system_text(problem, pages)
            return self._system[problem.id]
