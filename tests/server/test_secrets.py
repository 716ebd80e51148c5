"""Canary keys, through whole searches, failures, exports and diagnoses: they are found nowhere afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from messages_api import MessagesApi, message

PROBLEM = "gemmini/gemm-32x32x32"
CANARY = "canary-e0a1b2c3d4"
NAMES = (
    "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "AWS_BEARER_TOKEN_BEDROCK", "HF_TOKEN", "GITHUB_TOKEN", "AUTOCOMP_TOKEN",
)  # fmt: skip

HOSTILE_REFERENCE = """\
import glob, os

def reference(**inputs):
    found = [repr(dict(os.environ))]
    for name in glob.glob("/proc/*/environ") + glob.glob("/proc/*/cmdline") + [
        "/proc/self/environ", "/root/.netrc", os.path.expanduser("~/.netrc"), {key_file!r}, {database!r},
    ]:
        try:
            found.append(open(name, "rb").read().decode(errors="replace"))
        except OSError as error:
            found.append(str(error))
    open("loot", "w").write("".join(found))
    raise ValueError([text for text in found if "canary" in text][:3] or "nothing found")
"""


class Session:
    """Commands of the real command line, with canaries for keys; keeps all that they said."""

    def __init__(self, home: Path, folder: Path, **environment: str) -> None:
        self.home, self.folder, self.said = home, folder, ""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_", "OPENAI_"))}
        self.environment = kept | {name: f"{CANARY}-{name}" for name in NAMES}
        self.environment |= {"AUTOCOMP_HOME": str(home), "AUTOCOMP_KEYRING": "0", "COLUMNS": "200"} | environment

    def __call__(self, *args: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "autocomp_mcp", *args], capture_output=True, text=True, cwd=self.folder,
            stdin=subprocess.DEVNULL, env={k: v for k, v in self.environment.items() if v},
        )  # fmt: skip
        self.said += done.stdout + done.stderr
        return done

    def leaked(self) -> list[str]:
        places = [str(path) for base in (self.home, self.folder) for path in base.rglob("*")
                  if path.is_file() and "cache" not in path.relative_to(base).parts and path.name != "key"
                  and CANARY.encode() in path.read_bytes()]  # fmt: skip
        return places + (["what was said"] if CANARY in self.said else [])


@pytest.fixture
def session(tmp_path: Path, make_home: Callable[[Path], Path]) -> Session:
    (tmp_path / "work").mkdir()
    return Session(make_home(tmp_path / "home"), tmp_path / "work")


def echoing(api: MessagesApi, status: int, kind: str) -> Callable[[dict[str, Any]], Any]:
    def reply(body: dict[str, Any]) -> Any:
        sent = {name.lower(): value for name, value in api.headers[-1].items()}
        key = sent.get("x-api-key") or sent.get("authorization", "").removeprefix("Bearer ")
        assert key.startswith(CANARY)  # the service is who it is for
        if status == 200:
            return message(f"Your key is {key}.")
        return status, {"type": "error", "error": {"type": kind, "message": f"key {key} is not welcome"}}

    return reply


def test_a_service_that_echoes_the_key(session: Session) -> None:
    with MessagesApi() as api:
        api.replies = [echoing(api, 200, "")]
        limits = ["--iterations", "1", "--max-evaluations", "4", "--plans", "1", "--codes", "1"]
        options = ["--model", "anthropic:claude-sonnet-5-5", "--base-url", api.url, *limits]
        session("optimize", PROBLEM, *options, "--record", "talk.jsonl")
        assert "[secret]" in (session.folder / "talk.jsonl").read_text()
        api.replies = [echoing(api, 401, "authentication_error")]
        done = session("optimize", PROBLEM, *options)
        assert done.returncode != 0 and "HTTP 401" in done.stderr, done.stderr
        for body in api.requests:
            assert CANARY not in str(body)  # not what a model is told either
    run = session("runs", "--json").stdout
    assert PROBLEM in run
    session("show", "last", "--candidates", "--json")
    session("export", "last", "-o", "exported")
    assert (session.folder / "exported" / "journal.jsonl").is_file()
    session("doctor"), session("doctor", "--json")
    assert session.leaked() == []


def test_keys_from_a_file_are_used_and_never_shown(session: Session) -> None:
    (session.folder / "key").write_text(f"{CANARY}-from-a-file\n")
    session.environment |= {"ANTHROPIC_API_KEY": "", "ANTHROPIC_API_KEY_FILE": str(session.folder / "key")}
    told = session("doctor").stdout
    assert "the file that ANTHROPIC_API_KEY_FILE names" in told
    with MessagesApi() as api:
        api.replies = [echoing(api, 403, "permission_error")]
        options = ["--model", "anthropic:claude-sonnet-5-5", "--base-url", api.url, "--iterations", "1"]
        assert "HTTP 403" in session("optimize", PROBLEM, *options).stderr
    assert session.leaked() == []


def test_a_reference_that_looks_for_keys_finds_none(session: Session) -> None:
    (session.folder / "key").write_text(f"{CANARY}-from-a-file\n")
    session.environment["ANTHROPIC_API_KEY_FILE"] = str(session.folder / "key")
    session("problem", "new", "thief", "--python", "-o", "thief")
    text = HOSTILE_REFERENCE.format(key_file=str(session.folder / "key"), database=str(session.home / "autocomp.db"))
    (session.folder / "thief" / "reference.py").write_text(text)
    done = session("problem", "check", "thief")
    assert done.returncode != 0 and "nothing found" in done.stdout + done.stderr, done
    assert session.leaked() == []


def test_a_kernel_that_looks_for_keys_finds_none(session: Session) -> None:
    for number, line in enumerate((
        '#include "/proc/self/environ"', '__asm__(".incbin \\"/proc/self/environ\\"");', '#include </proc/1/environ>',
    )):  # fmt: skip
        file = session.folder / f"{number}.c"
        file.write_text(f"{line}\nvoid solution(const signed char *A, const signed char *B, signed char *C) {{}}\n")
        done = session("evaluate", PROBLEM, str(file), "--json")
        assert done.returncode == 1 and '"verdict": "rejected"' in done.stdout, done
    assert session.leaked() == []
