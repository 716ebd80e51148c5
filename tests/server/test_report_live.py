"""The page while a search goes on: of `optimize --dashboard`, and of `serve --http` behind its tokens."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from autocomp_mcp.server.serving.passes import LASTS_S, Passes
from browsing import Watched, chromium, violations
from server_process import Serving, clean_environment
from synthetic_run import SyntheticRun, evaluation

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TOKEN = "a-token-of-some-length"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def test_a_dashboard_follows_its_search(tmp_path: Path, make_home: Callable[[Path], Path], browser: Browser) -> None:
    home = make_home(tmp_path / "home")
    command = [
        sys.executable, "-m", "autocomp_mcp", "optimize", "gemmini/gemm-64x64x64", "--model", "offline", "--dashboard",
        "--max-evaluations", "40", "--timeout", "300",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, env=clean_environment(home), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert process.stderr
        address = next(found[0] for line in process.stderr if (found := re.search(r"http://127\.0\.0\.1:\S+", line)))
        with Watched(browser) as seen, Watched(browser) as other:
            page = seen.page
            page.goto(address)
            assert "ticket" not in page.url
            page.wait_for_selector("[role=treeitem]")
            page.wait_for_selector("#state[data-state=running]")
            earlier = page.locator("[role=treeitem]").count()
            page.wait_for_function("n => document.querySelectorAll('[role=treeitem]').length > n", arg=earlier)
            refused = other.page.goto(address)
            assert refused is not None and refused.status == 401, "a ticket was good for two"
            page.wait_for_selector("#state:not([data-state=running])")
            assert page.inner_text("#state") == "finished"
            assert process.wait(120) == 0
            assert process.stdout
            summary = process.stdout.read()
            speedup = re.search(r"speed-up +([\d.]+)x", summary)
            assert speedup and page.inner_text(".speedup").startswith(speedup[1]), summary
            evaluations = re.search(r"spent +(\d+) evaluations", summary)
            assert evaluations and f"evaluations\n{evaluations[1]}" in page.inner_text("#result")
            mine = urlsplit(address).netloc
            assert {urlsplit(url).netloc for url in seen.requests} == {mine}
            assert seen.complaints == []
    finally:
        process.kill()
        process.communicate()


def test_a_server_asks_browsers_for_a_token(tmp_path: Path, browser: Browser) -> None:
    home = tmp_path / "home"
    run = SyntheticRun(home, "watched", "a;\nb;")
    run.candidate("0", None, "a;\nb;", evaluation(3_000_000))
    with Serving(home, AUTOCOMP_TOKEN=TOKEN) as server, Watched(browser) as seen:
        page = seen.page
        site = f"http://127.0.0.1:{server.port}"
        answer = page.goto(f"{site}/report/watched")
        assert answer is not None and answer.status == 401
        assert violations(page) == []
        page.fill("[name=token]", "not-the-right-token")
        page.click("button")
        page.wait_for_selector("[role=alert]")
        page.fill("[name=token]", TOKEN)
        page.click("button")
        page.wait_for_selector("[role=treeitem]")
        assert page.url == f"{site}/report/watched" and "1 candidate," in page.inner_text("#count")
        cookie = next(c for c in seen.context.cookies() if c.get("name") == "autocomp_report")
        assert (
            cookie.get("httpOnly") and cookie.get("sameSite") == "Strict" and TOKEN not in (cookie.get("value") or "")
        )

        run.candidate("1.0.0.0", "0", "a;\nc;", evaluation(1_000_000))
        page.wait_for_selector(".node[data-id='1.0.0.0']")
        page.wait_for_selector(".speedup:has-text('3.00')")
        run.end()
        page.wait_for_selector("#state[data-state=finished]")

        page.goto(f"{site}/report/")
        assert violations(page) == []
        page.click("a:text-is('watched')")
        page.wait_for_selector("[role=treeitem]")
        refusals = [said for said in seen.complaints if "401" not in said]
        assert refusals == []
        assert {urlsplit(url).netloc for url in seen.requests} == {f"127.0.0.1:{server.port}"}


def test_a_pass_runs_out_and_is_of_one_server() -> None:
    now = 1000.0
    passes = Passes([b"new key", b"old key"], clock=lambda: now)
    cookie, older = passes.seal("somebody"), Passes([b"old key"], clock=lambda: now).seal("somebody")
    assert passes.opens(cookie) and passes.opens(older)
    assert not Passes([b"another key"], clock=lambda: now).opens(cookie)
    assert not Passes(clock=lambda: now).opens(cookie), "without keys each server has one of its own"
    body, _, mark = cookie.partition(".")
    for wrong in (
        "",
        ".",
        body,
        f"{body}.",
        f"{body}.{mark[:-1]}",
        f"{body[:-4]}AAAA.{mark}",
        f"{body}.\u00e9",
        "\u00e9.x",
    ):
        assert not passes.opens(wrong)
    now += LASTS_S - 1
    assert passes.opens(cookie)
    now += 1
    assert not passes.opens(cookie)


def get(server: Serving, path: str, **headers: str) -> tuple[int, dict[str, str]]:
    """Status and headers alone: a stream has no end."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    home = tmp_path_factory.mktemp("guarded") / "home"
    run = SyntheticRun(home, "watched", "a;")
    run.candidate("0", None, "a;", evaluation(3_000_000))
    run.end()
    with Serving(home, AUTOCOMP_TOKEN=TOKEN) as server:
        yield server


@pytest.mark.parametrize("path", ["/report/", "/report/watched", "/report/watched/events", "/report/none"])
def test_without_a_token_nothing_is_shown(guarded: Serving, path: str) -> None:
    assert get(guarded, path)[0] == 401
    assert get(guarded, path, Authorization="Bearer something-else-entirely")[0] == 401
    assert get(guarded, path, Cookie="autocomp_report=OTk5OTk5OTk5OTp4.00")[0] == 401
    assert get(guarded, path, Cookie=f"autocomp_report={TOKEN}")[0] == 401
    status, headers = get(guarded, path, Authorization=f"Bearer {TOKEN}")
    assert status == (404 if path.endswith("none") else 200)
    assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"


def test_the_page_is_served_with_its_policy(guarded: Serving) -> None:
    _, headers = get(guarded, "/report/watched", Authorization=f"Bearer {TOKEN}")
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert get(guarded, "/report/watched", Authorization=f"Bearer {TOKEN}", Host="evil.example")[0] == 421
    assert get(guarded, "/report/watched", Authorization=f"Bearer {TOKEN}", Origin="http://evil.example")[0] == 403


@pytest.mark.parametrize(
    "back",
    ["https://evil.example/", "//evil.example", "/report/\\evil", "javascript:alert(1)", "/report/\r\nX: y", "/mcp"],
)
def test_a_login_leads_nowhere_else(guarded: Serving, back: str) -> None:
    from urllib.parse import urlencode

    answer = guarded.ask("POST", "/report/login", urlencode({"token": TOKEN, "back": back}).encode(), FORM)
    assert answer.status == 303 and answer.headers["location"] == "/report/"
    assert "x" not in answer.headers


def test_a_login_takes_no_long_form_and_no_wrong_token(guarded: Serving) -> None:
    assert guarded.ask("POST", "/report/login", b"token=" + b"x" * 100_000, FORM).status == 413
    answer = guarded.ask("POST", "/report/login", b"token=wrong-token-entirely", FORM)
    assert answer.status == 401 and "set-cookie" not in answer.headers


def test_without_searches_there_are_no_pages(tmp_path: Path) -> None:
    with Serving(tmp_path, "--toolsets", "kernels") as server:
        assert server.ask("GET", "/report/").status == 404
