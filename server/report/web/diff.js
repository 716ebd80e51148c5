// What a kernel changes of its parent. Lines are compared by their numbers, so a long line costs no more than a short one.

const CONTEXT = 3, MOST_EDITS = 2000;

// Myers' shortest edit script between two lists of numbers: [{kind: " " | "-" | "+", a, b}], places in both.
function changes(a, b) {
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const out = [];
  for (let at = 0; at < head; at++) out.push({ kind: " ", a: at, b: at });
  out.push(...middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail), head));
  for (let at = tail; at > 0; at--) out.push({ kind: " ", a: a.length - at, b: b.length - at });
  return out;
}

function middle(a, b, from) {
  const all = () => [...a.map((_, at) => ({ kind: "-", a: from + at })), ...b.map((_, at) => ({ kind: "+", b: from + at }))];
  if (!a.length || !b.length) return all();
  const most = Math.min(a.length + b.length, MOST_EDITS);
  const width = 2 * most + 1, reach = new Int32Array(width), history = [];
  for (let d = 0; d <= most; d++) {
    history.push(reach.slice(Math.max(0, most - d - 1), most + d + 2));
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && reach[most + k - 1] < reach[most + k + 1]);
      let x = down ? reach[most + k + 1] : reach[most + k - 1] + 1, y = x - k;
      while (x < a.length && y < b.length && a[x] === b[y]) { x++; y++; }
      reach[most + k] = x;
      if (x >= a.length && y >= b.length) return walkBack(a, b, from, history, d);
    }
  }
  return all();
}

function walkBack(a, b, from, history, edits) {
  const out = [];
  let x = a.length, y = b.length;
  for (let d = edits; d > 0; d--) {
    const before = history[d], zero = before.length >> 1, k = x - y;
    const at = (diagonal) => before[zero + diagonal];
    const down = k === -d || (k !== d && at(k - 1) < at(k + 1));
    const k0 = down ? k + 1 : k - 1, x0 = at(k0), y0 = x0 - k0;
    while (x > x0 && y > y0) { x--; y--; out.push({ kind: " ", a: from + x, b: from + y }); }
    if (down) { y--; out.push({ kind: "+", b: from + y }); }
    else { x--; out.push({ kind: "-", a: from + x }); }
  }
  while (x > 0 && y > 0) { x--; y--; out.push({ kind: " ", a: from + x, b: from + y }); }
  return out.reverse();
}

// Only what is near a change; `null` stands for lines left out.
function near(edits) {
  const keep = new Uint8Array(edits.length);
  edits.forEach((edit, at) => {
    if (edit.kind === " ") return;
    keep.fill(1, Math.max(0, at - CONTEXT), Math.min(edits.length, at + CONTEXT + 1));
  });
  const out = [];
  for (let at = 0; at < edits.length; at++) {
    if (keep[at]) out.push(edits[at]);
    else if (!out.length || out[out.length - 1].kind) out.push({ left: 1 });
    else out[out.length - 1].left++;
  }
  return out;
}

const diffView = { sides: false, whole: false };

function drawDiff(row) {
  const after = linesOf(row.id), before = row.parent != null ? linesOf(row.parent) : after;
  const edits = row.parent != null ? changes(before, after) : [];
  const added = edits.filter((edit) => edit.kind === "+").length, removed = edits.filter((edit) => edit.kind === "-").length;
  const plainly = row.parent == null || diffView.whole === "kernel";
  const press = (label, now, act) => el("button", { type: "button", "aria-pressed": String(now), onclick: () => { act(); drawDetail(); } }, label);
  const copy = el("button", { type: "button", onclick: () => copyText(sourceOf(row.id), copy) }, "Copy kernel");
  const controls = el("div", { class: "bar2" },
    row.parent != null && [
      press("Unified", !plainly && !diffView.sides, () => { diffView.sides = false; if (plainly) diffView.whole = false; }),
      press("Side by side", !plainly && diffView.sides, () => { diffView.sides = true; if (plainly) diffView.whole = false; }),
      press("All lines", diffView.whole === "lines", () => { diffView.whole = diffView.whole === "lines" ? false : "lines"; }),
      press("Kernel", plainly, () => { diffView.whole = plainly ? false : "kernel"; })],
    copy);
  const text = (number) => shortened(run.texts[number] ?? "");
  const cell = (kind, value) => el("td", { class: kind }, value);
  const line = (edit) => el("tr", { class: { "+": "add", "-": "del" }[edit.kind] },
    cell("ln", edit.a == null ? "" : String(edit.a + 1)), cell("ln", edit.b == null ? "" : String(edit.b + 1)), cell("sg", edit.kind.trim()),
    cell(null, text(edit.b == null ? before[edit.a] : after[edit.b])));
  const gap = (left, width) => el("tr", { class: "gap" }, el("td", { colspan: width }, `${count(left)} lines alike`));
  let body, label;
  if (plainly) {
    body = after.map((number, at) => el("tr", {}, cell("ln", String(at + 1)), cell(null, text(number))));
    label = `Kernel of candidate ${row.id}`;
  } else {
    const shown = diffView.whole === "lines" ? edits : near(edits);
    body = diffView.sides ? sideBySide(shown, before, after, text, cell, gap) : shown.map((edit) => (edit.kind ? line(edit) : gap(edit.left, 4)));
    label = `Difference to candidate ${row.parent}: ${added} lines added, ${removed} removed`;
    if (!added && !removed) body = [el("tr", { class: "gap" }, el("td", {}, "The text is that of its parent."))];
  }
  return [
    el("h3", {}, plainly ? "Kernel" : `Changes to ${row.parent}  +${added} −${removed}`), controls,
    el("div", { class: "code", tabindex: "0", role: "region", "aria-label": label }, el("table", { class: diffView.sides && !plainly ? "sides" : null, role: "presentation" },
      diffView.sides && !plainly && ["no", null, "no", null].map((kind) => el("col", { class: kind })), el("tbody", {}, body))),
  ];
}

function sideBySide(shown, before, after, text, cell, gap) {
  const out = [];
  let gone = [], come = [];
  const flush = () => {
    for (let at = 0; at < Math.max(gone.length, come.length); at++) {
      const a = gone[at], b = come[at];
      out.push(el("tr", {}, cell("ln", a ? String(a.a + 1) : ""), cell(a ? "del" : "void", a ? text(before[a.a]) : ""),
        cell("ln", b ? String(b.b + 1) : ""), cell(b ? "add" : "void", b ? text(after[b.b]) : "")));
    }
    gone = []; come = [];
  };
  for (const edit of shown) {
    if (edit.kind === "-") gone.push(edit);
    else if (edit.kind === "+") come.push(edit);
    else {
      flush();
      if (!edit.kind) out.push(gap(edit.left, 4));
      else out.push(el("tr", {}, cell("ln", String(edit.a + 1)), cell(null, text(before[edit.a])), cell("ln", String(edit.b + 1)), cell(null, text(after[edit.b]))));
    }
  }
  flush();
  return out;
}
