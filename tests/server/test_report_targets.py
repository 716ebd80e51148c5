"""What the page draws of a kernel's profile: of each target what its engine tells, and hostile names only as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from anyio.from_thread import start_blocking_portal
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.hardware_adapters.base import Activity, Evaluation, HardwareAdapter, Profile, Span
from autocomp_mcp.hardware_adapters.nvidia.adapter import NvidiaAdapter
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.hardware_adapters.trainium.adapter import TrainiumAdapter
from autocomp_mcp.server.report.following import snapshot
from autocomp_mcp.server.report.page import page as html_page
from browsing import Watched, chromium, violations
from synthetic_run import SyntheticRun, evaluation, profile

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def judged(found: Profile) -> Evaluation:
    return Evaluation(
        problem=found.problem, kernel=found.kernel, verdict="passed", message="right", engine=found.engine,
        engine_version=found.engine_version, seed=0, source=found.source, latency=found.latency,
        utilisation=found.utilisation,
    )  # fmt: skip


def written(folder: Path, problem: str, kernels: list[tuple[str, Profile]]) -> Path:
    """The page of a run in which each kernel is the child of the one before."""
    run = SyntheticRun(folder, "shown", kernels[0][0], problem)
    for number, (source, found) in enumerate(kernels):
        identity, parent = f"{number}.0.0.0" if number else "0", f"{number - 1}.0.0.0" if number > 1 else "0"
        run.candidate(identity, parent if number else None, source, judged(found))
        run.profiled(source, found)
    run.end()
    file = folder / "shown.html"
    file.write_text(html_page(snapshot(Journal(folder / "autocomp.db"), "shown")), encoding="utf-8")
    return file


def profiles(adapter: HardwareAdapter, problem_id: str, *sources: str) -> list[tuple[str, Profile]]:
    """In a thread of its own: a browser's loop runs in this one."""
    problem = adapter.problem(problem_id)

    async def work() -> list[tuple[str, Profile]]:
        found = []
        for source in sources:
            made = await adapter.profile(problem, source, timeout_s=120)
            assert isinstance(made, Profile), made
            found.append((source, made))
        return found

    with start_blocking_portal() as portal:
        return portal.call(work)


def lanes(page: Page) -> list[str]:
    return page.eval_on_selector_all("#detail .lane svg", "all => all.map((each) => each.getAttribute('aria-label'))")


def test_a_kernel_of_trainium(tmp_path: Path, make_home: Callable[[Path], Path], browser: Browser) -> None:
    adapter, problem = TrainiumAdapter(Home(make_home(tmp_path / "home"))), "trainium/gemm-256x256x512"
    described = adapter.problem(problem)
    first = adapter.baseline(described)
    kernels = profiles(adapter, problem, first, adapter.rewrite(described, first, "split-bf16-high-low", "three"))
    file = written(tmp_path / "run", problem, kernels)
    own = kernels[-1][1]
    with Watched(browser, offline=True) as seen:
        page = seen.open(file)
        page.click(".node[data-id='1.0.0.0']")
        page.wait_for_selector("#detail .lane")
        shown = lanes(page)
        assert [words.split(" ")[0] for words in shown] == [unit.unit for unit in own.activity]
        assert all("in the first third of the call" in words for words in shown)
        assert page.locator("#detail .lane .oldline").count() == len(kernels[0][1].activity) == 4, "the parent's course"
        words = page.inner_text("#detail .profiles")
        assert "SBUF: at most" in words and "of 229,376 bytes of each partition" in words and "PSUM" in words
        assert "Why the main unit waits" in words and "Traffic and reuse" in words and "a_t" in words
        assert page.locator("#roof circle").count() == 2
        labels = page.eval_on_selector_all("#roof text", "all => all.map((each) => each.textContent)")
        assert {"MACs per ns", "bfloat16 39.3 k", "float32 9.83 k", "HBM 368 bytes per ns"} <= set(labels)
        page.click("#detail .counters summary")
        assert "sbuf bytes peak" in page.inner_text("#detail .counters")
        assert violations(page) == [] and seen.complaints == [] and seen.requests == [file.as_uri()]


def test_a_kernel_of_a_gpu(tmp_path: Path, make_home: Callable[[Path], Path], browser: Browser) -> None:
    adapter, problem = NvidiaAdapter(Home(make_home(tmp_path / "home"))), "nvidia/softmax-64x96"
    first = adapter.baseline(adapter.problem(problem))
    launch = next(line for line in first.split("\n") if "<<<" in line)
    kernels = profiles(adapter, problem, first, first.replace(launch, f"{launch}\n{launch}"))
    file = written(tmp_path / "run", problem, kernels)
    with Watched(browser, offline=True, color_scheme="dark") as seen:
        page = seen.open(file)
        page.click(".node[data-id='1.0.0.0']")
        page.wait_for_selector("#detail .strip.old")
        assert page.locator("#detail .strip.now i").count() == 4 and page.locator("#detail .strip.old i").count() == 2
        table = page.inner_text("#detail .profiles")
        assert "Launches over the call" in table and "(launch overhead)" in table and lanes(page) == []
        ends = page.eval_on_selector_all(
            "#detail .strip.now i", "all => all.map((each) => each.getBoundingClientRect().right)"
        )
        assert ends == sorted(ends) and ends[-1] <= page.eval_on_selector(
            "#detail .strip.now", "strip => strip.getBoundingClientRect().right + 1"
        )
        labels = page.eval_on_selector_all("#roof text", "all => all.map((each) => each.textContent)")
        assert {"GFLOP/s", "FP32 91.6 k", "DRAM 864 bytes per ns", "L2 5 k bytes per ns"} <= set(labels)
        page.click("#detail .counters summary")
        counters = page.inner_text("#detail .counters")
        assert "occupancy percent" in counters and "shared bytes per block" in counters and "its parent" in counters
        assert violations(page) == [] and seen.complaints == [] and seen.requests == [file.as_uri()]


EVIL = '</script><img src=x onerror="alert(1)">\x1b[31m\u202e'


def test_hostile_names_in_a_profile_are_only_text(tmp_path: Path, browser: Browser) -> None:
    """An engine's, or a journal's that was imported: units, launches, memories, limits, counters."""
    found = profile(1_000_000, "one")
    assert found.roofline
    line = found.roofline.model_copy(
        update={
            "bound": EVIL, "peaks": {EVIL: 256.0, "": 0.0}, "memories": {EVIL: 16.0},
            "intensities": {EVIL: 8.0, "x": 1e300},
        }
    )  # fmt: skip
    evil = found.model_copy(
        update={
            "roofline": line, "counters": {EVIL: 1, "unknown": None}, "commands": {EVIL: 2},
            "activity": (
                Activity(unit=EVIL, interval=1000, busy="0A\u202ez<9"), Activity(unit="u", interval=0, busy=""),
            ),
            "spans": (Span(name=EVIL, start=0, duration=1e6), Span(name="k", start=-5, duration=1e300)),
            "occupancy": tuple(each.model_copy(update={"memory": EVIL, "unit": EVIL}) for each in found.occupancy),
        }
    )  # fmt: skip
    run = SyntheticRun(tmp_path, "evil", "a;")
    run.candidate("0", None, "a;", evaluation(1_000_000, kernel="one"))
    run.profiled("a;", evil)
    run.end()
    file = tmp_path / "evil.html"
    file.write_text(html_page(snapshot(Journal(tmp_path / "autocomp.db"), "evil")), encoding="utf-8")
    with Watched(browser) as seen:
        page = seen.open(file)
        page.wait_for_selector("#detail .profiles")
        page.click("#detail .counters summary")
        shown = page.inner_text("#detail") + page.inner_text("#roof-card")
        assert shown.count("onerror") >= 6 and "\x1b" not in shown and "\u202e" not in shown
        assert page.locator("img").count() == 0 and page.locator("script").count() == 2
        assert violations(page) == [] and seen.complaints == [] and seen.requests == [file.as_uri()]
