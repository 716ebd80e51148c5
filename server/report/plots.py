"""Plots for papers, as SVG and PNG: how the best came about, the roofline, what the menu's options brought.

By matplotlib (extra `report`), which draws both without a browser; the page has charts of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...hardware_adapters.base import EnvironmentLackError, Roofline
from .snapshot import Snapshot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXTRA = "autocomp-mcp[report]"
WIDTH_IN, HEIGHT_IN, DPI = 5.0, 3.2, 200
GOOD, BAR, PALE, BAD, BOUND = "#0d6b3a", "#2f7de1", "#b7bfcc", "#b3202a", "#855000"  # the page's colours
MAX_OPTIONS = 24
AXES = (("n", "evaluations"), ("calls", "model calls"), ("usd", "USD"), ("at_s", "seconds"))
STYLE: dict[str, Any] = {
    "font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e6e9ef",
    "axes.axisbelow": True, "svg.fonttype": "none", "svg.hashsalt": "autocomp-mcp", "text.usetex": False,
    "text.parse_math": False,
}  # fmt: skip


def write_plots(snapshot: Snapshot, folder: Path) -> list[Path]:
    """The files written; plots for which the run has no data are left out. Raises EnvironmentLackError without
    matplotlib, and OSError."""
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError as error:
        raise EnvironmentLackError(f"plots need matplotlib: pip install '{EXTRA}'") from error
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    with matplotlib.rc_context(STYLE):  # pyright: ignore[reportArgumentType] - its keys are a long list of literals
        for name, figure in _figures(snapshot):
            FigureCanvasAgg(figure)
            for suffix in ("svg", "png"):
                path = folder / f"{name}.{suffix}"
                # No date: the same run gives the same file.
                figure.savefig(path, dpi=DPI, metadata={"Date": None} if suffix == "svg" else None)
                written.append(path)
    return written


def _figures(snapshot: Snapshot) -> Iterator[tuple[str, Figure]]:
    for axis, label in AXES:
        if snapshot.best and snapshot.head.baseline and any(getattr(row, axis) for row in snapshot.rows):
            yield f"best-so-far-{label.replace(' ', '-').lower()}", _progress(snapshot, axis, label)
    if snapshot.menu:
        yield "menu", _menu(snapshot)
    if snapshot.roof.peaks and snapshot.roof.memories:
        yield "roofline", _roofline(snapshot)


def _figure(height_in: float = HEIGHT_IN) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    return figure, figure.subplots()


def _progress(snapshot: Snapshot, axis: str, label: str) -> Figure:
    head, rows = snapshot.head, [row for row in snapshot.rows if row.duplicate_of is None]
    baseline = head.baseline or 1.0
    figure, plot = _figure()
    passed = [row for row in rows if row.latency]
    plot.plot(
        [getattr(row, axis) for row in passed], [baseline / (row.latency or 1) for row in passed], ".", color=BAR,
        markersize=4, alpha=0.45, markeredgewidth=0, label="kernel that passed",
    )  # fmt: skip
    failed = [getattr(row, axis) for row in rows if not row.latency]
    if failed:
        plot.plot(failed, [0.0] * len(failed), "|", color=BAD, markersize=5, alpha=0.6, label="kernel that failed")
    points = [(getattr(point, axis), baseline / point.latency) for point in snapshot.best]
    points.append((getattr(snapshot.rows[-1], axis), points[-1][1]))
    plot.step(*zip(*points, strict=True), where="post", color=GOOD, linewidth=1.6, label="best so far")
    if head.best and head.utilisation:
        bound = baseline / (head.best * head.utilisation)
        if bound < 2 * points[-1][1]:
            plot.axhline(bound, color=BOUND, linestyle="--", linewidth=0.9, label="bound")
    plot.set(xlabel=label, ylabel=f"speed-up ({head.source})", ylim=(0, None), xlim=(0, None))
    plot.legend(frameon=False, fontsize=7)
    return figure


def _menu(snapshot: Snapshot) -> Figure:
    uses = sorted(snapshot.menu, key=lambda use: use.tried)[-MAX_OPTIONS:]
    figure, plot = _figure(max(HEIGHT_IN, 0.17 * len(uses) + 0.7))
    names = [use.option for use in uses]
    faster, passed = [use.faster for use in uses], [use.passed for use in uses]
    plain = [p - f for p, f in zip(passed, faster, strict=True)]
    plot.barh(names, faster, color=GOOD, label="faster than the parent")
    plot.barh(names, plain, left=faster, color=PALE, label="passed, no gain")
    plot.barh(names, [use.tried - use.passed for use in uses], left=passed, color=BAD, label="failed")
    for at, use in enumerate(uses):
        if use.best:
            plot.annotate(
                f"{use.best:.2f}x", (use.tried, at), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7
            )  # fmt: skip
    plot.set(xlabel="times tried; beside each bar its largest gain")
    plot.grid(axis="y", visible=False)
    plot.legend(frameon=False, fontsize=7, loc="lower right")
    return figure


def _roofline(snapshot: Snapshot) -> Figure:
    roof = snapshot.roof
    peak = max(roof.peaks.values())
    (memory, port), *further = roof.memories.items()
    found: list[tuple[str, Roofline]] = []
    for row in snapshot.rows:
        profile = snapshot.profiles.get(row.kernel or "")
        if profile and profile.roofline:
            found.append((row.id, profile.roofline))
    figure, plot = _figure()
    left = min(peak / port, *(line.intensity for _, line in found)) / 2
    right = max(peak / port, *(line.intensity for _, line in found)) * 2
    plot.plot([left, peak / port, right], [left * port, peak, peak], color="black", linewidth=1.3)
    path = {step.candidate: at for at, step in enumerate(snapshot.steps)}
    others = [line for identity, line in found if identity not in path]
    plot.plot([r.intensity for r in others], [r.achieved for r in others], "o", color=BAR, alpha=0.4, markersize=3)
    steps = [line for identity, line in sorted(found, key=lambda entry: path.get(entry[0], -1)) if identity in path]
    plot.plot([r.intensity for r in steps], [r.achieved for r in steps], "o-", color=GOOD, markersize=4, linewidth=0.8)
    dashed: dict[str, Any] = {"color": "black", "linewidth": 0.8, "linestyle": "--"}
    for _, slower in further:
        knee = min(max(peak / slower, left), right)
        plot.plot([left, knee], [left * slower, knee * slower], **dashed)
    for lower in roof.peaks.values():
        if lower < peak:
            plot.plot([lower / port, right], [lower] * 2, **dashed)
    rate = "GFLOP/s" if (roof.work, roof.time) == ("flops", "ns") else f"{roof.work} per {roof.time}"
    plot.set(xlabel=f"{roof.work} per byte moved ({memory})", ylabel=rate)
    for scale, axis in ((plot.set_xscale, plot.xaxis), (plot.set_yscale, plot.yaxis)):
        scale("log", base=2)
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    small: dict[str, Any] = {"fontsize": 7, "va": "bottom"}
    for name, height in roof.peaks.items():
        plot.text(right, height, f"{name} {height:g}", ha="right", **small)
    for name, slope in roof.memories.items():
        if left * slope < peak:
            at, said = math.sqrt(left * min(right, peak / slope)), f"{name} {slope:g} bytes per {roof.time}"
            plot.text(
                at, at * slope, said, ha="center", rotation=math.degrees(math.atan(slope)), rotation_mode="anchor",
                transform_rotates_text=True, **small,
            )  # fmt: skip
    return figure
