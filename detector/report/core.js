// Data, small helpers, and what is shown: state, filter, order. Text from files enters the page
// through textContent and setAttribute only.

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("report-data").textContent);
const rows = data.rows;
const VERDICTS = Object.keys(data.verdictWords);
const SVG = "http://www.w3.org/2000/svg";
const number = new Intl.NumberFormat("en");

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) {
    if (child === null || child === undefined) continue;
    node.append(child); // strings become text nodes
  }
  return node;
}
const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const icon = (verdict) =>
  svg("svg", { class: `icon ${verdict}`, viewBox: "0 0 16 16", "aria-hidden": "true" },
    svg("use", { href: `#icon-${verdict}` }));
const word = (verdict) => el("span", { class: `word ${verdict}` }, icon(verdict), data.verdictWords[verdict]);
const path = (text) => el("bdi", { class: "path" }, text);

// Numbers

const has = (value) => value !== null && value !== undefined;
const signed = (value) => (has(value) ? (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2) : "–");
const pixels = (row) => (has(row.width) ? `${row.width} × ${row.height}` : "–");
function size(bytes) {
  if (!has(bytes)) return "–";
  if (bytes < 1e3) return `${bytes} B`;
  return bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
function quality(row) {
  if (has(row.quality)) return String(row.quality);
  return row.lossless ? "exact" : "–";
}

// The fixed scale. Its ends never depend on an image.

const [LOW, HIGH] = data.scale;
function limits(row) {
  if (row && !row.known) return {}; // another model's thresholds would mislead
  const own = row && data.strata[row.stratum];
  return own || { threshold: data.threshold, noSignBelow: data.noSignBelow };
}
function scale(score, verdict, at, wide) {
  const width = wide ? 288 : 144;
  const x = (value) => 4 + ((Math.min(HIGH, Math.max(LOW, value)) - LOW) / (HIGH - LOW)) * (width - 8);
  const line = (cls, value, top, bottom) =>
    svg("line", { class: cls, x1: x(value), x2: x(value), y1: top, y2: bottom });
  const node = svg("svg", {
    class: wide ? "scale wide" : "scale", viewBox: `0 0 ${width} 16`, width, height: 16, "aria-hidden": "true",
  });
  if (has(at.threshold) && has(at.noSignBelow) && at.noSignBelow < at.threshold) {
    const left = x(at.noSignBelow);
    node.append(svg("rect", { class: "between", x: left, y: 3, width: x(at.threshold) - left, height: 10 }));
  }
  node.append(svg("line", { class: "axis", x1: 4, x2: width - 4, y1: 8, y2: 8 }));
  node.append(line("zero", LOW, 5, 11), line("zero", 0, 5, 11), line("zero", HIGH, 5, 11));
  if (has(score)) node.append(mark(score, x(score), verdict));
  if (has(at.threshold)) node.append(line("threshold", at.threshold, 0, 16));
  return node;
}
function mark(score, x, verdict) {
  const shape =
    score > HIGH ? `M${x - 4} 3 ${x + 4} 8 ${x - 4} 13z`
    : score < LOW ? `M${x + 4} 3 ${x - 4} 8 ${x + 4} 13z`
    : `M${x - 2.5} 3h5v10h-5z`;
  return svg("path", { class: `mark ${verdict || ""}`, d: shape });
}

// Previews lie in text blocks behind the script, one a line, and are read block by block.

const blocks = new Map();
function preview(row) {
  if (!has(row.thumb) || row.thumb < 0) return null;
  const block = Math.floor(row.thumb / data.thumbnailsPerBlock);
  if (!blocks.has(block)) {
    const node = byId(`thumbnails-${block}`);
    if (!node) return null; // the parser has not come so far
    blocks.set(block, node.textContent.split("\n"));
  }
  return "data:image/webp;base64," + blocks.get(block)[row.thumb % data.thumbnailsPerBlock];
}
function picture(row, alt) {
  const source = preview(row);
  if (source) return el("img", { src: source, alt, decoding: "async", draggable: "false" });
  return document.readyState === "loading" && row.thumb >= 0
    ? el("span", { class: "waiting", "data-n": row.n }, "")
    : el("span", null, "no preview");
}
