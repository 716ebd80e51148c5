"""An OAuth authorization server as a resource server sees it: metadata, keys, and tokens of every kind."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa


class Issuer:
    """`asked` lists the paths that were fetched. It answers while `answers` is set."""

    def __init__(self, path: str = "") -> None:
        self.asked: list[str] = []
        self.away = False
        self.answers = threading.Event()
        self.answers.set()
        self._keys: dict[str, tuple[Any, str]] = {}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                issuer.answers.wait(60)
                document = None if issuer.away else issuer.documents().get(self.path)
                body = json.dumps(document).encode()
                self.send_response(503 if issuer.away else 404 if document is None else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._path = path
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{path}"
        self.add_key("rsa")

    def add_key(self, kid: str, curve: bool = False) -> None:
        private = ec.generate_private_key(ec.SECP256R1()) if curve else rsa.generate_private_key(65537, 2048)
        self._keys[kid] = (private, "ES256" if curve else "RS256")

    def documents(self) -> dict[str, Any]:
        algorithms = {"ES256": jwt.algorithms.ECAlgorithm, "RS256": jwt.algorithms.RSAAlgorithm}
        keys = [
            {**algorithms[algorithm].to_jwk(private.public_key(), as_dict=True), "kid": kid, "use": "sig"}
            for kid, (private, algorithm) in self._keys.items()
        ]
        metadata = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        return {f"/.well-known/oauth-authorization-server{self._path}": metadata, f"{self._path}/keys": {"keys": keys}}

    def token(self, audience: str, kid: str = "rsa", headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """Good for an hour unless `claims` say otherwise; a claim that is None is left out."""
        private, algorithm = self._keys[kid]
        now = int(time.time())
        said = {"iss": self.url, "aud": audience, "sub": "ada", "client_id": "ide", "iat": now, "exp": now + 3600}
        wanted = {name: value for name, value in (said | claims).items() if value is not None}
        return jwt.encode(wanted, private, algorithm, {"kid": kid, **(headers or {})})

    def public_pem(self, kid: str = "rsa") -> bytes:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self._keys[kid][0].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.answers.set()
        self._server.shutdown()
        self._server.server_close()
