"""A host that shows MCP Apps, as the specification (2026-01-26) has it: a frame of another origin, with a policy of its
own, that relays to a sandboxed inner frame; it checks every message of the app, and passes requests on to a server.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

# What the specification has a host send for a resource whose metadata name no domain.
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "media-src 'self' data:; connect-src 'none'; frame-src 'none'; base-uri 'self'"
)
HOST = """<!doctype html><title>host</title><body style="margin:0">
<iframe id="app" sandbox="allow-scripts allow-same-origin" src="PROXY" style="width:100%;height:300px;border:0">
</iframe>
<script>
const frame = document.getElementById("app"), CONTEXT = CONTEXT_JSON, CAN = CAN_JSON;
window.asked = []; window.odd = []; window.ready = false;
const send = (message) => frame.contentWindow.postMessage({ jsonrpc: "2.0", ...message }, "*");
window.send = send;
let initialized = false;
addEventListener("message", async (event) => {
  if (event.source !== frame.contentWindow) return;
  const said = event.data;
  if (said.jsonrpc !== "2.0") window.odd.push(said);
  if (said.method === "ui/notifications/sandbox-proxy-ready") {
    send({ method: "ui/notifications/sandbox-resource-ready", params: await page() });
    return;
  }
  window.asked.push(said);
  const { id, method, params } = said;
  if (params !== undefined && (typeof params !== "object" || params === null)) window.odd.push(said);
  if (method === "ui/initialize") {
    for (const name of ["protocolVersion", "appInfo", "appCapabilities"]) if (!params[name]) window.odd.push(name);
    const about = { hostInfo: { name: "host", version: "1" }, hostCapabilities: CAN, hostContext: CONTEXT };
    send({ id, result: { protocolVersion: params.protocolVersion, ...about } });
  } else if (method === "ui/notifications/initialized") {
    initialized = true;
    const [input, result] = await call();
    send({ method: "ui/notifications/tool-input", params: { arguments: input } });
    send({ method: "ui/notifications/tool-result", params: result });
  } else if (method === "ui/notifications/size-changed") {
    if (!initialized) window.odd.push("a size before initialized");
    if (CONTEXT.displayMode !== "fullscreen") frame.style.height = `${params.height}px`;
  } else if (method === "ui/request-display-mode") {
    CONTEXT.displayMode = params.mode;
    frame.style.height = params.mode === "fullscreen" ? "100vh" : "300px";
    send({ id, result: { mode: params.mode } });
  } else if (method === "tools/call" || method === "resources/read") {
    try { send({ id, result: await serve(method, JSON.stringify(params)) }); }
    catch (error) { send({ id, error: { code: -32000, message: String(error) } }); }
  } else if (id !== undefined && method !== undefined) window.odd.push(said);
});
</script>"""
PROXY = """<!doctype html><body style="margin:0"><script>
const inner = document.createElement("iframe");
inner.style = "width:100%;height:100vh;border:0";
inner.setAttribute("sandbox", "allow-scripts allow-same-origin");
document.body.append(inner);
addEventListener("message", (event) => {
  if (event.source === window.parent) {
    if (event.data.method === "ui/notifications/sandbox-resource-ready") {
      const written = inner.contentDocument;
      written.open(); written.write(event.data.params.html); written.close();
    } else inner.contentWindow.postMessage(event.data, "*");
  } else if (event.source === inner.contentWindow) window.parent.postMessage(event.data, "*");
});
window.parent.postMessage({ jsonrpc: "2.0", method: "ui/notifications/sandbox-proxy-ready", params: {} }, "*");
</script>"""


class Pages:
    """Host and proxy on two origins; the proxy's policy is a header, so that the app inherits it."""

    def __init__(self, context: dict[str, Any], can: dict[str, Any]) -> None:
        self._host, self._proxy = (
            _serve(handler) for handler in (_handler({}), _handler({"Content-Security-Policy": POLICY}))
        )
        self._proxy.page = PROXY  # type: ignore[attr-defined]
        proxy = f"http://localhost:{self._proxy.server_port}/"
        host = HOST.replace("PROXY", proxy).replace("CONTEXT_JSON", json.dumps(context))
        self._host.page = host.replace("CAN_JSON", json.dumps(can))  # type: ignore[attr-defined]
        self.address = f"http://127.0.0.1:{self._host.server_port}/"
        self.origins = {self.address, proxy}

    def __enter__(self) -> Pages:
        return self

    def __exit__(self, *error: object) -> None:
        for server in (self._host, self._proxy):
            server.shutdown()
            server.server_close()


def _handler(headers: dict[str, str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.server.page.encode() if self.path == "/" else b""  # type: ignore[attr-defined]
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


def _serve(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return server
