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
const distinct = (pick) => new Set(rows.map(pick)).size;
const KINDS = { folder: distinct((r) => r.folder), format: distinct((r) => r.format), status: distinct((r) => r.status) };

function showCounts(counts) {
  for (const button of byId("verdicts").querySelectorAll("button")) {
    const verdict = button.dataset.verdict;
    button.setAttribute("aria-pressed", String(state.verdict.has(verdict)));
    button.querySelector(".n").textContent = number.format(counts.verdict.get(verdict) || 0);
  }
  choices(byId("folder"), KINDS.folder, counts.folder, (v) => v, "All folders");
  choices(byId("format"), KINDS.format, counts.format, (v) => (v === "none" ? "unknown" : v), "All formats");
  choices(byId("status"), KINDS.status, counts.status, (v) => data.statusWords[v] || v, "All statuses");
  const all = shown.length === rows.length;
  const total = number.format(rows.length);
  byId("count").textContent = all ? `${total} ${rows.length === 1 ? "image" : "images"}` : `${number.format(shown.length)} of ${total} images`;
  byId("reset").hidden = all;
  byId("nothing").hidden = shown.length > 0;
}

function update() {
  const { found, counts } = sift();
  shown = found;
  showCounts(counts);
  byId("sort").value = state.sort;
  byId("once").checked = Boolean(state.once);
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
  for (const id of ["sort", "folder", "format", "status"]) {
    byId(id).addEventListener("change", (event) => ((state[id] = event.target.value), update()));
  }
  byId("once").addEventListener("change", (event) => ((state.once = event.target.checked ? "1" : ""), update()));
  byId("once-label").hidden = !rows.some((row) => row.copies);
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
window.addEventListener("beforeprint", () => byId("printed").firstChild || fillPrinted());
window.addEventListener("afterprint", () => byId("printed").replaceChildren());
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
for (const link of document.querySelectorAll(".tiles a")) {
  link.addEventListener("click", () => byId("images").scrollIntoView());
}
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
  const row = rows[Number(state.image) - 1];
  if (row) openDetails(row);
});
setUp();
byId("browser").hidden = false;
const wide = matchMedia("(min-width: 60rem)"); // as in the style sheet
const unfold = () => (byId("more").open = wide.matches);
wide.addEventListener("change", unfold);
unfold();
readAddress();
theme();
update();
