"""Where metrics and traces go: to a collector by OTLP, as the OTEL_* variables say, and to /metrics for Prometheus."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from ... import __version__
from ..shell import say

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from .auth import Access

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
METRICS_PATH = "/metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MISSING = "needs packages that are not installed: pip install 'autocomp-mcp[telemetry]'"


class TelemetryError(ValueError):
    """What was asked for needs the extra."""


def set_up(*, scraped: bool) -> Callable[[], bytes] | None:
    """Once per process. `scraped`: whether this process shows its metrics; then what it shows is returned.

    Raises TelemetryError when the packages for that are missing; for OTLP they are only missed aloud.
    """
    pushed = any(os.environ.get(name) for name in ENDPOINTS) and os.environ.get("OTEL_SDK_DISABLED", "") != "true"
    if not scraped and not pushed:
        return None
    try:
        from opentelemetry import metrics, trace
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.exporter.prometheus import PrometheusMetricReader
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from prometheus_client import CollectorRegistry, generate_latest
    except ImportError as error:
        if scraped:
            raise TelemetryError(f"--metrics {MISSING}") from error
        say(f"autocomp-mcp: nothing is exported: OTLP {MISSING}")
        return None
    name = os.environ.get("OTEL_SERVICE_NAME", "autocomp-mcp")
    resource = Resource.create({"service.name": name, "service.version": __version__})
    registry = CollectorRegistry()
    readers: list[MetricReader] = []
    if scraped:
        readers.append(PrometheusMetricReader(registry=registry))
    if pushed:
        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
        traces = TracerProvider(resource=resource)
        traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(traces)
    metrics.set_meter_provider(MeterProvider(readers, resource=resource))
    return (lambda: generate_latest(registry)) if scraped else None


def metrics_route(scrape: Callable[[], bytes], access: Access | None) -> Route:
    """For whoever may call the server: what callers do is none of others' business."""
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    from .auth import bearer

    async def metrics(request: Request) -> Response:
        if access is not None and await bearer(access, request) is None:
            return PlainTextResponse("a token is needed\n", 401, {"WWW-Authenticate": "Bearer"})
        return Response(scrape(), media_type=CONTENT_TYPE)

    return Route(METRICS_PATH, metrics)
