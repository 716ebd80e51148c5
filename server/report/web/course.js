// The course of a call: units and memories over time, its launches, beside the parent's on one time axis.

const COURSE = { W: 420, H: 46 };

function curve(values, interval, length, top) {
  const { W, H } = COURSE;
  return values.map((value, at) => `${at ? "L" : "M"}${(((at + 0.5) * interval / length) * W).toFixed(1)} ${(H - (value / top) * (H - 4)).toFixed(1)}`).join("");
}

// `now`, `before`: {values, interval}; both as far as their calls last.
function overTime(words, length, top, now, before) {
  const { W, H } = COURSE, n = now.values.length, line = curve(now.values, now.interval, length, top);
  const x = (at) => ((at * now.interval / length) * W).toFixed(1);
  return svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": visible(words), preserveAspectRatio: "none" },
    n && svg("path", { class: "area", d: `${line}L${x(n - 0.5)} ${H}L${x(0.5)} ${H}Z` }), svg("path", { class: "arealine", d: line }),
    before && svg("path", { class: "oldline", d: curve(before.values, before.interval, length, top) }),
    svg("line", { class: "axis", x1: 0, x2: W, y1: H - 0.5, y2: H - 0.5 }));
}

const longer = (own, old) => Math.max(own.latency.value, old ? old.latency.value : 0, 1);

function axisNote(own, old) {
  return el("p", { class: "small ends" }, el("span", {}, "0"), el("span", {}, `${latencyText(longer(own, old))} ${own.latency.unit}`));
}

// A digit is a tenth of an interval, A all of it.
const shares = (busy) => [...busy].map((digit) => 100 * Math.min(1, (parseInt(digit, 16) || 0) / 10));

function unitsOverTime(own, old) {
  if (!own.activity || !own.activity.length) return null;
  const length = longer(own, old);
  return el("section", {}, el("h3", {}, "Units over time"), own.activity.map((unit) => {
    const before = old && (old.activity || []).find((other) => other.unit === unit.unit);
    const busy = shares(unit.busy);
    const thirds = [0, 1, 2].map((part) => {
      const some = busy.slice(Math.floor(part * busy.length / 3), Math.ceil((part + 1) * busy.length / 3));
      return Math.round(some.reduce((a, b) => a + b, 0) / Math.max(1, some.length));
    });
    const words = `${unit.unit} over time: busy ${thirds[0]} % in the first third of the call, ${thirds[1]} % in the second, ${thirds[2]} % in the last`;
    return el("figure", { class: "lane" }, el("p", { class: "small" }, visible(unit.unit)),
      overTime(words, length, 100, { values: busy, interval: unit.interval }, before && { values: shares(before.busy), interval: before.interval }));
  }), axisNote(own, old));
}

function memories(own, old) {
  if (!own.occupancy || !own.occupancy.length) return null;
  const length = longer(own, old);
  return el("section", {}, el("h3", {}, "Memory in use over the call"), own.occupancy.map((memory) => {
    const before = old && (old.occupancy || []).find((other) => other.memory === memory.memory);
    const most = Math.max(memory.peak, before ? before.peak : 0, 1), full = memory.capacity;
    const words = `${memory.memory}: at most ${count(memory.peak)} of ${count(full)} ${memory.unit === undefined ? "rows live" : memory.unit}`;
    return el("figure", {}, el("p", { class: "small" }, visible(`${words}${before ? `, the parent ${count(before.peak)}` : ""}`)),
      overTime(words, length, most > 0.5 * full ? full : most * 1.15, { values: memory.live || [], interval: memory.interval }, before && { values: before.live || [], interval: before.interval }));
  }), axisNote(own, old));
}

// A GPU's call is a row of launches; an engine that has none tells none.
function launches(own, old) {
  if (!own.spans || !own.spans.length) return null;
  const length = longer(own, old), total = own.latency.value || 1;
  const place = (span) => ({ left: `${(100 * span.start) / length}%`, width: `${Math.max(0.4, (100 * span.duration) / length)}%` });
  const strip = (spans, kind) => el("div", { class: `strip ${kind}`, role: "presentation" }, spans.map((span) => el("i", { class: span.name === "launch" ? "wait" : null, style: place(span) })));
  const known = own.counters && own.counters.launches, left = known == null ? 0 : known - own.spans.filter((span) => span.name !== "launch").length;
  return el("section", {}, el("h3", {}, "Launches over the call"), strip(own.spans, "now"), old && old.spans && old.spans.length > 0 && strip(old.spans, "old"), axisNote(own, old),
    el("table", { class: "list" }, el("thead", {}, el("tr", {}, ["launch", "from", own.latency.unit, "of the call"].map((name, at) => el("th", { scope: "col", class: at ? "num" : null }, name)))),
      el("tbody", {}, own.spans.map((span) => el("tr", {}, el("td", { class: "clip" }, span.name === "launch" ? "(launch overhead)" : shortened(span.name)),
        [latencyText(span.start), latencyText(span.duration), percent(span.duration / total)].map((text) => el("td", { class: "num" }, text)))))),
    left > 0 && el("p", { class: "small" }, `and ${count(left)} more kernels`));
}

// Everything that was counted, beside the parent's; what no engine could tell is a dash, never 0.
function counted(own, old) {
  const sheet = (now, before) => [...new Set([...Object.keys(now || {}), ...Object.keys(before || {})])].sort().map((name) => [name, (now || {})[name], (before || {})[name]]);
  const rows = [...sheet(own.counters, old && old.counters), ...sheet(own.commands, old && old.commands).map(([name, a, b]) => [`commands: ${name}`, a, b])];
  if (!rows.length) return null;
  const figure = (value) => (value == null ? "–" : count(value));
  const heads = ["counter", "this kernel", old && "its parent"].filter(Boolean);
  return el("details", { class: "counters" }, el("summary", {}, `All ${rows.length} counters`), el("table", { class: "list" },
    el("thead", {}, el("tr", {}, heads.map((name, at) => el("th", { scope: "col", class: at ? "num" : null }, name)))),
    el("tbody", {}, rows.map(([name, a, b]) => el("tr", {}, el("td", {}, visible(name.replaceAll("_", " "))), el("td", { class: "num" }, figure(a)), old && el("td", { class: "num" }, figure(b)))))));
}
