"""What tokens cost: data, with dates, never code."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import AgentUsageError
from ..runs.status import Tokens

DEFAULT = Path(__file__).parent / "prices.yaml"
_DATE = re.compile(r"-20\d{6}$")


class Price(BaseModel):
    """USD per million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cache_write: float = Field(ge=0)
    cache_write_1h: float = Field(ge=0)
    cache_read: float = Field(ge=0)
    as_of: datetime.date
    batch: float | None = Field(default=None, gt=0, le=1, description="Factor for calls of the batch service")

    def cost(self, tokens: Tokens, *, cached_for_an_hour: bool = False, batch: bool = False) -> float:
        """USD for these tokens; of a batch at the full price where its factor is not known."""
        write = self.cache_write_1h if cached_for_an_hour else self.cache_write
        factor = (self.batch or 1.0) if batch else 1.0
        return (
            factor
            * (
                tokens.input * self.input
                + tokens.output * self.output
                + tokens.cache_write * write
                + tokens.cache_read * self.cache_read
            )
            / 1e6
        )


def price_of(model: str, path: Path | str = DEFAULT) -> Price | None:
    """None for a model that neither this file nor the built-in one lists. Raises AgentUsageError naming the entry."""
    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise AgentUsageError(f"cannot read the prices in {path}: {error}") from error
    models = data.get("models") if isinstance(data, dict) else None
    if not isinstance(models, dict):
        raise AgentUsageError(f"{path}: expected a mapping `models:` from model name to prices")
    entry = models.get(model, models.get(_DATE.sub("", model)))
    if entry is None:
        return None if path == DEFAULT else price_of(model)
    try:
        return Price.model_validate(entry | ({"batch": data["batch"]} if "batch" in data else {}))
    except ValidationError as error:
        raise AgentUsageError(f"{path}: prices of {model}: {error}") from error
