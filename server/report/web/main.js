function drawAll() {
  if (!run.head) return;
  drawHead();
  ifNew("path", run.steps, drawPath);
  ifNew("menu", run.menu, drawMenu);
  ifNew("roof", [run.roof, run.steps, Object.keys(run.profiles)], drawRoof);
  ifNew("again", run.again, drawAgain);
  openNew();
  if (!byHand || !run.rows.has(selected)) selected = active = run.head.best_candidate ?? run.order[0] ?? null;
  layTree();
  ifNew("progress", [run.best, run.order.length, run.head.best, run.head.baseline], drawProgress);
  const row = run.rows.get(selected), profiled = [row, row && run.rows.get(row.parent)].map((each) => Boolean(each && profileOf(each)));
  ifNew("detail", [row, profiled, run.head.best_candidate], drawDetail);
  markProgress();
}

// What is as it was stays in the document, and with it the focus and whatever somebody is reading.
const drawn = {};
function ifNew(name, about, draw) {
  const now = JSON.stringify(about ?? null);
  if (drawn[name] === now) return;
  drawn[name] = now;
  draw();
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
  document.body.dataset.mode = mode;
  const given = byId("snapshot");
  if (given.type === "application/json") begin(given.textContent);
  else unpacked(given.textContent).then(begin, () => trouble("This browser cannot unpack the page's data: a newer one can."));
  if (mode === "live") listen(events);
  if (mode === "app") liveInHost();
}

function begin(json) {
  const data = JSON.parse(json);
  byId("snapshot").textContent = "";  // megabytes that nobody reads again
  if (data) merge(data);
  drawAll();
  if (run.steps.length) scrollTo(selected);
}

start();
