// Inside a host that shows MCP Apps: get_search's result arrives by postMessage, and the tool is asked again while the
// search runs. A result has the steps to the best kernel, not every candidate, so these are what is shown.

const AGAIN_MS = 3000;
let sent = 0;
const waiting = new Map();

function ask(method, params) {
  const id = ++sent;
  window.parent.postMessage({ jsonrpc: "2.0", id, method, params }, "*");
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

const tell = (method, params) => window.parent.postMessage({ jsonrpc: "2.0", method, params }, "*");

function liveInHost() {
  window.addEventListener("message", (event) => {
    if (event.source !== window.parent || !event.data || event.data.jsonrpc !== "2.0") return;
    const { id, method, params, result, error } = event.data;
    if (method === "ui/notifications/tool-result") take(params);
    else if (method === "ui/notifications/host-context-changed") theme(params?.theme);
    else if (method && id !== undefined) window.parent.postMessage({ jsonrpc: "2.0", id, result: {} }, "*");
    else if (waiting.has(id)) {
      const { resolve, reject } = waiting.get(id);
      waiting.delete(id);
      if (error) reject(error); else resolve(result);
    }
  });
  ask("ui/initialize", { protocolVersion: "2026-01-26", appInfo: { name: "autocomp-mcp", version: "1" }, appCapabilities: {} })
    .then((about) => { theme(about?.hostContext?.theme); tell("ui/notifications/initialized", {}); })
    .catch(() => trouble("The host did not answer."));
  new ResizeObserver(() => tell("ui/notifications/size-changed", { height: document.documentElement.scrollHeight })).observe(document.body);
}

function take(result) {
  const status = result?.structuredContent;
  if (!status || !status.run_id) {
    trouble(result?.content?.find((part) => part.type === "text")?.text || "The tool gave no result.");
    return;
  }
  trouble(null);
  forget();
  merge(snapshotOf(status));
  drawAll();
  if (status.state === "running") setTimeout(() => ask("tools/call", { name: "get_search", arguments: { run: status.run_id } }).then(take, () => {}), AGAIN_MS);
}

function theme(name) {
  if (name === "dark" || name === "light") document.documentElement.dataset.theme = name;
}

// A status as a snapshot: its lineage are the candidates.
function snapshotOf(status) {
  const texts = [], rows = [], steps = [];
  const text = (value) => texts.push(value) - 1;
  let before = null, parent = null;
  for (const step of status.lineage || []) {
    const best = step.candidate === status.best?.candidate;
    const ratio = before && step.latency ? before / step.latency : null;
    const row = { id: step.candidate, parent, n: rows.length + 1, verdict: "passed", latency: step.latency, ratio, option: step.option };
    if (step.plan) row.plan = text(step.plan);
    if (best && status.best_source && status.next_offset == null) row.source = { lines: status.best_source.split("\n").map(text) };
    rows.push(row);
    steps.push({ candidate: step.candidate, option: step.option, latency: step.latency, gain: ratio });
    before = step.latency || before;
    parent = step.candidate;
  }
  const { baseline, best } = status;
  return {
    head: { ...status, source: (best || baseline)?.source, unit: (best || baseline)?.unit, baseline: baseline?.latency, best: best?.latency,
      best_candidate: best?.candidate, baseline_utilisation: baseline?.utilisation, utilisation: best?.utilisation, passed: rows.length },
    rows, texts, steps, best: rows.filter((row) => row.latency).map((row) => ({ candidate: row.id, n: row.n, latency: row.latency })),
  };
}
