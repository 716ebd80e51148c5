"""What reads files and words from outside: it returns, or raises what it says it raises; never anything else."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from autocomp_mcp.hardware_adapters.base import AdapterError, EngineFailure, EnvironmentLackError
from autocomp_mcp.hardware_adapters.custom.folder import read_folder
from autocomp_mcp.hardware_adapters.errors import UsageError
from autocomp_mcp.hardware_adapters.eviction import UNITS, cache_limit
from autocomp_mcp.hardware_adapters.nvidia.cuda import ncu
from autocomp_mcp.hardware_adapters.registry import adapters
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.hardware_adapters.trainium.neuron import profiler, summary
from autocomp_mcp.menus.menu import Menu, MenuFileError, read_menu
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schema_fuzz import HOSTILE_STRINGS

pytestmark = pytest.mark.trust
MENU = Path(read_menu.__code__.co_filename).parent / "gemmini.yaml"
SUMMARY = Path(__file__).parents[1] / "data" / "neuron_profile" / "summary.json"
TOML = """\
name = "scaled-add"
dims = {rows = 32, columns = 48}
inputs = {A = "int8[rows, columns]", B = "int8[rows, columns]"}
outputs = {C = "int8[rows, columns]"}
reference = "saturate(A + B)"
title = "A sum"
"""
hostile = st.sampled_from(HOSTILE_STRINGS).filter(lambda text: text.isprintable() or len(text) < 600)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | hostile,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


class Fuzz:
    """Runs a property that often, and puts into the table how often it held."""

    def __init__(self, score: Callable[..., None], how_many: Callable[[int, int], int]) -> None:
        self._score, self._how_many = score, how_many

    def __call__(self, what: str, strategy: st.SearchStrategy[Any], check: Callable[[Any], None]) -> None:
        count = 0

        @settings(
            max_examples=self._how_many(150, 20_000), deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(strategy)
        def run(value: Any) -> None:
            nonlocal count
            count += 1
            check(value)

        try:
            run()
        except BaseException:
            self._score(f"fuzz: {what}", count - 1, count)
            raise
        self._score(f"fuzz: {what}", count, count)


@pytest.fixture
def fuzz(score, how_many) -> Fuzz:
    return Fuzz(score, how_many)


def mutated(text: str) -> st.SearchStrategy[str]:
    """The text with some stretches replaced by other ones, or by its own."""
    place = st.integers(0, len(text))
    own = st.tuples(place, st.integers(1, 40)).map(lambda cut: text[cut[0] : cut[0] + cut[1]])
    patch = st.tuples(place, st.integers(0, 30), hostile | st.text(max_size=20) | own)

    def apply(patches: list[tuple[int, int, str]]) -> str:
        result = text
        for start, length, words in patches:
            result = result[:start] + words + result[start + length :]
        return result

    return st.lists(patch, min_size=1, max_size=5).map(apply)


def raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def test_problem_files(tmp_path: Path, fuzz: Fuzz) -> None:
    (tmp_path / "problem.toml").write_text(TOML)

    def check(text: str) -> None:
        (tmp_path / "problem.toml").write_bytes(raw(text))
        try:
            read_folder(tmp_path)
        except UsageError as error:
            assert len(str(error)) < 4000

    check(TOML)
    fuzz("problem.toml", mutated(TOML), check)


def test_menus(tmp_path: Path, fuzz: Fuzz) -> None:
    file = tmp_path / "menu.yaml"
    text = MENU.read_text(encoding="utf-8")[:6000]

    def check(text: str) -> None:
        file.write_bytes(raw(text))
        try:
            assert isinstance(read_menu(file), Menu)
        except MenuFileError as error:
            assert str(file) in str(error)

    fuzz("menus", mutated(text), check)
    fuzz("menus", plain.map(lambda value: yaml.safe_dump(value, allow_unicode=True)), check)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\n" + "".join(f"b{n}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(24)),
        "[" * 20_000,
        "&a [*a]",
        'target: "\\UFFFFFFFF"',
        "? [a, b]\n: c",
        "\0",
    ],
    ids=["aliases that grow", "deep", "round", "escape", "key", "nul"],
)
def test_menus_that_are_traps(text: str, tmp_path: Path, score) -> None:
    (tmp_path / "menu.yaml").write_text(text)
    with pytest.raises(MenuFileError):
        read_menu(tmp_path / "menu.yaml")
    score("fuzz: menus", True)


def table(rows: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    return out.getvalue()


NCU = table(
    [
        ["ID", "Kernel Name", "Block Size", "Grid Size", "dram__bytes_read.sum", "gpu__time_duration.sum"],
        ["", "", "", "", "byte", "ns"],
        ["0", "tiled(const float *)", "(16, 16, 1)", "(64, 64, 1)", "8,388,608", "120,000"],
        ["1", "finish", "(256, 1, 1)", "(4096, 1, 1)", "n/a", "40000"],
    ]
)
LONG = table(
    [
        ["ID", "Kernel Name", "Metric Name", "Metric Unit", "Metric Value"],
        ["0", "saxpy", "gpu__time_duration.sum", "us", "211.94"],
        ["1", "saxpy", "dram__bytes_read.sum", "Kbyte", "512"],
    ]
)


def test_tables_of_nsight_compute(fuzz: Fuzz) -> None:
    def check(text: str) -> None:
        try:
            kernels = ncu.parse(text)
        except (EngineFailure, EnvironmentLackError):
            return
        for metric in ncu.METRICS:
            found = ncu.total(kernels, metric)
            assert found is None or abs(found) < float("inf")
        json.dumps([kernel._asdict() for kernel in kernels], allow_nan=False)

    for text in (NCU, LONG):
        check(text)
        fuzz("profiles", mutated(text), check)
    fuzz("profiles", st.lists(st.lists(hostile | st.text(max_size=9), max_size=6), max_size=5).map(table), check)
    for text in (
        '"ID","Kernel Name"\n"0"\n',
        '"Kernel Name"\n"x"\n',
        '"' + "x" * 200_000,
        NCU.replace("120,000", "1e999"),
    ):
        check(text)


def test_summaries_of_the_neuron_profiler(fuzz: Fuzz) -> None:
    text = SUMMARY.read_text()
    adapter = adapters(Home(Path("/nonexistent")))["trainium"]
    problem = adapter.problem("trainium/rmsnorm-128x512")

    def check(text: str) -> None:
        try:
            found = profiler.parse_summary(text)
            profiler.total_ns(found)
        except EngineFailure:
            return
        summary.counters(found)
        summary.units(found)
        summary.bottlenecks(problem, None, found)

    check(text)
    fuzz("profiles", mutated(text), check)
    names = st.sampled_from(
        ["total_time", "hbm_read_bytes", "dma_active_time_percent", "pe_engine_active_time_percent"]
    )
    numbers = st.dictionaries(names, st.floats() | st.integers() | plain, max_size=4)
    fuzz("profiles", numbers.map(lambda said: json.dumps({"n": {"total_time": 1e-5} | said})), check)
    for trap in (
        "[" * 100_000,
        '{"total_time": ' + "9" * 9000 + "}",
        '{"n": {"total_time": 1e-5, "hbm_read_bytes": Infinity}}',
        '{"n": {"total_time": 1e308, "pe_engine_active_time_percent": 0.5}}',
        '{"n": {"total_time": 1' + "0" * 400 + "}}",
    ):
        check(trap)


def test_problem_ids(fuzz: Fuzz) -> None:
    known = adapters(Home(Path("/nonexistent")))

    def check(words: tuple[str, str]) -> None:
        target, name = words
        try:
            known[target].problem(f"{target}/{name}")
        except AdapterError as error:
            assert len(str(error)) < 4000 + 2 * len(name)

    names = mutated("gemm-512x512x512-bias-relu-shift4") | mutated("conv-14x14x256x256-k3-s1-p1") | hostile | st.text()
    fuzz("problem ids", st.tuples(st.sampled_from(sorted(known)), names), check)


def test_the_cache_limit(fuzz: Fuzz, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(text: str) -> None:
        monkeypatch.setenv("AUTOCOMP_CACHE_LIMIT", text)
        assert 0 <= cache_limit() <= 10**15 * UNITS["T"]

    fuzz("settings", (st.text() | mutated("500M")).filter(lambda s: "\0" not in s and s.isprintable()), check)


def test_the_command_line(fuzz: Fuzz, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the words, the command ends with one of its exit statuses and no traceback."""
    from autocomp_mcp.server.cli import app
    from typer.testing import CliRunner

    monkeypatch.setenv("AUTOCOMP_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    commands = [
        ["problems"], ["menu"], ["runs"], ["show"], ["resume"], ["compile"], ["evaluate"], ["profile"], ["export"],
        ["import"], ["problem", "check"], ["compare"],
    ]  # fmt: skip
    words = hostile | st.text(max_size=10) | st.sampled_from(["--json", "--target", "--engine", "--suite", "gemmini"])

    def check(given: tuple[list[str], list[str]]) -> None:
        command, more = given
        result = CliRunner().invoke(app, [*command, *more])
        assert result.exit_code in (0, 1, 2, 3, 4), (given, result.exception, result.output[-500:])
        assert result.exception is None or isinstance(result.exception, SystemExit), (given, result.exception)

    fuzz("command lines", st.tuples(st.sampled_from(commands), st.lists(words, max_size=3)), check)
