"""The types of all columns that exports have, and the one writer of Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from detector.errors import MissingExtraError, UsageError
from detector.export.files import replacing, to_json

# A column that is not named here is a string.
_FLOATS = (
    *("score", "probability", "lr", "spread", "estimate", "low", "high", "level"),
    *("reference_rate", "surprise"),
)
_SMALL = ("width", "height", "frames", "jpeg_quality")
_INTEGERS = (
    *("bytes", "line", "copies", "posts", "pictures", "flagged", "inconclusive", "no_sign"),
    *("failed", "days", "count", "images"),
)
_LISTS = (
    *("notes", "evidence_kinds", "conflicts", "paths", "accounts", "platforms", "languages"),
    *("evidence", "sha256s", "members", "shared_with"),
)
_FLAGS = ("bounds_only",)
# Values without fixed fields: JSON text, since a column has one type.
OBJECTS = ("evidence_records", "extra", "how")

_ROWS_AT_ONCE = 10_000


def write_parquet(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], out: str) -> int:
    """Write rows as Parquet (zstd), a few thousand at a time; gives their number.

    Raises MissingExtraError without pyarrow, UsageError for standard output.
    """
    if out == "-":
        raise UsageError("Parquet cannot be written to standard output: name a file")
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError("Parquet export", "parquet") from error
    schema = pa.schema([(name, _type(pa, name)) for name in columns])
    waiting, count = iter(rows), 0
    with replacing(out) as target, pq.ParquetWriter(target, schema, compression="zstd") as writer:
        while group := [_one_type(row) for row in islice(waiting, _ROWS_AT_ONCE)]:
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
            count += len(group)
    return count


def _one_type(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: to_json(value) if name in OBJECTS else value for name, value in row.items()}


def _type(pa: Any, name: str) -> Any:
    if name in _FLOATS:
        return pa.float64()
    if name in _SMALL:
        return pa.int32()
    if name in _INTEGERS:
        return pa.int64()
    if name in _LISTS:
        return pa.list_(pa.string())
    return pa.bool_() if name in _FLAGS else pa.string()
