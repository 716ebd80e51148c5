// Updates of a live page: the server sends all of the run at first, and what is new from then on.

function listen(address) {
  const source = new EventSource(address);
  let first = true;
  source.addEventListener("open", () => { first = true; trouble(null); });
  source.addEventListener("snapshot", (event) => {
    if (first) forget();
    first = false;
    merge(JSON.parse(event.data));
    drawAll();
  });
  source.addEventListener("end", () => source.close());
  source.addEventListener("error", () => {
    trouble(source.readyState === EventSource.CLOSED ? "The server no longer sends updates; what is shown is the last of them." : "The connection was lost; trying again.");
  });
}

function trouble(words) {
  const place = byId("trouble");
  place.hidden = !words;
  place.textContent = words || "";
}
