"""What deploy/ says is held against the command line, the settings, and the programs that read it, where they are
installed."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from autocomp_mcp.server.cli import app
from nginx import program
from server_process import Serving
from typer.main import get_command

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
ROOMS = ("agent", "hardware_adapters", "menus", "server", "tools")
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def documents(folder: Path) -> list[dict[str, Any]]:
    return [
        found
        for path in sorted(folder.glob("*.yaml"))
        if path.name != "kustomization.yaml"
        for found in yaml.safe_load_all(path.read_text())
    ]


def texts() -> Iterator[tuple[Path, str]]:
    for path in sorted(DEPLOY.rglob("*")):
        if path.is_file():
            yield path, path.read_text()


def commands() -> Iterator[list[str]]:
    """Every command line of `autocomp-mcp` and `ray` in these files."""

    def within(value: Any) -> Iterator[list[str]]:
        if isinstance(value, dict):
            yield from (words for part in value.values() for words in within(part))
        elif isinstance(value, list) and len(value) > 1 and value[0] in ("autocomp-mcp", "ray"):
            yield value
        elif isinstance(value, list):
            yield from (words for part in value for words in within(part))
        elif isinstance(value, str) and re.search(r"\b(autocomp-mcp serve|ray start)\b", value):
            for part in value.split("&&"):
                yield shlex.split(part.strip().removeprefix("exec ").removeprefix("ExecStart="))

    for path in DEPLOY.rglob("*.yaml"):
        for document in yaml.safe_load_all(path.read_text()):
            yield from within(document)
    unit = (DEPLOY / "autocomp-mcp.service").read_text()
    words = shlex.split(re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)[0])
    yield ["autocomp-mcp", *words[1:]]
    for image in re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE):
        yield json.loads(image)


def test_every_command_line_is_one_that_the_program_takes() -> None:
    ours = [words for words in commands() if words[0] == "autocomp-mcp"]
    assert len(ours) >= 6
    with patch.dict(os.environ):  # into which some options are written
        for words in ours:
            command = get_command(app).commands[words[1]]  # pyright: ignore[reportAttributeAccessIssue]
            command.make_context(words[1], words[2:])  # raises for what it does not know


def test_every_command_line_of_ray_is_one_that_it_takes() -> None:
    ray = pytest.importorskip(
        "ray.scripts.scripts", reason="the extra 'ray' is not installed: its lines are not tested"
    )
    rays = [words for words in commands() if words[0] == "ray"]
    assert len(rays) >= 5
    for words in rays:
        assert words[1] == "start"
        ray.start.make_context("start", words[2:])


def test_every_variable_is_one_that_the_program_knows() -> None:
    known = {
        name
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for name in re.findall(r"AUTOCOMP_\w+", path.read_text())
    }
    named = {(path.name, name) for path, text in texts() for name in re.findall(r"AUTOCOMP_\w+", text)}
    assert len(named) > 5
    unknown = {(file, name) for file, name in named if name not in known and name.removesuffix("_FILE") not in known}
    assert not unknown


def test_the_image_is_made_from_the_package_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    taken = {line[1:] for line in lines if line.startswith("!")}
    assert taken == {*ROOMS, "README.md", "LICENSE", "pyproject.toml", "__init__.py", "__main__.py", "py.typed"}
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE) and "COPY ." not in last and "pip" not in last
    assert re.search(r"^VOLUME /var/lib/autocomp$", last, re.MULTILINE) and "AUTOCOMP_HOME=/var/lib/autocomp " in last
    module = re.findall(r"-m autocomp_mcp\.([\w.]+) /opt/autocomp/prebuilt", DOCKERFILE)[0]
    assert (ROOT / (module.replace(".", "/") + ".py")).exists()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert set(re.findall(r"autocomp-mcp:(\d[\d.]*\d)", DOCKERFILE + (DEPLOY / "compose.yaml").read_text())) == {
        version
    }


def test_every_extra_that_an_image_asks_for_exists() -> None:
    named = re.findall(r'EXTRAS[=:] ?"?([\w,]+)', DOCKERFILE + (DEPLOY / "compose.yaml").read_text())
    assert len(named) >= 3 and {extra for words in named for extra in words.split(",")} <= set(EXTRAS)


def test_containers_of_compose_can_change_nothing_and_name_what_there_is() -> None:
    services = COMPOSE["services"]
    for name, service in services.items():
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"]), name
        assert set(service.get("depends_on", {})) <= set(services), name
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source.startswith("/") or source in COMPOSE["volumes"] or (DEPLOY / source).exists(), volume
        for option in service.get("security_opt", []):
            if option.startswith("seccomp="):
                assert (DEPLOY / option.removeprefix("seccomp=")).exists()
        if name == "postgres":  # takes care of itself
            continue
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name
        assert not service["user"].startswith(("0", "root")) and "no-new-privileges:true" in service["security_opt"]
        assert any(mount.startswith("/tmp:") for mount in service["tmpfs"])
        if "build" in service:
            build = service["build"]
            assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    upstream = re.findall(r"server ([\w-]+):8321;", (DEPLOY / "nginx.conf").read_text())
    assert upstream == [name for name in services if name.startswith("server-")]


def test_compose_reads_it() -> None:
    """Compose's own reading, where the client has it; it needs no daemon."""
    candidates = (["docker", "compose"], ["docker-compose"])
    found = next(
        (
            c
            for c in candidates
            if shutil.which(c[0]) and not subprocess.run([*c, "version"], capture_output=True).returncode
        ),
        None,
    )
    if found is None:
        pytest.skip("COMPOSE FILE NOT READ BY COMPOSE: neither `docker compose` nor docker-compose is installed")
    command = [*found, "-f", DEPLOY / "compose.yaml", "--profile", "ray", "config", "--services"]
    said = subprocess.run(command, cwd=DEPLOY, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert set(said.stdout.split()) == set(COMPOSE["services"])


def test_the_profile_of_system_calls_denies_some_and_leaves_those_that_the_sandbox_needs() -> None:
    profile = json.loads((DEPLOY / "seccomp.json").read_text())
    denied = {name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ERRNO" for name in rule["names"]}
    assert profile["defaultAction"] == "SCMP_ACT_ALLOW"
    assert {"kexec_load", "init_module", "bpf", "keyctl", "ptrace", "userfaultfd", "io_uring_setup"} <= denied
    assert not denied & {
        "unshare",
        "clone",
        "clone3",
        "mount",
        "umount2",
        "pivot_root",
        "seccomp",
        "landlock_restrict_self",
    }


# ------------------------------------------------------------ Kubernetes


def pods(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    return [
        (d["metadata"]["name"], d["spec"]["template"]["spec"]) for d in documents(folder) if d["kind"] == "Deployment"
    ]


def test_each_folder_lists_its_files() -> None:
    for folder in (KUBERNETES / "server", KUBERNETES / "ray"):
        listed = yaml.safe_load((folder / "kustomization.yaml").read_text())
        files = {name for name in listed["resources"] if name.endswith(".yaml")}
        files |= {patch["path"] for patch in listed.get("patches", [])}
        assert files == {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}


@pytest.mark.parametrize("folder", ["server", "ray"])
def test_selectors_ports_and_volumes_refer_to_each_other(folder: str) -> None:
    found = documents(KUBERNETES / folder)
    labels = {}
    ports: dict[str, set[str]] = {}
    for document in found:
        if document["kind"] == "Deployment" and "selector" in document["spec"]:
            template = document["spec"]["template"]
            assert document["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
            labels[document["metadata"]["name"]] = template["metadata"]["labels"]
            pod = template["spec"]
            volumes = {volume["name"] for volume in pod["volumes"]}
            for container in pod["containers"]:
                assert {mount["name"] for mount in container["volumeMounts"]} == volumes
                mine = {port["name"] for port in container.get("ports", [])}
                ports.setdefault(document["metadata"]["name"], set()).update(mine)
                for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                    if probe in container:
                        (check,) = (
                            container[probe][kind] for kind in ("httpGet", "tcpSocket") if kind in container[probe]
                        )
                        assert check["port"] in mine and check.get("path", "/healthz") == "/healthz"
                # A path that an argument names is one that is mounted.
                for word in container.get("args", []):
                    if "=/" in word:
                        path = word.partition("=")[2]
                        assert any(path.startswith(mount["mountPath"]) for mount in container["volumeMounts"]), word
    for document in found:
        if document["kind"] == "Service":
            chosen = [name for name, has in labels.items() if document["spec"]["selector"].items() <= has.items()]
            assert len(chosen) == 1
            assert {port["targetPort"] for port in document["spec"]["ports"]} <= ports[chosen[0]]
    heads = {
        words.partition("=")[2]
        for line in commands()
        if line[0] == "ray"
        for words in line
        if words.startswith("--address=")
    }
    assert heads == {"autocomp-ray-head:6379", "ray-server:6379"}


@pytest.mark.parametrize("folder", ["server", "ray"])
def test_no_pod_is_root_or_changes_its_image(folder: str) -> None:
    whole = [(name, pod) for name, pod in pods(KUBERNETES / folder) if "securityContext" in pod]
    assert len(whole) == {"server": 1, "ray": 3}[folder]
    for name, pod in whole:
        assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] == 10001, name
        assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True and context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert {"/var/lib/autocomp", "/tmp"} <= mounted
            assert "memory" in container["resources"]["limits"]
            if "nvidia.com/gpu" in container["resources"]["limits"]:
                assert "nvidia.com/gpu.product" in pod["nodeSelector"]


@pytest.mark.parametrize("folder", ["server", "ray", "sandbox"])
def test_kustomize_puts_them_together(folder: str) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("KUBERNETES MANIFESTS NOT READ BY KUBECTL: it is not installed")
    said = subprocess.run(["kubectl", "kustomize", KUBERNETES / folder], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    made = [d for d in yaml.safe_load_all(said.stdout) if d["kind"] == "Deployment"]
    images = {c["image"] for d in made for c in d["spec"]["template"]["spec"]["containers"]}
    assert made and all(re.fullmatch(r"registry\.example\.org/autocomp-mcp:[\w.-]+", image) for image in images)
    server = next(d for d in made if d["metadata"]["name"] == "autocomp-mcp")["spec"]["template"]["spec"]
    (container,) = server["containers"]
    if folder == "ray":
        assert "--executor=ray" in container["args"][0]
        assert {"home", "tmp", "shm", "secrets"} == {volume["name"] for volume in server["volumes"]}
    if folder == "sandbox":
        assert server["hostUsers"] is False and container["securityContext"]["procMount"] == "Unmasked"
        assert "--require-sandbox" in container["args"] and "--metrics" in container["args"]
        assert server["securityContext"]["seccompProfile"]["type"] == "Localhost"


# ------------------------------------------------------------ systemd, nginx


def test_systemd_reads_the_unit_and_finds_little_that_is_open(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("SYSTEMD UNIT NOT READ BY SYSTEMD: systemd-analyze is not installed")
    unit = tmp_path / "autocomp-mcp.service"
    text = (DEPLOY / "autocomp-mcp.service").read_text()
    unit.write_text(re.sub(r"(?<=^ExecStart=)\S+", "/bin/true", text, flags=re.MULTILINE))
    read = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    mine = [line for line in read.stderr.splitlines() if "autocomp-mcp" in line]
    assert read.returncode == 0 and not mine, read.stderr
    said = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=35", unit], capture_output=True, text=True
    )
    if "unrecognized option" in said.stderr:
        pytest.skip("SYSTEMD UNIT NOT RATED: this systemd-analyze cannot rate files")
    assert said.returncode == 0, said.stdout[-300:]


def test_nginx_takes_its_configuration_and_passes_requests_on(tmp_path: Path, make_home: Any) -> None:
    binary = program()
    if binary is None:
        pytest.skip("NGINX CONFIGURATION NOT TESTED: nginx is not installed")
    import socket
    import urllib.request

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = (DEPLOY / "nginx.conf").read_text().replace("/tmp/", f"{tmp_path}/")
    options = ("--token-file", str(tmp_path / "tokens"), "--allow-host", f"localhost:{port}")
    (tmp_path / "tokens").write_text(f"me:{'t' * 40}\n")
    with Serving(make_home(tmp_path / "home"), *options) as server:
        text = re.sub(r"server-\d:8321", f"127.0.0.1:{server.port}", text)
        text = re.sub(r"listen 8080;", f"listen 127.0.0.1:{port};", text)
        assert text.count(str(server.port)) == 3 and str(port) in text
        (tmp_path / "nginx.conf").write_text(f"daemon off;\n{text}")
        running = subprocess.Popen([binary, "-c", tmp_path / "nginx.conf", "-p", tmp_path, "-e", tmp_path / "errors"])
        try:
            answer = None
            for _ in range(200):
                try:
                    answer = urllib.request.urlopen(f"http://localhost:{port}/healthz", timeout=5)
                    break
                except OSError:
                    assert running.poll() is None
            assert answer is not None and answer.read().strip() == b"ok"
            refused = urllib.request.Request(
                f"http://localhost:{port}/mcp", b"{}", {"Content-Type": "application/json"}
            )
            with pytest.raises(urllib.error.HTTPError) as told:
                urllib.request.urlopen(refused, timeout=5)
            assert told.value.code == 401, "the name by which nginx is reached is allowed, and a token is asked for"
        finally:
            running.terminate()
            running.wait()
