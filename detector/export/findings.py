"""Writes findings as CSV, JSON Lines or Parquet: one record per path, the same columns in each.

JSON Lines and Parquet hold every value exactly. CSV is made to be opened in a spreadsheet; the
rule is in `detector.export.files`.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable

from detector.export import columns
from detector.export.files import cell, to_json, writing
from detector.results import Finding, Status

Exporter = Callable[[Iterable[Finding], str], int]

COLUMNS: tuple[str, ...] = tuple(Finding("", "", Status.FAILED, "").to_record())


def json_line(finding: Finding) -> str:
    """One finding as one line of JSON, without the newline at its end.

    The keys are those of `Finding.to_record`; text is UTF-8, and never holds a raw newline.
    """
    return to_json(finding.to_record())


def write_jsonl(findings: Iterable[Finding], out: str) -> int:
    """Write JSON Lines to a file, or to standard output for "-"; gives the number of lines."""
    count = 0
    with writing(out) as stream:
        for finding in findings:
            stream.write(json_line(finding) + "\n")
            count += 1
    return count


def write_csv(findings: Iterable[Finding], out: str) -> int:
    """Write CSV with a header to a file, or to standard output for "-"; gives the row count.

    UTF-8 without a byte order mark, RFC 4180 quoting, "\\n" line ends; None is an empty cell,
    and several notes are joined with "; ".
    """
    count = 0
    with writing(out) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for finding in findings:
            writer.writerow([cell(value) for value in finding.to_record().values()])
            count += 1
    return count


def write_parquet(findings: Iterable[Finding], out: str) -> int:
    """Write a Parquet file (zstd); gives the number of rows.

    Raises MissingExtraError without pyarrow, UsageError for standard output.
    """
    records = (finding.to_record() for finding in findings)
    return columns.write_parquet(COLUMNS, records, out)


EXPORTERS: dict[str, Exporter] = {
    "csv": write_csv,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
}
