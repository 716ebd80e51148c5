"""Where keys are found, and that what is written down does not hold them."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
from autocomp_mcp.agent.errors import ModelUsageError
from autocomp_mcp.agent.keys import MARK, SERVICE, find_key, hidden
from autocomp_mcp.agent.runs.journal import Journal

NAME = "ANTHROPIC_API_KEY"
CANARY = "canary-77c0ffee"


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    monkeypatch.setenv("AUTOCOMP_KEYRING", "0")


def test_the_environment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_key(NAME) is None
    (tmp_path / "key").write_text(f"{CANARY}-file\n")
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "key"))
    found = find_key(NAME)
    assert found is not None and found.value == f"{CANARY}-file" and "_FILE" in found.origin
    monkeypatch.setenv(NAME, f"{CANARY}-environment")
    found = find_key(NAME)
    assert found is not None and found.value == f"{CANARY}-environment"
    assert CANARY not in repr(found)


def test_the_platforms_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = pytest.importorskip("keyring")

    class InMemory(keyring.backend.KeyringBackend):
        priority = 1  # type: ignore[assignment]
        held = {(SERVICE, NAME): f"{CANARY}-keyring"}  # noqa: RUF012

        def get_password(self, service: str, username: str) -> str | None:
            return self.held.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            self.held[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            del self.held[service, username]

    before = keyring.get_keyring()
    keyring.set_keyring(InMemory())
    try:
        assert find_key(NAME) is None  # switched off
        monkeypatch.delenv("AUTOCOMP_KEYRING")
        found = find_key(NAME)
        assert found is not None and found.value == f"{CANARY}-keyring" and "keyring" in found.origin
        assert find_key("OPENAI_API_KEY_OF_NOBODY") is None
    finally:
        keyring.set_keyring(before)


def test_a_keyring_that_fails_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = pytest.importorskip("keyring.errors")
    fake = types.ModuleType("keyring")

    def locked(service: str, name: str) -> str:
        raise errors.KeyringLocked("no")

    fake.get_password = locked  # type: ignore[attr-defined]
    monkeypatch.delenv("AUTOCOMP_KEYRING")
    monkeypatch.setitem(sys.modules, "keyring", fake)
    fake.__spec__ = sys.modules["keyring.errors"].__spec__
    assert find_key(NAME) is None


@pytest.mark.parametrize("text", ["", "two words", "two\nlines"])
def test_a_file_that_holds_no_key_is_refused_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "key").write_text(text)
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "key"))
    with pytest.raises(ModelUsageError, match=f"{NAME}_FILE") as caught:
        find_key(NAME)
    assert "two" not in str(caught.value).replace(str(tmp_path), "")
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "none"))
    with pytest.raises(ModelUsageError, match="cannot be read"):
        find_key(NAME)


def test_secrets_are_hidden_and_words_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "GITHUB_TOKEN", "DB_PASSWORD"):
        monkeypatch.setenv(name, f"{CANARY}-{name}")
        assert hidden(f"before {CANARY}-{name} after") == f"before {MARK} after"
    monkeypatch.setenv("SHORT_KEY", "abc")
    monkeypatch.setenv("KEYBOARD", "a-long-value")
    assert hidden("abc a-long-value") == "abc a-long-value"


def test_the_journal_holds_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, CANARY)
    journal = Journal(tmp_path / "runs.db")
    lease = journal.create("r", "gemmini/gemm-16x16x16", "offline", {}, "")
    journal.set_state(lease, "failed", f"the server said: bad key {CANARY}")
    journal.close()
    assert not any(CANARY.encode() in path.read_bytes() for path in tmp_path.iterdir())
