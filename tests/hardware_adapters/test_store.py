import os
import sqlite3
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import EnvironmentLackError, Evaluation
from autocomp_mcp.hardware_adapters.store import EvaluationCache, Home, locked

EVALUATION = Evaluation(
    problem="toy/x",
    kernel="k",
    verdict="passed",
    message="fine",
    engine="e",
    engine_version="1",
    source="estimated",
    seed=0,
)


def test_home_follows_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOCOMP_HOME", str(tmp_path / "a b" / "c"))
    home = Home()
    assert home.database == tmp_path / "a b" / "c" / "autocomp.db"
    assert home.cache.is_dir()
    assert home.artifacts.is_dir()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_home_that_cannot_be_written_is_the_environments_fault(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(EnvironmentLackError, match="AUTOCOMP_HOME"):
        _ = Home(tmp_path / "no").cache


def test_a_home_that_is_a_file_is_the_environments_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentLackError, match="AUTOCOMP_HOME"):
        _ = Home(tmp_path / "file").cache


def test_artefacts_are_kept_under_their_digest(tmp_path: Path) -> None:
    home = Home(tmp_path)
    digest = home.keep(b"content", ".elf")
    assert home.keep(b"content", ".elf") == digest
    assert home.artifact(digest, ".elf").read_bytes() == b"content"
    assert home.keep(b"other", ".elf") != digest
    assert len([path for path in home.artifacts.rglob("*") if path.is_file()]) == 2


def test_the_cache_returns_what_was_put_in_another_process_too(tmp_path: Path) -> None:
    EvaluationCache(Home(tmp_path)).put("key", EVALUATION)
    assert EvaluationCache(Home(tmp_path)).get("key") == EVALUATION
    assert EvaluationCache(Home(tmp_path)).get("other") is None


def test_the_database_is_in_wal_mode_and_leaves_other_tables_alone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with sqlite3.connect(home.database) as database:
        database.execute("CREATE TABLE runs (id TEXT)")
        database.execute("INSERT INTO runs VALUES ('r1')")
    EvaluationCache(home).put("key", EVALUATION)
    with sqlite3.connect(home.database) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("SELECT * FROM runs").fetchall() == [("r1",)]


def test_another_layout_or_an_unreadable_row_is_a_miss(tmp_path: Path) -> None:
    home = Home(tmp_path)
    EvaluationCache(home).put("key", EVALUATION)
    with sqlite3.connect(home.database) as database:
        database.execute('UPDATE evaluations SET evaluation = \'{"verdict": "splendid"}\'')
    assert EvaluationCache(home).get("key") is None
    with sqlite3.connect(home.database) as database:
        database.execute("UPDATE schema_version SET version = 99 WHERE owner = 'evaluations'")
    assert EvaluationCache(home).get("key") is None
    EvaluationCache(home).put("key", EVALUATION)
    assert EvaluationCache(home).get("key") == EVALUATION


def test_a_lock_admits_one_at_a_time(tmp_path: Path) -> None:
    inside: list[str] = []

    async def hold(name: str) -> None:
        async with locked(tmp_path / "lock"):
            assert not inside
            inside.append(name)
            await anyio.sleep(0.02)
            inside.clear()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for name in "abcd":
                tasks.start_soon(hold, name)

    anyio.run(main)
