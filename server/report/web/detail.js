// The selected candidate: what was planned, what changed, what the judge said, where its time goes.

function drawDetail() {
  const row = run.rows.get(selected), where = byId("detail");
  if (!row) {
    show(where, el("p", { class: "muted" }, "Choose a candidate."));
    return;
  }
  const scrolled = where.dataset.id === row.id ? where.scrollTop : 0;
  where.dataset.id = row.id;
  const unit = run.head.unit || "", bad = failed(row), message = textOf(row.message);
  const figure = (name, value) => el("div", {}, el("span", {}, name), value);
  const link = (id) => el("button", { type: "button", onclick: () => choose(id, true) }, id);
  const model = [row.planner && `planned by ${row.planner}`, row.coder && `written by ${row.coder}`].filter(Boolean).join(", ");
  show(where,
    el("p", { class: "title" }, el("strong", {}, row.id), el("span", { class: `v-${row.verdict}` }, `${GLYPHS[row.verdict] || "?"} ${verdictText(row.verdict)}`),
      row.id === run.head.best_candidate && el("span", { class: "tag measured" }, "★ the best"),
      el("span", { class: "opt" }, shortened(row.option || "the first kernel")), row.variant && el("span", { class: "small" }, `ready-made: ${shortened(row.variant)}`)),
    el("div", { class: "figures" },
      row.latency != null && figure("latency", `${latencyText(row.latency)} ${unit}`),
      row.ratio != null && figure("against its parent", ratioText(row.ratio)),
      row.latency != null && run.head.baseline && figure("against the first", ratioText(run.head.baseline / row.latency)),
      row.utilisation != null && figure("utilisation", percent(row.utilisation)),
      row.parent != null && figure("parent", link(row.parent)),
      row.duplicate_of && figure("same kernel as", link(row.duplicate_of))),
    (row.plan != null || model) && [el("h3", {}, row.bottleneck ? `Plan, against ${visible(row.bottleneck.replaceAll("_", " "))}` : "Plan"),
      el("p", { class: "plan" }, visible(textOf(row.plan))), model && el("p", { class: "small" }, visible(model))],
    message && bad && [el("h3", {}, "What the judge said"), el("pre", { class: "said bad", tabindex: "0" }, visible(message))],
    drawDiff(row),
    message && !bad && [el("h3", {}, "What the judge said"), el("pre", { class: "said", tabindex: "0" }, visible(message))],
    drawProfile(row));
  where.scrollTop = scrolled;
}
