"""The page: one HTML document that has its style, its script and its data in itself, and is allowed nothing else.

The policy names the style and the script by their hashes, so that nothing that a kernel or a plan holds could ever run,
were it to get into the document as more than text. Data are JSON in a block that no browser executes.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from functools import cache
from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from .snapshot import Snapshot

Mode = Literal["file", "live", "app"]

WEB = Path(__file__).parent / "web"
STYLES = ("report.css", "explorer.css")
SCRIPTS = (
    "data.js", "dom.js", "charts.js", "roof.js", "summary.js", "tree.js", "diff.js", "course.js", "profile.js",
    "detail.js", "live.js", "app.js", "main.js",
)  # fmt: skip
PACKED_FROM = 500_000  # characters of JSON
# What could end a script block, begin a comment in it, or end a line where only JSON ends none.
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def page(snapshot: Snapshot | None, mode: Mode = "file", events: str = "") -> str:
    """`snapshot`: shown at once; None where the page gets it later, from the address `events` or from its host."""
    script = _script()
    head = snapshot.head if snapshot else None
    data = snapshot.json_text() if snapshot else "null"
    packed = len(data) > PACKED_FROM
    data = pack(data) if packed else inert(data)
    return (
        Environment(loader=FileSystemLoader(WEB), autoescape=True, undefined=StrictUndefined)
        .get_template("report.html")
        .render(
            mode=mode,
            events=events,
            policy=policy(mode),
            title=f"{head.problem} · {head.run_id}" if head else "autocomp-mcp",
            style=Markup(style()),
            script=Markup(script),
            data=Markup(data),
            packed=packed,
        )
    )


def policy(mode: Mode) -> str:
    """Content-Security-Policy. A live page may ask its own server, the others nobody."""
    rules = [
        "default-src 'none'",
        f"script-src '{hash_of(_script())}'",
        f"style-src '{style_hash()}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join([*rules, "connect-src 'self'"] if mode == "live" else rules)


def pack(json_text: str) -> str:
    """Deflated, in base64: a browser unpacks it faster than it reads as much HTML."""
    return base64.b64encode(zlib.compress(json_text.encode(), 6)).decode()


def inert(json_text: str) -> str:
    """The same JSON, without any character that means something to an HTML parser."""
    return json_text.translate(_ESCAPES)


@cache
def style() -> str:
    return "".join((WEB / name).read_text() for name in STYLES)


def style_hash() -> str:
    return hash_of(style())


@cache
def _script() -> str:
    parts = "".join((WEB / name).read_text() for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def hash_of(text: str) -> str:
    """As a policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
