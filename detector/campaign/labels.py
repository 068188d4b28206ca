"""Labels that an analyst confirmed: kept beside the results, and compared with the model.

The labels live in a table of their own in the store's file, made when the first label comes. A
store that cannot be written, or was never labelled, simply has none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from detector.campaign.context import Place, join
from detector.campaign.records import BadRow, LocalRates
from detector.campaign.table import plain_name, read_table
from detector.errors import StoreError, UsageError
from detector.metrics import wilson

REAL, GENERATED = 0, 1
COLUMN_NAMES = ("label", "truth", "confirmed", "confirmedlabel", "class", "groundtruth", "answer")
_WORDS = {
    "0": REAL, "real": REAL, "authentic": REAL, "photo": REAL, "human": REAL, "not generated": REAL,
    "false": REAL, "no": REAL,
    "1": GENERATED, "generated": GENERATED, "ai": GENERATED, "ai-generated": GENERATED,
    "ai generated": GENERATED, "synthetic": GENERATED, "fake": GENERATED, "true": GENERATED,
    "yes": GENERATED,
}  # fmt: skip
_BUSY_SECONDS = 60.0
_TABLE = (
    "CREATE TABLE IF NOT EXISTS labels (sha256 TEXT PRIMARY KEY, label INTEGER NOT NULL, "
    "source TEXT NOT NULL, written TEXT NOT NULL)"
)


_UNDECIDED = frozenset({"unsure", "unknown", "undecided"})


@dataclass(frozen=True)
class LabelFile:
    """What a CSV of labels said.

    Attributes:
        labels: sha256 to 0 (real) or 1 (generated).
        unmatched: lines that name no image of the store.
        bad: rows that could not be used.
    """

    labels: Mapping[str, int]
    unmatched: tuple[int, ...]
    bad: tuple[BadRow, ...]


def read_labels(path: str | Path, places: Sequence[Place]) -> LabelFile:
    """Read a table with a column for the image (file or sha256) and one for the label.

    Labels are "real" or "generated", 0 or 1, and a few words that mean the same; "unsure" is
    passed over. An image with two different labels gets none. Raises UsageError when the table
    has no column for labels.
    """
    table = read_table(path)
    named = {plain_name(name) for name in table.header}
    if not named & set(COLUMN_NAMES):
        raise UsageError(f"{table.source}: needs a column named label, with real or generated")
    joined = join(table, places)
    sha256s = {place.key: place.sha256 for place in places}
    said: dict[str, dict[int, int]] = {}
    bad = list(joined.summary.bad)
    for key, posts in joined.posts.items():
        for post in posts:
            text = next((v for k, v in post.extra.items() if plain_name(k) in COLUMN_NAMES), "")
            label = _WORDS.get(text.casefold())
            if text.casefold() in _UNDECIDED:
                continue  # the report's page offers it: a decision, but no label
            if label is None:
                bad.append(BadRow(post.line, f"{text[:40]!r} is no label: write real or generated"))
            elif not sha256s[key]:
                bad.append(BadRow(post.line, "the file could not be read, so it has no hash"))
            else:
                said.setdefault(sha256s[key], {}).setdefault(label, post.line)
    for lines in said.values():
        if len(lines) > 1:
            first, second = sorted(lines.values())
            bad.append(BadRow(second, f"contradicts line {first} on the same image"))
    labels = {sha: next(iter(lines)) for sha, lines in said.items() if len(lines) == 1}
    bad.sort(key=lambda b: b.line)
    return LabelFile(labels, joined.summary.unmatched, tuple(bad))


def store_labels(store: str | Path, labels: Mapping[str, int], source: str) -> int:
    """Keep labels in a store's file, over earlier ones of the same images; gives how many.

    Raises StoreError when the file is not there or cannot be written.
    """
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    rows = [(sha256, int(label), source, now) for sha256, label in sorted(labels.items())]
    with _opened(Path(store), "rw") as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_TABLE)
        connection.executemany("INSERT OR REPLACE INTO labels VALUES (?, ?, ?, ?)", rows)
        connection.execute("COMMIT")
    return len(rows)


def load_labels(store: str | Path) -> dict[str, int]:
    """The labels of a store, sha256 to 0 or 1; empty when it has none.

    Raises StoreError when the file is not there or is damaged.
    """
    with _opened(Path(store), "ro") as connection:
        there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'labels'").fetchone()
        if not there:
            return {}
        rows = connection.execute("SELECT sha256, label FROM labels ORDER BY sha256")
        return {str(sha256): int(label) for sha256, label in rows}


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise StoreError(f"no result store at {path}: make one with `detector scan --store`")
    address = f"{path.absolute().as_uri()}?mode={mode}"
    try:
        connection = sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreError(f"{path}: labels cannot be read or kept: {error}") from error


@dataclass(frozen=True)
class Labelled:
    """A labelled picture and what the model said of it.

    Attributes:
        label: 0 real, 1 generated.
        score: of the model.
        flagged: whether the pixels alone gave `likely_generated`.
        group: whose picture it is; pictures of one account are not independent.
    """

    label: int
    score: float
    flagged: bool
    group: str


def local_rates(
    pictures: Sequence[Labelled], card_false_positive_rate: float, card_recall: float
) -> LocalRates | None:
    """The model's error rates on labelled pictures, beside the card's; None without any.

    Intervals are Wilson's at 95 %, over pictures. They hold for the set only if what was
    labelled was not chosen by the model's verdict.
    """
    if not pictures:
        return None
    real = [p.flagged for p in pictures if p.label == REAL]
    generated = [p.flagged for p in pictures if p.label == GENERATED]
    fpr, fpr_interval = _rate(real)
    recall, recall_interval = _rate(generated)
    warnings = [
        *_differs("of the real pictures were flagged", fpr, fpr_interval, card_false_positive_rate),
        *_differs("of the generated pictures were found", recall, recall_interval, card_recall),
    ]
    if warnings:
        warnings.append("Do not use the card's rates for this material.")
    return LocalRates(
        len(real),
        len(generated),
        fpr,
        fpr_interval,
        recall,
        recall_interval,
        card_false_positive_rate,
        card_recall,
        " ".join(warnings),
    )


def _rate(flagged: Sequence[bool]) -> tuple[float | None, tuple[float, float] | None]:
    if not flagged:
        return None, None
    return sum(flagged) / len(flagged), wilson(sum(flagged), len(flagged))


def _differs(
    what: str, rate: float | None, interval: tuple[float, float] | None, card: float
) -> list[str]:
    if rate is None or interval is None or interval[0] <= card <= interval[1]:
        return []
    low, high = interval
    return [
        f"On your labels {rate:.1%} {what} ({low:.1%} to {high:.1%}); the model's card says "
        f"{card:.1%}."
    ]
