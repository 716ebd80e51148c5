"""Any service that speaks OpenAI's chat API, by the openai package: OpenAI itself, vLLM, Ollama, gateways.

Such servers differ in what they understand. What a server refuses (a schema for the answer, one of the two names of the
limit of tokens) is left out from then on; the prompt asks for JSON in words as well.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from ..errors import AgentUsageError, ModelPackageError, ModelUsageError
from ..keys import find_key, hidden
from ..runs.status import Tokens
from ..toolbox import Toolbox
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

STOPS: dict[str | None, Stop] = {"length": "cut_off", "content_filter": "refused"}
UNDERSTOOD = (400, 404, 415, 422, 501)  # how servers refuse a parameter


class OpenAIOptions(LanguageOptions):
    """Options of `make_models("openai:NAME", ...)`."""

    api_key: str | None = None  # else OPENAI_API_KEY


class OpenAITransport(Transport):
    def __init__(
        self,
        name: str,
        options: OpenAIOptions,
        *,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self.spec = f"openai:{name}"
        self._name = name
        self._options = options
        self._sleep = sleep
        self._schema = True  # until the server refuses one
        self._limit = "max_completion_tokens"  # older servers know it as max_tokens
        self._client = _client(self.spec, options)
        self.price = price_of(self.spec, options.prices)

    async def aclose(self) -> None:
        await self._client.close()

    async def ask(self, prompt: Prompt) -> Answer:
        try:
            completion = await with_backoff(
                self.spec, lambda: self._understood(prompt), self._options.backoff_s, self._sleep
            )
        except PromptTooLongError:
            return NO_ROOM
        choice = completion.choices[0]
        refused = getattr(choice.message, "refusal", None)
        usage = _tokens(completion.usage)
        cost = self.cost(usage) if completion.usage is not None else None
        stop = "refused" if refused else STOPS.get(choice.finish_reason, "end")
        return Answer(hidden(choice.message.content or ""), stop, usage, cost)

    async def _understood(self, prompt: Prompt) -> Any:
        """The completion, asked for with ever less of what the server does not understand."""
        while True:
            schema, limit = self._schema and prompt.schema is not None, self._limit
            try:
                return await self._send(self._body(prompt, schema, limit))
            except _Refused as refused:
                if limit == "max_completion_tokens" and "max_completion_tokens" in refused.said:
                    self._limit = "max_tokens"
                    continue
                error = refusal(self.spec, refused.said)
                if not schema or refused.about_something_else or isinstance(error, PromptTooLongError):
                    raise error from refused.__cause__
                self._schema = False

    def _body(self, prompt: Prompt, schema: bool, limit: str) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._name,
            limit: prompt.max_tokens,
            "messages": [
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": f"{prompt.parent}\n\n{prompt.question}"},
            ],
        }
        if schema:
            described = {"name": "answer", "schema": prompt.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": described}
        return body

    async def _send(self, body: dict[str, Any]) -> Any:
        """Raises Passing, ModelUsageError, _Refused."""
        from openai import APIConnectionError, APIError, APIStatusError

        try:
            completion = await self._client.chat.completions.create(**body)
        except APIStatusError as error:
            said = hidden(f"HTTP {error.status_code}: {error.message}")
            if error.status_code in (408, 409, 429) or (error.status_code >= 500 and error.status_code != 501):
                raise Passing(said) from error
            if error.status_code in UNDERSTOOD:
                raise _Refused(said, error.code) from error
            raise refusal(self.spec, said) from error
        except APIConnectionError as error:
            raise Passing(hidden(f"{error.message} ({error.__cause__!r})")) from error
        except APIError as error:
            raise Passing(hidden(error.message)) from error
        if not getattr(completion, "choices", None):
            raise Passing("the answer holds no choices")
        return completion


class _Refused(Exception):
    """The server does not take the request as it is."""

    def __init__(self, said: str, code: str | None) -> None:
        super().__init__(said)
        self.said = said
        self.about_something_else = code in ("model_not_found", "invalid_api_key")


def _tokens(usage: Any) -> Tokens:
    """Prompt tokens include those read from the cache."""
    if usage is None:
        return Tokens()
    details = getattr(usage, "prompt_tokens_details", None)
    cached = (getattr(details, "cached_tokens", None) or 0) if details else 0
    return Tokens(input=usage.prompt_tokens - cached, output=usage.completion_tokens, cache_read=cached)


def _client(spec: str, options: OpenAIOptions) -> Any:
    """Raises ModelPackageError, ModelUsageError."""
    try:
        from openai import AsyncOpenAI, OpenAIError
    except ImportError as error:
        raise ModelPackageError(spec, "openai") from error
    named = find_key("OPENAI_API_KEY")
    key = options.api_key or (named.value if named is not None else None)
    if key is None and (options.base_url or os.environ.get("OPENAI_BASE_URL")):
        key = "none"  # servers of one's own mostly want none, but the package does
    try:
        return AsyncOpenAI(
            api_key=key, base_url=options.base_url, max_retries=options.sdk_retries, timeout=options.timeout_s
        )
    except OpenAIError as error:
        raise ModelUsageError(
            f"{spec}: {error}; set OPENAI_API_KEY, or --base-url (OPENAI_BASE_URL) for a server of your own"
        ) from error


def make(name: str, toolbox: Toolbox, **options: Any) -> LanguageModels:
    if not name:
        raise AgentUsageError("which model? Write openai:NAME, with --base-url for a server that is not OpenAI's")
    parsed = OpenAIOptions.parsed(f"openai:{name}", options)
    if parsed.batch:
        raise AgentUsageError(f"openai:{name} has no batch mode here: only anthropic: models have one")
    return LanguageModels(OpenAITransport(name, parsed), toolbox, parsed)
