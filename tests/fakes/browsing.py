"""A headless Chromium of the system, and what every page of ours must keep to."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SIZE = {"width": 1400, "height": 1000}


def find_chromium() -> str | None:
    """AUTOCOMP_CHROMIUM, else by name on PATH."""
    named = os.environ.get("AUTOCOMP_CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    pytest.importorskip("playwright", reason="the page is tested with Playwright: pip install '.[test]'")
    path = find_chromium()
    if path is None:
        pytest.skip(f"NO BROWSER: none of {', '.join(NAMES)} on PATH, and AUTOCOMP_CHROMIUM names none")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page whose console, errors, requests and dialogs are written down."""

    def __init__(self, browser: Browser, **context: Any) -> None:
        self.context = browser.new_context(viewport=SIZE, reduced_motion="reduce", **context)  # pyright: ignore[reportArgumentType]
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def _said(self, said: Any) -> None:
        if said.type not in ("verbose", "debug"):  # a browser's advice on forms, say
            self.complaints.append(f"console {said.type}: {said.text}")

    def open(self, file: Path) -> Page:
        self.page.goto(file.as_uri())
        self.page.wait_for_selector("[role=treeitem]")
        return self.page

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *error: object) -> None:
        self.context.close()


def violations(page: Page) -> list[str]:
    """What axe finds wrong: rule and the first elements."""
    found = importlib.util.find_spec("axe_core_python")
    assert found is not None and found.submodule_search_locations, "pip install '.[test]'"
    script = next(Path(found.submodule_search_locations[0]).glob("axe*.js")).read_text()
    page.evaluate(script)
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert result["passes"], "axe looked at nothing"
    return [f"{v['id']}: {[n['html'][:160] for n in v['nodes'][:3]]}" for v in result["violations"]]
