// Wiring: controls, keys, the address, and printing.

const PRINTED = 500;
let shown = [];
const current = () => (state.view === "table" ? table : grid);

function option(value, text) {
  return el("option", { value }, text);
}
function choices(select, all, counts, words, everything) {
  const pairs = [...counts].filter(([value]) => value !== "");
  if (state[select.id] && !counts.has(state[select.id])) pairs.push([state[select.id], 0]);
  pairs.sort((a, b) => collator.compare(words(a[0]), words(b[0])));
  select.replaceChildren(option("", everything), ...pairs.map(([v, n]) => option(v, `${words(v)} (${number.format(n)})`)));
  select.value = state[select.id];
  select.closest("label").hidden = all < 2 && !state[select.id];
}
const MENUS = {
  account: [(v) => v, data.byFolder ? "All folders" : "All accounts"],
  platform: [(v) => v, "All platforms"],
  language: [(v) => v, "All languages"],
  folder: [(v) => v, "All folders"],
  claim: [(v) => CLAIMS[v] || v, "Any statement"],
  format: [(v) => (v === "none" ? "unknown" : v), "All formats"],
  status: [(v) => data.statusWords[v] || v, "All statuses"],
  label: [labelWords, "Any label"],
};
const KINDS = Object.fromEntries(Object.keys(MENUS).map((kind) => [kind, new Set(rows.flatMap(OFFERS[kind])).size]));
if (data.byFolder) KINDS.account = 0; // the menu of folders says the same
KINDS.label = 2; // labels come while the page is open

function showCounts(counts) {
  for (const button of byId("verdicts").querySelectorAll("button")) {
    const verdict = button.dataset.verdict;
    button.setAttribute("aria-pressed", String(state.verdict.has(verdict)));
    button.querySelector(".n").textContent = number.format(counts.verdict.get(verdict) || 0);
  }
  for (const [kind, [words, everything]] of Object.entries(MENUS)) {
    choices(byId(kind), KINDS[kind], counts[kind], words, everything);
  }
  const all = shown.length === rows.length;
  const total = number.format(rows.length);
  byId("count").textContent = all ? `${total} ${rows.length === 1 ? "image" : "images"}` : `${number.format(shown.length)} of ${total} images`;
  byId("reset").hidden = all;
  showOnly();
  byId("nothing").hidden = shown.length > 0;
}

// A filter that a link set and no menu shows.
function showOnly() {
  const cluster = state.cluster && data.clusters[state.cluster];
  const words = state.cluster ? `only picture ${cluster ? cluster.n : state.cluster}`
    : state.trace !== "" ? "only images with one shared trace" : "";
  byId("only").textContent = words;
  byId("only").hidden = !words;
}

function update() {
  const { found, counts } = sift();
  shown = found;
  showCounts(counts);
  byId("sort").value = state.sort;
  for (const id of ["once", "conflict"]) byId(id).checked = Boolean(state[id]);
  if (byId("q").value !== state.q) byId("q").value = state.q;
  for (const button of byId("view").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset.view === state.view));
  }
  gridHost.hidden = state.view === "table";
  byId("table-frame").hidden = state.view !== "table";
  byId("table").setAttribute("aria-rowcount", String(shown.length + 1));
  markHeads();
  for (const view of [grid, table]) view.active = 0;
  grid.show(state.view === "grid" ? shown : []);
  table.show(state.view === "table" ? shown : []);
  const above = byId("browser").getBoundingClientRect().top;
  if (above < 0) window.scrollBy({ top: above, behavior: "instant" }); // a new list starts at its top
  current().render();
  writeAddress();
}

function follow() {
  if (!readAddress()) return;
  theme();
  update();
  const row = rows[Number(state.image) - 1];
  if (row) openDetails(row);
  else if (details.open) details.close();
}

function theme() {
  const root = document.documentElement;
  if (state.theme === "dark" || state.theme === "light") root.dataset.theme = state.theme;
  else delete root.dataset.theme;
  byId("theme").textContent = isDark() ? "Light page" : "Dark page";
}
const system = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (state.theme ? state.theme === "dark" : system.matches);

function setUp() {
  byId("verdicts").append(...VERDICTS.map((verdict) => {
    const button = el("button", { type: "button", class: verdict, "data-verdict": verdict },
      word(verdict), " ", el("span", { class: "n" }));
    button.addEventListener("click", () => {
      if (!state.verdict.delete(verdict)) state.verdict.add(verdict);
      update();
    });
    return button;
  }));
  byId("sort").append(...Object.entries(SORTS).map(([value, text]) => option(value, text)));
  byId("heads").append(...makeHeads(true));
  for (const id of ["sort", ...Object.keys(MENUS)]) {
    byId(id).addEventListener("change", (event) => ((state[id] = event.target.value), update()));
  }
  for (const id of ["once", "conflict"]) {
    byId(id).addEventListener("change", (event) => ((state[id] = event.target.checked ? "1" : ""), update()));
  }
  byId("once-label").hidden = !rows.some((row) => row.cluster);
  byId("conflict-label").hidden = !rows.some((row) => row.conflict);
  byId("save-labels").addEventListener("click", saveLabels);
  byId("forget-labels").addEventListener("click", forgetLabels);
  showLabels();
  byId("q").addEventListener("input", (event) => ((state.q = event.target.value), update()));
  byId("toolbar").addEventListener("submit", (event) => event.preventDefault());
  byId("view").addEventListener("click", (event) => {
    if (event.target.dataset.view) ((state.view = event.target.dataset.view), update());
  });
  byId("reset").addEventListener("click", () => {
    Object.assign(state, { ...DEFAULTS, view: state.view, sort: state.sort, theme: state.theme, verdict: new Set() });
    update();
    byId("q").focus();
  });
  byId("theme").hidden = false;
  byId("theme").addEventListener("click", () => ((state.theme = isDark() ? "light" : "dark"), theme(), writeAddress()));
  system.addEventListener("change", theme);
  setUpLegend();
  const toolbar = byId("toolbar");
  new ResizeObserver(() => { // the table's head stays below the toolbar
    document.documentElement.style.setProperty("--toolbar", `${toolbar.offsetHeight - 1}px`);
  }).observe(toolbar);
  setUpList(gridHost, grid);
  setUpList(byId("body"), table);
  setUpDetails();
}

function setUpLegend() {
  const text = has(data.threshold) ? `Score from ${LOW} to ${HIGH}, threshold ${signed(data.threshold)}` : `Score from ${LOW} to ${HIGH}`;
  byId("legend").append(text.replaceAll("-", "−"), scale(null, "", limits(null)));
}
function setUpList(host, view) {
  const at = (event) => event.target.closest("[data-index]");
  host.addEventListener("click", (event) => {
    const node = at(event);
    if (!node || String(getSelection())) return; // somebody is selecting text
    view.activate(Number(node.dataset.index), false);
    openDetails(view.items[Number(node.dataset.index)]);
  });
  host.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") openDetails(view.items[view.active]);
    else if (!view.key(event)) return;
    event.preventDefault();
  });
}
function setUpDetails() {
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("close").addEventListener("click", () => details.close());
  details.addEventListener("close", closed);
  details.addEventListener("click", (event) => event.target === details && details.close());
  details.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
}

// Printing lists what is shown, up to a number of pages that a printer survives.

function fillPrinted() {
  const some = shown.slice(0, PRINTED);
  const left = shown.length - some.length;
  const said = `${byId("count").textContent}, ${SORTS[state.sort].toLowerCase()}.` +
    (left ? ` The first ${number.format(PRINTED)} are printed; filter the list to print others.` : "");
  const body = state.view === "table"
    ? el("table", null, el("thead", null, el("tr", null, ...makeHeads(false))), el("tbody", null, ...some.map(makeRow)))
    : el("ul", { class: "grid" }, ...some.map(makeCard));
  for (const image of body.querySelectorAll("img")) image.decoding = "sync";
  byId("printed").replaceChildren(el("p", { class: "note" }, said), body);
}
async function print() {
  fillPrinted();
  const images = [...byId("printed").querySelectorAll("img")];
  await Promise.allSettled(images.map((image) => image.decode()));
  window.print();
}
// What is folded would not be printed, but raw fields and hash lists stay away.
let unfolded = [];
window.addEventListener("beforeprint", () => {
  if (!byId("printed").firstChild) fillPrinted();
  for (const place of document.querySelectorAll(".thumbs > .thumb[data-n]")) fillThumb(place);
  unfolded = [...document.querySelectorAll("main details.folded:not([open])")].filter((d) => !d.querySelector("#hashes, .card-text"));
  for (const node of unfolded) node.open = true;
});
window.addEventListener("afterprint", () => {
  byId("printed").replaceChildren();
  for (const node of unfolded) node.open = false;
});
byId("print").addEventListener("click", print);

// Start

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest && event.target.closest("input, select, textarea, dialog");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  byId("q").focus();
  byId("q").select();
});
for (const link of document.querySelectorAll(".contents a")) {
  link.addEventListener("click", (event) => { // keeps the address, which holds the view
    event.preventDefault();
    const target = document.querySelector(link.getAttribute("href"));
    target.scrollIntoView();
    target.focus({ preventScroll: true });
  });
}
for (const link of document.querySelectorAll(".to-images")) {
  link.addEventListener("click", (event) => { // a new view, that keeps how the page looks
    event.preventDefault();
    const wanted = new URLSearchParams(link.hash.slice(1));
    Object.assign(state, DEFAULTS, { view: state.view, sort: state.sort, theme: state.theme });
    for (const [key, value] of wanted) if (key in DEFAULTS) state[key] = value;
    state.verdict = new Set(wanted.get("verdict") ? [wanted.get("verdict")] : []);
    update();
    byId("images").scrollIntoView();
    byId("images").focus({ preventScroll: true });
  });
}

// Places for previews in the sections above the list are filled when they come near the screen.
function fillThumb(place) {
  const row = rows[Number(place.dataset.n) - 1];
  if (!row || place.firstChild) return;
  const button = thumb(row);
  place.replaceChildren(button);
}
function fillThumbs() {
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watcher.unobserve(entry.target);
      fillThumb(entry.target);
    }
  }, { rootMargin: "600px" });
  for (const place of document.querySelectorAll(".thumbs > .thumb[data-n]")) watcher.observe(place);
}
byId("hashes").closest("details").addEventListener("toggle", () => {
  if (byId("hashes").firstChild) return;
  byId("hashes").append(...rows.map((row) => el("li", null, el("code", null, row.sha || "no bytes were read"), " ", path(row.name || ""))));
});
let due = false;
const rerender = () => {
  if (due) return;
  due = true;
  requestAnimationFrame(() => ((due = false), current().render()));
};
window.addEventListener("scroll", rerender, { passive: true });
window.addEventListener("resize", () => (current().clear(), rerender()));
window.addEventListener("hashchange", follow);
document.addEventListener("DOMContentLoaded", () => {
  for (const node of document.querySelectorAll(".waiting")) {
    const row = rows[Number(node.dataset.n) - 1];
    node.replaceWith(picture(row, `Thumbnail of ${row.name}`));
  }
  fillThumbs();
  const row = rows[Number(state.image) - 1];
  if (row) openDetails(row);
});
setUp();
byId("browser").hidden = false;
const asked = [...new URLSearchParams(location.hash.slice(1)).keys()];
readAddress();
byId("more").open = Boolean(state.folder || state.format || state.status);
byId("more").hidden = !["folder", "format", "status"].some((kind) => KINDS[kind] > 1);
theme();
update();
// An address that names a view of the list leads there.
if (asked.some((key) => key === "verdict" || (key in DEFAULTS && key !== "theme" && key !== "image"))) {
  byId("images").scrollIntoView({ behavior: "instant" });
  current().render();
}
performance.mark("list-ready"); // read by benchmarks/report_speed.py
