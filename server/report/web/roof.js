// Where the profiled kernels stand under the machine's limits: peaks of its units, rates of its memories.

function drawRoof() {
  const { work = "MACs", time = "cycle" } = run.roof;
  const listed = (rates) => Object.entries(rates || {}).filter(([, rate]) => rate > 0).map(([name, rate]) => ({ name, rate }));
  const peaks = listed(run.roof.peaks), paths = listed(run.roof.memories);
  const found = new Map();
  for (const id of run.order) {
    const row = run.rows.get(id), profile = !row.duplicate_of && profileOf(row);
    if (profile && profile.roofline && profile.roofline.achieved > 0 && profile.roofline.intensity > 0) found.set(id, profile.roofline);
  }
  const none = !peaks.length || !paths.length || !found.size;
  byId("roof-card").hidden = none;
  byId("roof-card").parentElement.classList.toggle("alone", none);
  if (none) return;
  const W = 520, H = 350, left = 58, right = 16, top = 22, bottom = 44, log = Math.log2;
  const all = [...found.values()], peak = Math.max(...peaks.map((each) => each.rate)), main = paths[0];
  const best = found.get(run.head.best_candidate);
  const elsewhere = Object.entries((best && best.intensities) || {}).filter(([name, intensity]) => name !== main.name && intensity > 0).map(([name, intensity]) => ({ name, intensity }));
  const xs = [peak / main.rate, ...all.map((line) => line.intensity), ...elsewhere.map((each) => each.intensity)];
  const low = Math.floor(log(Math.min(...xs) / 2)), high = Math.ceil(log(Math.max(...xs) * 2));
  const yLow = Math.floor(log(Math.min(...all.map((line) => line.achieved)) / 1.5)), yHigh = log(peak * 1.5);
  const x = (value) => left + ((log(value) - low) / (high - low)) * (W - left - right);
  const y = (value) => H - bottom - ((log(value) - yLow) / (yHigh - yLow)) * (H - top - bottom);
  const parts = [];
  for (let at = low, every = Math.ceil((high - low) / 7); at <= high; at += every) {
    parts.push(svg("line", { class: "grid", x1: x(2 ** at), x2: x(2 ** at), y1: top, y2: H - bottom }));
    parts.push(svg("text", { x: x(2 ** at), y: H - bottom + 18, "text-anchor": "middle" }, short(2 ** at)));
  }
  for (let at = yLow, every = Math.ceil((yHigh - yLow) / 6); at <= yHigh; at += every) {
    parts.push(svg("line", { class: "grid", x1: left, x2: W - right, y1: y(2 ** at), y2: y(2 ** at) }));
    parts.push(svg("text", { x: left - 8, y: y(2 ** at) + 4, "text-anchor": "end" }, short(2 ** at)));
  }
  const rate = work === "flops" && time === "ns" ? "GFLOP/s" : `${work} per ${time}`;
  parts.push(svg("text", { x: (left + W - right) / 2, y: H - 4, "text-anchor": "middle" }, visible(`${work} per byte moved (${main.name})`)));
  parts.push(svg("text", { x: 4, y: top - 9 }, rate));
  parts.push(...limits(peaks, paths, peak, { x, y, low, high, yLow, W, right, time }));
  let trail = "";
  for (const step of run.steps) {
    const at = found.get(step.candidate);
    if (at) trail += `${trail ? "L" : "M"}${x(at.intensity).toFixed(1)} ${y(at.achieved).toFixed(1)}`;
  }
  parts.push(svg("path", { class: "trail", d: trail }));
  for (const [id, at] of found) {
    const kind = id === run.head.best_candidate ? " top" : run.path.has(id) ? " lineage" : "";
    const point = svg("circle", { class: `point${kind}`, r: kind === " top" ? 6 : 4.5, cx: x(at.intensity), cy: y(at.achieved), onclick: () => choose(id, true) });
    point.append(svg("title", {}, `${id}: ${short(at.achieved)} ${rate} at ${short(at.intensity)} ${work} per byte`));
    parts.push(point);
  }
  for (const each of elsewhere) {
    const ring = svg("circle", { class: "ring", r: 5, cx: x(each.intensity), cy: y(best.achieved) });
    ring.append(svg("title", {}, visible(`the best kernel against ${each.name}: ${short(each.intensity)} ${work} per byte`)));
    parts.push(ring);
  }
  const last = best || all[all.length - 1];
  const words = `Roofline: ${found.size} profiled ${found.size === 1 ? "kernel" : "kernels"}; the latest on the way to the best reaches ${short(last.achieved)} of ${short(peak)} ${rate}, limited by ${last.bound}.`;
  show("roof", svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": visible(words) }, parts),
    el("p", { class: "small" }, visible(`${found.size === 1 ? "One kernel was" : `${found.size} kernels were`} profiled; the line joins those on the best one's path.`
      + (elsewhere.length ? ` Rings: the best kernel against ${elsewhere.map((each) => each.name).join(", ")}, where it moves other amounts.` : "")
      + ` What moved allows ${best ? "the best one" : "the latest of them"} ${short(last.attainable)} ${rate} (${last.bound}).`)));
}

// A peak is level from where the fastest memory could feed it; a memory's line rises to the highest peak.
function limits(peaks, paths, peak, { x, y, low, high, yLow, W, right, time }) {
  const parts = [], fastest = Math.max(...paths.map((each) => each.rate));
  for (const each of peaks) {
    const start = Math.max(2 ** low, each.rate / fastest), strong = each.rate === peak;
    if (start < 2 ** high) parts.push(svg("path", { class: strong ? "roofline" : "roofline dram", d: `M${x(start).toFixed(1)} ${y(each.rate).toFixed(1)}H${W - right}` }));
    parts.push(svg("text", { class: strong ? "strong" : null, x: W - right, y: y(each.rate) - 7, "text-anchor": "end" }, visible(`${each.name} ${short(each.rate)}`)));
  }
  paths.forEach((each, number) => {
    const start = Math.max(2 ** low, (2 ** yLow) / each.rate), end = Math.min(peak / each.rate, 2 ** high);
    if (start >= end) return;
    parts.push(svg("path", { class: number ? "roofline dram" : "roofline", d: `M${x(start).toFixed(1)} ${y(start * each.rate).toFixed(1)}L${x(end).toFixed(1)} ${y(end * each.rate).toFixed(1)}` }));
    const slope = (Math.atan2(y(end * each.rate) - y(start * each.rate), x(end) - x(start)) * 180) / Math.PI;
    const at = 2 ** (Math.log2(start) + (Math.log2(end) - Math.log2(start)) * 0.5), px = x(at), py = y(at * each.rate) - 7;
    parts.push(svg("text", { class: number ? null : "strong", x: px, y: py, "text-anchor": "middle", transform: `rotate(${slope.toFixed(1)} ${px.toFixed(1)} ${py.toFixed(1)})` },
      visible(`${each.name} ${short(each.rate)} bytes per ${time}`)));
  });
  return parts;
}
