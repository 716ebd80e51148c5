"""The page inside a host that shows MCP Apps: the protocol between them, over a real server's answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.from_thread
import pytest
from apps_host import Pages
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.server.app import build_server
from autocomp_mcp.server.report import packed
from autocomp_mcp.tools.bench import Bench
from autocomp_mcp.tools.search import VIEW
from browsing import Watched, chromium, violations
from mcp import Client
from synthetic_run import SyntheticRun, evaluation, large, profile

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FrameLocator

ALL = {"serverTools": {}, "serverResources": {}}
CONTEXT = {"theme": "dark", "displayMode": "inline", "availableDisplayModes": ["inline", "fullscreen"]}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


class Showing:
    """A host with our server behind it; what the app asks for goes there, and is answered as it answers."""

    def __init__(self, browser: Browser, home: Path, run: str, can: dict[str, Any], **context: Any) -> None:
        self._server, self._run = build_server(Bench(Home(home))), run
        self._closing = ExitStack()
        self.seen = Watched(browser)
        self.pages = Pages(CONTEXT | context, can)
        self.page = self.seen.page
        self.served: list[tuple[str, dict[str, Any]]] = []
        self.failing = 0  # so many calls of tools are answered by an error
        for name, answer in (("serve", self._serve), ("call", self._call), ("page", self._page)):
            self.page.expose_function(name, answer)

    def __enter__(self) -> FrameLocator:
        # One connection, as a host has one; in a thread of its own, since a browser's loop runs in this one.
        self._portal = self._closing.enter_context(anyio.from_thread.start_blocking_portal())
        connected = self._portal.wrap_async_context_manager(Client(self._server))
        self._client = self._closing.enter_context(connected)
        self.page.goto(self.pages.address)
        return self.page.frame_locator("#app").frame_locator("iframe")

    def __exit__(self, *error: object) -> None:
        self.page.evaluate("send({ id: 'bye', method: 'ui/resource-teardown', params: {} })")
        if not error[0]:
            self.page.wait_for_function("asked.some((said) => said.id === 'bye' && said.result)")
            assert self.page.evaluate("odd") == [] and self.seen.complaints == []
            own = {*self.pages.origins, *(f"{origin}favicon.ico" for origin in self.pages.origins)}
            assert {url for url in self.seen.requests if not url.startswith("about:")} <= own
        self.seen.context.close()
        self.pages.__exit__()
        self._closing.close()

    def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        async def work() -> dict[str, Any]:
            if method == "tools/call":
                found: Any = await self._client.call_tool(params["name"], params["arguments"])
            else:
                found = await self._client.read_resource(params["uri"])
            return found.model_dump(mode="json", by_alias=True, exclude_none=True)

        return self._portal.call(work)

    def _serve(self, method: str, params: str) -> dict[str, Any]:
        self.served.append((method, json.loads(params)))
        if method == "tools/call" and self.failing:
            self.failing -= 1
            return {"isError": True, "content": [{"type": "text", "text": "environment: the journal is busy"}]}
        return self._ask(method, json.loads(params))

    def _call(self) -> list[Any]:
        given = {"run": self._run}
        return [given, self._ask("tools/call", {"name": "get_search", "arguments": given})]

    def _page(self) -> dict[str, Any]:
        (content,) = self._ask("resources/read", {"uri": VIEW})["contents"]
        about = content["_meta"]["ui"]
        assert about["csp"] == {name: [] for name in about["csp"]} and about["permissions"] == {"clipboardWrite": {}}
        return {"html": content["text"], **about}


def searched(home: Path, *, end: bool) -> SyntheticRun:
    run = SyntheticRun(home, "app", "a;\nb;")
    run.candidate("0", None, "a;\nb;", evaluation(3_000_000, kernel="zero"))
    run.profiled("a;\nb;", profile(3_000_000, "zero"))
    run.candidate("1.0.0.0", "0", "a;\nc;", evaluation(1_000_000, kernel="one"), "k-tile-depth", "Deeper tiles.")
    run.profiled("a;\nc;", profile(1_000_000, "one"))
    run.candidate("1.0.1.0", "0", "</script><b>x", evaluation(None, "compile_error", "<img src=x onerror=alert(1)>"))
    if end:
        run.end()
    return run


def test_a_host_shows_a_finished_search(tmp_path: Path, browser: Browser) -> None:
    searched(tmp_path, end=True)
    showing = Showing(browser, tmp_path, "app", ALL, safeAreaInsets={"top": 12, "right": 0, "bottom": 0, "left": 0})
    with showing as frame:
        frame.locator(".node[data-id='1.0.1.0']").click()  # read as a resource: the tool's result has the steps alone
        frame.locator("#detail strong:text-is('1.0.1.0')").wait_for()
        assert "<img src=x onerror=alert(1)>" in frame.locator("#detail .said").inner_text()
        frame.locator(".node[data-id='1.0.0.0']").click()
        frame.locator("#detail .profiles").wait_for()
        assert "Deeper tiles." in frame.locator("#detail").inner_text() and frame.locator("#roof circle").count() == 2
        assert frame.locator("#detail tr.add").count() == 1 and frame.locator("#menu tbody tr").count() == 2
        assert frame.locator("html").get_attribute("data-theme") == "dark"
        assert frame.locator("body").evaluate("body => getComputedStyle(body).paddingTop") == "12px"
        assert not frame.locator("#trouble").is_visible() and not frame.locator("#print").is_visible()
        # The frame is as high as the page, and no higher after a smaller one.
        high = frame.locator("body").evaluate("body => Math.ceil(body.getBoundingClientRect().height)")
        showing.page.wait_for_function("high => document.getElementById('app').clientHeight === high", arg=high)
        frame.locator("#display").click()
        showing.page.wait_for_function("document.getElementById('app').style.height === '100vh'")
        assert frame.locator("#display").inner_text() == "Smaller"
        frame.locator("#display").click()
        frame.locator("#display:text-is('Full screen')").wait_for()
        assert "tools/call" not in [method for method, _ in showing.served], "a search that ended is not asked about"
        (inner,) = [each for each in showing.page.frames if each.parent_frame and each.parent_frame.parent_frame]
        assert violations(inner) == []
        answered = showing.page.evaluate("send({ id: 'p', method: 'ping' }), send({ id: 'q', method: 'no/such' })")
        showing.page.wait_for_function("asked.some((said) => said.id === 'p' && said.result)")
        showing.page.wait_for_function("asked.some((said) => said.id === 'q' && said.error.code === -32601)")
        assert answered is None
        showing.page.evaluate("send({ method: 'ui/notifications/host-context-changed', params: { theme: 'light' } })")
        frame.locator("html[data-theme=light]").wait_for()


@pytest.mark.slow
def test_a_host_shows_a_search_that_goes_on(tmp_path: Path, browser: Browser) -> None:
    run = searched(tmp_path, end=False)
    showing = Showing(browser, tmp_path, "app", ALL)
    with showing as frame:
        frame.locator(".speedup:has-text('3.00')").wait_for()
        frame.locator(".node[data-id='1.0.1.0']").wait_for()
        assert frame.locator("#state").inner_text() == "running"
        showing.failing = 1
        frame.locator("#trouble:has-text('the journal is busy')").wait_for()
        run.candidate("2.0.0.0", "1.0.0.0", "a;\nd;", evaluation(750_000))
        frame.locator(".speedup:has-text('4.00')").wait_for()
        frame.locator(".node[data-id='2.0.0.0']").wait_for()
        run.end()
        frame.locator("#state:text-is('finished')").wait_for()
        asked = [params for method, params in showing.served if method == "tools/call"]
        assert asked and all(params == {"name": "get_search", "arguments": {"run": "app"}} for params in asked)
    with Showing(browser, tmp_path, "none-such", ALL) as frame:
        frame.locator("#trouble:has-text('none-such')").wait_for()


def test_a_host_that_lets_apps_read_nothing(tmp_path: Path, browser: Browser) -> None:
    searched(tmp_path, end=True)
    showing = Showing(browser, tmp_path, "app", {})
    with showing as frame:
        frame.locator(".speedup:has-text('3.00')").wait_for()
        assert "k-tile-depth" in frame.locator("#path").inner_text()
        assert "Deeper tiles." in frame.locator("#detail").inner_text()
        assert frame.locator("[role=treeitem]").count() == 2 and showing.served == []


def test_the_packed_log_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And begins anew where the reader's log is another server's."""
    import base64
    import zlib

    monkeypatch.setattr(packed, "MAX_PART", 10_000)
    large(tmp_path, "long", 200)

    async def work() -> None:
        async with Client(build_server(Bench(Home(tmp_path)))) as client:

            async def part(log: str, offset: int) -> dict[str, Any]:
                found = await client.read_resource(f"report://long?log={log}&offset={offset}")
                return json.loads(found.contents[0].text)  # type: ignore[union-attr]

            text, log, at, parts = "", "", 0, 0
            while True:
                got = await part(log, at)
                assert len(got["text"]) <= 10_000 and got["next"] == at + len(got["text"])
                text, log, at, parts = text + got["text"], got["log"], got["next"], parts + 1
                if not got["more"]:
                    break
            (line,) = text.splitlines()
            whole = json.loads(zlib.decompress(base64.b64decode(line)))
            assert len(whole["rows"]) == 200 and parts > 1
            assert (await part(log, at))["text"] == "", "nothing is new"
            assert (await part("another", at))["text"] == text[:10_000]
            assert (await part(log, 10**9))["next"] == 10_000

    with anyio.from_thread.start_blocking_portal() as portal:  # a browser's loop runs in this thread
        portal.call(work)
