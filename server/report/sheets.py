"""The small pages beside the report: the list of runs, and where a browser gives its token. They need no script."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ...agent.status import RunStatus
from .page import WEB, style, style_hash


def sheet_policy() -> str:
    return (
        f"default-src 'none'; style-src '{style_hash()}'; img-src data:; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )


def login_sheet(back: str, wrong: bool) -> str:
    return _render("login.html", back=back, wrong=wrong)


def runs_sheet(runs: Sequence[RunStatus]) -> str:
    return _render("runs.html", runs=runs)


def _render(name: str, **values: object) -> str:
    environment = Environment(loader=FileSystemLoader(WEB), autoescape=True, undefined=StrictUndefined)
    return environment.get_template(name).render(style=Markup(style()), **values)
