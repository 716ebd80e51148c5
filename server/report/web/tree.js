// The candidates by descent. Only rows in sight are in the document, so that thousands scroll smoothly.

const ROW = 28, BEYOND = 12, OPEN_ALL = 400;
const open = new Set();
let flat = [];        // [{id, depth, children, at, of, dim}] in the order shown
let places = new Map();
let selected = null;  // whose details are shown
let active = null;    // where the keyboard is

const opened = new Set();  // once, by whomever
let byHand = false;   // somebody chose a candidate; until then the best one is shown

// All of a small search; of a large one the path to the best. What somebody closed stays closed.
function openNew() {
  if (!run.order.length) return;
  if (run.order.length <= OPEN_ALL) for (const id of run.children.keys()) if (id !== null && !opened.has(id)) open.add(id);
  for (const id of run.path) if (!opened.has(id)) open.add(id);
  open.add(run.order[0]);
  for (const id of open) opened.add(id);
}

function matching() {
  const word = byId("find").value.trim().toLowerCase(), only = byId("only").value;
  if (!word && !only) return null;
  const kinds = {
    path: (row) => run.path.has(row.id), passed: (row) => row.verdict === "passed", failed,
    faster: (row) => row.ratio > 1, duplicate: (row) => row.verdict === "duplicate",
  };
  const found = new Set();
  for (const row of run.rows.values()) {
    if (only && !kinds[only](row)) continue;
    if (word && !`${row.id} ${row.option || ""} ${row.verdict} ${textOf(row.plan)}`.toLowerCase().includes(word)) continue;
    found.add(row.id);
  }
  return found;
}

function layTree() {
  const found = matching();
  let shown = null;
  if (found) {  // with their ancestors, all open
    shown = new Set();
    for (let id of found) while (id != null && !shown.has(id)) { shown.add(id); id = run.rows.get(id)?.parent ?? null; }
  }
  const roots = run.order.filter((id) => { const p = run.rows.get(id).parent; return p == null || !run.rows.has(p); });
  flat = [];
  const stack = [];
  const push = (ids, depth) => {
    const those = shown ? ids.filter((id) => shown.has(id)) : ids;
    for (let at = those.length - 1; at >= 0; at--) stack.push({ id: those[at], depth, at: at + 1, of: those.length });
  };
  push(roots, 0);
  while (stack.length) {
    const node = stack.pop();
    const children = (run.children.get(node.id) || []).filter((id) => !shown || shown.has(id));
    node.children = children.length;
    node.dim = found !== null && !found.has(node.id);
    flat.push(node);
    if (children.length && (found || open.has(node.id))) push(children, node.depth + 1);
  }
  places = new Map(flat.map((node, at) => [node.id, at]));
  byId("rows").style.height = `${flat.length * ROW}px`;
  const total = run.order.length;
  const words = found ? `${count(found.size)} of ${count(total)} candidates` : `${count(total)} ${total === 1 ? "candidate" : "candidates"}, ${count(flat.length)} shown`;
  if (byId("count").textContent !== words) byId("count").textContent = words;
  drawTree();
}

function drawTree() {
  const tree = byId("tree");
  const first = Math.max(0, Math.floor(tree.scrollTop / ROW) - BEYOND);
  const last = Math.min(flat.length, Math.ceil((tree.scrollTop + tree.clientHeight) / ROW) + BEYOND);
  const nodes = [];
  for (let at = first; at < last; at++) nodes.push(drawNode(flat[at], at));
  byId("rows").replaceChildren(...nodes);
  const here = active != null && places.get(active);
  if (here != null && here !== false && here >= first && here < last) tree.setAttribute("aria-activedescendant", `node-${here}`);
  else tree.removeAttribute("aria-activedescendant");
}

function drawNode(node, at) {
  const row = run.rows.get(node.id);
  const isOpen = node.children > 0 && (open.has(node.id) || matchingNow());
  const best = node.id === run.head.best_candidate;
  const words = [row.id, row.option || "the first kernel", verdictText(row.verdict)];
  if (row.duplicate_of) words.push(`same kernel as ${row.duplicate_of}`);
  if (row.latency != null) words.push(`${latencyText(row.latency)} ${run.head.unit || ""}`);
  if (row.ratio != null) words.push(`${ratioText(row.ratio)} against its parent`);
  if (best) words.push("the best");
  const classes = ["node", run.path.has(node.id) && "onpath", node.dim && "dim", node.id === active && "active"];
  const ratio = row.ratio == null || row.duplicate_of ? "" : ratioText(row.ratio);
  return el("div", {
    id: `node-${at}`, class: classes.filter(Boolean).join(" "), role: "treeitem", "data-id": node.id,
    "aria-level": node.depth + 1, "aria-setsize": node.of, "aria-posinset": node.at,
    "aria-selected": String(node.id === selected), "aria-expanded": node.children ? String(isOpen) : null,
    "aria-label": visible(words.join(", ")), style: { top: `${at * ROW}px`, paddingLeft: `${6 + Math.min(node.depth, 24) * 14}px` },
  },
  el("span", { class: "fold" }, node.children ? (isOpen ? "▼" : "▶") : ""),
  el("span", { class: `v v-${row.verdict}`, title: verdictText(row.verdict) }, best ? "★" : GLYPHS[row.verdict] || "?"),
  el("span", { class: "opt" }, shortened(row.option || "the first kernel")),
  el("span", { class: "where" }, row.id),
  el("span", { class: "lat" }, row.latency != null && !row.duplicate_of ? latencyText(row.latency) : failed(row) ? verdictText(row.verdict) : ""),
  el("span", { class: `rat ${row.ratio > 1 ? "up" : "down"}` }, ratio));
}

const matchingNow = () => Boolean(byId("find").value.trim() || byId("only").value);

function toggle(id, wanted) {
  if (wanted) open.add(id); else open.delete(id);
  layTree();
}

function reveal(id) {
  for (let at = run.rows.get(id)?.parent ?? null; at != null; at = run.rows.get(at)?.parent ?? null) open.add(at);
  layTree();
  if (!places.has(id)) {  // a filter hides it
    byId("find").value = ""; byId("only").value = "";
    layTree();
  }
}

function scrollTo(id) {
  const tree = byId("tree"), at = places.get(id);
  if (at === undefined) return;
  const top = at * ROW;
  if (top < tree.scrollTop) tree.scrollTop = top;
  else if (top + ROW > tree.scrollTop + tree.clientHeight) tree.scrollTop = top + ROW - tree.clientHeight;
}

function choose(id, far) {
  if (!run.rows.has(id)) return;
  selected = active = id;
  byHand = true;
  if (far) reveal(id);
  scrollTo(id);
  drawTree();
  drawChosen();
  if (far) byId("candidates").scrollIntoView({ block: "nearest" });
}

// Once per frame, however fast a held key goes through the tree.
let drawingChosen = false;
function drawChosen() {
  if (drawingChosen) return;
  drawingChosen = true;
  requestAnimationFrame(() => { drawingChosen = false; drawDetail(); markProgress(); });
}

function listenToTree() {
  const tree = byId("tree");
  let waiting = false;
  tree.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; drawTree(); });
  });
  tree.addEventListener("click", (event) => {
    const node = event.target.closest(".node");
    if (!node) return;
    const id = node.dataset.id;
    if (event.target.closest(".fold") && flat[places.get(id)].children) toggle(id, !open.has(id));
    else choose(id, false);
  });
  tree.addEventListener("keydown", (event) => {
    const at = places.get(active) ?? 0, node = flat[at];
    if (!node || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(tree.clientHeight / ROW) - 1);
    const go = (to) => choose(flat[Math.max(0, Math.min(flat.length - 1, to))].id, false);
    const keys = {
      ArrowDown: () => go(at + 1), ArrowUp: () => go(at - 1), PageDown: () => go(at + page), PageUp: () => go(at - page),
      Home: () => go(0), End: () => go(flat.length - 1),
      ArrowRight: () => { if (node.children) { if (open.has(node.id) || matchingNow()) go(at + 1); else toggle(node.id, true); } },
      ArrowLeft: () => {
        if (node.children && open.has(node.id) && !matchingNow()) toggle(node.id, false);
        else if (run.rows.get(node.id).parent != null) go(places.get(run.rows.get(node.id).parent) ?? at);
      },
      Enter: () => choose(node.id, false), " ": () => choose(node.id, false),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  for (const id of ["find", "only"]) byId(id).addEventListener("input", () => { byId("tree").scrollTop = 0; layTree(); });
  byId("unfold").addEventListener("click", () => { for (const id of run.children.keys()) if (id !== null) open.add(id); layTree(); });
  byId("fold").addEventListener("click", () => { open.clear(); if (run.order.length) open.add(run.order[0]); layTree(); });
}
