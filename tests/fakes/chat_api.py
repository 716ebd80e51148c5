"""A fake of OpenAI's chat API behind a real HTTP server on a free local port.

`lacks` names parameters that it refuses with 400, as small servers do. Replies are as in messages_api: texts, functions
of the body, or (status, JSON).
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

USAGE = {"prompt_tokens": 6100, "completion_tokens": 200, "total_tokens": 6300,
         "prompt_tokens_details": {"cached_tokens": 5000}}  # fmt: skip

Answer = str | tuple[int, dict[str, Any]]


def completion(text: str, finish: str = "stop", usage: dict[str, Any] | None = USAGE) -> tuple[int, dict[str, Any]]:
    return 200, {
        "id": "chat_1", "object": "chat.completion", "created": 1, "model": "fake",
        "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}],
        "usage": usage,
    }  # fmt: skip


def tool_calls(*calls: tuple[str, dict[str, Any]]) -> tuple[int, dict[str, Any]]:
    """Calls of tools, made in one turn: (name, arguments)."""
    code, data = completion("", "tool_calls")
    data["choices"][0]["message"] |= {"content": None, "tool_calls": [
        {"id": f"call_{uuid.uuid4().hex[:12]}", "type": "function",
         "function": {"name": name, "arguments": json.dumps(arguments)}}
        for name, arguments in calls
    ]}  # fmt: skip
    return code, data


def error(code: int, text: str, name: str | None = None) -> tuple[int, dict[str, Any]]:
    return code, {"error": {"message": text, "type": "fake", "code": name}}


class ChatApi:
    def __init__(self, *replies: Answer | Callable[[dict[str, Any]], Answer], lacks: tuple[str, ...] = ()) -> None:
        self.replies = list(replies)
        self.lacks = lacks
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                code, data = api._answer(body, dict(self.headers)) if self.path == "/v1/chat/completions" else (404, {})
                raw = json.dumps(data).encode()
                self.send_response(code)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(raw)))
                self.send_header("retry-after-ms", "1")
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        with self._lock:
            self.requests.append(body)
            self.headers.append(headers)
            for name in self.lacks:
                if name in body:
                    return error(400, f"Unsupported parameter: {name}")
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        answer = reply(body) if callable(reply) else reply
        return completion(answer) if isinstance(answer, str) else answer
