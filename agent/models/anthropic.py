"""Claude models: through the Messages API, Amazon Bedrock or Google Vertex AI, all by the anthropic SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal, NamedTuple, TypeVar

import anyio
from pydantic import Field

from ..errors import AgentUsageError, ModelPackageError, ModelUsageError
from ..keys import find_key, hidden
from ..runs.status import Tokens
from ..toolbox import Toolbox
from .batches import POLL_S, WINDOW_S, Batcher, Outcome, Service
from .language import LanguageModels
from .prices import price_of
from .transport import (
    NO_ROOM,
    Answer,
    LanguageOptions,
    Passing,
    Prompt,
    PromptTooLongError,
    Stop,
    Transport,
    refusal,
    with_backoff,
)

SUBMIT_S = 60.0
T = TypeVar("T")
STOPS: dict[str | None, Stop] = {
    "max_tokens": "cut_off", "refusal": "refused", "model_context_window_exceeded": "no_room",
}  # fmt: skip
PASSING_ERRORS = ("overloaded_error", "api_error", "rate_limit_error", "timeout_error")


class AnthropicOptions(LanguageOptions):
    """Options of `make_models("anthropic:NAME", ...)`, and of bedrock and vertex."""

    api_key: str | None = None  # else ANTHROPIC_API_KEY; for bedrock, AWS_BEARER_TOKEN_BEDROCK
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    cache_ttl: Literal["5m", "1h"] = "5m"
    batch_window_s: float = Field(default=WINDOW_S, ge=0)
    batch_poll_s: tuple[float, float] = POLL_S


class Platform(NamedTuple):
    """Where Claude models are to be had. `needs` is what a user without it has to do."""

    provider: str
    client: str  # class of the SDK
    extra: str | None
    keyed: bool  # whether the client takes an API key
    needs: str


PLATFORMS = {
    platform.provider: platform
    for platform in (
        Platform("anthropic", "AsyncAnthropic", None, True, "set ANTHROPIC_API_KEY, or ANTHROPIC_API_KEY_FILE"),
        Platform(
            "bedrock", "AsyncAnthropicBedrock", "bedrock", True,
            "set AWS_REGION, and AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY (or AWS_PROFILE)",
        ),
        Platform(
            "vertex", "AsyncAnthropicVertex", "vertex", False,
            "set CLOUD_ML_REGION and ANTHROPIC_VERTEX_PROJECT_ID, and log in with "
            "`gcloud auth application-default login`",
        ),
    )
}  # fmt: skip


class AnthropicTransport(Transport):
    def __init__(
        self,
        platform: Platform,
        name: str,
        options: AnthropicOptions,
        *,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self.spec = f"{platform.provider}:{name}"
        self._name = name
        self._options = options
        self._sleep = sleep
        self._platform = platform
        self._client = _client(platform, self.spec, options)
        if options.batch and platform.provider != "anthropic":
            raise AgentUsageError(f"{self.spec} has no batch mode here: only anthropic: models have one")
        batch = Batcher(self._service(), poll_s=options.batch_poll_s, window_s=options.batch_window_s, sleep=sleep)
        self._batcher = batch if options.batch else None
        # What the other platforms charge differs by region and contract: only a file of the user's own says it.
        self.price = price_of(name if platform.provider == "anthropic" else self.spec, options.prices)

    def cost(self, tokens: Tokens) -> float | None:
        hour = self._options.cache_ttl == "1h"
        return self.price.cost(tokens, cached_for_an_hour=hour, batch=self._options.batch) if self.price else None

    async def aclose(self) -> None:
        await self._client.close()

    async def ask(self, prompt: Prompt) -> Answer:
        body = self._body(prompt)
        try:
            message = await with_backoff(self.spec, lambda: self._send(body), self._options.backoff_s, self._sleep)
        except PromptTooLongError:
            return NO_ROOM
        usage = Tokens(
            input=message.usage.input_tokens,
            output=message.usage.output_tokens,
            cache_write=message.usage.cache_creation_input_tokens or 0,
            cache_read=message.usage.cache_read_input_tokens or 0,
        )
        text = "".join(part.text for part in message.content if part.type == "text")
        return Answer(hidden(text), STOPS.get(message.stop_reason, "end"), usage, self.cost(usage))

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        cached = {"cache_control": {"type": "ephemeral", "ttl": self._options.cache_ttl}}
        content = [
            {"type": "text", "text": prompt.parent, **cached},
            {"type": "text", "text": prompt.question},
        ]
        output: dict[str, Any] = {"effort": self._options.effort} if self._options.effort else {}
        if prompt.schema is not None:
            output["format"] = {"type": "json_schema", "schema": prompt.schema}
        return {
            "model": self._name,
            "max_tokens": prompt.max_tokens,
            "system": [{"type": "text", "text": prompt.system, **cached}],
            "messages": [{"role": "user", "content": content}],
            **({"output_config": output} if output else {}),
        }

    async def _send(self, body: dict[str, Any]) -> Any:
        """The whole message. Raises Passing and ModelUsageError."""
        if self._batcher is not None:
            return self._message(await self._batcher.ask(body))
        # Streamed, since the SDK refuses long answers otherwise.
        async with self._trouble(), self._client.messages.stream(**body) as stream:
            message = await stream.get_final_message()
        if message.stop_reason is None:
            raise Passing("the answer broke off")
        return message

    @asynccontextmanager
    async def _trouble(self) -> AsyncIterator[None]:
        """Within it, what the SDK raises becomes Passing or ModelUsageError."""
        import httpx2
        from anthropic import AnthropicError, APIConnectionError, APIError, APIStatusError

        try:
            yield
        except APIStatusError as error:
            # 408, 409, 429, 5xx (529: overloaded) pass; so does what is reported within a stream, whose status is 200.
            # Anything else fails again however often it is asked.
            kind = _kind(error.body)
            passing = error.status_code in (408, 409, 429) or error.status_code >= 500 or kind in PASSING_ERRORS
            said = hidden(f"HTTP {error.status_code}: {error.message}")
            raise (Passing(said) if passing else refusal(self.spec, said)) from error
        except APIConnectionError as error:
            raise Passing(hidden(f"{error.message} ({error.__cause__!r})")) from error
        except APIError as error:
            raise Passing(hidden(error.message)) from error
        except httpx2.HTTPError as error:  # the connection broke in the middle of an answer
            raise Passing(hidden(f"{type(error).__name__}: {error}")) from error
        except (AnthropicError, RuntimeError, ValueError) as error:  # credentials that the SDK looks up when it asks
            raise ModelUsageError(hidden(f"{self.spec}: {error}; {self._platform.needs}")) from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] in ("google", "botocore"):
                raise ModelUsageError(hidden(f"{self.spec}: {error}; {self._platform.needs}")) from error
            raise

    # ------------------------------------------------------------ batches

    def _message(self, outcome: Outcome) -> Any:
        if outcome.message is not None:
            return outcome.message
        if outcome.kind in (*PASSING_ERRORS, "canceled", "expired"):
            raise Passing(hidden(f"{outcome.kind}: {outcome.error}"))
        raise refusal(self.spec, hidden(f"{outcome.kind}: {outcome.error}"))

    def _service(self) -> Service:
        batches = self._client.messages.batches

        async def patiently(call: Callable[[], Awaitable[T]]) -> T:
            """A batch that was paid for is not given up because a question about it failed."""

            async def once() -> T:
                async with self._trouble():
                    return await call()

            return await with_backoff(self.spec, once, self._options.backoff_s, self._sleep)

        async def submit(bodies: dict[str, dict[str, Any]]) -> str:
            requests = [{"custom_id": name, "params": body} for name, body in bodies.items()]
            async with self._trouble():
                return (await batches.create(requests=requests, timeout=SUBMIT_S)).id

        async def ended(batch: str) -> bool:
            found = await patiently(lambda: batches.retrieve(batch))
            return found.processing_status == "ended"

        async def outcomes(batch: str) -> dict[str, Outcome]:
            async def read() -> dict[str, Outcome]:
                return {line.custom_id: _outcome(line.result) async for line in await batches.results(batch)}

            return await patiently(read)

        async def cancel(batch: str) -> None:
            with suppress(Passing, ModelUsageError):  # it was on its way out, and ends by itself after a day
                async with self._trouble():
                    await batches.cancel(batch)

        return Service(submit, ended, outcomes, cancel)


def _outcome(result: Any) -> Outcome:
    if result.type == "succeeded":
        return Outcome(message=result.message)
    if result.type == "errored":
        return Outcome(error=result.error.error.message, kind=result.error.error.type)
    return Outcome(error="the service did not answer this call of a batch", kind=result.type)


def _kind(body: object) -> str | None:
    error = body.get("error") if isinstance(body, dict) else None
    return error.get("type") if isinstance(error, dict) else None


def _key(platform: Platform) -> str | None:
    """Raises ModelUsageError."""
    found = find_key("ANTHROPIC_API_KEY" if platform.provider == "anthropic" else "AWS_BEARER_TOKEN_BEDROCK")
    return found.value if found is not None else None


def _client(platform: Platform, spec: str, options: AnthropicOptions) -> Any:
    """Raises ModelUsageError, ModelPackageError."""
    import anthropic

    given = {"base_url": options.base_url, "max_retries": options.sdk_retries, "timeout": options.timeout_s}
    if platform.keyed:
        given["api_key"] = options.api_key or _key(platform)
    try:
        if platform.provider == "bedrock":
            import boto3  # noqa: F401 - the SDK imports it when it asks, and says nothing of ours
        elif platform.provider == "vertex":
            import google.auth  # noqa: F401
        return getattr(anthropic, platform.client)(**given)
    except ImportError as error:
        raise ModelPackageError(spec, platform.extra or platform.provider) from error
    except (anthropic.AnthropicError, ValueError) as error:
        raise ModelUsageError(hidden(f"{spec}: {error}; {platform.needs}")) from error


def _make(provider: str, name: str, toolbox: Toolbox, options: dict[str, Any]) -> LanguageModels:
    if not name:
        raise AgentUsageError(f"which model? Write {provider}:NAME, e.g. {provider}:claude-sonnet-5-5")
    parsed = AnthropicOptions.parsed(f"{provider}:{name}", options)
    return LanguageModels(AnthropicTransport(PLATFORMS[provider], name, parsed), toolbox, parsed)


def make(name: str, toolbox: Toolbox, **options: Any) -> LanguageModels:
    return _make("anthropic", name, toolbox, options)


def make_bedrock(name: str, toolbox: Toolbox, **options: Any) -> LanguageModels:
    return _make("bedrock", name, toolbox, options)


def make_vertex(name: str, toolbox: Toolbox, **options: Any) -> LanguageModels:
    return _make("vertex", name, toolbox, options)
