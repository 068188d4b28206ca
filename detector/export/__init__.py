"""Writes findings as CSV, JSON Lines or Parquet: one record per path, the same columns in each.

JSON Lines and Parquet hold every value exactly. CSV is made to be opened in a spreadsheet,
so text that a spreadsheet would run as a formula gets a leading apostrophe, and control
characters such as a newline in a file's name become visible escapes: one file, one line.
"""

from __future__ import annotations

import csv
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

from detector import names
from detector.errors import MissingExtraError, UsageError
from detector.results import Finding, Status

Exporter = Callable[[Iterable[Finding], str], int]

COLUMNS: tuple[str, ...] = tuple(Finding("", "", Status.FAILED, "").to_record())
_ROWS_AT_ONCE = 10_000
_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


# What a spreadsheet takes for the start of a formula; see OWASP, "CSV Injection".
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def json_line(finding: Finding) -> str:
    """One finding as one line of JSON, without the newline at its end.

    The keys are those of `Finding.to_record`; text is UTF-8, and never holds a raw newline.
    """
    record = {name: _finite(value) for name, value in finding.to_record().items()}
    line = json.dumps(record, ensure_ascii=False, allow_nan=False)
    # Legal inside JSON, but some readers end a line here.
    return line.translate(_LINE_ENDS)


def write_jsonl(findings: Iterable[Finding], out: str) -> int:
    """Write JSON Lines to a file, or to standard output for "-"; gives the number of lines."""
    count = 0
    with _text(out) as stream:
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
    with _text(out) as stream:
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
    if out == "-":
        raise UsageError("Parquet cannot be written to standard output: name a file")
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError("Parquet export", "parquet") from error
    schema = _schema(pa)
    count = 0
    records = (finding.to_record() for finding in findings)
    with _replacing(out) as target, pq.ParquetWriter(target, schema, compression="zstd") as writer:
        while group := list(islice(records, _ROWS_AT_ONCE)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
            count += len(group)
    return count


EXPORTERS: dict[str, Exporter] = {
    "csv": write_csv,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
}


def cell(value: Any) -> str | float | int | None:
    """A value as it stands in CSV: numbers as they are, text made safe for spreadsheets."""
    if isinstance(value, list):
        value = "; ".join(value)
    if not isinstance(value, str):
        return value  # type: ignore[no-any-return]
    guard = "'" if value.startswith(_FORMULA) else ""
    return guard + names.one_line(value)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _schema(pa: Any) -> Any:
    numbers = {
        **dict.fromkeys(("score", "probability", "lr", "spread"), pa.float64()),
        **dict.fromkeys(("width", "height", "frames", "jpeg_quality"), pa.int32()),
        "bytes": pa.int64(),
        "notes": pa.list_(pa.string()),
    }
    return pa.schema([(name, numbers.get(name, pa.string())) for name in COLUMNS])


@contextmanager
def _text(out: str) -> Iterator[IO[str]]:
    if out == "-":
        # Whatever the terminal's encoding, what goes into a pipe is UTF-8.
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", newline="\n")
        yield sys.stdout
        sys.stdout.flush()
        return
    with (
        _replacing(out) as target,
        open(target, "w", encoding="utf-8", newline="") as stream,
    ):
        yield stream


@contextmanager
def _replacing(out: str) -> Iterator[Path]:
    """A temporary file that takes the place of `out` once it is complete."""
    path = Path(out)
    target = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        target.touch(exist_ok=False)
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror or error}") from error
    try:
        yield target
        target.replace(path)
    finally:
        target.unlink(missing_ok=True)
