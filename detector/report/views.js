// The grid and the table.

const toScore = (row) => (has(row.score) ? signed(row.score) : "–");
const judged = (row) =>
  row.status === "ok" ? `${data.verdictWords[row.verdict]}, score ${toScore(row)}`
  : `${data.verdictWords.not_scored}: ${data.statusWords[row.status]}`;
const spoken = (row) => `Image ${row.n}, ${row.name}. ${judged(row)}.`;
const placed = (index, total) => ({ "aria-posinset": index + 1, "aria-setsize": total });

function chip(row) {
  const parts = [];
  if (row.picture) parts.push(`picture ${row.picture}`);
  if (row.places) parts.push(`${row.places.length} files`);
  return parts.length ? el("span", { class: "chip" }, parts.join(", ")) : null;
}
const CLAIMS = {
  generated: "says generated", edited_with_ai: "says edited with AI", composite: "says composite",
  captured: "says camera", human_made: "says made by a person", none: "no statement",
};
const claimed = (row) => [row.conflict ? "contradiction" : null, ...row.claims.map((claim) => CLAIMS[claim])];

// Parts in a row, each isolated so that a right-to-left name does not turn its neighbours round.
const dotted = (parts) =>
  parts.filter(Boolean).flatMap((part, index) => [index ? " · " : null, path(part)]);

function makeCard(row, index, total) {
  const facts = row.status === "ok" ? [row.format, pixels(row)] : [data.statusWords[row.status]];
  const card = el("div", { class: "card" },
    el("div", { class: "frame" }, picture(row, `Thumbnail of ${row.name}`), chip(row), tag(row)),
    el("div", { class: "text" },
      el("div", { class: "judged" }, word(row.verdict), has(row.score) ? el("span", null, toScore(row)) : null),
      row.status === "ok" ? scale(row.score, row.verdict, limits(row)) : null,
      el("div", { class: "name" }, path(row.name)),
      el("div", { class: "about" }, ...dotted([...claimed(row), ...facts, ...(row.accounts.length ? row.accounts.slice(0, 3) : [row.folder])]))));
  card.title = row.folder ? `${row.folder}/${row.name}` : row.name || "";
  return el("li", { "aria-label": spoken(row), ...placed(index, total) }, card);
}

const COLUMNS = [
  ["preview", "Preview", null], ["name", "Name", "name"], ["verdict", "Verdict", null], ["score", "Score", "-score"],
  ["probability", "Probability", "-probability"], ["spread", "Spread", "-spread"], ["stratum", "Kind of file", null],
  ["format", "Format", null], ["pixels", "Pixels", "-pixels"], ["bytes", "Size", "-bytes"], ["quality", "Quality", null],
];
function cells(row) {
  return {
    preview: el("div", { class: "frame small" }, picture(row, `Thumbnail of ${row.name}`)),
    name: el("div", null, el("div", { class: "clamp" }, path(row.name)),
      el("div", { class: "folder clamp" }, ...aside(row))),
    verdict: word(row.verdict),
    score: el("div", { class: "score" },
      row.status === "ok" ? scale(row.score, row.verdict, limits(row)) : null,
      row.status === "ok" ? el("span", null, toScore(row)) : el("span", { class: "folder" }, data.statusWords[row.status]),
      el("div", { class: "narrow" }, word(row.verdict))), // stands in for the verdict's column
    probability: row.percent ?? "–",
    spread: has(row.spread) ? row.spread.toFixed(2) : "–",
    stratum: row.stratum || "–",
    format: row.format || "–",
    pixels: pixels(row),
    bytes: size(row.bytes),
    quality: quality(row),
  };
}
function aside(row) {
  const picture = row.picture ? `picture ${row.picture}` : "";
  const label = given(row).label ? `your label: ${labelWords(given(row).label).toLowerCase()}` : "";
  const where = row.accounts.length ? row.accounts.slice(0, 3) : [row.folder];
  return dotted([...where, picture, label, ...claimed(row), ...row.notes]);
}
function makeRow(row, index) {
  const made = cells(row);
  const attributes = { class: "row", "aria-rowindex": index + 2, "aria-label": spoken(row) };
  return el("tr", attributes, ...COLUMNS.map(([name]) => el("td", { class: `col-${name}` }, made[name])));
}
function makeHeads(sortable) {
  return COLUMNS.map(([name, title, sort]) => {
    const cell = el("th", { scope: "col", class: `col-${name}` });
    if (sort && sortable) {
      const button = el("button", { type: "button" }, title);
      button.addEventListener("click", () => sortBy(sort));
      cell.append(button);
    } else if (name === "preview") {
      cell.append(el("span", { class: "label" }, title));
    } else {
      cell.append(title);
    }
    cell.dataset.sort = sort ? sort.replace(/^-/, "") : "";
    return cell;
  });
}
function sortBy(sort) {
  const turned = sort.startsWith("-") ? sort.slice(1) : "-" + sort;
  state.sort = state.sort === sort ? turned : sort;
  update();
}
function markHeads() {
  for (const cell of byId("heads").children) {
    const on = cell.dataset.sort && state.sort.replace(/^-/, "") === cell.dataset.sort;
    if (on) cell.setAttribute("aria-sort", state.sort.startsWith("-") ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
  }
}

const gridHost = byId("grid");
const grid = new WindowedList({
  host: gridHost,
  make: makeCard,
  reserve: (above, below) => {
    gridHost.style.paddingTop = `${above}px`;
    gridHost.style.paddingBottom = `${below}px`;
  },
  measure: () => {
    const style = getComputedStyle(gridHost);
    const height = parseFloat(style.gridAutoRows) + parseFloat(style.rowGap);
    return { columns: style.gridTemplateColumns.split(" ").length, height };
  },
});

const spacer = (id) => byId(id).appendChild(el("tr", null, el("td", null))).firstChild;
const [spaceAbove, spaceBelow] = [spacer("above"), spacer("below")];
const table = new WindowedList({
  host: byId("body"),
  make: makeRow,
  reserve: (above, below) => {
    spaceAbove.style.height = `${above}px`;
    spaceBelow.style.height = `${below}px`;
  },
  measure: () => {
    const root = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const rem = parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row-height"));
    return { columns: 1, height: rem * root };
  },
});
table.edge = () => byId("above");
Object.defineProperty(table, "hidden", { get: () => byId("table-frame").hidden || byId("browser").hidden });
