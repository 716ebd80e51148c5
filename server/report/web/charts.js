// The chart of how the best came about.

const AXES = { n: "evaluations", calls: "model calls", usd: "USD", at_s: "seconds" };

function ticks(low, high, wanted) {
  const rough = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((size) => size >= rough);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) found.push(+at.toPrecision(10));
  return found;
}

// Against what there is nothing to see (no money was spent, no model asked) is not offered.
function offerAxes() {
  const last = run.rows.get(run.order[run.order.length - 1]);
  for (const option of byId("axis").options) option.disabled = option.value !== "n" && !(last && last[option.value] > 0);
}

function drawProgress() {
  const axis = byId("axis").value;
  const { baseline, best, utilisation, unit } = run.head;
  offerAxes();
  if (!run.best.length || !baseline) {
    show("progress", el("p", { class: "muted" }, "No kernel has passed its evaluation yet."));
    return;
  }
  const W = 860, H = 330, left = 52, right = 96, top = 18, bottom = 44;
  const rows = run.order.map((id) => run.rows.get(id));
  const xs = (row) => row[axis] ?? 0;
  const xMax = Math.max(1e-9, ...[rows[rows.length - 1]].map(xs));
  const bound = best && utilisation ? baseline / (best * utilisation) : null;
  const top1 = baseline / Math.min(...run.best.map((point) => point.latency));
  const yMax = bound && bound < 1.6 * top1 ? Math.max(bound, top1) * 1.04 : top1 * 1.12;
  const x = (value) => left + (value / xMax) * (W - left - right);
  const y = (value) => H - bottom - (value / yMax) * (H - top - bottom);
  const parts = [];
  for (const at of ticks(0, yMax, 5)) {
    parts.push(svg("line", { class: "grid", x1: left, x2: W - right, y1: y(at), y2: y(at) }));
    parts.push(svg("text", { x: left - 8, y: y(at) + 4, "text-anchor": "end" }, `${at}×`));
  }
  for (const at of ticks(0, xMax, 7)) parts.push(svg("text", { x: x(at), y: H - bottom + 26, "text-anchor": "middle" }, short(at)));
  parts.push(svg("text", { x: (left + W - right) / 2, y: H - 2, "text-anchor": "middle" }, AXES[axis]));
  if (bound && bound <= yMax) {
    parts.push(svg("line", { class: "bound", x1: left, x2: W - right, y1: y(bound), y2: y(bound) }));
    parts.push(svg("text", { class: "boundtext", x: W - right + 6, y: y(bound) - (y(top1) - y(bound) < 14 ? 4 : -4) }, `bound ${ratioText(bound)}`));
  }
  let dots = "", rug = "";
  for (const row of rows) {
    if (row.duplicate_of) continue;
    if (row.latency != null) dots += `M${x(xs(row)).toFixed(1)} ${y(baseline / row.latency).toFixed(1)}h0`;
    else rug += `M${x(xs(row)).toFixed(1)} ${H - bottom + 3}v7`;
  }
  parts.push(svg("path", { class: "dots", d: dots }), svg("path", { class: "rug", d: rug }));
  let line = "";
  for (const point of run.best) {
    const at = x(xs(point)).toFixed(1), up = y(baseline / point.latency).toFixed(1);
    line += line ? `H${at}V${up}` : `M${at} ${up}`;
  }
  line += `H${x(xMax).toFixed(1)}`;
  const first = x(xs(run.best[0])).toFixed(1);
  parts.push(svg("path", { class: "under", d: `${line}V${H - bottom}H${first}Z` }), svg("path", { class: "best", d: line }));
  for (const point of run.best) {
    parts.push(svg("circle", { class: point.candidate === selected ? "mark here" : "mark", r: 4.5, "data-id": point.candidate, cx: x(xs(point)), cy: y(baseline / point.latency), onclick: () => choose(point.candidate, true) }));
  }
  parts.push(svg("line", { class: "axis", x1: left, x2: W - right, y1: H - bottom, y2: H - bottom }));
  parts.push(svg("text", { class: "good", x: W - right + 6, y: y(top1) + 5 }, ratioText(top1)));
  const words = `Best speed-up against ${AXES[axis]}: from 1× to ${ratioText(top1)} in ${count(xMax)}, with ${run.best.length - 1} improvements.`;
  const chart = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": words }, parts);
  const tip = el("div", { class: "tip", hidden: true });
  const plot = el("div", { class: "plot" }, chart, tip);
  const near = (event) => {
    const box = chart.getBoundingClientRect(), scale = W / box.width;
    const px = (event.clientX - box.left) * scale, py = (event.clientY - box.top) * scale;
    let found = null, least = 24 ** 2;
    for (const row of rows) {
      if (row.latency == null || row.duplicate_of) continue;
      const far = (x(xs(row)) - px) ** 2 + (y(baseline / row.latency) - py) ** 2;
      if (far < least) [found, least] = [row, far];
    }
    return found && { row: found, box, scale };
  };
  plot.addEventListener("mousemove", (event) => {
    const found = near(event);
    tip.hidden = !found;
    if (!found) return;
    const { row, scale } = found;
    tip.textContent = `${row.id}: ${latencyText(row.latency)} ${unit}, ${ratioText(baseline / row.latency)} · ${shortened(row.option || "the first kernel")}`;
    const at = x(xs(row)) / scale;
    Object.assign(tip.style, { left: `${Math.max(0, Math.min(at + 10, plot.clientWidth - tip.offsetWidth))}px`, top: `${y(baseline / row.latency) / scale + 12}px` });
  });
  plot.addEventListener("mouseleave", () => { tip.hidden = true; });
  plot.addEventListener("click", (event) => { const found = near(event); if (found) choose(found.row.id, true); });
  const legend = el("p", { class: "legend" },
    el("span", {}, el("i"), "best so far"), el("span", {}, el("i", { class: "dot" }), "a kernel that passed"),
    rug && el("span", {}, el("i", { class: "tick" }), "one that failed"),
    bound && bound <= yMax && el("span", {}, el("i", { class: "dash" }), "the bound (roofline)"));
  show("progress", plot, legend, progressTable(baseline, unit));
}

// The chart of a long search is costly to draw: choosing another kernel moves the mark only.
function markProgress() {
  for (const mark of byId("progress").querySelectorAll(".mark")) mark.classList.toggle("here", mark.dataset.id === selected);
}

function progressTable(baseline, unit) {
  const wasOpen = byId("progress").querySelector("details")?.open;
  const head = ["candidate", "evaluations", "model calls", "USD", "seconds", unit, "speed-up"];
  return el("details", { open: wasOpen }, el("summary", {}, "The improvements as a table"),
    el("table", { class: "list" },
      el("thead", {}, el("tr", {}, head.map((name, at) => el("th", { class: at ? "num" : null, scope: "col" }, name)))),
      el("tbody", {}, run.best.map((point) => el("tr", {},
        el("td", {}, el("button", { type: "button", onclick: () => choose(point.candidate, true) }, point.candidate)),
        [count(point.n), count(point.calls ?? 0), point.usd === null ? "–" : (point.usd ?? 0).toFixed(2), (point.at_s ?? 0).toFixed(1), latencyText(point.latency), ratioText(baseline / point.latency)]
          .map((text) => el("td", { class: "num" }, text)))))));
}
