"""One call of a language model: what every provider is given, and what it gives back."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, TypeVar

import anyio
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...hardware_adapters.base import mistakes
from ..errors import AgentUsageError, ModelUnavailableError, ModelUsageError
from ..runs.status import Tokens
from .prices import DEFAULT, Price

BACKOFF_S = (5.0, 20.0, 60.0)  # after the SDK's own retries of 429, 5xx and broken connections
MAX_TOKENS = 64_000  # what every model listed in prices.yaml can answer with

Stop = Literal["end", "cut_off", "refused", "no_room"]
T = TypeVar("T")


class Prompt(NamedTuple):
    """`system` is the same for a whole run, `parent` for all calls about one kernel: providers cache both."""

    key: str  # phase/key/attempt, the same when a run is resumed or replayed
    system: str
    parent: str
    question: str
    max_tokens: int
    schema: dict[str, Any] | None = None  # JSON that the answer has to be

    @property
    def texts(self) -> tuple[str, str, str]:
        return self.system, self.parent, self.question


class Answer(NamedTuple):
    text: str
    stop: Stop
    usage: Tokens
    cost_usd: float | None  # None: price not known
    accepted: bool = False  # a recorded one that was taken: its option need not be on a menu that changed since


NO_ROOM = Answer("", "no_room", Tokens(), 0.0)
_TOO_LONG = re.compile(r"prompt is too long|context (?:limit|length|window)|context_length", re.IGNORECASE)


class PromptTooLongError(ModelUsageError):
    """This prompt does not fit the model; others may."""


def refusal(spec: str, said: str) -> ModelUsageError:
    """Of a request that fails again however often it is asked, by what the service said of it."""
    kind = PromptTooLongError if _TOO_LONG.search(said) else ModelUsageError
    return kind(f"{spec}: {said}")


class Passing(Exception):
    """The service failed in a way that passes: overloaded, rate limit, broken connection. Ask again later."""


class LanguageOptions(BaseModel):
    """What every provider understands in `make_models("provider:NAME", ...)`."""

    model_config = ConfigDict(extra="forbid")

    base_url: str | None = None
    batch: bool = False
    max_tokens: int = Field(default=24_000, ge=256, le=MAX_TOKENS)
    plan_tokens: int = Field(default=6_000, ge=256, le=MAX_TOKENS)
    sdk_retries: int = Field(default=4, ge=0, le=10)
    timeout_s: float = Field(default=600.0, gt=0)
    backoff_s: tuple[float, ...] = BACKOFF_S
    prices: Path = DEFAULT

    @classmethod
    def parsed(cls, spec: str, options: dict[str, Any]) -> Self:
        """Raises AgentUsageError."""
        try:
            return cls.model_validate(options)
        except ValidationError as error:
            found = mistakes(error, most=3)
            raise AgentUsageError(f"options of {spec}: {found}") from error


class Transport(ABC):
    """One model of one provider."""

    spec: str
    price: Price | None = None
    free: bool = False  # calls cost nothing

    @abstractmethod
    async def ask(self, prompt: Prompt) -> Answer:
        """Raises ModelUsageError for what the service refuses, ModelUnavailableError when it does not answer."""

    @property
    def priced(self) -> bool:
        return self.free or self.price is not None

    def cost(self, tokens: Tokens) -> float | None:
        """USD; None where the price is not known."""
        if self.free:
            return 0.0
        return self.price.cost(tokens) if self.price else None

    async def aclose(self) -> None:  # noqa: B027 - some have no connection
        """Close connections."""


async def with_backoff(
    spec: str,
    call: Callable[[], Awaitable[T]],
    delays_s: tuple[float, ...],
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> T:
    """The call's result, asked for again after each delay while it raises Passing. Raises ModelUnavailableError."""
    failure = ""
    for delay in (*delays_s, None):
        try:
            return await call()
        except Passing as error:
            failure = str(error)
        if delay is not None:
            await sleep(delay)
    raise ModelUnavailableError(
        f"{spec} did not answer in {len(delays_s) + 1} rounds of retries; the last: {failure}. Resume the run later."
    )
