"""Writes findings and campaigns in the formats of other tools.

`findings` writes one record per path of a store, however large. The other modules write a
`Campaign`: `tables` (CSV, JSON Lines, Parquet), `stix` (STIX 2.1), `misp` (a MISP event) and
`label_studio` (tasks with predictions). Each has `write(campaign, out) -> int`, the number of
rows or objects; they are the entry points of the group `detector.exporters`, where another
package can add its own.
"""

from __future__ import annotations

from detector.export.files import cell
from detector.export.findings import (
    COLUMNS,
    EXPORTERS,
    Exporter,
    json_line,
    write_csv,
    write_jsonl,
    write_parquet,
)

__all__ = [
    "COLUMNS",
    "EXPORTERS",
    "Exporter",
    "cell",
    "json_line",
    "write_csv",
    "write_jsonl",
    "write_parquet",
]
