// Inside a host that shows MCP Apps (protocol 2026-01-26): get_search's result arrives by postMessage, and the tool is
// asked again while the search runs. A result has the steps to the best kernel; all candidates are read as a resource,
// where the host lets its apps read any.

const AGAIN_MS = 3000, MOST_MS = 60_000, WORK_SHARE = 0.2, INLINE = "inline", FULL = "fullscreen";
const host = { ready: false, can: {}, context: {}, given: null, over: false, failures: 0, timer: null, log: "", offset: 0, rest: "", whole: null, seen: "" };
const waiting = new Map();
let sent = 0;

const post = (message) => window.parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
const tell = (method, params = {}) => post({ method, params });

function ask(method, params) {
  const id = ++sent;
  post({ id, method, params });
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

function liveInHost() {
  window.addEventListener("message", hear);
  document.addEventListener("visibilitychange", () => { if (!document.hidden && host.given && host.timer === null && host.running) again(0); });
  trouble("Waiting for the host.");
  ask("ui/initialize", {
    protocolVersion: "2026-01-26", appInfo: { name: "autocomp-mcp", title: "A search, to look at", version: "1" },
    appCapabilities: { availableDisplayModes: [INLINE, FULL] },
  }).then((about) => {
    host.can = about?.hostCapabilities || { serverTools: {} };
    inContext(about?.hostContext);
    host.ready = true;
    tell("ui/notifications/initialized");
    if (!host.given) trouble("Waiting for the search's result.");
    new ResizeObserver(tellSize).observe(document.body);
  }).catch((error) => trouble(`The host does not show this page: ${said(error)}`));
}

const said = (error) => visible(String(error?.message || error || "no reason given")).slice(0, 300);

function hear(event) {
  if (event.source !== window.parent || !event.data || event.data.jsonrpc !== "2.0") return;
  const { id, method, params, result, error } = event.data;
  if (method === undefined) {
    const asked = waiting.get(id);
    waiting.delete(id);
    if (asked) error ? asked.reject(error) : asked.resolve(result);
  } else if (id !== undefined) {
    if (method === "ui/resource-teardown") stop();
    if (method === "ping" || method === "ui/resource-teardown") post({ id, result: {} });
    else post({ id, error: { code: -32601, message: `no method ${String(method).slice(0, 100)}` } });
  } else if (method === "ui/notifications/tool-input") {
    if (!host.given) trouble(`Waiting for the result of run ${visible(String(params?.arguments?.run ?? ""))}.`);
  } else if (method === "ui/notifications/tool-result") take(params);
  else if (method === "ui/notifications/tool-cancelled") trouble(`The call was given up: ${said(params?.reason)}.`);
  else if (method === "ui/notifications/host-context-changed") inContext(params);
}

function stop() {
  host.over = true;
  clearTimeout(host.timer);
}

// ---------------------------------------------------------------- what the host is like

function inContext(changed) {
  Object.assign(host.context, changed || {});
  const { theme, displayMode, availableDisplayModes = [], safeAreaInsets } = host.context;
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  document.documentElement.dataset.display = displayMode || INLINE;
  for (const side of ["top", "right", "bottom", "left"]) {
    const inset = Number(safeAreaInsets?.[side]);
    document.body.style.setProperty(`padding-${side}`, inset > 0 && inset < 500 ? `${inset}px` : "");
  }
  const full = displayMode === FULL, wanted = full ? INLINE : FULL, button = byId("display");
  button.hidden = !availableDisplayModes.includes(wanted);
  button.textContent = full ? "Smaller" : "Full screen";
  button.onclick = () => ask("ui/request-display-mode", { mode: wanted }).then((answer) => inContext({ displayMode: answer?.mode || displayMode }), () => {});
  tellSize();
}

// The root element is at least as high as the frame, and would never let it shrink.
let told = 0;
function tellSize() {
  const height = Math.ceil(document.body.getBoundingClientRect().height);
  if (!host.ready || height === told || host.context.displayMode === FULL) return;
  told = height;
  tell("ui/notifications/size-changed", { height });
}

// ---------------------------------------------------------------- the search

function saidBy(result) {
  return result?.content?.find((part) => part.type === "text")?.text || "The tool gave no result.";
}

function take(result) {
  const status = result?.structuredContent;
  if (!status || !status.run_id) {
    trouble(saidBy(result));
    return;
  }
  trouble(null);
  host.failures = 0;
  if (host.given && host.given.run_id !== status.run_id) Object.assign(host, { log: "", offset: 0, rest: "", whole: null, seen: "" });
  host.given = status;
  host.running = status.state === "running";
  if (!host.whole) {
    forget();
    merge(snapshotOf(status));
    drawAll();
  }
  const seen = JSON.stringify([status.run_id, status.state, status.evaluations, status.model_calls, status.duplicates]), began = performance.now();
  const read = host.can.serverResources && seen !== host.seen ? readOn(status.run_id) : Promise.resolve();
  read.then(() => { host.seen = seen; }, () => {
    if (host.whole === status.run_id) return;
    host.can.serverResources = null; // a host that offers it and does not do it: the steps are shown, as before
  }).then(() => { if (host.running) again(Math.max(AGAIN_MS, (performance.now() - began) / WORK_SHARE)); });
}

function again(pause) {
  clearTimeout(host.timer);
  if (host.over || host.can.serverTools === undefined) return;
  host.timer = setTimeout(() => {
    host.timer = null;
    if (document.hidden || host.over) return;
    ask("tools/call", { name: "get_search", arguments: { run: host.given.run_id } }).then((result) => {
      if (result?.isError) throw new Error(saidBy(result));
      return result;
    }).then(take, (error) => {
      trouble(`No news of the search (${said(error)}); trying again.`);
      again(Math.min(MOST_MS, AGAIN_MS * 2 ** ++host.failures));
    });
  }, pause);
}

// Lines of packed snapshots: the first is the whole, later ones what is new.
async function readOn(id) {
  for (let more = true; more && !host.over;) {
    const address = `report://${encodeURIComponent(id)}?log=${host.log}&offset=${host.offset}`;
    const answer = await ask("resources/read", { uri: address });
    const part = JSON.parse(answer.contents[0].text);
    if (part.log !== host.log) Object.assign(host, { log: part.log, rest: "", whole: null });
    host.offset = part.next;
    more = part.more;
    const lines = (host.rest + part.text).split("\n");
    host.rest = lines.pop();
    for (const line of lines) {
      const news = JSON.parse(await unpacked(line));
      if (host.whole !== id) forget();
      host.whole = id;
      merge(news);
    }
    if (lines.length) drawAll();
  }
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
