"""One call from paths to a result set."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from detector.notebook.progress import Progress
from detector.notebook.resultset import ResultSet
from detector.scan import scan as run_scan
from detector.scan.inputs import Filters

StrPath = str | os.PathLike[str]


def scan(
    paths: StrPath | Iterable[StrPath],
    *,
    store: StrPath | None = None,
    model: str | Path | None = None,
    include: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    workers: int | None = None,
    progress: bool | None = None,
    **options: Any,
) -> ResultSet:
    """Score files, folders and URLs, and give the findings as a result set.

    Args:
        paths: one file, folder or URL, or several.
        store: where results are kept; a second scan into the same store does only what is new.
            None for a store that lasts as long as the result set.
        model: id or folder of a bundle; None for the default.
        include, exclude: shell patterns for files of folders.
        workers: decoding processes; None for one per CPU, at most 8. A script that is not a
            notebook calls this under `if __name__ == "__main__":` unless `workers` is 0.
        progress: whether progress shows; None shows it in notebooks and on terminals.
        options: the further options of `detector.scan.scan`, such as `rescore` and `limits`.

    Raises UsageError, BundleError and StoreError before any file is read. Files never raise;
    they become findings with a status.
    """
    roots = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    kept = None
    if store is None:
        kept = tempfile.TemporaryDirectory(prefix="detector-", ignore_cleanup_errors=True)
        store = Path(kept.name, "results.db")
    with Progress(progress) as watcher:
        summary = run_scan(
            roots,
            store=Path(store),
            model=model,
            filters=Filters(include, exclude),
            workers=workers,
            command="detector.notebook.scan",
            watcher=watcher,
            **options,
        )
    return ResultSet.open(store, scan=summary.scan, bundle=model, kept=kept)
