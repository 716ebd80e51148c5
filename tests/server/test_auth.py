"""Who may call over HTTP: tokens that were handed out, tokens of an OAuth issuer, and nobody else."""

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx2
import pytest
from anyio.abc import TaskGroup
from autocomp_mcp.server.serving.oauth import ASK_AGAIN_S, KEYS_LAST_S, WELL_KNOWN, JwtVerifier
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from server_process import Serving, clean_environment
from token_issuer import Issuer

SECRET = "the-token-of-ada-0123456789"
HASHED = "the-token-of-bob-0123456789"
VARIABLE = "the-token-of-the-environment"
DIGEST = hashlib.sha256(HASHED.encode()).hexdigest()
AUDIENCE = "https://kernels.example.org/mcp"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("auth")


@pytest.fixture(scope="module")
def guarded(folder: Path) -> Iterator[Serving]:
    file = folder / "tokens"
    file.write_text(f"# who\n\nada:{SECRET}\nbob: sha256:{DIGEST}\n")
    with Serving(folder / "home", "--token-file", str(file), AUTOCOMP_TOKEN=VARIABLE) as serving:
        yield serving
    heard = "".join(serving.said)
    assert not any(secret in heard for secret in (SECRET, HASHED, VARIABLE, DIGEST)), "a token was printed"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer("/tenant") as running:
        yield running


@pytest.fixture(scope="module")
def oauth(folder: Path, issuer: Issuer) -> Iterator[Serving]:
    options = ["--oauth-issuer", issuer.url, "--oauth-audience", AUDIENCE, "--oauth-scope", "kernels"]
    with Serving(folder / "oauth", *options, "--resource-url", AUDIENCE) as serving:
        yield serving
    assert "eyJ" not in "".join(serving.said), "a token was printed"


@pytest.mark.parametrize("token", [SECRET, HASHED, VARIABLE])
def test_a_token_that_was_handed_out_is_accepted(guarded: Serving, token: str) -> None:
    answer = guarded.post(Authorization=f"Bearer {token}")
    assert answer.status == 200 and '"serverInfo"' in answer.body, answer


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", f"Basic {SECRET}", f"Bearer {SECRET}x", f"Bearer {SECRET[:-1]}",
     f"Bearer {DIGEST}", f"Bearer sha256:{DIGEST}", f"Bearer ada:{SECRET}", f"Bearer {SECRET} {SECRET}"],
)  # fmt: skip
def test_without_one_nothing_is_answered(guarded: Serving, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    for method in ("POST", "GET", "DELETE"):
        answer = guarded.ask(method, "/mcp", b"{}" if method == "POST" else None, headers)
        assert answer.status == 401 and answer.headers["www-authenticate"].startswith("Bearer "), answer
        assert "serverInfo" not in answer.body


def test_another_host_is_refused_before_any_token(guarded: Serving) -> None:
    for headers in ({}, {"Authorization": f"Bearer {SECRET}"}):
        assert guarded.post(Host="attacker.example", **headers).status == 421
        assert guarded.post(Origin="https://attacker.example", **headers).status == 403


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_with_a_token_calls_tools(guarded: Serving, mode: str) -> None:
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {SECRET}"}) as http:
        transport = streamable_http_client(guarded.url, http_client=http)
        async with Client(transport, mode=mode) as client:
            result = await client.call_tool("list_problems", {})
            assert not result.is_error and result.structured_content["families"]


def test_a_session_belongs_to_the_token_that_began_it(guarded: Serving) -> None:
    session = guarded.post(Authorization=f"Bearer {SECRET}").headers["mcp-session-id"]
    ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
    for token, status in ((SECRET, 200), (HASHED, 404)):
        answer = guarded.post(ping, Authorization=f"Bearer {token}", Mcp_Session_Id=session)
        assert answer.status == status, answer


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("adasecretsecretsecretsecret", "NAME:TOKEN"),
        ("ada:short", "at least 16"),
        ("ada:with blanks in the token", "at least 16"),
        ("ada:sha256:12ab", "64 hex"),
        ("a b:0123456789abcdef0123", "NAME:TOKEN"),
        ("# nobody", "no token"),
    ],
)
def test_a_token_file_that_is_wrong_is_refused(tmp_path: Path, line: str, complaint: str) -> None:
    (tmp_path / "tokens").write_text(line + "\n")
    status, said = refused(tmp_path, "--http", "127.0.0.1:0", "--token-file", str(tmp_path / "tokens"))
    assert status == 2 and complaint in said and "Traceback" not in said, said
    secret = line.partition(":")[2]
    assert not secret or secret not in said


def test_a_token_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    status, said = refused(tmp_path, "--http", "127.0.0.1:0", "--token-file", str(tmp_path / "none"))
    assert status == 2 and "none" in said


def refused(home: Path, *options: str, **env: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "autocomp_mcp", "serve", *options]
    env = clean_environment(home, **env)
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


# ---------------------------------------------------------------- OAuth


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_the_metadata_says_where_tokens_are_to_be_had(oauth: Serving, issuer: Issuer) -> None:
    refusal = oauth.post()
    assert refusal.status == 401
    where = "https://kernels.example.org/.well-known/oauth-protected-resource/mcp"
    assert f'resource_metadata="{where}"' in refusal.headers["www-authenticate"]
    answer = oauth.ask("GET", "/.well-known/oauth-protected-resource/mcp")
    assert answer.status == 200
    metadata = json.loads(answer.body)
    assert metadata["resource"] == AUDIENCE and metadata["authorization_servers"] == [issuer.url]
    assert metadata["scopes_supported"] == ["kernels"]


def test_a_good_token_is_accepted(oauth: Serving, issuer: Issuer) -> None:
    for audience in (AUDIENCE, ["other", AUDIENCE]):
        answer = oauth.post(**bearer(issuer.token(audience, scope="kernels more")))
        assert answer.status == 200 and "serverInfo" in answer.body, answer


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": -3600},  # seconds from now
        {"exp": None},
        {"nbf": 3600},
        {"aud": "https://other.example.org/mcp"},
        {"aud": None},
        {"iss": "https://attacker.example"},
        {"iss": None},
        {"sub": None},
    ],
    ids=str,
)
def test_a_token_that_is_not_in_order_is_refused(oauth: Serving, issuer: Issuer, claims: dict[str, object]) -> None:
    claims = {name: int(time.time()) + value if isinstance(value, int) else value for name, value in claims.items()}
    answer = oauth.post(**bearer(issuer.token(AUDIENCE, scope="kernels", **claims)))
    assert answer.status == 401 and "serverInfo" not in answer.body, answer


def test_a_token_without_the_scope_is_refused(oauth: Serving, issuer: Issuer) -> None:
    assert oauth.post(**bearer(issuer.token(AUDIENCE, scope="other"))).status == 403


def part(content: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def test_a_token_that_nobody_signed_is_refused(oauth: Serving, issuer: Issuer) -> None:
    claims = issuer.token(AUDIENCE, scope="kernels").split(".")[1]
    for algorithm in ("none", "None", "nOnE"):
        assert oauth.post(**bearer(f"{part({'alg': algorithm, 'kid': 'rsa'})}.{claims}.")).status == 401


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(oauth: Serving, issuer: Issuer) -> None:
    claims = issuer.token(AUDIENCE, scope="kernels").split(".")[1]
    signed = f"{part({'alg': 'HS256', 'kid': 'rsa'})}.{claims}"
    signature = base64.urlsafe_b64encode(hmac.digest(issuer.public_pem(), signed.encode(), "sha256")).rstrip(b"=")
    assert oauth.post(**bearer(f"{signed}.{signature.decode()}")).status == 401


def test_a_token_of_another_signer_is_refused(oauth: Serving, issuer: Issuer) -> None:
    with Issuer() as other:
        forged = other.token(AUDIENCE, iss=issuer.url, scope="kernels")
    assert oauth.post(**bearer(forged)).status == 401
    head, claims, _ = issuer.token(AUDIENCE, scope="kernels").split(".")
    assert oauth.post(**bearer(f"{head}.{claims}.{forged.split('.')[2]}")).status == 401
    assert oauth.post(**bearer("x.y.z")).status == oauth.post(**bearer("é" * 3)).status == 401


def test_a_key_that_came_later_is_found_and_unknown_ones_do_not_flood_the_issuer(folder: Path) -> None:
    with Issuer() as issuer:
        options = ["--oauth-issuer", issuer.url, "--oauth-audience", AUDIENCE]
        with Serving(folder / "rotation", *options) as serving:
            assert serving.post(**bearer(issuer.token(AUDIENCE))).status == 200
            asked = len(issuer.asked)
            for number in range(20):
                unknown = issuer.token(AUDIENCE, headers={"kid": f"unknown-{number}"})
                assert serving.post(**bearer(unknown)).status == 401
            assert len(issuer.asked) == asked
            issuer.add_key("later", curve=True)
            issuer.away = True
            assert serving.post(**bearer(issuer.token(AUDIENCE))).status == 200, "known keys hold while it is away"
            issuer.away = False
            token = issuer.token(AUDIENCE, kid="later")
            until = time.monotonic() + 40
            while (status := serving.post(**bearer(token)).status) == 401 and time.monotonic() < until:
                time.sleep(0.5)
            assert status == 200


@pytest.mark.anyio
async def test_an_issuer_that_hangs_holds_up_nobody_whose_key_is_known() -> None:
    now = 0.0
    with Issuer() as issuer:
        verifier = JwtVerifier(issuer.url, [AUDIENCE], clock=lambda: now, fetch_timeout_s=60)
        token = issuer.token(AUDIENCE)
        assert await verifier.verify_token(token)
        now += KEYS_LAST_S + 1
        issuer.answers.clear()
        async with anyio.create_task_group() as tasks:
            await asked(issuer, tasks, verifier, token)
            with anyio.fail_after(20):
                assert await verifier.verify_token(token)
            issuer.answers.set()
        assert await verifier.verify_token(token)


@pytest.mark.anyio
async def test_those_who_wait_for_an_issuer_that_does_not_answer_do_so_once() -> None:
    now = 0.0
    with Issuer() as issuer:
        verifier = JwtVerifier(issuer.url, [AUDIENCE], clock=lambda: now, fetch_timeout_s=60)
        token = issuer.token(AUDIENCE)
        issuer.answers.clear()
        issuer.away = True
        async with anyio.create_task_group() as tasks:
            await asked(issuer, tasks, verifier, token)
            tasks.start_soon(verifier.verify_token, token)
            await anyio.wait_all_tasks_blocked()
            now += ASK_AGAIN_S + 1  # so long the attempt took
            issuer.answers.set()
        assert len(issuer.asked) == len(WELL_KNOWN), "the second has the answer that the first waited for"


async def asked(issuer: Issuer, tasks: TaskGroup, verifier: JwtVerifier, token: str) -> None:
    """Verify the token in the background, until the issuer has been asked for its keys."""
    before = len(issuer.asked)
    tasks.start_soon(verifier.verify_token, token)
    with anyio.fail_after(30):
        while len(issuer.asked) == before:  # noqa: ASYNC110
            await anyio.sleep(0.01)


def test_an_issuer_without_https_is_refused(tmp_path: Path) -> None:
    status, said = refused(tmp_path, "--http", "127.0.0.1:0", "--oauth-issuer", "http://issuer.example.org")
    assert status == 2 and "https" in said
    status, said = refused(tmp_path, "--http", "127.0.0.1:0", "--oauth-audience", "x")
    assert status == 2 and "--oauth-issuer" in said


def test_a_resource_that_is_no_address_is_refused(tmp_path: Path) -> None:
    issuer = ["--oauth-issuer", "https://issuer.example.org"]
    status, said = refused(tmp_path, "--http", "127.0.0.1:0", *issuer, "--resource-url", "kernels.example.org/mcp")
    assert status == 2 and "--resource-url 'kernels.example.org/mcp'" in said and "Traceback" not in said, said


# ---------------------------------------------------------------- our own client


@pytest.mark.parametrize(("token", "status"), [(SECRET, 0), ("not-the-token-of-anybody", 3), (None, 3)])
def test_a_search_on_a_server_that_wants_a_token(
    guarded: Serving, tmp_path: Path, token: str | None, status: int
) -> None:
    env = clean_environment(tmp_path / "home", **({"AUTOCOMP_TOKEN": token} if token else {}))
    command = [sys.executable, "-m", "autocomp_mcp", "optimize", "gemmini/gemm-32x32x32", "--server", guarded.url]
    command += ["--model", "offline", "--max-evaluations", "2", "--json"]
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    assert done.returncode == status, done.stderr
    if token:
        assert token not in done.stderr
    if status:
        assert guarded.url in done.stderr and "AUTOCOMP_TOKEN" in done.stderr and "Traceback" not in done.stderr
