"""Which models a search asks: how they are written, what is taken when nothing is said, and what is set for them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..agent.settings import SearchSettings

MODEL_VARIABLE = "AUTOCOMP_MODEL"
PRICES_VARIABLE = "AUTOCOMP_PRICES"
DEFAULT_ANTHROPIC_MODEL = "claude-sonnet-5-5"


def default_model() -> str:
    """`AUTOCOMP_MODEL`, else the Anthropic API where a key is set, else the offline tuner."""
    named = os.environ.get(MODEL_VARIABLE)
    if named:
        return named
    from ..agent.keys import find_key

    return f"anthropic:{DEFAULT_ANTHROPIC_MODEL}" if find_key("ANTHROPIC_API_KEY") else "offline"


def canonical(model: str) -> str:
    """The one way to write it, which the journal keeps: `resume` may run elsewhere, so a recording has its whole path.

    Raises AgentUsageError.
    """
    from ..agent.models.spec import ModelSpec

    provider, _, rest = model.strip().partition(":")
    if provider == "replay" and rest:
        return f"replay:{Path(rest).expanduser().absolute()}"
    return str(ModelSpec.parse(model))


def names_recording(model: str) -> bool:
    """Whether any of the models that `model` names reads a recording, which is a file. Raises AgentUsageError."""
    from ..agent.models.spec import ModelSpec

    return any(name.startswith("replay:") for name in ModelSpec.parse(model).models)


def model_options(settings: SearchSettings) -> dict[str, Any]:
    """For make_models: what the settings, and the user's prices (AUTOCOMP_PRICES), say of the models."""
    given = {"base_url": settings.base_url, "batch": settings.batch or None, "prices": os.environ.get(PRICES_VARIABLE)}
    return {name: value for name, value in given.items() if value is not None}
