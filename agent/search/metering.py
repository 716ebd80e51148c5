"""What searches ask of models, as OpenTelemetry metrics: no-ops until server/serving/telemetry.py sets up its SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import metrics

if TYPE_CHECKING:
    from ..models.base import Reply

_meter = metrics.get_meter("autocomp_mcp")
_calls = _meter.create_counter("autocomp.model.calls", "{call}", "Answers of models, by model and phase")
_tokens = _meter.create_counter("autocomp.model.tokens", "{token}", "Tokens of models, by model and direction")
_cost = _meter.create_counter("autocomp.model.cost", "USD", "Money for models whose price is known")


def answered(model: str, phase: str, reply: Reply) -> None:
    """`phase`: plan or code."""
    told = {"model": model}
    _calls.add(1, told | {"phase": phase})
    usage = reply.usage
    for direction, count in (
        ("input", usage.input), ("output", usage.output), ("cache_read", usage.cache_read),
        ("cache_write", usage.cache_write),
    ):  # fmt: skip
        if count:
            _tokens.add(count, told | {"direction": direction})
    if reply.cost_usd:
        _cost.add(reply.cost_usd, told)
