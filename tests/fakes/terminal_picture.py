"""A picture of a terminal's screen, for the docs: `AUTOCOMP_SCREENSHOTS=docs/images` renews them."""

from __future__ import annotations

import html
import os
from itertools import groupby
from pathlib import Path
from typing import Any

from browsing import chromium
from terminal import Terminal

FOLDER = os.environ.get("AUTOCOMP_SCREENSHOTS")
COLOURS = {
    "default": "#d4d4d4", "black": "#000000", "red": "#f2777a", "green": "#67d18a", "brown": "#e6c069",
    "blue": "#6fa8dc", "magenta": "#c79bd2", "cyan": "#62c2c9", "white": "#ffffff",
}  # fmt: skip
FAINT = "#8b8f98"
PAGE = """<!doctype html><meta charset="utf-8"><style>
body { margin: 0; background: #1b1d22; width: max-content; }
pre { margin: 0; padding: 14px 18px; font: 15px/1.25 "DejaVu Sans Mono", monospace; color: #d4d4d4; }
b { font-weight: bold; }
</style><pre>%s</pre>"""


def picture(terminal: Terminal, name: str, until: str | None = None) -> None:
    """Of the screen as far down as there is something on it, or to the line before the one that begins with `until`;
    nothing where no pictures are wanted."""
    if FOLDER is None:
        return
    from PIL import Image

    path = Path(FOLDER) / f"{name}.png"
    rows = len("\n".join(terminal.screen).rstrip().split("\n"))
    if until is not None:
        rows = next(row for row, line in enumerate(terminal.screen) if line.startswith(until))
    text = "\n".join(_row(terminal.cells(row)) for row in range(rows)).rstrip()
    with chromium() as browser:
        page = browser.new_page(device_scale_factor=1.5)
        page.set_content(PAGE % text)
        page.locator("body").screenshot(path=path)
    Image.open(path).convert("RGB").quantize(48).save(path, optimize=True)


def _row(cells: list[Any]) -> str:
    def look(cell: Any) -> tuple[str, bool]:
        return FAINT if cell.blink and cell.fg == "default" else COLOURS.get(cell.fg, f"#{cell.fg}"), cell.bold

    spans = []
    for (colour, bold), run in groupby(cells, look):
        text = html.escape("".join(cell.data for cell in run))
        spans.append(f'<span style="color:{colour}{";font-weight:bold" if bold else ""}">{text}</span>')
    return "".join(spans).rstrip()
