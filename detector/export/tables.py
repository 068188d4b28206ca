"""Writes the tables of a campaign as CSV, JSON Lines or Parquet: the same columns in each.

`TABLES` names them: `images` (one row per distinct image), `posts` (one per image and post),
`clusters`, `accounts`, `links`, `prevalence`, `timeline` and `gaps`. JSON Lines and Parquet
hold every value exactly; lists are lists there. CSV follows the rule for spreadsheets in
`detector.export.files`, joins lists with "; " and writes objects as JSON. Times are ISO 8601 in
UTC, days ISO 8601.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any

from detector.campaign.records import (
    AccountSummary,
    Campaign,
    Cluster,
    Gap,
    Prevalence,
    TimeBin,
    TraceLink,
)
from detector.errors import UsageError
from detector.export import columns
from detector.export.files import cell, to_json, utc, writing
from detector.export.findings import COLUMNS as FINDING_COLUMNS
from detector.results import Evidence

Row = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """One table of a campaign: its columns in order, and its rows as dicts of plain values."""

    name: str
    columns: tuple[str, ...]
    rows: Callable[[Campaign], Iterator[Row]]


def _images(campaign: Campaign) -> Iterator[Row]:
    for item in campaign.items:
        dates = sorted(post.posted_at for post in item.posts if post.posted_at)
        yield {
            **item.finding.to_record(),
            "copies": len(item.paths),
            "paths": list(item.paths),
            "posts": len(item.posts),
            "accounts": _distinct(post.account for post in item.posts),
            "platforms": _distinct(post.platform for post in item.posts),
            "languages": _distinct(post.language for post in item.posts),
            "first_seen": utc(dates[0]) if dates else None,
            "last_seen": utc(dates[-1]) if dates else None,
            "cluster": item.cluster or None,
            "evidence": [in_short(evidence) for evidence in item.evidence],
            "evidence_records": [evidence.to_record() for evidence in item.evidence],
        }


def _posts(campaign: Campaign) -> Iterator[Row]:
    for item in campaign.items:
        verdict = item.finding.verdict
        for post in item.posts:
            yield {
                "line": post.line,
                "sha256": item.finding.sha256,
                "path": item.finding.path,
                "account": post.account,
                "platform": post.platform,
                "language": post.language,
                "posted_at": utc(post.posted_at),
                "url": post.url,
                "text": post.text,
                "status": str(item.finding.status),
                "verdict": None if verdict is None else str(verdict),
                "score": item.finding.score,
                "cluster": item.cluster or None,
                "extra": dict(post.extra),
            }


def _clusters(campaign: Campaign) -> Iterator[Row]:
    for cluster in campaign.clusters:
        members = cluster.members
        row = _plain_fields(cluster)
        row["images"] = len(members)
        row["members"] = [member.sha256 for member in members]
        row["how"] = [_plain_fields(member) for member in members]
        yield row


def _plain(name: str) -> Callable[[Campaign], Iterator[Row]]:
    def rows(campaign: Campaign) -> Iterator[Row]:
        for value in getattr(campaign, name):
            yield _plain_fields(value)

    return rows


def _plain_fields(value: Any) -> Row:
    """A frozen record as a flat dict: tuples become lists, times and days text."""
    found = {}
    for part in fields(value):
        inner = getattr(value, part.name)
        if isinstance(inner, datetime):
            inner = utc(inner)
        elif isinstance(inner, date):
            inner = inner.isoformat()
        elif isinstance(inner, tuple):
            inner = list(inner)
        found[part.name] = inner
    return found


def _names(record: type) -> tuple[str, ...]:
    return tuple(part.name for part in fields(record))


_IMAGE_COLUMNS = (
    *FINDING_COLUMNS,
    *("copies", "paths", "posts", "accounts", "platforms", "languages"),
    *("first_seen", "last_seen", "cluster", "evidence", "evidence_records"),
)
_POST_COLUMNS = (
    *("line", "sha256", "path", "account", "platform", "language", "posted_at", "url", "text"),
    *("status", "verdict", "score", "cluster", "extra"),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table("images", _IMAGE_COLUMNS, _images),
        Table("posts", _POST_COLUMNS, _posts),
        Table("clusters", (*_names(Cluster), "images", "how"), _clusters),
        Table("accounts", _names(AccountSummary), _plain("accounts")),
        Table("links", _names(TraceLink), _plain("links")),
        Table("prevalence", _names(Prevalence), _plain("prevalence")),
        Table("timeline", _names(TimeBin), _plain("timeline")),
        Table("gaps", _names(Gap), _plain("gaps")),
    )
}


def write_csv(campaign: Campaign, out: str, *, table: str = "images") -> int:
    """Write one table as CSV to a file, or to standard output for "-"; gives the row count.

    UTF-8 without a byte order mark, RFC 4180 quoting, "\\n" line ends; None is an empty cell.
    """
    chosen, count = _chosen(table), 0
    with writing(out) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(chosen.columns)
        for row in chosen.rows(campaign):
            writer.writerow([_cell(name, row[name]) for name in chosen.columns])
            count += 1
    return count


def write_jsonl(campaign: Campaign, out: str, *, table: str = "images") -> int:
    """Write one table as JSON Lines to a file, or to standard output for "-"; gives the count."""
    chosen, count = _chosen(table), 0
    with writing(out) as stream:
        for row in chosen.rows(campaign):
            stream.write(to_json({name: row[name] for name in chosen.columns}) + "\n")
            count += 1
    return count


def write_parquet(campaign: Campaign, out: str, *, table: str = "images") -> int:
    """Write one table as Parquet (zstd); gives the number of rows.

    Raises MissingExtraError without pyarrow, UsageError for standard output.
    """
    chosen = _chosen(table)
    return columns.write_parquet(chosen.columns, chosen.rows(campaign), out)


WRITERS: Mapping[str, Callable[..., int]] = {
    "csv": write_csv,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
}


def write_all(campaign: Campaign, folder: str, kind: str = "csv") -> dict[str, int]:
    """Write every table into a folder, made when it is not there; gives rows by file name."""
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror or error}") from error
    return {
        f"{name}.{kind}": WRITERS[kind](campaign, str(target / f"{name}.{kind}"), table=name)
        for name in TABLES
    }


def in_short(evidence: Evidence) -> str:
    """One piece of evidence on one line: its kind, what it asserts, and how far to trust that."""
    issuer = f" by {evidence.issuer}" if evidence.issuer else ""
    return f"{evidence.kind}: {evidence.asserts}{issuer} ({evidence.trust})"


def _chosen(table: str) -> Table:
    if table not in TABLES:
        raise UsageError(f"no table {table!r}: there are {', '.join(TABLES)}")
    return TABLES[table]


def _cell(name: str, value: Any) -> str | float | int | None:
    return cell(to_json(value)) if name in columns.OBJECTS else cell(value)


def _distinct(values: Iterator[str]) -> list[str]:
    return sorted({value for value in values if value})
