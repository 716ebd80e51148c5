"""Which providers of models there are, and the models that a spec names."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from ..errors import AgentUsageError
from ..toolbox import Toolbox
from .base import Models
from .ensemble import Ensemble
from .spec import ModelSpec

# Where providers are: "module:function", called with what follows `provider:` and the options. Other packages add
# theirs as entry points of the group, whose names are the providers.
PROVIDERS = {
    "offline": ".offline:make",
    "anthropic": ".anthropic:make",
    "bedrock": ".anthropic:make_bedrock",
    "vertex": ".anthropic:make_vertex",
    "openai": ".openai:make",
    "replay": ".recording:make",
}
PLUGINS = "autocomp_mcp.models"


def make_models(spec: str, toolbox: Toolbox, **options: Any) -> Models:
    """The models that `spec` names (grammar: spec.py). Imports a provider's SDK only when it is asked for.

    Raises AgentUsageError for a provider that does not exist, a spec or option it does not understand; ModelUsageError
    for a missing key or region; ModelPackageError for a missing package.
    """
    parsed = ModelSpec.parse(spec)
    providers = {name.partition(":")[0] for name in parsed.models}
    if len(providers) > 1 and options.get("base_url"):
        raise AgentUsageError(
            f"one base URL for several providers ({', '.join(sorted(providers))}): set ANTHROPIC_BASE_URL or "
            "OPENAI_BASE_URL instead"
        )
    members: dict[str, Models] = {}
    for name in parsed.models:
        provider, _, model = name.partition(":")
        members[name] = _maker(provider, name)(model, toolbox, **options)
    return Ensemble(parsed, members) if len(members) > 1 else next(iter(members.values()))


def _maker(provider: str, spec: str) -> Callable[..., Models]:
    if provider in PROVIDERS:
        module, _, function = PROVIDERS[provider].partition(":")
        return getattr(importlib.import_module(module, __package__), function)
    plugins = {found.name: found for found in entry_points(group=PLUGINS)}
    if provider not in plugins:
        known = ", ".join([*PROVIDERS, *plugins])
        raise AgentUsageError(f"unknown model {spec!r}; use offline, or provider:name with {known}")
    return plugins[provider].load()
