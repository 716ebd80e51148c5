"""The protocol's own conformance suite against our HTTP server, and the Inspector's opinion of our schemas."""

import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest
import yaml
from mcp import Client
from node_clients import NodeClients

pytestmark = pytest.mark.node
EXCEPTIONS = Path(__file__).parents[1] / "data" / "conformance_exceptions.yaml"
VERSIONS = ("2026-07-28", "2025-11-25")
# Those that mean something for any server. Not to be found among the results: the suite did not do its work.
OURS = {
    "2026-07-28": {
        "server-stateless", "tools-list", "resources-list", "prompts-list", "completion-complete", "caching",
        "sep-2164-resource-not-found", "dns-rebinding-protection", "http-header-validation", "tools-call-error",
        "server-sse-multiple-streams", "input-required-result-unsupported-methods",
    },
    "2025-11-25": {
        "server-initialize", "server-session-lifecycle", "ping", "tools-list", "resources-list", "prompts-list",
        "completion-complete", "dns-rebinding-protection", "tools-call-error", "server-sse-multiple-streams",
    },
}  # fmt: skip
# Of several servers clients of the older protocol get none: docs/serving.md.
OF_SESSIONS = {"server-session-lifecycle", "server-sse-multiple-streams", "server-sse-polling"}


class Outcome(NamedTuple):
    scenario: str
    check: str
    status: str
    message: str


@pytest.fixture(scope="module")
def exceptions() -> list[dict[str, Any]]:
    return yaml.safe_load(EXCEPTIONS.read_text())


@pytest.fixture(scope="module", params=["served", pytest.param("balanced", marks=pytest.mark.slow)])
def outcomes(
    request: pytest.FixtureRequest, node_clients: NodeClients, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[Outcome]]:
    """Of one server, and of three behind nginx."""
    address, found = request.getfixturevalue(request.param), {}
    for version in VERSIONS:
        out = tmp_path_factory.mktemp(version)
        node_clients.run(
            "conformance", "server", "--url", address, "--suite", "all", "--spec-version", version, "-o", str(out)
        )
        found[version] = [
            Outcome(scenario_of(file), check["id"], check["status"], check.get("errorMessage", ""))
            for file in sorted(out.glob("*/checks.json"))
            for check in json.loads(file.read_text())
        ]
    return found


def scenario_of(file: Path) -> str:
    """The folder is server-NAME-TIME, and some names begin with server- themselves."""
    return re.sub(r"-\d{4}-\d\d-\d\dT[\d-]+Z$", "", file.parent.name).removeprefix("server-")


def trouble(outcome: Outcome) -> bool:
    return outcome.status not in ("SUCCESS", "INFO", "SKIPPED")


@pytest.mark.parametrize("version", VERSIONS)
def test_no_check_that_applies_fails(
    version: str,
    outcomes: dict[str, list[Outcome]],
    exceptions: list[dict[str, Any]],
    request: pytest.FixtureRequest,
) -> None:
    got = outcomes[version]
    passed = {o.scenario for o in got if o.status == "SUCCESS"}
    several = "balanced" in request.node.callspec.id
    without = OF_SESSIONS if several and version == "2025-11-25" else set()
    wanted = OURS[version] - without
    assert wanted <= passed, f"not run: {sorted(wanted - passed)}"
    excepted = {(e["scenario"], check) for e in exceptions for check in e["checks"]}
    failed = [o for o in got if trouble(o) and (o.scenario, o.check) not in excepted and o.scenario not in without]
    assert not failed, "\n".join(map(str, failed))


def test_every_exception_is_needed(outcomes: dict[str, list[Outcome]], exceptions: list[dict[str, Any]]) -> None:
    failed = {(o.scenario, o.check) for got in outcomes.values() for o in got if trouble(o)}
    idle = [(e["scenario"], check) for e in exceptions for check in e["checks"] if (e["scenario"], check) not in failed]
    assert not idle, f"they pass now, or are gone: take them out of {EXCEPTIONS.name}: {idle}"
    assert all(e["reason"] and ("fixture" in e) != ("lacks" in e) for e in exceptions)


def test_what_the_exceptions_say_of_the_server_is_so(served: str, exceptions: list[dict[str, Any]]) -> None:
    async def look() -> tuple[str, Any]:
        async with Client(served, mode="legacy") as client:
            listed = [
                await client.list_tools(), await client.list_prompts(), await client.list_resources(),
                await client.list_resource_templates(),
            ]  # fmt: skip
            return "\n".join(each.model_dump_json() for each in listed), client.server_capabilities

    offered, capabilities = anyio.run(look)
    lacking = {
        "logging": not capabilities.logging,
        "x-mcp-header": "x-mcp-header" not in offered,
    }
    for entry in exceptions:
        if "lacks" in entry:
            assert lacking[entry["lacks"]], entry
        else:
            name = entry["fixture"]
            assert f'"{name}"' not in offered and not ("://" in name and '"test://' in offered), entry


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_the_inspector_finds_no_fault_with_the_schemas(
    transport: str, node_clients: NodeClients, served: str, tmp_path: Path
) -> None:
    serve = ["--", sys.executable, "-m", "autocomp_mcp", "serve"]
    environment = node_clients.environment(HOME=str(tmp_path), AUTOCOMP_HOME=str(tmp_path))
    options = ["--cli", "--method", "tools/list", "--strict", "--format", "json"]
    target = serve if transport == "stdio" else [served]
    listed = node_clients.run("mcp-inspector", *options, *target, env=environment)
    assert listed.returncode == 0, listed.stderr
    assert not listed.stderr.strip()
    assert len(json.loads(listed.stdout)["result"]["tools"]) == 12
