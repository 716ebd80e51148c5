"""The trust table: what was tried, what held, added up over all tests that say `score(...)`, of all xdist workers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pytest

KEY = "trust"
Score = Callable[..., None]
HowMany = Callable[[int, int], int]


class Row(NamedTuple):
    tried: int = 0
    held: int = 0
    notes: tuple[str, ...] = ()

    def plus(self, tried: int, held: int, note: str) -> Row:
        notes = (*self.notes, note) if note and note not in self.notes else self.notes
        return Row(self.tried + tried, self.held + held, notes)


@pytest.fixture
def score(request: pytest.FixtureRequest) -> Score:
    """`score(row, held, tried=1, note="")`: `held` is a truth value, or how many of `tried` did what they should.

    Call it before asserting, so that what did not hold is in the table too.
    """

    def write(row: str, held: bool | int, tried: int = 1, note: str = "") -> None:
        request.node.user_properties.append((KEY, [row, tried, int(held), note]))

    return write


@pytest.fixture
def how_many(request: pytest.FixtureRequest) -> HowMany:
    """`how_many(sampled, full)`: the first, or with --full the second."""
    full = request.config.getoption("--full")
    return lambda sampled, whole: whole if full else sampled


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="the trust suite in full instead of samples of it: hours")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, ())]
    rows = _added_up(reports)
    if not rows:
        return
    width = max(len(name) for name in rows)
    terminalreporter.section("trust, in full" if config.getoption("--full") else "trust, sampled (--full for all)")
    terminalreporter.write_line(f"{'':{width}}  {'tried':>8}  {'held':>8}")
    for name, row in sorted(rows.items()):
        missing = "" if row.held == row.tried else f"  {row.tried - row.held} DID NOT HOLD"
        terminalreporter.write_line(
            f"{name:{width}}  {row.tried:8,}  {row.held:8,}{missing}  {'; '.join(row.notes)}".rstrip()
        )


def _added_up(reports: Iterable[Any]) -> dict[str, Row]:
    rows: dict[str, Row] = defaultdict(Row)
    for report in reports:
        if getattr(report, "when", None) != "call":
            continue
        for key, value in report.user_properties:
            if key == KEY:
                name, tried, held, note = value
                rows[name] = rows[name].plus(tried, held, note)
    return dict(rows)
