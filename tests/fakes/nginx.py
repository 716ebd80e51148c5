"""A real nginx in front of servers of ours, with what docs/serving.md says of it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/errors warn;
events {{}}
http {{
    log_format upstreams '$upstream_addr $status $request';
    access_log {folder}/requests upstreams;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream autocomp {{ {servers} }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://autocomp;
            proxy_set_header Host $http_host;
            proxy_http_version 1.1;
            proxy_buffering off;
            proxy_read_timeout 300s;
            client_max_body_size 4m;
        }}
    }}
}}
"""


def program() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def nginx(binary: str, ports: Sequence[int], folder: Path) -> Iterator[int]:
    """The port that it listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    servers = " ".join(f"server 127.0.0.1:{each};" for each in ports)
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, servers=servers, port=port))
    process = subprocess.Popen([binary, "-c", configuration, "-e", folder / "errors", "-p", folder])
    try:
        while not _listens(port):
            assert process.poll() is None, (folder / "errors").read_text()
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def upstreams(folder: Path) -> list[str]:
    """Which server answered each request so far."""
    return [line.split()[0] for line in (folder / "requests").read_text().splitlines()]


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
