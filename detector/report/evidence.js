// What one image's file says of its origin, and who posted it. Read only when a sheet opens.

const opened = new Map();
function detailsOf(row) {
  const number = Math.floor((row.n - 1) / data.imagesPerBlock);
  if (!opened.has(number)) {
    const node = byId(`details-${number}`);
    if (!node) return null; // the parser has not come so far
    opened.set(number, node.textContent.split("\n"));
  }
  return JSON.parse(opened.get(number)[(row.n - 1) % data.imagesPerBlock]);
}

function contradictions(more) {
  if (!more.conflicts.length) return null;
  return block("Contradictions", el("ul", { class: "conflicts" }, ...more.conflicts.map((text) => el("li", null, text))));
}

function evidence(more) {
  const found = Object.entries(data.evidenceGroups)
    .map(([group, title]) => [title, more.evidence.filter((e) => e.group === group)])
    .filter(([, list]) => list.length);
  const method = el("a", { href: "#how-evidence", class: "how" }, "How far such statements go");
  method.addEventListener("click", leave);
  if (!found.length) {
    return block("What the file says of its origin",
      el("p", null, "Nothing was found. That says nothing about the image. ", method));
  }
  return block("What the file says of its origin",
    ...found.map(([title, list]) => el("section", { class: "channel" }, el("h4", null, title), ...list.map(piece))),
    el("p", null, method));
}
function piece(e) {
  const claim = e.claim ? `Says: ${e.claim}` : "Makes no claim";
  return el("div", { class: `piece ${e.trust}` },
    el("p", { class: "said" }, el("strong", null, e.kind), " ", el("span", { class: "trust" }, e.trustName)),
    el("p", null, claim, e.issuer ? ", by " : "", e.issuer ? path(e.issuer) : null, ". ", sentence(e.trustWords)),
    e.caveat ? el("p", { class: "caveat" }, e.caveat) : null,
    e.raw.length ? el("details", { class: "raw" }, el("summary", null, `Fields (${e.raw.length})`),
      el("dl", { class: "facts" }, ...e.raw.flatMap(([name, text]) => [el("dt", null, path(name)), el("dd", null, el("code", null, path(text)))]))) : null);
}
const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

function postings(more) {
  const posts = more.posts.filter((post) => post.line);
  if (!posts.length) return null;
  const shownPosts = posts.slice(0, 50);
  return block(`Posts (${number.format(posts.length)})`, ...shownPosts.map((post) => el("div", { class: "post" },
    el("p", null, ...dotted([post.who || "no account", post.platform, post.language, post.when]),
      el("span", { class: "folder" }, ` line ${post.line}`)),
    post.text ? el("p", { class: "said" }, path(post.text)) : null,
    post.url ? el("p", null, el("code", null, path(post.url))) : null,
    post.extra.length ? el("details", { class: "raw" }, el("summary", null, "Other columns"),
      list(post.extra.map(([name, value]) => [name, path(value)]))) : null)),
  posts.length > 50 ? el("p", { class: "note" }, "The first 50 are shown.") : null);
}

// Heatmaps are laid over the preview on request.
function heatmap(row) {
  if (!has(row.heat)) return null;
  const node = byId(`heatmap-${row.heat}`);
  return node ? JSON.parse(node.textContent) : null;
}
function heatmapPart(row, frame) {
  const heat = heatmap(row);
  if (!heat) return null;
  const image = el("img", { class: "heat", src: `data:image/webp;base64,${heat.webp}`, alt: heatWords(heat) });
  const button = el("button", { type: "button", "aria-pressed": "false" }, "Show heatmap");
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    button.textContent = on ? "Hide heatmap" : "Show heatmap";
    if (on) frame.append(image);
    else image.remove();
  });
  const method = el("a", { href: "#how-heatmap", class: "how" }, "How it was measured");
  method.addEventListener("click", leave);
  return el("div", { class: "heatmap" }, button, el("p", { class: "note" }, heatWords(heat), " ", method));
}
function heatWords(heat) {
  const range = has(heat.low) ? `Likelihood ratios of its parts, in natural logarithms: ${signed(heat.low)} to ${signed(heat.high)}. ` : "";
  const blank = heat.blank > 0 ? `${Math.max(1, Math.round(heat.blank * 100))} % of it is hatched: nothing to see there. ` : "";
  return `Orange speaks for generated, blue against it, grey for neither. ${range}${blank}` +
    `The colours end at ${signed(heat.scale[0])} and ${signed(heat.scale[1])} on every image. ${heat.notes.join(" ")}`;
}

// The score after the image was treated as platforms and people treat images.
function stability(more) {
  const found = more.stability;
  if (!found) return null;
  const lines = found.rows.map(([treatment, score, verdict]) => el("tr", null, el("td", null, treatment),
    el("td", null, signed(score)), el("td", null, verdict ? word(verdict) : "–")));
  return block("Does the verdict hold", el("p", null, found.words), el("table", { class: "views" },
    el("thead", null, el("tr", null, ...["Treatment", "Score", "Verdict"].map((t) => el("th", { scope: "col" }, t)))),
    el("tbody", null, ...lines)));
}

// Other versions of the same picture.
function versions(row) {
  const cluster = row.cluster && data.clusters[row.cluster];
  if (!cluster || cluster.images.length < 2) return null;
  const others = cluster.images.filter((n) => n !== row.n);
  const method = el("a", { href: "#how-clusters", class: "how" }, "How it was measured");
  method.addEventListener("click", leave);
  return block(`Picture ${cluster.n}, other versions (${number.format(others.length)})`,
    el("div", { class: "thumbs" }, ...others.slice(0, 12).map((n) => thumb(rows[n - 1]))),
    others.length > 12 ? el("p", { class: "note" }, "The first 12 are shown.") : null, el("p", null, method));
}
function thumb(row) {
  const button = el("button", { type: "button", class: "thumb", title: row.name, "aria-label": spoken(row) }, picture(row, ""));
  button.addEventListener("click", () => openDetails(row));
  return button;
}
function leave(event) {
  event.preventDefault();
  details.close();
  const target = document.querySelector(event.currentTarget.getAttribute("href"));
  target.scrollIntoView();
}
