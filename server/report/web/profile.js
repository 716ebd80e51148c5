// Where the time of a kernel goes, beside its parent's.

function drawProfile(row) {
  const own = profileOf(row);
  if (!own) return [el("h3", {}, "Profile"), ...noProfile(row)];
  const parent = row.parent != null ? run.rows.get(row.parent) : null;
  const old = parent && profileOf(parent);
  const legend = el("p", { class: "legend" }, el("span", {}, el("i", { class: "new" }), `this kernel, ${latencyText(own.latency.value)} ${own.latency.unit}`),
    old ? el("span", {}, el("i", { class: "old" }), `its parent ${row.parent}, ${latencyText(old.latency.value)}`) : parent && el("span", {}, `no profile of its parent ${row.parent}`));
  return [
    el("h3", {}, `Profile (${visible(own.engine)} ${visible(own.engine_version)}, ${own.source})`), legend, bottlenecks(own),
    el("div", { class: "profiles" },
      bars("Units at work", own.units, old && old.units, (u) => u.unit, (u) => u.share),
      bars("Why the main unit waits", own.stalls, old && old.stalls, (s) => s.cause, (s) => s.share),
      unitsOverTime(own, old), launches(own, old), memories(own, old), traffic(own, old)), costliest(own), counted(own, old),
  ];
}

// The search profiles kernels of its beam only; for any other there is a command.
function noProfile(row) {
  if (row.verdict !== "passed" && row.verdict !== "duplicate") return [el("p", { class: "muted" }, "A kernel that did not pass has no profile.")];
  const file = `k${run.suffix}`;
  const command = `autocomp-mcp show ${run.head.run_id} --candidate ${row.id} --source > ${file} && autocomp-mcp profile ${run.head.problem} ${file} --timeline k.json`;
  const copy = el("button", { type: "button", onclick: () => copyText(command, copy) }, "Copy");
  return [el("p", { class: "small" }, `The search did not profile this kernel: report --profile ${row.id} does, or this, which also writes a timeline for Perfetto:`),
    el("div", { class: "cmd" }, el("code", {}, visible(command)), copy)];
}

function bottlenecks(own) {
  if (!own.bottlenecks || !own.bottlenecks.length) return null;
  return [el("ul", { class: "why" }, own.bottlenecks.slice(0, 3).map((found) => el("li", {}, el("strong", {}, visible(found.id)), ": ", visible(found.explanation))))];
}

function bars(title, now, before, nameOf, shareOf) {
  const names = [...new Set([...(now || []), ...(before || [])].map(nameOf))];
  const share = (list, name) => { const found = (list || []).find((each) => nameOf(each) === name); return found ? shareOf(found) : null; };
  const shown = names.map((name) => [name, share(now, name), share(before, name)]).filter(([, a, b]) => (a || 0) >= 0.0005 || (b || 0) >= 0.0005);
  if (!shown.length) return null;
  shown.sort((a, b) => (b[1] || 0) - (a[1] || 0));
  const width = (value) => ({ width: `${Math.min(100, 100 * (value || 0))}%` });
  return el("section", {}, el("h3", {}, title), el("div", { class: "bars" }, shown.flatMap(([name, a, b]) => [
    el("span", {}, visible(name.replaceAll("_", " "))),
    el("span", { class: "pairbar", role: "presentation" }, el("i", { style: width(a) }), before && el("i", { class: "old", style: width(b) })),
    el("b", {}, a == null ? "–" : percent(a)), el("span", { class: "was" }, before ? (b == null ? "–" : percent(b)) : ""),
  ])));
}

function traffic(own, old) {
  if (!own.traffic || !own.traffic.length) return null;
  const was = (name) => old && (old.traffic || []).find((each) => each.tensor === name);
  const times = (value) => (value == null ? "–" : ratioText(value));
  return el("section", {}, el("h3", {}, "Traffic and reuse"), el("table", { class: "list" },
    el("thead", {}, el("tr", {}, ["tensor", "bytes moved", "of need", "parent", "reuse"].map((name, at) => el("th", { scope: "col", class: at ? "num" : null }, name)))),
    el("tbody", {}, own.traffic.map((each) => el("tr", {}, el("td", {}, visible(each.tensor)),
      [short(each.bytes_moved), times(each.reloads), times(was(each.tensor)?.reloads), each.reuse == null ? "–" : short(each.reuse)].map((text) => el("td", { class: "num" }, text)))))));
}

function costliest(own) {
  if (!own.lines || !own.lines.length) return null;
  return [el("h3", {}, "Costliest lines"), el("div", { class: "code", tabindex: "0", role: "region", "aria-label": "Costliest lines" }, el("table", { role: "presentation" }, el("tbody", {}, own.lines.map((line) => el("tr", {},
    el("td", { class: "ln" }, String(line.line)), el("td", { class: "ln" }, `${count(line.cycles)} ${own.latency.unit === "cycles" ? "cycles" : "ns"}`), el("td", {}, shortened(line.text)))))))];
}
