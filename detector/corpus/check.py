"""Checks of a corpus: splits that do not leak, files that are whole, images that open."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from detector.corpus.manifest import Manifest, Row
from detector.corpus.samples import files_folder, stored_sizes
from detector.errors import ImageError

_SHARED: dict[str, Callable[[Row], str]] = {
    "file": lambda row: row.sha256,
    "source": lambda row: row.source,
    "owner": lambda row: row.owner,
}
_CONTAINERS = {"MPO": "JPEG"}  # a JPEG with more pictures after the first


@dataclass(frozen=True)
class Leak:
    """Something that lies on both sides of the split: a source or a near-duplicate group."""

    what: str
    name: str
    rows: int

    def __str__(self) -> str:
        return f"{self.what} {self.name} is in train and in test ({self.rows} images)"


@dataclass(frozen=True)
class FileReport:
    """What became of the files of a manifest.

    Attributes:
        rows: how many the manifest lists.
        missing: not in the folder.
        altered: there, but with another length or sha256.
        unreadable: whole, but no image that can be opened, or not of the stated size or
            format; with the reason.
        strangers: names in the folder that the manifest does not list.
    """

    rows: int
    missing: tuple[Row, ...] = ()
    altered: tuple[Row, ...] = ()
    unreadable: tuple[tuple[Row, str], ...] = ()
    strangers: tuple[str, ...] = field(default=(), repr=False)

    @property
    def good(self) -> bool:
        """Whether every file is there and as it should be."""
        return not (self.missing or self.altered or self.unreadable)


def split_leaks(manifest: Manifest) -> list[Leak]:
    """Sources and near-duplicate groups with images in both train and test; none is right."""
    leaks = _on_both_sides("source", manifest, lambda row: row.source)
    return leaks + _on_both_sides("near-duplicate group", manifest, lambda row: row.group)


def shared_owners(manifest: Manifest) -> list[Leak]:
    """Owners with sources on both sides: allowed, but worth a look before a release."""
    return _on_both_sides("owner", manifest, lambda row: row.owner)


def touched(manifest: Manifest, tested: Manifest) -> list[Leak]:
    """What a manifest's training part shares with the test part of another: files, sources, owners.

    An owner counts: galleries are copied from one repository of an account to the next.
    """
    rows = [row for row in manifest if row.split == "train"]
    rows += [row for row in tested if row.split == "test"]
    return [leak for what, key in _SHARED.items() for leak in _on_both_sides(what, rows, key)]


def check_files(
    manifest: Manifest,
    files_dir: str | Path,
    *,
    hashes: bool = True,
    headers: bool = True,
    decode: bool = False,
    jobs: int = 1,
    progress: Callable[[int], None] | None = None,
) -> FileReport:
    """Reads the files of a corpus and compares them with the manifest.

    Args:
        hashes: compute every sha256; otherwise only lengths are compared.
        headers: open every image as far as its size and format.
        decode: decode every pixel as well, which takes many times longer.
        jobs: threads; hashing, reading and decoding all run beside each other.
        progress: called with the number of files done, now and then.
    """
    folder = files_folder(files_dir)
    stored = stored_sizes(folder)
    missing, altered, present = [], [], []
    for row in manifest.rows:
        if row.sha256 not in stored:
            missing.append(row)
        elif stored[row.sha256] != row.bytes:
            altered.append(row)
        else:
            present.append(row)
    unreadable = []
    look = partial(_look, folder=folder, hashes=hashes, headers=headers, decode=decode)
    if hashes or headers or decode:
        with ThreadPoolExecutor(jobs) as pool:
            for number, (row, right, reason) in enumerate(pool.map(look, present), start=1):
                if not right:
                    altered.append(row)
                elif reason:
                    unreadable.append((row, reason))
                if progress is not None and number % 500 == 0:
                    progress(number)
    known = {row.sha256 for row in manifest.rows}
    return FileReport(
        rows=len(manifest),
        missing=tuple(missing),
        altered=tuple(altered),
        unreadable=tuple(unreadable),
        strangers=tuple(sorted(stored.keys() - known)),
    )


def by_source(rows: Iterable[Row]) -> dict[str, int]:
    """How many rows each source has, largest first."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.source] = counts.get(row.source, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _on_both_sides(what: str, rows: Iterable[Row], name_of: Callable[[Row], str]) -> list[Leak]:
    sides: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    for row in rows:
        if name := name_of(row):
            sides.setdefault(name, set()).add(row.split)
            counts[name] = counts.get(name, 0) + 1
    return [Leak(what, name, counts[name]) for name, s in sorted(sides.items()) if len(s) > 1]


def _look(
    row: Row, *, folder: Path, hashes: bool, headers: bool, decode: bool
) -> tuple[Row, bool, str]:
    try:
        data = (folder / row.sha256[:2] / row.sha256).read_bytes()
    except OSError as error:
        return row, True, f"cannot be read ({error.strerror})"
    if hashes and hashlib.sha256(data).hexdigest() != row.sha256:
        return row, False, ""
    return row, True, _image_fault(row, data, decode) if headers or decode else ""


def _image_fault(row: Row, data: bytes, decode: bool) -> str:
    from detector.images import read_header, read_image

    try:
        facts = read_image(data).facts if decode else read_header(data)
    except ImageError as error:
        return error.reason
    if facts.format != _CONTAINERS.get(row.format, row.format):
        return f"is {facts.format}, where the manifest says {row.format}"
    # The manifest may hold the size before or after the EXIF orientation was applied.
    if {facts.width, facts.height} != {row.width, row.height}:
        return f"is {facts.width}×{facts.height}, not {row.width}×{row.height}"
    return ""
