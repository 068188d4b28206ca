"""The table of scores: one row for every image and treatment, from which every figure is computed.

It is saved beside the figures, so that they can be computed again without scoring again.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from detector.errors import MissingExtraError, UsageError


@dataclass(frozen=True)
class ScoreRow:
    """One image under one treatment.

    Attributes:
        key: the sample's key: unique in its corpus.
        condition: "published", "q96", "web", … or a step of the robustness sweep.
        split: "test" for a scored image; "control" for one that only trains the control.
        label: 0 real, 1 generated.
        source, generator, kind: of the sample.
        pair: whether the sample's source holds both classes of the same subjects.
        status: "ok" or why the image was not scored; `reason` says more.
        score: logit; None unless scored.
        stratum: "jpeg/medium/light", …; "" unless scored.
        prepare_seconds: reading, treating, decoding and cutting, in one process.
        score_seconds: the CNN's share of its batch; None unless scored.
        width, height, bytes: of the file that was scored.
        format: its container.
        jpeg_quality: of the IJG scale; None when it is no JPEG.
        luma_table, chroma_table: mean entry of the JPEG quantisation tables; None without.
    """

    key: str
    condition: str
    split: str
    label: int
    source: str
    generator: str
    kind: str
    pair: bool
    status: str
    reason: str = ""
    score: float | None = None
    stratum: str = ""
    prepare_seconds: float | None = None
    score_seconds: float | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    format: str = ""
    jpeg_quality: int | None = None
    luma_table: float | None = None
    chroma_table: float | None = None

    @property
    def scored(self) -> bool:
        """Whether the image has a score."""
        return self.score is not None


_NAMES = tuple(field.name for field in fields(ScoreRow))
_WHOLE = frozenset({"width", "height", "bytes", "jpeg_quality"})
_REAL = frozenset({"score", "prepare_seconds", "score_seconds", "luma_table", "chroma_table"})


def write_table(rows: Iterable[ScoreRow], path: Path) -> None:
    """Write rows as CSV (".csv", ".csv.gz") or Parquet (".parquet").

    Numbers are written in full, so reading gives equal rows; equal rows give equal bytes.
    """
    records = [tuple(getattr(row, name) for name in _NAMES) for row in rows]
    if path.suffix == ".parquet":
        _pyarrow().parquet.write_table(_columns(records), path)
        return
    out = io.StringIO(newline="")
    # RFC 4180's line ends: with "\n" alone, Pythons before 3.13 leave a lone "\r" unquoted.
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_NAMES)
    writer.writerows(tuple("" if v is None else v for v in record) for record in records)
    data = out.getvalue().encode()
    # No time stamp in the gzip header: the same rows give the same file.
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def read_table(path: Path) -> list[ScoreRow]:
    """Read what `write_table` wrote; raises UsageError when the file is missing or another's."""
    if not path.is_file():
        raise UsageError(f"no table of scores at {path}")
    if path.suffix == ".parquet":
        return [ScoreRow(**r) for r in _pyarrow().parquet.read_table(path).to_pylist()]
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    reader = csv.reader(io.StringIO(text, newline=""))
    if tuple(next(reader, ())) != _NAMES:
        raise UsageError(f"{path} is not a table of scores of this version")
    return [_row(record) for record in reader]


def _row(record: Sequence[str]) -> ScoreRow:
    values: dict[str, Any] = dict(zip(_NAMES, record, strict=True))
    for name in _WHOLE:
        values[name] = int(values[name]) if values[name] else None
    for name in _REAL:
        values[name] = float(values[name]) if values[name] else None
    values["label"] = int(values["label"])
    values["pair"] = values["pair"] == "True"
    return ScoreRow(**values)


def _columns(records: Sequence[tuple[Any, ...]]) -> Any:
    arrow = _pyarrow()
    types = {"label": arrow.int8(), "pair": arrow.bool_()}
    types |= {name: arrow.int64() for name in _WHOLE} | {name: arrow.float64() for name in _REAL}
    columns = zip(*records, strict=True) if records else ((),) * len(_NAMES)
    return arrow.table(
        {
            name: arrow.array(list(column), types.get(name, arrow.string()))
            for name, column in zip(_NAMES, columns, strict=True)
        }
    )


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("a Parquet table", "parquet") from error
    return pyarrow
