"""Reads the context table: who posted which image, where and when, as CSV or Parquet.

Columns are found by name, in any order and under the names that exports give them. What is
not known is kept. A row that cannot be used is a value with its line and a reason.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

from detector.campaign.dates import day_comes_first, parse_date
from detector.campaign.records import BadRow, Post
from detector.errors import MissingExtraError, UsageError

# Names by which a column is known, the best first; letters and digits only, in lower case.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "file": (
        "file", "filename", "filepath", "path", "localpath", "image", "imagefile", "imagepath",
        "imagename", "media", "mediafile", "mediapath", "medianame", "picture", "photo",
    ),
    "sha256": ("sha256", "sha256hash", "filesha256", "imagesha256", "digest", "hash"),
    "account": (
        "account", "accountname", "username", "user", "handle", "screenname", "author",
        "authorname", "authorusername", "poster", "profile", "channel", "page", "accountid",
        "userid", "authorid",
    ),
    "platform": ("platform", "network", "socialnetwork", "site", "service", "app"),
    "language": ("language", "lang", "postlanguage", "locale"),
    "posted_at": (
        "postedat", "posted", "postdate", "posttime", "publishedat", "published", "publishdate",
        "datepublished", "createdat", "created", "datetime", "timestamp", "date", "time",
    ),
    "url": ("url", "posturl", "link", "postlink", "permalink", "permalinkurl", "uri"),
    "text": (
        "text", "posttext", "caption", "message", "content", "body", "description", "fulltext",
        "tweet", "title",
    ),
}  # fmt: skip
MAX_BYTES = 2_000_000_000
_SHA256 = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


@dataclass(frozen=True)
class Row:
    """One readable row: what it names, and the post that it tells of."""

    file: str
    sha256: str
    post: Post


@dataclass(frozen=True)
class Table:
    """A context table as read.

    Attributes:
        source: its file name.
        sha256: of its bytes.
        columns: our column name to the table's own.
        rows: readable rows, in order.
        bad: rows that cannot be used, and cells that were left out, by line.
        count: rows that held anything.
        header: the table's own names of its columns.
    """

    source: str
    sha256: str
    columns: Mapping[str, str]
    rows: tuple[Row, ...]
    bad: tuple[BadRow, ...]
    count: int
    header: tuple[str, ...] = ()


def read_table(path: str | Path) -> Table:
    """Read a CSV (also with semicolons, tabs or bars) or Parquet file.

    Raises:
        UsageError: the file cannot be read, is no table, or names no file and no sha256.
        MissingExtraError: Parquet without the extra `parquet`.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path}: a context table may have {MAX_BYTES:,} bytes at most")
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    return parse_table(data, path.name)


def parse_table(data: bytes, source: str = "") -> Table:
    """The same from bytes; `source` is the name that messages and the report show."""
    bad: list[BadRow] = []
    lines = _parquet(data, source) if data[:4] == b"PAR1" else _csv(data, source, bad)
    header = [str(name or "").strip() for name in next(lines)[1]]
    columns = match_columns(header)
    if not {"file", "sha256"} & columns.keys():
        raise UsageError(
            f"{source}: needs a column that names the image, such as file or sha256; "
            f"its columns are {', '.join(filter(None, header))[:500] or 'without names'}"
        )
    cells = [(line, values) for line, values in lines if any(v not in (None, "") for v in values)]
    rows = _rows(header, columns, cells, bad)
    named = {ours: header[at] for ours, at in columns.items()}
    digest = hashlib.sha256(data).hexdigest()
    bad.sort(key=lambda b: b.line)
    return Table(source, digest, named, tuple(rows), tuple(bad), len(cells), tuple(header))


def match_columns(header: Sequence[str]) -> dict[str, int]:
    """Our column name to the place of the table's column; the best-known name wins."""
    plain = [plain_name(name) for name in header]
    # "Posted at (UTC)" and "date_utc" say in what zone the dates are, which is the one taken.
    shorter = [plain_name(re.sub(r"\(.*?\)", "", name)).removesuffix("utc") for name in header]
    found: dict[str, int] = {}
    for ours, synonyms in SYNONYMS.items():
        places = (names.index(s) for names in (plain, shorter) for s in synonyms if s in names)
        place = next((p for p in places if p not in found.values()), None)
        if place is not None:
            found[ours] = place
    return found


def plain_name(name: str) -> str:
    """A column's name as names are compared: lower case, letters and digits only."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _rows(
    header: Sequence[str],
    columns: Mapping[str, int],
    cells: Sequence[tuple[int, Sequence[Any]]],
    bad: list[BadRow],
) -> list[Row]:
    at = columns.get("posted_at")
    dates = (str(v[at]) for _, v in cells if at is not None and at < len(v))
    day_first = day_comes_first(dates)
    rows = []
    for line, values in cells:
        row = _row(header, columns, line, values, day_first, bad)
        if row is not None:
            rows.append(row)
    return rows


def _row(
    header: Sequence[str],
    columns: Mapping[str, int],
    line: int,
    values: Sequence[Any],
    day_first: bool | None,
    bad: list[BadRow],
) -> Row | None:
    if any(_text(value) for value in values[len(header) :]):
        bad.append(
            BadRow(line, f"has {len(values)} cells for {len(header)} columns: check its quotes")
        )
        return None
    values = [*values, *[""] * (len(header) - len(values))]
    ours = {name: values[place] for name, place in columns.items()}
    sha256 = _text(ours.get("sha256")).lower()
    file = _text(ours.get("file"))
    if sha256 and not _SHA256.fullmatch(sha256):
        bad.append(BadRow(line, f"{sha256[:80]!r} is no sha256: it needs 64 hex digits"))
        if not file:
            return None
        sha256 = ""
    if not file and not sha256:
        bad.append(BadRow(line, "names no file and no sha256"))
        return None
    taken = set(columns.values())
    extra = {
        name or f"column {i + 1}": text
        for i, name in enumerate(header)
        if i not in taken and (text := _text(values[i]))
    }
    words = {name: _text(ours.get(name)) for name in ("account", "platform", "language", "url")}
    when = _when(ours.get("posted_at"), line, day_first, bad)
    post = Post(line=line, posted_at=when, text=_text(ours.get("text")), extra=extra, **words)
    return Row(file, sha256, post)


def _when(value: Any, line: int, day_first: bool | None, bad: list[BadRow]) -> datetime | None:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    text = value.isoformat() if isinstance(value, date) else _text(value)
    if not text:
        return None
    try:
        return parse_date(text, day_first)
    except ValueError as error:
        # The row is still worth having: it says who posted the image.
        bad.append(BadRow(line, f"{text[:80]!r} is left out as a date: {error}"))
        return None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        value = value.hex()
    # Lone surrogates come from damaged exports; nothing that writes UTF-8 accepts them.
    return str(value).strip().encode("utf-8", "replace").decode("utf-8")


def _csv(data: bytes, source: str, bad: list[BadRow]) -> Iterator[tuple[int, list[Any]]]:
    """The lines of a CSV with their numbers, the header first."""
    text = _decoded(data, source)
    first = text.lstrip("\r\n").split("\n", 1)[0]
    if not first.strip():
        raise UsageError(f"{source}: is empty")
    delimiter = max(",;\t|", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    while True:
        line = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            bad.append(BadRow(line, f"cannot be read: {error}"))
            continue
        if values:
            yield line, values


def _decoded(data: bytes, source: str) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings = ["utf-16"]
    else:
        # Spreadsheets of western systems; every byte is some character there.
        encodings = ["utf-8-sig", "cp1252", "latin-1"]
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UsageError(f"{source}: is not a text file: save it as CSV in UTF-8")


def _parquet(data: bytes, source: str) -> Iterator[tuple[int, list[Any]]]:
    """The same for Parquet; line 1 is the header, so that the first row is line 2."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("a context table in Parquet", "parquet") from error
    try:
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(data))
        names = list(table.column_names)
        lists = [table.column(i).to_pylist() for i in range(len(names))]
    except (pyarrow.ArrowException, ValueError, OSError) as error:
        raise UsageError(f"{source}: is not a Parquet table: {error}") from error
    yield 1, names
    for number, values in enumerate(zip(*lists, strict=True)):
        yield number + 2, list(values)
