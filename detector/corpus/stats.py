"""What a manifest holds, as Markdown tables, and how far size and format alone give it away."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from detector.corpus.manifest import Manifest, Row
from detector.corpus.split import leave_sources_out
from detector.errors import MissingExtraError

BEGIN = "<!-- begin: detector corpus stats -->"
END = "<!-- end: detector corpus stats -->"


def markdown(manifest: Manifest) -> str:
    """The tables of a datasheet; the same manifest gives the same text.

    Images are counted as files; a 2×2 grid is one file and four images.
    """
    parts = [
        f"Manifest sha256 (uncompressed): `{manifest.sha256}`",
        _summary(manifest.rows),
        _counts("Kind", manifest.rows, lambda r: r.kind),
        _counts("Generator", (r for r in manifest.rows if r.label), lambda r: r.generator),
        _counts("Year of first publication", manifest.rows, _year, by_number=True),
        _counts("Real images by date", (r for r in manifest.rows if not r.label), _age),
        _counts("Format", manifest.rows, lambda r: r.format),
        _counts("Longer side, pixels", manifest.rows, _side, by_number=True),
        _counts("Licence, in the source's words", manifest.rows, lambda r: r.licence),
        _sources(manifest),
    ]
    return "\n\n".join(parts) + "\n"


def insert(document: str, tables: str) -> str | None:
    """The document with the tables between its two marker lines; None when it has none."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables}\n{END}{after}" if begin and end else None


def format_control(manifest: Manifest, folds: int = 5, seed: int = 0) -> list[tuple[str, float]]:
    """AUC of gradient boosting that sees size, format and bytes per pixel only; extra `train`.

    It says how far a corpus can be told apart without looking at a single pixel: 0.5 would be
    right. Reads no image. The first figure is over leave-sources-out folds of `train`, every
    image scored by a model that never saw its source; the second is on `test`, by a model of
    all of `train`.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError:
        raise MissingExtraError("the size-and-format control", "train") from None
    from detector.metrics import auc

    rows = manifest.rows
    features = np.array([_facts(row) for row in rows])
    labels = np.array([row.label for row in rows])
    fold_of = leave_sources_out(manifest, folds, seed)
    fold = np.array([fold_of.get(row.source, -1) for row in rows])

    def scores(train: np.ndarray, held_out: np.ndarray) -> np.ndarray:
        model = HistGradientBoostingClassifier(
            random_state=seed, categorical_features=[False] * 4 + [True]
        )
        model.fit(features[train], labels[train])
        result: np.ndarray = model.decision_function(features[held_out])
        return result

    held_out_scores = np.zeros(len(rows))
    for number in range(folds):
        held_out = fold == number
        held_out_scores[held_out] = scores((fold >= 0) & ~held_out, held_out)
    train, test = fold >= 0, fold < 0
    figures = [("train, leave-sources-out", float(auc(labels[train], held_out_scores[train])))]
    if len(set(labels[test])) == 2:
        figures.append(("test", float(auc(labels[test], scores(train, test)))))
    return figures


def _facts(row: Row) -> tuple[float, ...]:
    pixels = row.width * row.height
    formats = ("JPEG", "PNG", "WEBP", "AVIF", "BMP", "MPO", "GIF", "TIFF", "HEIF")
    return (
        row.width,
        row.height,
        row.width / row.height,
        row.bytes / pixels,
        formats.index(row.format),
    )


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; cells that are numbers are right-aligned."""
    lines = [list(map(str, row)) for row in rows]
    right = [bool(lines) and all(_is_number(line[i]) for line in lines) for i in range(len(header))]
    rule = ["---:" if r else "---" for r in right]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in (header, rule, *lines)]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def _is_number(text: str) -> bool:
    return text.replace(" ", "").replace(".", "").isdigit()


def _summary(rows: Sequence[Row]) -> str:
    lines = []
    for split in ("train", "test"):
        for label, word in ((0, "real"), (1, "generated")):
            part = [r for r in rows if r.split == split and r.label == label]
            lines.append(
                (
                    split,
                    word,
                    len(part),
                    sum(r.tiles for r in part),
                    len({r.source for r in part}),
                    sum(r.pair for r in part),
                    f"{sum(r.bytes for r in part) / 1e9:.2f}",
                )
            )
    header = ("Split", "Label", "Files", "Images", "Sources", "In matched sources", "GB")
    return table(header, lines)


def _counts(
    title: str, rows: Iterable[Row], name_of: Callable[[Row], str], *, by_number: bool = False
) -> str:
    counts: dict[str, Counter[tuple[str, int]]] = {}
    for row in rows:
        counts.setdefault(name_of(row) or "not stated", Counter())[row.split, row.label] += 1
    columns = [("train", 0), ("train", 1), ("test", 0), ("test", 1)]
    # A column that is empty throughout (real images have no generator) says nothing.
    columns = [key for key in columns if any(c[key] for c in counts.values())]
    words = {0: "real", 1: "generated"}
    ranked = sorted(counts, key=lambda n: (_number(n) if by_number else -counts[n].total(), n))
    body = [(name, *(counts[name][key] for key in columns)) for name in ranked]
    return table((title, *(f"{split}, {words[label]}" for split, label in columns)), body)


def _number(name: str) -> int:
    digits = re.search("[0-9]+", name)
    return int(digits[0]) if digits else sys.maxsize


def _year(row: Row) -> str:
    year = row.date.removeprefix("exif:")[:4]
    return "to 2011" if year and year < "2012" else year


def _age(row: Row) -> str:
    date = row.date.removeprefix("exif:")
    if not date:
        return ""
    # Before that month no diffusion model was in public use. A bare 2021 proves nothing.
    early = date[:7] < "2021-07" if len(date) > 4 else date < "2021"
    return "before July 2021" if early else "July 2021 or later"


def _side(row: Row) -> str:
    side = max(row.width, row.height)
    limit = next((n for n in (256, 512, 768, 1024, 1536, 2048) if side <= n), None)
    return f"to {limit}" if limit else "more"


def _sources(manifest: Manifest) -> str:
    lines = []
    for source, rows in sorted(manifest.by_source().items(), key=lambda item: item[0].lower()):
        kinds = Counter(r.kind for r in rows)
        revisions = {r.revision for r in rows}
        revision = rows[0].revision if len(revisions) == 1 else f"{len(revisions)} revisions"
        lines.append(
            (
                source,
                revision[:12],
                rows[0].split,
                sum(not r.label for r in rows),
                sum(r.label for r in rows),
                ", ".join(kind for kind, _ in kinds.most_common(3)),
                "; ".join(sorted({r.licence for r in rows}))[:80],
            )
        )
    header = ("Source", "Revision", "Split", "Real", "Generated", "Kinds", "Licence")
    return table(header, lines)
