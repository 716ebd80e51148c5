// The run as the page has it. An update is a snapshot of what is new, merged into what there is.

const FAILED = ["compile_error", "wrong_result", "crashed", "timed_out", "rejected", "unknown"];
const GLYPHS = {
  passed: "●", duplicate: "○", compile_error: "▲", wrong_result: "✕", crashed: "✸", timed_out: "◷", rejected: "⊘",
  unknown: "?",
};

const run = { head: null, rows: new Map(), order: [], texts: [], best: [], steps: [], menu: [], roof: {}, profiles: {},
  children: new Map(), again: null, suffix: ".c", path: new Set(), kernels: new Map() };

function merge(fresh) {
  run.head = fresh.head;
  for (const text of fresh.texts || []) run.texts.push(text);
  for (const row of fresh.rows || []) {
    row.source = row.source || {};
    if (!run.rows.has(row.id)) {
      run.order.push(row.id);
      const parent = row.parent ?? null;
      if (!run.children.has(parent)) run.children.set(parent, []);
      run.children.get(parent).push(row.id);
    }
    run.rows.set(row.id, row);
  }
  run.best = fresh.best || [];
  run.steps = fresh.steps || [];
  run.menu = fresh.menu || [];
  run.roof = fresh.roof || {};
  Object.assign(run.profiles, fresh.profiles || {});
  run.again = fresh.reproduction || run.again;
  run.suffix = fresh.suffix || run.suffix;
  run.path = new Set(run.steps.map((step) => step.candidate));
}

function forget() {
  run.rows.clear(); run.children.clear(); run.kernels.clear();
  run.order.length = 0; run.texts.length = 0; run.profiles = {};
}

// Numbers of a kernel's lines in run.texts. Descent may be as long as the search, so there is no recursion.
function linesOf(id) {
  const chain = [];
  let at = id;
  while (at != null && run.rows.has(at) && !run.kernels.has(at)) {
    chain.push(at);
    at = run.rows.get(at).parent ?? null;
  }
  for (const each of chain.reverse()) {
    const row = run.rows.get(each);
    const before = (row.parent != null && run.kernels.get(row.parent)) || [];
    const { head = 0, lines = [], tail = 0 } = row.source;
    run.kernels.set(each, before.slice(0, head).concat(lines, tail ? before.slice(before.length - tail) : []));
  }
  return run.kernels.get(id) || [];
}

const sourceOf = (id) => linesOf(id).map((number) => run.texts[number]).join("\n");

const textOf = (number) => (number == null ? "" : run.texts[number] ?? "");

function profileOf(row) {
  const judged = row.verdict === "duplicate" && row.duplicate_of ? run.rows.get(row.duplicate_of) : row;
  return (judged && judged.kernel && run.profiles[judged.kernel]) || null;
}

const failed = (row) => FAILED.includes(row.verdict);

async function unpacked(base64) {
  const letters = atob(base64), bytes = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at++) bytes[at] = letters.charCodeAt(at);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).text();
}

// ---------------------------------------------------------------- words and figures

// Characters that steer a terminal, or reorder what is read, are shown by name. Everything else stays as it is.
function visible(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, (c) => {
    const code = c.charCodeAt(0);
    if (code < 32) return String.fromCharCode(0x2400 + code);
    return code === 127 ? "\u2421" : `\u27e8U+${code.toString(16).toUpperCase().padStart(4, "0")}\u27e9`;
  });
}

const MOST_SHOWN = 2000;
function shortened(text) {
  const left = text.length - MOST_SHOWN;
  return visible(left > 0 ? text.slice(0, MOST_SHOWN) : text) + (left > 0 ? ` … ${count(left)} more characters` : "");
}

// Not toLocaleString, whose first call takes a tenth of the time in which a large page is drawn.
const count = (value) => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");
const latencyText = (value) => (value == null ? "–" : value < 100 ? String(+value.toPrecision(4)) : count(value));
const ratioText = (value) => (value == null ? "–" : `${value >= 100 ? value.toFixed(0) : value.toFixed(2)}×`);
const percent = (value) => (value == null ? "–" : `${(100 * value).toFixed(1)}\u00a0%`);
const money = (value) => (value == null ? "price not known" : `${value.toFixed(2)} USD`);
const verdictText = (verdict) => verdict.replace("_", " ");

function duration(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function short(value) {
  for (const [size, letter] of [[1e9, " G"], [1e6, " M"], [1e3, " k"]]) if (value >= size) return +(value / size).toPrecision(3) + letter;
  return String(+value.toPrecision(3));
}
