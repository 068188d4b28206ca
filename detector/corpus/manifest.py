"""A corpus manifest: one image a line, by reference, never the image itself.

The file is UTF-8 text, tab-separated, with the fixed header `COLUMNS`, `\\n` line ends and no
quoting, optionally gzip-compressed. Reading is strict, so that writing gives the same bytes
back and `zcat manifest.tsv.gz | sha256sum` prints the manifest's hash.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from detector.errors import CorpusError

COLUMNS = (
    "source", "revision", "path", "sha256", "label", "generator", "kind", "licence", "width",
    "height", "format", "bytes", "date", "pair", "grid", "group", "split",
)  # fmt: skip
FORMATS = ("AVIF", "BMP", "GIF", "HEIF", "JPEG", "MPO", "PNG", "TIFF", "WEBP")
SPLITS = ("train", "test")
MAX_TEXT = 512 * 2**20  # of uncompressed text; a small gzip file can hold a very large one

_SOURCE = re.compile(
    r"github:\w[\w.-]*/(?!\.\.?$)[\w.-]+|deb:[a-z0-9][a-z0-9.+-]+|pypi:\w[\w.-]*==\w[\w.!+-]*",
    re.ASCII,
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DATE = re.compile(r"(exif:)?[0-9]{4}(-[0-9]{2}){0,2}")
_NUMBER = re.compile(r"[1-9][0-9]{0,11}")
_BREAKS = re.compile(r"[\t\n\r\0]")


@dataclass(frozen=True)
class Row:
    """One image of a corpus, by reference.

    Attributes:
        source: where it comes from: "github:owner/name", "deb:package" or "pypi:name==version".
            Splits are made by source.
        revision: the commit of a repository, or the version of a package.
        path: inside the repository, the package's file tree or the wheel; "/" between parts.
        sha256: hex digest of the file; it is the name under which the file is stored.
        label: 0 real, 1 generated.
        generator: what made a generated image, in free words; "" for a real one.
        kind: photo, face, painting, poster, …
        licence: as far as the source states one, in its own words.
        width, height: of the file, in pixels.
        format: Pillow's name of the container ("MPO" is a JPEG with more than one picture).
        bytes: length of the file.
        date: "", "YYYY", "YYYY-MM" or "YYYY-MM-DD" of first publication; "exif:" before it
            when it was taken from the camera's metadata.
        pair: whether the source holds real and generated images of the same subjects.
        grid: "2x2" when the file is an exact 2×2 of four images; else "".
        group: name of the near-duplicate group (PDQ), or "".
        split: "train" or "test".
    """

    source: str
    revision: str
    path: str
    sha256: str
    label: int
    generator: str
    kind: str
    licence: str
    width: int
    height: int
    format: str
    bytes: int
    date: str
    pair: bool
    grid: str
    group: str
    split: str

    @property
    def tiles(self) -> int:
        """How many images the file holds: 4 for a 2×2 grid, else 1."""
        return 4 if self.grid else 1

    @property
    def owner(self) -> str:
        """Whom the source belongs to: the account of a repository, or the package itself."""
        return owner_of(self.source)

    def fields(self) -> tuple[str, ...]:
        """The row as text, in the order of `COLUMNS`."""
        return (
            self.source, self.revision, self.path, self.sha256, str(self.label), self.generator,
            self.kind, self.licence, str(self.width), str(self.height), self.format,
            str(self.bytes), self.date, "yes" if self.pair else "", self.grid, self.group,
            self.split,
        )  # fmt: skip


@dataclass(frozen=True)
class Manifest:
    """The rows of a manifest file, in its order, and the hash that names it.

    Attributes:
        rows: every image; no two have the same sha256.
        sha256: hex digest of the uncompressed text; quoted in model cards and reports.
        name: the path that it was read from, for messages; "" when made in memory.
    """

    rows: tuple[Row, ...]
    sha256: str
    name: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def sources(self, split: str | None = None) -> tuple[str, ...]:
        """The sources (of one split, or of both), sorted."""
        return tuple(sorted({r.source for r in self.rows if split in (None, r.split)}))

    def by_source(self) -> dict[str, list[Row]]:
        """The rows of each source, sources in order of first appearance."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.source, []).append(row)
        return found


def owner_of(source: str) -> str:
    """The account or package behind a source: "github:owner", "deb:package", "pypi:name"."""
    scheme, _, name = source.partition(":")
    return f"{scheme}:{name.split('/')[0].split('==')[0]}"


def make_manifest(rows: Iterable[Row], name: str = "") -> Manifest:
    """A manifest of rows made in memory; they are checked as strictly as a file's.

    Raises:
        CorpusError: when a row could not be written and read back.
    """
    return parse_manifest(format_manifest(rows), name or "manifest")


def format_manifest(rows: Iterable[Row]) -> str:
    """The canonical text of rows: the header, then a line each, in the order given."""
    lines = ["\t".join(COLUMNS)]
    for number, row in enumerate(rows, start=2):
        fields = row.fields()
        if any(_BREAKS.search(field) for field in fields):
            raise CorpusError(f"manifest line {number}: a field holds a tab or a line break")
        lines.append("\t".join(fields))
    return "\n".join(lines) + "\n"


def parse_manifest(text: str, name: str) -> Manifest:
    """Rows from the uncompressed text of a manifest.

    Raises:
        CorpusError: with `name` and the line, when anything is not as the format says.
    """
    if not text.endswith("\n"):
        raise CorpusError(f"{name}: the last line does not end, so the file may be cut off")
    lines = text[:-1].split("\n")
    header = tuple(lines[0].split("\t"))
    if header != COLUMNS:
        odd = sorted(set(COLUMNS) ^ set(header))
        raise CorpusError(f"{name}, line 1: not the header of a manifest (differs in {odd})")
    rows: list[Row] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines[1:], start=2):
        try:
            row = _parse_row(line)
        except ValueError as error:
            raise CorpusError(f"{name}, line {number}: {error}") from None
        if row.sha256 in seen:
            raise CorpusError(
                f"{name}, line {number}: the same file as line {seen[row.sha256]} (sha256)"
            )
        seen[row.sha256] = number
        rows.append(row)
    try:
        digest = hashlib.sha256(text.encode()).hexdigest()
    except UnicodeEncodeError:
        raise CorpusError(f"{name}: holds characters that UTF-8 cannot store") from None
    return Manifest(rows=tuple(rows), sha256=digest, name=name)


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """Reads a manifest from a `.tsv` or `.tsv.gz` file; which of the two is told by content.

    Raises:
        CorpusError: the file is not there, is not UTF-8 or gzip, or a line is malformed.
    """
    name = os.fspath(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CorpusError(f"{name}: cannot be read ({error.strerror})") from None
    if data[:2] == b"\x1f\x8b":
        data = _gunzip(data, name)
    try:
        return parse_manifest(data.decode("utf-8"), name)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CorpusError(f"{name}, line {line}: not UTF-8 text") from None


def write_manifest(rows: Iterable[Row], path: str | os.PathLike[str]) -> Manifest:
    """Writes rows as a manifest, gzip-compressed when the name ends in ".gz".

    The same rows always give the same bytes: no time of writing is stored.
    """
    manifest = parse_manifest(format_manifest(rows), os.fspath(path))
    data = format_manifest(manifest.rows).encode()
    if os.fspath(path).endswith(".gz"):
        data = gzip.compress(data, compresslevel=9, mtime=0)
    Path(path).write_bytes(data)
    return manifest


def _gunzip(data: bytes, name: str) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            text = stream.read(MAX_TEXT + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(f"{name}: damaged gzip data ({error})") from None
    if len(text) > MAX_TEXT:
        raise CorpusError(f"{name}: more than {MAX_TEXT} bytes of text")
    return text


def _parse_row(line: str) -> Row:
    fields = line.split("\t")
    if len(fields) != len(COLUMNS):
        raise ValueError(f"{len(fields)} fields, where {len(COLUMNS)} belong")
    if _BREAKS.search("".join(fields)):
        raise ValueError("holds a control character that would break lines")
    text = dict(zip(COLUMNS, fields, strict=True))
    _require(text["source"], _SOURCE, "source is not github:owner/name, deb:… or pypi:…==…")
    _require(text["sha256"], _SHA256, "sha256 is not 64 lower-case hex digits")
    if text["source"].startswith("github:"):
        _require(text["revision"], _COMMIT, "revision is not a full commit hash")
    _choice(text["label"], ("0", "1"), "label")
    _choice(text["format"], FORMATS, "format")
    _choice(text["pair"], ("", "yes"), "pair")
    _choice(text["grid"], ("", "2x2"), "grid")
    _choice(text["split"], SPLITS, "split")
    for column in ("width", "height", "bytes"):
        _require(text[column], _NUMBER, f"{column} is not a positive whole number")
    if text["date"]:
        _require(text["date"], _DATE, "date is not YYYY, YYYY-MM or YYYY-MM-DD")
    if not text["revision"] or not text["kind"]:
        raise ValueError("revision and kind must not be empty")
    if (text["label"] == "1") != bool(text["generator"]):
        raise ValueError("a generated image names its generator, and a real one has none")
    parts = text["path"].split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise ValueError("path is not a plain relative path")
    width, height = int(text["width"]), int(text["height"])
    if text["grid"] and (width % 2 or height % 2):
        raise ValueError("a 2x2 grid needs an even width and height")
    return Row(
        text["source"], text["revision"], text["path"], text["sha256"], int(text["label"]),
        text["generator"], text["kind"], text["licence"], width, height, text["format"],
        int(text["bytes"]), text["date"], text["pair"] == "yes", text["grid"], text["group"],
        text["split"],
    )  # fmt: skip


def _require(value: str, pattern: re.Pattern[str], complaint: str) -> None:
    if not pattern.fullmatch(value):
        raise ValueError(f"{complaint}: {value[:80]!r}")


def _choice(value: str, choices: tuple[str, ...], column: str) -> None:
    if value not in choices:
        raise ValueError(f"{column} is {value[:80]!r}, not one of {list(choices)}")
