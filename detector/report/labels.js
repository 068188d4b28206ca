// Labels that the reader gives: kept in this browser, and taken along as a CSV file.

const LABELS = { generated: "Generated", real: "Real", unsure: "Unsure" };
const SHELF = `detector-labels-${data.key}`;
const labels = new Map(readLabels());

function readLabels() {
  try {
    const kept = JSON.parse(localStorage.getItem(SHELF) || "[]");
    return kept.filter(([sha, given]) => bySha.has(sha) && (!given.label || given.label in LABELS));
  } catch {
    return []; // no storage here: labels last as long as the page
  }
}
function keepLabels() {
  try {
    localStorage.setItem(SHELF, JSON.stringify([...labels]));
  } catch {
    // as above
  }
  showLabels();
}
const given = (row) => labels.get(row.sha) || { label: "", note: "" };
const labelOf = (row) => given(row).label || "none";
const labelWords = (label) => LABELS[label] || "No label";

function setLabel(row, change) {
  const now = { ...given(row), ...change };
  if (now.label || now.note) labels.set(row.sha, now);
  else labels.delete(row.sha);
  keepLabels();
}
const labelled = () => [...labels].filter(([, { label }]) => label);

function labelsAsCsv() {
  const quote = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = labelled().map(([sha, { label, note }]) => [sha, label, quote(note || "")].join(","));
  return ["sha256,label,note", ...lines.sort()].join("\n") + "\n";
}
function saveLabels() {
  const address = URL.createObjectURL(new Blob([labelsAsCsv()], { type: "text/csv" }));
  const link = el("a", { href: address, download: "labels.csv" });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
  byId("announce").textContent = `${labelled().length} labels saved to labels.csv`;
}
function forgetLabels() {
  labels.clear();
  keepLabels();
  update();
}
function showLabels() {
  const count = labelled().length;
  byId("save-labels").textContent = count ? `Download ${number.format(count)} labels (CSV)` : "Download labels (CSV)";
  byId("save-labels").disabled = !count;
  byId("forget-labels").hidden = !labels.size;
}

// The part of an image's sheet in which it is labelled.
function labelForm(row) {
  if (!row.sha) return null;
  const radio = (value, text) => {
    const input = el("input", { type: "radio", name: "label", value, checked: given(row).label === value });
    input.addEventListener("change", () => setLabel(row, { label: value }));
    return el("label", { class: "check" }, input, text);
  };
  const note = el("input", { type: "text", maxlength: 500, autocomplete: "off", value: given(row).note || "" });
  note.addEventListener("input", () => setLabel(row, { note: note.value.replace(/\s+/g, " ") }));
  return block("Your label", el("fieldset", { class: "labels" }, el("legend", { class: "label" }, "Your label"),
    ...Object.entries(LABELS).map(([value, text]) => radio(value, text)), radio("", "None")),
  el("label", { class: "noted" }, "How you know ", note));
}
const tag = (row) => (given(row).label ? el("span", { class: "chip own" }, `You: ${labelWords(given(row).label).toLowerCase()}`) : null);
