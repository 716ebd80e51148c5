"""OAuth resource-server mode: access tokens are JWTs, checked against the keys that their issuer publishes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import anyio
import httpx2
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.settings import AuthSettings
from pydantic import AnyHttpUrl

from .auth import TokenError, is_loopback

log = logging.getLogger(__name__)

# Signatures only: with a shared secret (HS…) whoever verifies could issue, and `none` is no signature.
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
WELL_KNOWN = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")
KEYS_LAST_S = 3600.0
ASK_AGAIN_S = 10.0  # the issuer is asked at most this often, whatever key ids callers send
FETCH_TIMEOUT_S = 10.0  # for all that is asked of it at once
LEEWAY_S = 10
MAX_TOKEN_CHARACTERS = 16_384


class Key(NamedTuple):
    """A public key as `cryptography` has it. `algorithm`: the only one it is for, None where that is not said."""

    key: Any
    algorithm: str | None


class OAuth(NamedTuple):
    """`resource`: this server's own URL, as callers reach it. `audience`: what tokens must be for, by default that."""

    issuer: str
    resource: str
    audience: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()

    def settings(self) -> AuthSettings:
        return AuthSettings(
            issuer_url=AnyHttpUrl(self.issuer),
            resource_server_url=AnyHttpUrl(self.resource),
            required_scopes=list(self.scopes) or None,
            validate_token_resource=False,  # the verifier has checked the audience
        )

    def verifier(self) -> JwtVerifier:
        """Raises TokenError."""
        return JwtVerifier(self.issuer, self.audience or (self.resource,))


class JwtVerifier(TokenVerifier):
    """Accepts JWTs that the issuer signed for this audience and that are valid now. Keys are fetched when first needed,
    and again when they are old or a token names one that is not among them."""

    def __init__(
        self,
        issuer: str,
        audience: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
        fetch_timeout_s: float = FETCH_TIMEOUT_S,
    ) -> None:
        """Raises TokenError: no https, or PyJWT is not installed."""
        try:
            import jwt
        except ImportError as error:
            raise TokenError("--oauth-issuer needs PyJWT: pip install 'autocomp-mcp[oauth]'") from error
        _check_url(issuer, "--oauth-issuer")
        self._jwt = jwt
        self._issuer = issuer
        self._audience = list(audience)
        self._clock = clock
        self._fetch_timeout_s = fetch_timeout_s
        self._keys: dict[str, Key] = {}
        self._fetched: float | None = None
        self._asked: float | None = None
        self._fetching = anyio.Lock()

    async def verify_token(self, token: str) -> AccessToken | None:
        """None for whatever is not wholly in order; the log says why, without the token."""
        jwt = self._jwt
        try:
            if len(token) > MAX_TOKEN_CHARACTERS:
                raise jwt.InvalidTokenError("longer than any token")
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in ALGORITHMS:
                raise jwt.InvalidAlgorithmError(f"algorithm {str(header.get('alg'))[:20]!r} is not accepted")
            key = await self._key(header.get("kid"))
            if key is None:
                raise jwt.InvalidKeyError("the issuer has no such key")
            # Where a key says what it is for, a token must not choose another use of it.
            allowed = [header["alg"]] if key.algorithm in (None, header["alg"]) else []
            claims = jwt.decode(
                token, key.key, algorithms=allowed, audience=self._audience, issuer=self._issuer, leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )  # fmt: skip
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            log.warning("a token was refused: %s", error)
            return None
        subject = str(claims["sub"])
        return AccessToken(
            token=token,
            client_id=str(claims.get("client_id") or claims.get("azp") or subject),
            scopes=_scopes(claims),
            expires_at=int(claims["exp"]) + LEEWAY_S,
            subject=subject,
            claims={"iss": self._issuer},
        )

    async def _key(self, kid: object) -> Key | None:
        """The key of that id; without one, the only key there is. An issuer that is slow to answer holds up those whose
        key is not known, and of the others one at a time."""
        known = self._chosen(kid)
        if known is not None and (self._fetching.locked() or not self._due(known)):
            return known
        async with self._fetching:
            if self._due(self._chosen(kid)):
                try:
                    with anyio.fail_after(self._fetch_timeout_s):
                        self._keys = await self._fetch()
                    self._fetched = self._clock()
                except (httpx2.HTTPError, TokenError, ValueError, TimeoutError) as error:
                    # While the issuer is away, what it had published still holds.
                    log.error("the keys of %s cannot be fetched: %s", self._issuer, str(error) or "no answer in time")
                finally:
                    self._asked = self._clock()
            return self._chosen(kid)

    def _due(self, known: Key | None) -> bool:
        """Whether to ask the issuer for its keys: this one is missing, or they are old; but not too often."""
        now = self._clock()
        old = self._fetched is None or now - self._fetched > KEYS_LAST_S
        return (old or known is None) and (self._asked is None or now - self._asked > ASK_AGAIN_S)

    def _chosen(self, kid: object) -> Key | None:
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(str(kid))

    async def _fetch(self) -> dict[str, Key]:
        jwt = self._jwt
        async with httpx2.AsyncClient(timeout=self._fetch_timeout_s, follow_redirects=False) as client:
            document = await self._metadata(client)
            answer = await client.get(document["jwks_uri"])
            answer.raise_for_status()
            listed = answer.json().get("keys", [])
        keys: dict[str, Key] = {}
        for number, entry in enumerate(listed):
            if entry.get("use", "sig") != "sig" or entry.get("kty") == "oct":
                continue
            try:
                keys[str(entry.get("kid", number))] = Key(jwt.PyJWK.from_dict(entry).key, entry.get("alg"))
            except jwt.PyJWTError as error:
                log.warning("a key of %s is not usable: %s", self._issuer, error)
        return keys

    async def _metadata(self, client: httpx2.AsyncClient) -> dict[str, Any]:
        """Where the keys are, as the issuer itself says (RFC 8414, or OpenID Connect discovery). Raises TokenError."""
        parts = urlsplit(self._issuer)
        base, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
        # RFC 8414 puts the well-known part before the issuer's path, OpenID Connect behind it.
        for address in (f"{base}{WELL_KNOWN[0]}{path}", f"{base}{path}{WELL_KNOWN[1]}"):
            answer = await client.get(address)
            if answer.status_code != 200:
                continue
            document = answer.json()
            if document.get("issuer") != self._issuer:
                raise TokenError(f"{address} is the metadata of another issuer")
            _check_url(str(document.get("jwks_uri")), f"jwks_uri of {address}")
            return document
        raise TokenError(f"it has no metadata at {WELL_KNOWN[0]} nor {WELL_KNOWN[1]}")


def _scopes(claims: dict[str, Any]) -> list[str]:
    given = claims.get("scope", claims.get("scp", []))
    return given.split() if isinstance(given, str) else [str(scope) for scope in given]


def _check_url(url: str, what: str) -> None:
    """https, or http on this machine. Raises TokenError."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and parts.hostname and is_loopback(parts.hostname):
        return
    raise TokenError(f"{what}: {url!r} is not an https:// address")
