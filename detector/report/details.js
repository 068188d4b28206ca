// One image: its picture with the crops that were looked at, its judgement, and its file.

const details = byId("details");

function openDetails(row) {
  state.image = String(row.n);
  byId("details-number").textContent = `Image ${number.format(row.n)} of ${number.format(rows.length)}`;
  byId("details-name").replaceChildren(path(row.name));
  byId("details-folder").replaceChildren();
  fill(byId("details-folder"), null, dotted([...new Set([row.folder, ...row.accounts.slice(0, 4)])]));
  const more = detailsOf(row) || { paths: [], crops: [], posts: [], evidence: [], conflicts: [] };
  const facts = el("div", { class: "about" }, judgement(row, more), contradictions(more), evidence(more), figures(row),
    notes(row), postings(more), container(row, more));
  const looked = el("div", { class: "looked" }, figure(row, more), labelForm(row), versions(row), views(row, more), stability(more));
  byId("details-body").replaceChildren(looked, facts);
  const [before, after] = neighbours(row);
  byId("previous").disabled = !before;
  byId("next").disabled = !after;
  if (!details.open) details.showModal();
  details.scrollTop = 0;
  byId("details-name").focus();
  writeAddress();
}
function neighbours(row) {
  const at = shown.indexOf(row);
  return at < 0 ? [null, null] : [shown[at - 1], shown[at + 1]];
}
function step(by) {
  const row = rows[Number(state.image) - 1];
  const to = neighbours(row)[by < 0 ? 0 : 1];
  if (!to) return;
  current().activate(shown.indexOf(to), false);
  openDetails(to);
}
function closed() {
  state.image = "";
  writeAddress();
  current().clear(); // a label may have changed
  current().render();
  current().activate(current().active, true);
}

function figure(row, more) {
  const image = picture(row, `Thumbnail of ${row.name}`);
  const frame = el("div", { class: "picture" }, image);
  if (image.tagName === "IMG" && has(row.width)) {
    // Tall pictures are kept inside the sheet: the width follows from the height allowed.
    frame.style.maxWidth = `min(100%, ${(30 * row.width) / row.height}rem)`;
    frame.append(boxes(row, more));
  } else {
    frame.style.lineHeight = "1.5";
    frame.style.textAlign = "center";
  }
  const caption = more.crops.length
    ? "Preview at reduced size. The frames show where the model looked."
    : "Preview at reduced size.";
  return el("figure", { class: "figure" }, el("div", { class: "canvas" }, frame),
    image.tagName === "IMG" ? el("figcaption", null, caption) : null, heatmapPart(row, frame));
}
function boxes(row, more) {
  const overlay = svg("svg", {
    viewBox: `0 0 ${row.width} ${row.height}`, preserveAspectRatio: "none", "aria-hidden": "true",
  });
  const unit = Math.max(row.width, row.height) / 26; // height of a label, in pixels of the image
  const tags = [];
  more.crops.forEach(([view, x, y, width, height], index) => {
    if (view === "whole") return;
    const rect = (cls) => svg("rect", { class: cls, x, y, width, height });
    const text = svg("text", { x: x + unit * 0.35, y: y + unit * 0.98 }, String(index + 1));
    text.style.fontSize = `${unit}px`;
    const tag = svg("rect", { class: "tag", x, y, width: unit * (index > 8 ? 1.9 : 1.3), height: unit * 1.3 });
    overlay.append(svg("g", { class: "box", "data-crop": index }, rect("halo"), rect("line")));
    tags.push(svg("g", { class: "box", "data-crop": index }, tag, text));
  });
  overlay.append(...tags); // above every frame, so that no number is hidden
  return overlay;
}
function views(row, more) {
  if (!more.crops.length) return null;
  const lines = more.crops.map(([view, x, y, width, height, score], index) => {
    const place = `${width} × ${height} at ${x}, ${y}`;
    const what = { whole: "Whole image, reduced", detail: `${place}, reduced` }[view] || place;
    const line = el("tr", null, el("td", null, String(index + 1)), el("td", null, what),
      el("td", null, el("div", { class: "score" }, scale(score, "", limits(row)), el("span", null, signed(score)))));
    const light = (on) => {
      line.classList.toggle("lit", on);
      for (const box of details.querySelectorAll(`[data-crop="${index}"]`)) box.classList.toggle("lit", on);
    };
    line.addEventListener("pointerenter", () => light(true));
    line.addEventListener("pointerleave", () => light(false));
    return line;
  });
  return block("Where the model looked", el("table", { class: "views" },
    el("thead", null, el("tr", null, ...["View", "Pixels", "Score"].map((t) => el("th", { scope: "col" }, t)))),
    el("tbody", null, ...lines)));
}

const block = (title, ...content) => el("section", { class: "block" }, el("h3", null, title), ...content);
function list(pairs) {
  const kept = pairs.filter(([, value]) => has(value) && value !== "");
  return el("dl", { class: "facts" }, ...kept.flatMap(([term, value]) => [el("dt", null, term), el("dd", null, value)]));
}

function judgement(row, more) {
  const reason = row.status === "ok" ? row.reason : `${data.statusWords[row.status]}. ${row.reason}`;
  const alone = more.pixels ? `By its pixels alone the verdict would be: ${data.verdictWords[more.pixels].toLowerCase()}.` : null;
  return el("div", { class: `judgement ${row.verdict}` }, word(row.verdict), el("p", null, reason || ""), alone ? el("p", null, alone) : null);
}
function figures(row) {
  if (row.status !== "ok") return null;
  const at = limits(row);
  const known = row.known && data.strata[row.stratum];
  const prior = data.prior && row.known ? `, at a prior of ${data.prior}` : "";
  const rates = known && known.fpr
    ? `On files of this kind, ${known.fpr} of real images` +
      (known.tpr ? ` and ${known.tpr} of generated ones` : "") + " were flagged" +
      (has(known.real) ? ` (${number.format(known.real)} real` +
        (has(known.generated) ? `, ${number.format(known.generated)} generated` : "") +
        (has(known.sources) ? `, ${number.format(known.sources)} sources` : "") + ")" : "") + "."
    : null;
  return block("Score", scale(row.score, row.verdict, at, true), list([
    ["Score", signed(row.score) + (has(at.threshold) ? `; the threshold is ${signed(at.threshold)}` : "")],
    ["Probability", row.percent ? row.percent + prior : null],
    ["In words", row.term ? likelihood(row.term) : null],
    ["Likelihood ratio", has(row.lr) ? number.format(row.lr) + (row.support ? `, ${row.support}` : "") : null],
    ["Spread of crops", has(row.spread) ? row.spread.toFixed(2) : null],
    ["Kind of file", row.stratum], ["Error rates", rates], ["Model", row.model], ["Rule", row.code],
  ]), methodLinks());
}
function methodLinks() {
  const link = (what, words) => {
    const made = el("a", { href: `#how-${what}`, class: "how" }, words);
    made.addEventListener("click", leave);
    return made;
  };
  return el("p", null, link("score", "How the score was measured"), " · ", link("words", "What the words mean"), " · ", link("errors", "Error rates"));
}
const likelihood = (term) =>
  term.includes("chance") ? `There is ${term === "roughly even chance" ? "a " : ""}${term} that it is generated`
  : `It is ${term} that it is generated`;
function notes(row) {
  return row.notes.length ? block("Notes", el("ul", { class: "twins" }, ...row.notes.map((n) => el("li", null, n)))) : null;
}
function container(row, more) {
  const facts = [];
  if (has(row.format)) {
    facts.push(["Format", `${row.format}, ${row.mode}` + (row.frames > 1 ? `, ${row.frames} frames` : "")],
      ["Pixels", pixels(row) + (row.orientation > 1 ? ", turned as its EXIF says" : "")],
      ["Size", `${size(row.bytes)} (${number.format(row.bytes)} bytes)`], ["Quality", quality(row)]);
  }
  const paths = more.paths.slice(0, 50);
  paths.forEach((where, index) => facts.push([index ? "Also as" : "Path", copyable(where, "path")]));
  if (more.paths.length > paths.length) facts.push(["And", `${number.format(more.paths.length - paths.length)} more paths`]);
  if (row.sha) facts.push(["sha256", copyable(row.sha, "sha256")]);
  return block("File", list(facts));
}
function copyable(text, what) {
  const code = el("code", null, path(text));
  const button = el("button", { type: "button", class: "copy", "aria-label": `Copy ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    const range = document.createRange();
    range.selectNodeContents(code);
    getSelection().removeAllRanges();
    getSelection().addRange(range); // stays selected where the clipboard is closed to us
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      byId("announce").textContent = `${what} copied`;
    } catch {
      byId("announce").textContent = `${what} selected, press Ctrl+C`;
    }
  });
  return el("span", null, code, button);
}
