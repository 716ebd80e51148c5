"""Metrics for Prometheus, metrics and traces for a collector, and the answer to whoever asks if the server lives."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mcp import Client
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from server_process import Serving, clean_environment

MakeHome = Callable[[Path], Path]
PROBLEM = "gemmini/gemm-32x32x32"
SEARCH = {"problem": PROBLEM, "model": "offline", "settings": {"iterations": 1, "max_evaluations": 2, "plans": 2}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def values(text: str) -> dict[str, float]:
    """Sums over labels that are of no interest here."""
    found: dict[str, float] = {}
    for name, labels, value in re.findall(r"^(autocomp_\w+)(?:\{(.*)\})? (\S+)$", text, re.MULTILINE):
        kept = [label for label in labels.split(",") if label.startswith(("cached", "verdict", "le", "direction"))]
        key = f"{name}{{{','.join(sorted(kept))}}}" if kept else name
        found[key] = found.get(key, 0.0) + float(value)
    return found


@pytest.mark.anyio
async def test_what_a_server_does_is_counted(tmp_path: Path, make_home: MakeHome) -> None:
    with Serving(make_home(tmp_path / "home"), "--metrics") as serving:
        assert serving.ask("GET", "/healthz", headers={"Host": "10.1.2.3:80"}).body == "ok\n"
        async with Client(serving.url) as client:
            problem = (await client.call_tool("get_problem", {"problem": PROBLEM})).structured_content
            assert problem
            for _ in range(3):
                await client.call_tool("simulate_kernel", {"problem": PROBLEM, "source": problem["baseline"]})
            await client.call_tool("simulate_kernel", {"problem": PROBLEM, "source": "void solution("})
            run = ((await client.call_tool("start_search", SEARCH)).structured_content or {})["run_id"]
            await client.call_tool("get_search", {"run": run, "wait_s": 45})
        answer = serving.ask("GET", "/metrics")
    assert answer.status == 200 and "version=0.0.4" in answer.headers["content-type"]
    told = values(answer.body)
    assert told['autocomp_evaluations_total{cached="false",verdict="compile_error"}'] == 1
    assert told['autocomp_evaluations_total{cached="true",verdict="passed"}'] >= 3, (
        "twice asked, and the search's first"
    )
    worked_out = sum(v for k, v in told.items() if k.startswith("autocomp_evaluations_total") and 'd="false"' in k)
    counted = [v for k, v in told.items() if k.startswith("autocomp_evaluation_duration_seconds_count")]
    assert sum(counted) == worked_out >= 3
    assert told["autocomp_evaluations_running"] == 0 == told.get("autocomp_evaluations_waiting", 0)
    assert told["autocomp_model_calls_total"] >= 2 and "target_info{" in answer.body
    assert problem["baseline"][:40] not in answer.body


def test_metrics_are_for_callers(tmp_path: Path) -> None:
    token = "a-token-of-some-length"
    with Serving(tmp_path / "home", "--metrics", AUTOCOMP_TOKEN=token) as serving:
        assert serving.ask("GET", "/metrics").status == 401
        assert serving.ask("GET", "/metrics", headers={"Authorization": "Bearer another-one"}).status == 401
        assert serving.ask("GET", "/metrics", headers={"Authorization": f"Bearer {token}"}).status == 200
        assert serving.ask("GET", "/healthz").status == 200


def test_without_the_option_there_are_none(tmp_path: Path) -> None:
    with Serving(tmp_path / "home") as serving:
        assert serving.ask("GET", "/metrics").status == 404 and serving.ask("GET", "/healthz").status == 200
    for options in (["--metrics"], ["--http", "127.0.0.1:0", "--workers", "2", "--metrics"]):
        command = [sys.executable, "-m", "autocomp_mcp", "serve", *options]
        refused = subprocess.run(
            command, env=clean_environment(tmp_path / "home"), stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        assert refused.returncode == 2 and "--metrics" in refused.stderr and "OTEL_" in refused.stderr


class Collector(BaseHTTPRequestHandler):
    received: dict[str, list[bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            import gzip

            body = gzip.decompress(body)
        self.received.setdefault(self.path, []).append(body)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[tuple[str, dict[str, list[bytes]]]]:
    received: dict[str, list[bytes]] = {}
    handler = type("Handler", (Collector,), {"received": received})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", received
        server.shutdown()
        thread.join()


def test_a_search_tells_a_collector(
    collector: tuple[str, dict[str, list[bytes]]], tmp_path: Path, make_home: MakeHome
) -> None:
    url, received = collector
    environment = clean_environment(make_home(tmp_path / "home"), OTEL_EXPORTER_OTLP_ENDPOINT=url)
    command = [sys.executable, "-m", "autocomp_mcp", "optimize", PROBLEM, "--model", "offline", "--json"]
    done = subprocess.run(
        [*command, "--max-evaluations", "2"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["evaluations"] == 2
    metrics, spans = set(), []
    for body in received["/v1/metrics"]:
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            metrics |= {metric.name for scope in resource.scope_metrics for metric in scope.metrics}
            named = {entry.key: entry.value.string_value for entry in resource.resource.attributes}
            assert named["service.name"] == "autocomp-mcp"
    for body in received["/v1/traces"]:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            spans += [span for scope in resource.scope_spans for span in scope.spans]
    assert {"autocomp.evaluations", "autocomp.evaluation.duration", "autocomp.model.calls"} <= metrics
    judged = [span for span in spans if span.name == "evaluate"]
    assert len(judged) >= 2 and all(span.parent_span_id for span in judged), "within the call of the tool"
