// What is shown: state, filters and order.

// State lives in the address, so that a view can be kept and passed on.

const SORTS = {
  "-score": "Score, high first", "score": "Score, low first",
  "-probability": "Probability, high first", "probability": "Probability, low first",
  "name": "Name, A to Z", "-name": "Name, Z to A", "n": "Number",
  "cluster": "Picture, widest first", "-posts": "Posts, most first",
  "-pixels": "Pixels, most first", "pixels": "Pixels, fewest first",
  "-bytes": "File size, largest first", "bytes": "File size, smallest first",
  "-spread": "Spread, large first", "spread": "Spread, small first",
};
const DEFAULTS = {
  view: "grid", sort: "-score", q: "", account: "", platform: "", language: "", folder: "", claim: "",
  format: "", status: "", label: "", once: "", conflict: "", cluster: "", trace: "", image: "", theme: "",
};
const state = { ...DEFAULTS, verdict: new Set() };

function readAddress() {
  const hash = location.hash.slice(1);
  if (hash && !hash.includes("=")) return false; // a plain anchor
  const given = new URLSearchParams(hash);
  for (const key of Object.keys(DEFAULTS)) state[key] = given.get(key) ?? DEFAULTS[key];
  if (!(state.sort in SORTS)) state.sort = DEFAULTS.sort;
  if (state.view !== "table") state.view = "grid";
  state.verdict = new Set((given.get("verdict") || "").split(",").filter((v) => VERDICTS.includes(v)));
  return true;
}
function writeAddress() {
  const now = new URLSearchParams();
  if (state.verdict.size) now.set("verdict", VERDICTS.filter((v) => state.verdict.has(v)).join(","));
  for (const [key, value] of Object.entries(DEFAULTS)) if (state[key] !== value) now.set(key, state[key]);
  const hash = now.toString();
  if (hash !== location.hash.slice(1)) history.replaceState(null, "", "#" + hash);
}

// Filters. Each control counts what it would show under all the other filters.

const seenClusters = new Set();
for (const row of rows) {
  row.notes ??= [];
  for (const kind of ["accounts", "platforms", "languages", "claims"]) row[kind] ??= [];
  row.folder ??= "";
  row.folders = row.places ? [...new Set(row.places.map(([folder]) => folder || ""))] : [row.folder];
  row.first = !row.cluster || !seenClusters.has(row.cluster);
  if (row.cluster) seenClusters.add(row.cluster);
  row.picture = row.cluster && data.clusters[row.cluster] ? data.clusters[row.cluster].n : null;
  row.known = !data.factsModel || !row.model || row.model === data.factsModel;
  row.area = has(row.width) ? row.width * row.height : null;
}
const bySha = new Map(rows.filter((row) => row.sha).map((row) => [row.sha, row]));

function haystack(row) {
  row.all ??= [row.name, ...row.folders, row.sha, row.reason, row.stratum, row.format, row.cluster, row.hay,
    ...row.accounts, ...row.platforms, ...row.languages, ...row.notes].join("\n").toLowerCase();
  return row.all;
}
const inFolder = (row, folder) => row.folders.some((own) => own === folder || own.startsWith(folder + "/"));
function filters() {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const traced = state.trace === "" ? null : new Set(data.traces[Number(state.trace)] || []);
  const anyOf = (values, wanted) => !wanted || values.includes(wanted);
  return {
    verdict: (row) => !state.verdict.size || state.verdict.has(row.verdict),
    account: (row) => anyOf(row.accounts, state.account),
    platform: (row) => anyOf(row.platforms, state.platform),
    language: (row) => anyOf(row.languages, state.language),
    claim: (row) => (state.claim === "none" ? !row.claims.length : anyOf(row.claims, state.claim)),
    folder: (row) => !state.folder || inFolder(row, state.folder),
    format: (row) => !state.format || (row.format || "none") === state.format,
    status: (row) => !state.status || row.status === state.status,
    label: (row) => !state.label || labelOf(row) === state.label,
    once: (row) => !state.once || row.first,
    conflict: (row) => !state.conflict || row.conflict,
    cluster: (row) => !state.cluster || row.cluster === state.cluster,
    trace: (row) => !traced || traced.has(row.n),
    q: (row) => words.every((part) => haystack(row).includes(part)),
  };
}
// What each menu offers for a row; a folder offers the folders above it too.
const OFFERS = {
  verdict: (row) => [row.verdict],
  account: (row) => row.accounts,
  platform: (row) => row.platforms,
  language: (row) => row.languages,
  claim: (row) => (row.claims.length ? row.claims : ["none"]),
  folder: (row) => [...new Set(row.folders.flatMap((folder) => {
    const parts = folder.split("/");
    return parts.map((_, end) => parts.slice(0, end + 1).join("/"));
  }))],
  format: (row) => [row.format || "none"],
  status: (row) => [row.status],
  label: (row) => [labelOf(row)],
};
function sift() {
  const tests = Object.entries(filters());
  const found = [];
  const counts = Object.fromEntries(Object.keys(OFFERS).map((kind) => [kind, new Map()]));
  for (const row of rows) {
    const failed = tests.filter(([, test]) => !test(row)).map(([name]) => name);
    if (!failed.length) found.push(row);
    if (failed.length > 1) continue;
    for (const [kind, offer] of Object.entries(OFFERS)) {
      if (failed.length && failed[0] !== kind) continue;
      for (const value of offer(row)) counts[kind].set(value, (counts[kind].get(value) || 0) + 1);
    }
  }
  return { found: order(found), counts };
}

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const KEYS = {
  score: (row) => row.score, probability: (row) => row.probability, spread: (row) => row.spread,
  pixels: (row) => row.area, bytes: (row) => row.bytes, n: (row) => row.n, name: (row) => row.name,
  cluster: (row) => row.picture, posts: (row) => row.posts,
};
function order(found) {
  const down = state.sort.startsWith("-");
  const key = KEYS[state.sort.replace(/^-/, "")];
  const compare = (a, b) => {
    const [x, y] = [key(a), key(b)];
    if (!has(x) || !has(y)) return (has(y) ? 1 : 0) - (has(x) ? 1 : 0) || a.n - b.n; // unknown comes last
    const step = typeof x === "string" ? collator.compare(x, y) : x - y;
    return (down ? -step : step) || a.n - b.n;
  };
  return found.sort(compare);
}
