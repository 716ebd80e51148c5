"""A fake of the Messages API, streaming or not, behind a real HTTP server on a free local port.

`replies` are used in order, the last one for ever; each is a function of the request's body, or a value: a text, or
one made by `tool_use`, `refusal`, `cut_off`, `status`. Bodies are kept in `requests`.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

USAGE = {
    "input_tokens": 100,
    "output_tokens": 200,
    "cache_creation_input_tokens": 1000,
    "cache_read_input_tokens": 5000,
}


def message(text: str, stop: str = "end_turn") -> tuple[int, dict[str, Any]]:
    return 200, {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "fake",
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": stop, "stop_sequence": None, "usage": USAGE,
    }  # fmt: skip


def tool_use(*calls: tuple[str, dict[str, Any]], text: str = "") -> tuple[int, dict[str, Any]]:
    """Calls of tools, made in one turn: (name, arguments)."""
    code, data = message(text, "tool_use")
    for name, arguments in calls:
        block = {"type": "tool_use", "id": f"toolu_{uuid.uuid4().hex[:12]}", "name": name, "input": arguments}
        data["content"].append(block)
    return code, data


def refusal() -> tuple[int, dict[str, Any]]:
    return message("", "refusal")


def cut_off(text: str) -> tuple[int, dict[str, Any]]:
    return message(text, "max_tokens")


def status(code: int) -> tuple[int, dict[str, Any]]:
    kinds = {
        429: "rate_limit_error",
        529: "overloaded_error",
        401: "authentication_error",
        400: "invalid_request_error",
    }
    return code, {"type": "error", "error": {"type": kinds.get(code, "api_error"), "message": f"fake {code}"}}


def broken_off(text: str, kind: str | None = None) -> tuple[int, dict[str, Any]]:
    """A stream that begins well and ends in the middle: with an error of this kind, or without a word."""
    code, data = message(text)
    return code, data | {"breaks": kind or "silence"}


def plan_json(option: str, plan: str = "Raise the number, since it is small.") -> str:
    return json.dumps({"option": option, "plan": plan})


def is_plan(body: dict[str, Any]) -> bool:
    return "format" in body.get("output_config", {})


def asked(body: dict[str, Any]) -> str:
    """The text of the user's turn, its blocks put together."""
    return "\n".join(part["text"] for part in body["messages"][0]["content"])


def events(data: dict[str, Any]) -> str:
    """The message as a stream of server-sent events, its text in pieces."""
    breaks, stop, usage = data.pop("breaks", None), data["stop_reason"], data["usage"]
    found: list[dict[str, Any]] = [
        {
            "type": "message_start",
            "message": {**data, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}},
        }
    ]
    for index, block in enumerate(data["content"]):
        called = block["type"] == "tool_use"
        text = json.dumps(block["input"]) if called else block["text"]
        pieces = [text[i : i + 500] for i in range(0, len(text), 500)]
        empty, kind, field = (
            ({"input": {}}, "input_json_delta", "partial_json") if called else ({"text": ""}, "text_delta", "text")
        )
        found.append({"type": "content_block_start", "index": index, "content_block": {**block, **empty}})
        found += [
            {"type": "content_block_delta", "index": index, "delta": {"type": kind, field: piece}}
            for piece in (pieces[: len(pieces) // 2] if breaks else pieces)
        ]
        if not breaks:
            found.append({"type": "content_block_stop", "index": index})
    if breaks and breaks != "silence":
        found.append({"type": "error", "error": {"type": breaks, "message": "fake trouble"}})
    if not breaks:
        delta = {"stop_reason": stop, "stop_sequence": None}
        found.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": usage["output_tokens"]}})
        found.append({"type": "message_stop"})
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in found)


Answer = str | tuple[int, dict[str, Any]]


class Batch:
    """A batch of the Message Batches API; its answers are made when it ends."""

    def __init__(self, name: str, requests: list[dict[str, Any]], answer: Callable[..., Any], patience: int) -> None:
        self.name, self.requests, self.looks, self.cancelled = name, requests, 0, False
        self._answer, self._patience = answer, patience

    @property
    def ended(self) -> bool:
        return self.looks >= self._patience

    def record(self, url: str) -> dict[str, Any]:
        return {
            "id": self.name, "type": "message_batch", "created_at": "2026-11-01T00:00:00Z",
            "expires_at": "2026-11-02T00:00:00Z", "processing_status": "ended" if self.ended else "in_progress",
            "request_counts": {"processing": 0, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0},
            "results_url": f"{url}/v1/messages/batches/{self.name}/results" if self.ended else None,
        }  # fmt: skip

    def results(self) -> list[dict[str, Any]]:
        """In another order than asked."""
        found = []
        for request in reversed(self.requests):
            code, data = self._answer(request["params"], {})
            if code == 200:
                result = {"type": "succeeded", "message": data}
            elif code == 410:
                result = {"type": "expired"}
            else:
                result = {"type": "errored", "error": data}
            found.append({"custom_id": request["custom_id"], "result": result})
        return found


class MessagesApi:
    def __init__(self, *replies: Answer | Callable[[dict[str, Any]], Answer]) -> None:
        self.replies = list(replies)
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.batches: dict[str, Batch] = {}
        self.patience = 2  # looks at a batch after which it has ended
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                batch = api.batches[self.path.split("/")[4]]
                if self.path.endswith("/results"):
                    self._say(
                        200, "\n".join(json.dumps(line) for line in batch.results()).encode(), "application/binary"
                    )
                else:
                    batch.looks += 1
                    self._say(200, json.dumps(batch.record(api.url)).encode(), "application/json")

            def do_POST(self) -> None:
                if self.path.startswith("/v1/messages/batches"):
                    sent = json.loads(self.rfile.read(int(self.headers["content-length"] or 0)) or "{}")
                    code, data = api._batched(self.path, sent)
                    self._say(code, json.dumps(data).encode(), "application/json")
                    return
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                code, data = api._answer(body, dict(self.headers))
                streamed = code == 200 and body.get("stream")
                raw = (events(data) if streamed else json.dumps(data)).encode()
                self._say(code, raw, "text/event-stream" if streamed else "application/json")

            def _say(self, code: int, raw: bytes, kind: str) -> None:
                self.send_response(code)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(raw)))
                self.send_header("retry-after-ms", "1")
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        with self._lock:
            self.requests.append(body)
            self.headers.append(headers)
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        answer = reply(body) if callable(reply) else reply
        return message(answer) if isinstance(answer, str) else answer

    def _batched(self, path: str, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        with self._lock:
            if path.endswith("/cancel"):
                batch = self.batches[path.split("/")[4]]
                batch.cancelled = True
                return 200, batch.record(self.url)
            name = f"msgbatch_{len(self.batches)}"
            self.batches[name] = Batch(name, sent["requests"], self._answer, self.patience)
            return 200, self.batches[name].record(self.url)
