// Everything but the candidates: the result, the steps to it, the menu, and how to make it again.

const fact = (name, value, more) => el("div", {}, el("dt", {}, name), el("dd", {}, value, more && el("small", {}, more)));

function drawHead() {
  const h = run.head, unit = h.unit || "";
  document.title = `${h.speedup ? `${ratioText(h.speedup)} ` : ""}${h.problem} · ${h.run_id}`;
  show("problem", visible(h.problem));
  const engine = h.engine ? `${h.engine}${h.engine_version ? ` ${h.engine_version}` : ""}` : "engine not known yet";
  const began = h.created ? new Date(1000 * h.created).toISOString().slice(0, 16).replace("T", " ") + " UTC" : null;
  show("about", visible(["run " + h.run_id, "model " + h.model, "engine " + engine, began].filter(Boolean).join("  ·  ")));
  const state = byId("state");
  if (state.textContent !== h.state) state.textContent = h.state;
  state.dataset.state = h.state;
  state.title = visible(h.stop_reason || "");
  const kind = h.source && el("span", { class: `tag ${h.source}` }, h.source);
  const of = h.utilisation == null ? null : el("span", { class: "meter", role: "presentation" }, el("i", { style: { width: `${100 * Math.min(1, h.utilisation)}%` } }));
  const spent = (h.tokens && Object.values(h.tokens).reduce((a, b) => a + b, 0)) || 0;
  const evaluations = h.evaluations || 0, duplicates = h.duplicates ? `, ${count(h.duplicates)} ${h.duplicates === 1 ? "duplicate" : "duplicates"}` : "";
  show("result",
    el("div", { class: h.speedup ? "speedup" : "speedup none" }, h.speedup ? ratioText(h.speedup) : "–",
      el("small", {}, h.speedup ? "faster than the first kernel" : "no faster kernel yet")),
    el("dl", { class: "facts" },
      fact(["latency ", kind], latencyText(h.best), h.baseline ? `${unit}, from ${latencyText(h.baseline)}` : unit),
      fact("utilisation", [percent(h.utilisation), of], h.baseline_utilisation == null ? "of the bound" : `of the bound, from ${percent(h.baseline_utilisation)}`),
      fact("evaluations", count(evaluations), `${count(h.passed || 0)} passed${duplicates}`),
      fact("model calls", count(h.model_calls || 0), spent ? `${short(spent)} tokens` : "no tokens"),
      fact("cost", h.cost_usd === null ? "–" : `${(h.cost_usd || 0).toFixed(2)}`, h.cost_usd === null ? "price not known" : "USD"),
      fact("time", duration(h.wall_s || 0), `iteration ${h.iteration || 0} of ${h.iterations || 0}`)),
    el("p", { class: "trust" }, trustText(h)));
}

function trustText(h) {
  const said = [];
  if (h.stop_reason) said.push(`Ended: ${h.stop_reason}.`);
  if (h.continues) said.push(`Continues run ${h.continues} from its best kernel.`);
  if (h.reused) said.push(`Began with the schedule of run ${h.reused}.`);
  for (const c of h.confirmations || []) {
    const figure = c.verdict === "passed" && c.latency != null ? `${latencyText(c.latency)} ${c.unit}` : verdictText(c.verdict);
    said.push(`${c.candidate} on ${c.engine}: ${figure}${c.best ? " (the best)" : ""}.`);
  }
  if (h.trust) said.push(h.trust);
  else if (h.source === "estimated") said.push("Latencies are estimates of a simulator, not measurements.");
  return visible(said.join(" "));
}

function drawPath() {
  const most = Math.max(0, ...run.steps.map((step) => step.latency || 0));
  show("path", run.steps.map((step) => el("li", {},
    el("button", { type: "button", title: shortened(textOf(run.rows.get(step.candidate)?.plan)).slice(0, 300), onclick: () => choose(step.candidate, true) },
      el("span", { class: "name" }, visible(step.option || "the first kernel")),
      el("span", { class: "num" }, latencyText(step.latency)),
      el("span", { class: "gain" }, step.gain ? ratioText(step.gain) : ""),
      el("span", { class: "bar" }, el("i", { style: { width: `${most && step.latency ? (100 * step.latency) / most : 0}%` } }))))));
  if (!run.steps.length) show("path", el("li", { class: "muted" }, "No kernel has passed yet."));
}

function drawMenu() {
  byId("menu").closest("section").hidden = !run.menu.length && document.documentElement.dataset.mode === "app";
  if (!run.menu.length) {
    show("menu", el("p", { class: "muted" }, "No option has been tried yet."));
    return;
  }
  const most = Math.max(...run.menu.map((use) => use.tried));
  const heads = [["option"], ["tried", 1], ["outcome"], ["passed", 1], ["faster", 1], ["typical gain", 1], ["best gain", 1], ["in the best", 1]];
  show("menu", el("table", { class: "list" },
    el("thead", {}, el("tr", {}, heads.map(([name, right]) => el("th", { scope: "col", class: right ? "num" : null }, name)))),
    el("tbody", {}, run.menu.map((use) => {
      const slower = use.passed - use.faster;
      const part = (kind, size) => size > 0 && el("i", { class: kind, style: { width: `${(100 * size) / most}%` } });
      const words = `${use.faster} faster, ${slower} passed without a gain, ${use.tried - use.passed} failed`;
      return el("tr", { class: use.on_path ? "onpath" : null },
        el("td", {}, visible(use.option)), el("td", { class: "num" }, count(use.tried)),
        el("td", {}, el("span", { class: "stack", role: "img", "aria-label": words, title: words }, part("faster", use.faster), part("slower", slower), part("failed", use.tried - use.passed))),
        [count(use.passed), count(use.faster), ratioText(use.typical), ratioText(use.best), use.on_path ? `${use.on_path}×` : "–"].map((text) => el("td", { class: "num" }, text)));
    }))), el("p", { class: "legend" }, "Of the tries: green became faster than the parent, grey passed without a gain, red failed. A green edge: part of the best kernel."));
}

function drawAgain() {
  const again = run.again;
  byId("again").closest("section").hidden = !again;
  if (!again) return;
  const pair = (name, ...value) => [el("dt", {}, name), el("dd", {}, value)];
  const copy = el("button", { type: "button", onclick: () => copyText(again.command, copy) }, "Copy");
  const set = (again.settings || []).map((setting) => `${setting.name} = ${setting.value}`);
  const changed = (again.settings || []).filter((setting) => setting.usual === false).map((setting) => `${setting.name} = ${setting.value}`);
  const needsFirst = again.command.includes("--source first");
  const wasOpen = byId("again").querySelector("details")?.open;
  show("again", el("dl", { class: "again" },
    pair("command", el("div", { class: "cmd" }, el("code", {}, visible(again.command)), copy),
      needsFirst && el("p", { class: "small" }, `first${run.suffix} is the kernel of candidate 0, which can be copied above.`)),
    pair("seeds", `search ${again.seed}; inputs ${(again.evaluation_seeds || []).join(", ") || "–"}`),
    pair("first kernel", el("code", {}, again.first_kernel)),
    pair("versions", Object.entries(again.versions || {}).map(([name, version]) => el("div", {}, visible(`${name} ${version}`)))),
    pair("settings", changed.length ? visible(changed.join(", ")) : "as the preset has them",
      el("details", { open: wasOpen }, el("summary", {}, "all settings"), el("p", { class: "mono" }, visible(set.join("  ·  ")))))));
}
