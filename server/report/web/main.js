function drawAll() {
  if (!run.head) return;
  drawHead();
  drawPath();
  drawMenu();
  drawRoof();
  drawAgain();
  openNew();
  if (!byHand || !run.rows.has(selected)) selected = active = run.head.best_candidate ?? run.order[0] ?? null;
  layTree();
  drawProgress();
  drawDetail();
}

function start() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  byId("theme").addEventListener("click", () => {
    const now = document.documentElement.dataset.theme || (dark.matches ? "dark" : "light");
    document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
  });
  byId("print").addEventListener("click", () => window.print());
  byId("axis").addEventListener("change", drawProgress);
  listenToTree();
  const { mode, events } = document.documentElement.dataset;
  const given = byId("snapshot").textContent;
  if (given.trim() !== "null") merge(JSON.parse(given));
  document.body.dataset.mode = mode;
  drawAll();
  if (run.steps.length) scrollTo(selected);
  if (mode === "live") listen(events);
  if (mode === "app") liveInHost();
}

start();
