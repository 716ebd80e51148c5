"""A model that works with tools by a script: what an assistant, or an agent of another kit, sees of ours.

The script is a generator that yields calls and is sent their results; a text, or its end, ends the conversation:

    def script():
        (detail,) = yield call("get_problem", problem=PROBLEM)
        yield "It is a matrix multiplication."

Given to MessagesApi as its reply, or to ChatApi in `as_chat`. Requests without tools are a client's own business (a
title for the session) and are answered with a word.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any, NamedTuple

import messages_api

Calls = list[tuple[str, dict[str, Any]]]


class Result(NamedTuple):
    """A tool's result as the client sent it to the model."""

    text: str
    is_error: bool

    @property
    def data(self) -> Any:
        return json.loads(self.text)


Script = Generator[Calls | str, list[Result], None]


def call(tool: str, /, **arguments: Any) -> Calls:
    """One call; `call(…) + call(…)` are two in one turn."""
    return [(tool, arguments)]


class ScriptedAssistant:
    """`failed` holds what went wrong in the script: an assertion there reaches the client as an error of the model."""

    def __init__(self, script: Script) -> None:
        self.failed: BaseException | None = None
        self.finished = False
        self._script = script
        self._begun = False
        self._seen = 0  # results of earlier turns: each request holds the whole conversation

    def __call__(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """A request of the Messages API."""
        if not body.get("tools"):
            return messages_api.message("Fine.")
        found = [
            block for turn in body["messages"] if isinstance(turn["content"], list)
            for block in turn["content"] if block["type"] == "tool_result"
        ]  # fmt: skip
        said = self._next([block_result(block) for block in found[self._seen :]])
        self._seen = len(found)
        return messages_api.message(said) if isinstance(said, str) else messages_api.tool_use(*said)

    def as_chat(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """A request of OpenAI's chat API."""
        import chat_api

        found = [turn for turn in body["messages"] if turn["role"] == "tool"]
        said = self._next([Result(chat_text(turn["content"]), False) for turn in found[self._seen :]])
        self._seen = len(found)
        return chat_api.completion(said) if isinstance(said, str) else chat_api.tool_calls(*said)

    def _next(self, results: list[Result]) -> Calls | str:
        if self.finished:
            return "I have nothing to add."
        try:
            said = self._script.send(results) if self._begun else next(self._script)
            self._begun = True
            self.finished = isinstance(said, str)
            return said
        except StopIteration:
            self.finished = True
            return "Done."
        except BaseException as error:
            self.finished, self.failed = True, error
            return f"The script failed: {error!r}"

    def check(self) -> None:
        """Raises what failed in the script, or AssertionError where the client left it before its end."""
        if self.failed is not None:
            raise self.failed
        assert self.finished, "the client went away in the middle of the script"


def block_result(block: dict[str, Any]) -> Result:
    content = block.get("content") or ""
    if isinstance(content, list):
        content = "\n".join(part.get("text") or json.dumps(part) for part in content)
    return Result(content, bool(block.get("is_error")))


def chat_text(content: str | list[dict[str, Any]]) -> str:
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content)
