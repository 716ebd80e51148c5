"""What the pages have in common: a document that has its style in itself, and a policy that allows nothing but what it
names by hash. Whatever a kernel, a plan or a file is called is only text in it."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

WEB = Path(__file__).parent / "web"
STYLES = ("report.css", "explorer.css")


def document(template: str, *, title: str, style: str, policy: str | None = None, **values: Any) -> str:
    """`policy`: None where the server's headers have it."""
    return _environment().get_template(template).render(title=title, style=Markup(style), policy=policy, **values)


def content_policy(style: str, *rules: str, forms: str = "'none'") -> str:
    """Content-Security-Policy of a document with this style, and with what the rules allow besides."""
    allowed = ["default-src 'none'", f"style-src '{hash_of(style)}'", "img-src data:", "base-uri 'none'"]
    return "; ".join([*allowed, f"form-action {forms}", *rules])


@cache
def common_style() -> str:
    return "".join((WEB / name).read_text() for name in STYLES)


def hash_of(text: str) -> str:
    """As a policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _environment() -> Environment:
    environment = Environment(loader=FileSystemLoader(WEB), autoescape=True, undefined=StrictUndefined)
    environment.filters["money"] = lambda usd: "unknown" if usd is None else f"{usd:,.2f} USD"
    environment.filters["time"] = _time
    return environment


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
