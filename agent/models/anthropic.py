"""Plans and kernels from the Messages API.

What never changes in a run comes first, as one system block marked for the provider's cache; then the parent kernel,
shared by all calls about it; then what is asked. The API takes no sampling temperature any more: variety comes from
the thinned menu and the slot's number.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import anyio
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..budget import Use
from ..candidate import Plan
from ..errors import AgentUsageError, ModelUnavailableError, ModelUsageError, ToolUsageError
from ..prices import DEFAULT, price_of
from ..status import Tokens
from ..toolbox import Toolbox
from .base import CodeReply, CodeRequest, Models, Offer, PlanReply, PlanRequest
from .prompting import code_text, fenced_source, parent_text, plan_text, system_text

# Pages of the target's reference that go into the prompt, in this order; those a target lacks are left out.
TOPICS = ("guide", "machine", "addresses", "config", "mvin", "mvout", "compute", "fence", "semantics", "timing",
          "pitfalls", "fast-kernel")  # fmt: skip
BACKOFF_S = (5.0, 20.0, 60.0)  # after the SDK's own retries of 429, 5xx and broken connections
MAX_TOKENS = 20_000  # the SDK refuses more without streaming
CHARACTERS_PER_TOKEN = 2.5  # on the low side, so that the most a call can cost is not underestimated
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "option": {"type": "string", "description": "One id of the menu"},
        "plan": {"type": "string", "description": "What to change and why, at most 250 words"},
    },
    "required": ["option", "plan"],
    "additionalProperties": False,
}


class _PlanAnswer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    option: str
    plan: str = Field(min_length=10, max_length=8000)


class AnthropicOptions(BaseModel):
    """Options of `make_models("anthropic:NAME", ...)`."""

    model_config = ConfigDict(extra="forbid")

    api_key: str | None = None  # else ANTHROPIC_API_KEY
    base_url: str | None = None
    max_tokens: int = Field(default=16_000, ge=256, le=MAX_TOKENS)
    plan_tokens: int = Field(default=6_000, ge=256, le=MAX_TOKENS)
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    cache_ttl: Literal["5m", "1h"] = "5m"
    sdk_retries: int = Field(default=4, ge=0, le=10)
    timeout_s: float = Field(default=600.0, gt=0)
    backoff_s: tuple[float, ...] = BACKOFF_S
    prices: Path = DEFAULT


class _Answer(NamedTuple):
    text: str
    stop: str | None
    usage: Tokens
    cost_usd: float | None


class AnthropicModels(Models):
    def __init__(
        self,
        name: str,
        toolbox: Toolbox,
        options: AnthropicOptions,
        *,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        from anthropic import AnthropicError, AsyncAnthropic

        self.spec = f"anthropic:{name}"
        self.planners = self.coders = {self.spec: 1.0}
        self._name = name
        self._toolbox = toolbox
        self._options = options
        self._sleep = sleep
        self._price = price_of(name, options.prices)
        self.priced = self._price is not None
        self._system: dict[str, str] = {}
        self._reading = anyio.Lock()
        try:
            self._client = AsyncAnthropic(
                api_key=options.api_key,
                base_url=options.base_url,
                max_retries=options.sdk_retries,
                timeout=options.timeout_s,
            )
        except AnthropicError as error:
            raise ModelUsageError(f"{self.spec}: {error}; set ANTHROPIC_API_KEY") from error

    async def aclose(self) -> None:
        await self._client.close()

    def most(self, request: PlanRequest | CodeRequest) -> Use:
        system = max((len(text) for text in self._system.values()), default=50_000)
        failed = getattr(request, "failed_source", None) or ""
        size = system + len(request.parent.source) + len(failed) + 30_000
        output = self._options.plan_tokens if isinstance(request, PlanRequest) else self._options.max_tokens
        tokens = Tokens(cache_write=round(size / CHARACTERS_PER_TOKEN), output=output)
        hour = self._options.cache_ttl == "1h"
        usd = self._price.cost(tokens, cached_for_an_hour=hour) if self._price else 0.0
        return Use(usd, tokens.total)

    # ------------------------------------------------------------ the two phases

    async def plan(self, request: PlanRequest) -> PlanReply:
        answer = await self._ask(request, plan_text(request), self._options.plan_tokens, schema=SCHEMA)
        plan, complaint = read_plan(answer.text, request.menu)
        complaint, final = _judged(answer.stop, complaint)
        return PlanReply(
            plan=None if complaint else plan,
            complaint=complaint,
            text=answer.text[:2000] if complaint else None,
            final=final,
            usage=answer.usage,
            cost_usd=answer.cost_usd,
        )

    async def generate(self, request: CodeRequest) -> CodeReply:
        try:
            option = await self._toolbox.get_optimization(request.plan.option, request.problem.id)
        except ToolUsageError:  # the menu may have changed since the plan was journalled
            option = None
        answer = await self._ask(request, code_text(request, option), self._options.max_tokens)
        source, complaint = fenced_source(answer.text)
        complaint, final = _judged(answer.stop, complaint)
        return CodeReply(
            source=None if complaint else source,
            complaint=complaint,
            text=answer.text[:2000] if complaint else None,
            final=final,
            usage=answer.usage,
            cost_usd=answer.cost_usd,
        )

    # ------------------------------------------------------------ one call

    async def _ask(
        self, request: PlanRequest | CodeRequest, text: str, max_tokens: int, schema: dict[str, Any] | None = None
    ) -> _Answer:
        cached = {"cache_control": {"type": "ephemeral", "ttl": self._options.cache_ttl}}
        content = [{"type": "text", "text": parent_text(request), **cached}, {"type": "text", "text": text}]
        output: dict[str, Any] = {"effort": self._options.effort} if self._options.effort else {}
        if schema is not None:
            output["format"] = {"type": "json_schema", "schema": schema}
        body: dict[str, Any] = {
            "model": self._name,
            "max_tokens": max_tokens,
            "system": [{"type": "text", "text": await self._prefix(request), **cached}],
            "messages": [{"role": "user", "content": content}],
            **({"output_config": output} if output else {}),
        }
        message = await self._with_backoff(lambda: self._client.messages.create(**body))
        usage = Tokens(
            input=message.usage.input_tokens,
            output=message.usage.output_tokens,
            cache_write=message.usage.cache_creation_input_tokens or 0,
            cache_read=message.usage.cache_read_input_tokens or 0,
        )
        hour = self._options.cache_ttl == "1h"
        cost = self._price.cost(usage, cached_for_an_hour=hour) if self._price else None
        said = "".join(part.text for part in message.content if part.type == "text")
        return _Answer(said, message.stop_reason, usage, cost)

    async def _with_backoff(self, call: Callable[[], Awaitable[Any]]) -> Any:
        from anthropic import APIConnectionError, APIError, APIStatusError

        failure = ""
        for delay in (*self._options.backoff_s, None):
            try:
                return await call()
            except APIStatusError as error:
                # 408, 409, 429, 5xx (529: overloaded) pass; anything else fails again however often it is asked.
                if error.status_code not in (408, 409, 429) and error.status_code < 500:
                    raise ModelUsageError(f"{self.spec}: HTTP {error.status_code}: {error.message}") from error
                failure = f"HTTP {error.status_code}: {error.message}"
            except APIConnectionError as error:
                failure = f"{error.message} ({error.__cause__!r})"
            except APIError as error:
                failure = error.message
            if delay is not None:
                await self._sleep(delay)
        raise ModelUnavailableError(
            f"{self.spec} did not answer in {len(self._options.backoff_s) + 1} rounds of retries; the last: {failure}. "
            "Resume the run later."
        )

    async def _prefix(self, request: PlanRequest | CodeRequest) -> str:
        async with self._reading:
            problem = request.problem
            if problem.id not in self._system:
                pages: list[tuple[str, str]] = []
                for topic in TOPICS:
                    try:
                        pages.append((topic, await self._toolbox.reference(problem.target, topic)))
                    except ToolUsageError:
                        continue
                self._system[problem.id] = system_text(problem, pages)
            return self._system[problem.id]


def read_plan(text: str, menu: tuple[Offer, ...]) -> tuple[Plan | None, str | None]:
    """(plan, None), or (None, what is wrong with the answer)."""
    start, end = text.find("{"), text.rfind("}")
    try:
        answer = _PlanAnswer.model_validate(json.loads(text[start : end + 1], strict=False))
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
        return None, f"the JSON lacks what was asked for ({found})"
    except ValueError as error:
        return None, f"it is not the JSON object asked for ({error})"
    known = [option.id for option in menu]
    if answer.option not in known:
        return None, f"{answer.option[:60]!r} is not an id of this menu; it has: {', '.join(known)}"
    return Plan(option=answer.option, text=answer.plan), None


def _judged(stop: str | None, complaint: str | None) -> tuple[str | None, bool]:
    """(complaint, final) in the light of why the model stopped."""
    if stop == "refusal":
        return "the model refused", True
    if stop == "model_context_window_exceeded":
        return "the prompt and answer do not fit the model's context window", True
    if stop == "max_tokens":
        # Even a closed block may be half of the answer: what is cut off is never run.
        return "the answer was cut off at the limit of tokens; answer more shortly", False
    return complaint, False


def make(name: str, toolbox: Toolbox, **options: Any) -> AnthropicModels:
    if not name:
        raise AgentUsageError("which model? Write anthropic:NAME, e.g. anthropic:claude-sonnet-5-5")
    try:
        parsed = AnthropicOptions.model_validate(options)
    except ValidationError as error:
        raise AgentUsageError(f"options of anthropic:{name}: {error}") from error
    return AnthropicModels(name, toolbox, parsed)
