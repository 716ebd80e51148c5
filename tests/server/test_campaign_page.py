"""The page of a campaign in a browser: what it says, what it may ask for, and what hostile names can do in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from autocomp_mcp.agent.campaign import Budget, Campaign, CampaignEntry
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.hardware_adapters.base import EnvironmentLackError
from autocomp_mcp.server.report.campaign import write_report
from browsing import Watched, chromium, violations
from synthetic_run import PROBLEM, SyntheticRun, evaluation

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EVIL = "</script><img src=x onerror=alert(1)>\x1b[31m\u202e{{ 7 * 7 }}' onclick='alert(2)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def searched(home: Path, run_id: str, latencies: list[float], reason: str = "done") -> None:
    run = SyntheticRun(home, run_id, "first;")
    run.candidate("0", None, "first;", evaluation(4_000_000))
    for number, latency in enumerate(latencies):
        run.candidate(f"1.0.{number}.0", "0", f"kernel {number};", evaluation(latency), "larger-tile")
    run.call("plan/1", 0.25)
    run.end(reason)


def written(home: Path, name: str = "shapes", model: str = "offline") -> tuple[list[Path], Campaign]:
    """Of a campaign with a search that gained four, one that gained nothing but trouble, and one to come."""
    place = home / "autocomp.db"
    entries = [
        CampaignEntry(problem=problem, model=model) for problem in (PROBLEM, PROBLEM + "-relu", PROBLEM + "-shift6")
    ]
    searched(home, "a-good-one", [3_000_000, 2_000_000, 2_500_000, 1_000_000])
    searched(home, "a-poor-one", [4_500_000], EVIL)
    journal = Journal(place)
    campaign = Campaign(name, entries, Budget(evaluations=100), journal, place)
    campaign.begin(0, "a-good-one")
    campaign.begin(1, "a-poor-one")
    return write_report(campaign, journal, home / "report"), campaign


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return written(tmp_path_factory.mktemp("campaign"))[0]


def opened(seen: Watched, file: Path) -> Page:
    seen.page.goto(file.as_uri())
    seen.page.wait_for_selector("table.list")
    return seen.page


def test_it_says_what_was_found_and_leads_to_each_run(pages: list[Path], browser: Browser) -> None:
    assert [path.name for path in pages] == ["a-good-one.html", "a-poor-one.html", "index.html"]
    with Watched(browser, offline=True) as seen:
        page = opened(seen, pages[-1])
        rows = page.locator("tbody tr")
        good, poor, waiting = (re.sub(r"\s+", " ", rows.nth(n).inner_text()) for n in range(3))
        for text in (
            "4,000,000 cycles, estimated",
            "1,000,000 cycles, estimated",
            "4.00\u00d7",
            "52.4%",
            "5",
            "0.25 USD",
        ):
            assert text in good
        assert "1.00\u00d7" in poor and "13.1%" in poor and "not begun" in waiting
        assert page.inner_text(".speedup") == "2.00\u00d7", "the geometric mean of 4 and 1"
        assert "of 100" in page.inner_text(".facts") and "2 of 3 problems have ended" in page.inner_text(".about")
        curves = page.locator("figure svg")
        assert curves.count() == 2
        said = curves.nth(0).get_attribute("aria-label") or ""
        assert "from 4,000,000 to 1,000,000 cycles in 5 evaluations; the best came with evaluation 5" in said
        # Of both the same scale: the end of the good one is at the right edge, that of the poor one at 2 of 5.
        ends = [float(curves.nth(n).locator("circle").get_attribute("cx") or 0) for n in range(2)]
        assert ends[0] == 312 and ends[1] == pytest.approx(42 + (312 - 42) * 2 / 5, abs=0.1)
        assert seen.complaints == [] and seen.requests == [pages[-1].as_uri()]
        page.click("tbody tr:first-child a")
        page.wait_for_selector("[role=treeitem]")
        assert page.url == pages[0].as_uri() and seen.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_it(pages: list[Path], browser: Browser, scheme: Any) -> None:
    with Watched(browser, color_scheme=scheme) as seen:
        page = opened(seen, pages[-1])
        assert violations(page) == []
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", ground)[:3])) > 380) == (scheme == "light")
        page.set_viewport_size({"width": 380, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 380, "only the table scrolls sideways"


def test_hostile_names_are_only_text(tmp_path: Path, browser: Browser) -> None:
    pages, _ = written(tmp_path, EVIL, EVIL)
    text = pages[-1].read_text()
    assert "<script" not in text and "\x1b" not in text and "\u202e" not in text
    with Watched(browser) as seen:
        page = opened(seen, pages[-1])
        shown = page.inner_text("body")
        assert "<img src=x onerror=alert(1)>" in shown and "{{ 7 * 7 }}" in shown and "⟨U+202E⟩" in shown
        assert page.locator("img, [onclick], [onerror]").count() == 0
        page.evaluate(
            """() => {
              const script = document.createElement("script");
              script.textContent = "window.ran = 1";
              document.body.append(script);
              const image = "<img src='http://127.0.0.1:9/x' onerror='window.ran = 2'>";
              document.body.insertAdjacentHTML("beforeend", image);
            }"""
        )
        page.wait_for_timeout(200)
        assert page.evaluate("window.ran") is None, "its policy let something run"
        refused = [complaint for complaint in seen.complaints if "Content Security Policy" in complaint]
        assert any("script" in said for said in refused) and any("image" in said for said in refused), seen.complaints


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    _, campaign = written(tmp_path / "home")
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentLackError, match=r"cannot write '.*file'"):
        write_report(campaign, Journal(tmp_path / "home" / "autocomp.db"), tmp_path / "file")
