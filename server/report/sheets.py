"""The small pages beside the report: the list of runs, and where a browser gives its token. They need no script."""

from __future__ import annotations

from collections.abc import Sequence

from ...agent.runs.status import RunStatus
from .document import common_style, content_policy, document


def sheet_policy() -> str:
    return content_policy(common_style(), "frame-ancestors 'none'", forms="'self'")


def login_sheet(back: str, wrong: bool) -> str:
    return document("login.html", title="Reports", style=common_style(), back=back, wrong=wrong)


def runs_sheet(runs: Sequence[RunStatus]) -> str:
    return document("runs.html", title="Runs", style=common_style(), runs=runs)
