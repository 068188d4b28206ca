"""Community Forensics: Parquet files with one image a row (extra `parquet`).

The columns are those of the dataset's card on the hub: image_name, image_data (the image
file's bytes), model_name, real_source, subset, split, label, architecture and more.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from detector.corpus.samples import Sample
from detector.errors import CorpusError, MissingExtraError

NAME = "community-forensics"
NEEDED = ("image_data", "label", "model_name")
USEFUL = ("image_name", "real_source", "split")
BATCH = 16  # rows unpacked at a time; the hub's row groups can be over a gigabyte each


def is_community_forensics(root: Path) -> bool:
    """Whether a folder holds Parquet files at its top or in its folder `data`."""
    return bool(_files(root))


def load_community_forensics(root: Path) -> list[Sample]:
    """Every row of every Parquet file, without reading an image yet.

    Raises:
        CorpusError: a file is damaged, or lacks a column that is needed.
        MissingExtraError: pyarrow is not installed.
    """
    samples: list[Sample] = []
    for path in _files(root):
        samples += _load_file(path, path.relative_to(root).as_posix())
    return samples


def read_row(path: str, row_group: int, index: int) -> bytes:
    """The image of one row; reading rows in order is fast, and going back starts again."""
    with _LOCK:
        return _READER.read(path, row_group, index)


def _files(root: Path) -> list[Path]:
    return sorted([*root.glob("*.parquet"), *root.glob("data/*.parquet")])


def _open(path: str | Path) -> Any:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("reading Parquet files", "parquet") from None
    try:
        return parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise CorpusError(f"{path}: not a Parquet file that can be read ({error})") from None


def _load_file(path: Path, key: str) -> list[Sample]:
    samples: list[Sample] = []
    with _open(path) as file:
        names = set(file.schema_arrow.names)
        lacking = [name for name in NEEDED if name not in names]
        if lacking:
            raise CorpusError(f"{path}: has no column {lacking}; there is {sorted(names)}")
        columns = [name for name in (*NEEDED[1:], *USEFUL) if name in names]
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, columns=columns).to_pylist()
            for index, row in enumerate(rows):
                samples.append(_row_sample(row, path, key, group, index))
    return samples


def _row_sample(row: dict[str, Any], path: Path, key: str, group: int, index: int) -> Sample:
    label = row["label"]
    where = f"{key}#{group}.{index:05d}"
    if label not in (0, 1):
        raise CorpusError(f"{path}: label {label!r} of row {where} is neither 0 nor 1")
    generator = str(row["model_name"] or "unknown") if label else ""
    part = generator or str(row.get("real_source") or "real")
    return Sample(
        key=where,
        label=int(label),
        source=f"{NAME}/{part}",
        generator=generator,
        kind="",
        split=str(row.get("split") or ""),
        pair=False,
        read=partial(read_row, str(path), group, index),
    )


class _Reader:
    """Walks through the images of one row group, a few unpacked at a time."""

    def __init__(self) -> None:
        self._at: tuple[int, str, int] | None = None
        self._file: Any = None
        self._batches: Iterator[Any] = iter(())
        self._rows: list[Any] = []
        self._first = 0

    def read(self, path: str, row_group: int, index: int) -> bytes:
        # A forked worker shares the open file's position with its parent, so it opens its own.
        if self._at != (os.getpid(), path, row_group) or index < self._first:
            self._start(path, row_group)
        while index >= self._first + len(self._rows):
            self._first += len(self._rows)
            batch = next(self._batches, None)
            if batch is None:
                self._at = None
                raise CorpusError(f"{path}: no row {index} in row group {row_group}")
            self._rows = batch.column(0).to_pylist()
        data = self._rows[index - self._first]
        if not isinstance(data, bytes):
            raise CorpusError(f"{path}: row {index} of row group {row_group} has no image")
        return data

    def _start(self, path: str, row_group: int) -> None:
        if self._file is not None:
            self._file.close()
        self._file = _open(path)
        self._batches = self._file.iter_batches(
            batch_size=BATCH, row_groups=[row_group], columns=["image_data"]
        )
        self._at, self._rows, self._first = (os.getpid(), path, row_group), [], 0


# One a process: neighbouring rows are read one after another, and an image costs a walk to it.
_READER = _Reader()
_LOCK = threading.Lock()
