"""Who may call over HTTP: bearer tokens from a file or the environment, and what verifies them."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.settings import AuthSettings
from pydantic import AnyHttpUrl
from starlette.requests import Request

TOKEN_VARIABLE = "AUTOCOMP_TOKEN"
ENVIRONMENT_CALLER = "environment"  # name of the caller whose token is in the variable
MIN_TOKEN_CHARACTERS = 16
HASHED = "sha256:"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TOKEN = re.compile(r"[\x21-\x7e]+")  # what a header can carry, without spaces


class TokenError(ValueError):
    """A token file, or the token in the environment, cannot be used. The message never quotes a token."""


class Token(NamedTuple):
    """What is kept of a token: its caller's name, and its SHA-256."""

    caller: str
    digest: bytes


class Tokens(TokenVerifier):
    """Verifies tokens that were handed out beforehand."""

    def __init__(self, tokens: Iterable[Token]) -> None:
        self._tokens = tuple(tokens)

    async def verify_token(self, token: str) -> AccessToken | None:
        """All are compared, each in constant time, so that the time says nothing about which one was nearly met."""
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        found = None
        for known in self._tokens:
            if hmac.compare_digest(known.digest, digest):
                found = known.caller
        return None if found is None else AccessToken(token=token, client_id=found, scopes=[])


class AnyOf(TokenVerifier):
    """The first verifier that knows the token."""

    def __init__(self, verifiers: Sequence[TokenVerifier]) -> None:
        self._verifiers = tuple(verifiers)

    async def verify_token(self, token: str) -> AccessToken | None:
        for verifier in self._verifiers:
            if (found := await verifier.verify_token(token)) is not None:
                return found
        return None


class Access(NamedTuple):
    """How callers prove who they are; what the SDK's application needs to ask them."""

    verifier: TokenVerifier
    settings: AuthSettings


def access_by(tokens: Sequence[Token], oauth: TokenVerifier | None, settings: AuthSettings | None) -> Access | None:
    """None when nobody could prove anything. `settings` come with `oauth`, and say where its tokens are to be had."""
    verifiers: list[TokenVerifier] = [Tokens(tokens)] if tokens else []
    if oauth is not None:
        verifiers.append(oauth)
    if not verifiers:
        return None
    if settings is None:
        # The SDK asks for an issuer, but shows it nowhere as long as there is no resource to give metadata about.
        settings = AuthSettings(issuer_url=AnyHttpUrl("http://localhost"), resource_server_url=None)
    return Access(verifiers[0] if len(verifiers) == 1 else AnyOf(verifiers), settings)


def environment_tokens() -> list[Token]:
    """The token in AUTOCOMP_TOKEN, which is then taken out of the environment: no child needs it. Raises TokenError."""
    given = os.environ.pop(TOKEN_VARIABLE, None)
    return [] if given is None else [_token(ENVIRONMENT_CALLER, given.strip(), TOKEN_VARIABLE)]


def file_tokens(path: Path) -> list[Token]:
    """From lines `NAME:TOKEN` or `NAME:sha256:HEX`; `#` begins a comment line. A name may have several, while one takes
    another's place. Raises TokenError, naming file and line."""
    try:
        lines = path.expanduser().read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise TokenError(f"cannot read the token file {str(path)!r}: {reason}") from error
    tokens = []
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        where = f"{path}:{number}"
        name, colon, secret = line.partition(":")
        if not colon or not _NAME.fullmatch(name.strip()):
            raise TokenError(f"{where}: the line is not NAME:TOKEN, with a name of letters, digits and ._@-")
        tokens.append(_token(name.strip(), secret.strip(), where))
    if not tokens:
        raise TokenError(f"{path}: there is no token in it; write a line NAME:TOKEN per caller")
    return tokens


def _token(caller: str, secret: str, where: str) -> Token:
    if secret.startswith(HASHED):
        digest = secret.removeprefix(HASHED).lower()
        if not _DIGEST.fullmatch(digest):
            raise TokenError(f"{where}: a hash is sha256: and 64 hex digits")
        return Token(caller, bytes.fromhex(digest))
    if len(secret) < MIN_TOKEN_CHARACTERS or not _TOKEN.fullmatch(secret):
        raise TokenError(
            f"{where}: a token is at least {MIN_TOKEN_CHARACTERS} printable ASCII characters without spaces; make one "
            "with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    return Token(caller, hashlib.sha256(secret.encode()).digest())


def is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def shown_by(access: Access | None, token: str) -> str | None:
    """Who shows this token. OAuth ones that have run out are refused, as the MCP address does."""
    if access is None or not token:
        return None
    found = await access.verifier.verify_token(token)
    if found is None or (found.expires_at is not None and found.expires_at < time.time()):
        return None
    wanted = access.settings.required_scopes or []
    return found.client_id if set(wanted) <= set(found.scopes) else None


async def bearer(access: Access | None, request: Request) -> str | None:
    """Who asks, by the token in its headers."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return await shown_by(access, token.strip()) if scheme.lower() == "bearer" else None
