"""The page: one HTML document that has its style, its script and its data in itself, and is allowed nothing else.

The policy names the style and the script by their hashes, so that nothing that a kernel or a plan holds could ever run,
were it to get into the document as more than text. Data are JSON in a block that no browser executes.
"""

from __future__ import annotations

import base64
import zlib
from functools import cache
from typing import Literal

from markupsafe import Markup

from .document import WEB, common_style, content_policy, document, hash_of
from .snapshot import Snapshot

Mode = Literal["file", "live", "app"]

SCRIPTS = (
    "data.js", "dom.js", "charts.js", "roof.js", "summary.js", "tree.js", "diff.js", "course.js", "profile.js",
    "detail.js", "live.js", "app.js", "main.js",
)  # fmt: skip
PACKED_FROM = 500_000  # characters of JSON
# What could end a script block, begin a comment in it, or end a line where only JSON ends none.
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def page(snapshot: Snapshot | None, mode: Mode = "file", events: str = "") -> str:
    """`snapshot`: shown at once; None where the page gets it later, from the address `events` or from its host."""
    head = snapshot.head if snapshot else None
    data = snapshot.json_text() if snapshot else "null"
    packed = len(data) > PACKED_FROM
    data = pack(data) if packed else escaped_json(data)
    return document(
        "report.html",
        title=f"{head.problem} · {head.run_id}" if head else "autocomp-mcp",
        style=common_style(),
        policy=policy(mode),
        mode=mode,
        events=events,
        script=Markup(_script()),
        data=Markup(data),
        packed=packed,
    )


def policy(mode: Mode) -> str:
    """Content-Security-Policy. A live page may ask its own server, the others nobody."""
    rules = [f"script-src '{hash_of(_script())}'"]
    if mode == "live":
        rules.append("connect-src 'self'")
    return content_policy(common_style(), *rules)


def pack(json_text: str) -> str:
    """Deflated, in base64: a browser unpacks it faster than it reads as much HTML."""
    return base64.b64encode(zlib.compress(json_text.encode(), 6)).decode()


def escaped_json(json_text: str) -> str:
    """The same JSON, without any character that means something to an HTML parser."""
    return json_text.translate(_ESCAPES)


@cache
def _script() -> str:
    parts = "".join((WEB / name).read_text() for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'
