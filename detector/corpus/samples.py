"""What training and evaluation iterate over: a label, where it comes from, and a way to read it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from detector.corpus.manifest import Manifest, Row
from detector.errors import CorpusError


@dataclass(frozen=True)
class Sample:
    """One image of a corpus or benchmark. Picklable, so that worker processes can read it.

    Attributes:
        key: unique in its corpus: the sha256, with "#0" … "#3" for the tiles of a grid; or
            the path below the root of a benchmark.
        label: 0 real, 1 generated.
        source: what splits, folds and bootstraps go by.
        generator: "" for real images.
        kind: photo, face, painting, …; "" where a benchmark does not say.
        split: "train" or "test" (benchmarks: as they name it), or "".
        pair: whether its source holds real and generated images of the same subjects.
        read: gives the image file's bytes; raises OSError or CorpusError.
        group: name of its near-duplicate group, or "".
    """

    key: str
    label: int
    source: str
    generator: str
    kind: str
    split: str
    pair: bool
    read: Callable[[], bytes] = field(compare=False)
    group: str = ""


def files_folder(folder: str | Path) -> Path:
    """The folder with the 256 subfolders, given that folder itself or the one above it.

    Raises:
        CorpusError: when neither is a corpus that `detector corpus build` made.
    """
    base = Path(folder)
    for candidate in (base / "files", base):
        if candidate.is_dir() and any(_hashed_folders(candidate)):
            return candidate
    raise CorpusError(f"{base}: no corpus here; make one with: detector corpus build --out {base}")


def stored_sizes(files_dir: str | Path) -> dict[str, int]:
    """The sha256 names of a corpus folder with the length of each file in bytes."""
    return {
        path.name: path.stat().st_size
        for folder in _hashed_folders(files_folder(files_dir))
        for path in folder.iterdir()
        if len(path.name) == 64
    }


def manifest_samples(
    manifest: Manifest,
    files_dir: str | Path,
    split: str | None = None,
    *,
    sources: Iterable[str] | None = None,
    allow_missing: bool = False,
) -> list[Sample]:
    """The images of a built corpus, in the manifest's order; a 2×2 grid gives four.

    Args:
        files_dir: the folder given to `detector corpus build --out`, or its "files".
        split: "train", "test", or None for both.
        sources: only these, when given.
        allow_missing: leave out rows whose file is not there, rather than refuse.

    Raises:
        CorpusError: files are missing, or there is no corpus in the folder.
    """
    folder = files_folder(files_dir)
    stored = stored_sizes(folder)
    chosen = None if sources is None else frozenset(sources)
    samples: list[Sample] = []
    missing = []
    for row in manifest.rows:
        if split not in (None, row.split) or (chosen is not None and row.source not in chosen):
            continue
        if row.sha256 in stored:
            samples += _row_samples(row, folder / row.sha256[:2] / row.sha256)
        else:
            missing.append(row)
    if missing and not allow_missing:
        names = sorted({row.source for row in missing})
        raise CorpusError(
            f"{folder}: {len(missing)} files of the manifest are missing, from {len(names)} "
            f"sources ({', '.join(names[:3])}, …); run: detector corpus build"
        )
    return samples


def cap(samples: Iterable[Sample], limits: Mapping[str, int], seed: int = 0) -> list[Sample]:
    """At most `limits[source]` samples of a source and label; other sources are kept whole.

    Which ones stay depends on their keys and the seed only, not on the order given.
    """
    kept: list[Sample] = []
    large: dict[tuple[str, int], list[Sample]] = {}
    for sample in samples:
        if sample.source in limits:
            large.setdefault((sample.source, sample.label), []).append(sample)
        else:
            kept.append(sample)
    for (source, _), members in large.items():
        members.sort(key=lambda s: hashlib.sha256(f"{seed}/{s.key}".encode()).digest())
        kept += members[: limits[source]]
    return kept


def read_file(path: str) -> bytes:
    """The bytes of a file; a function of its own so that samples can be pickled."""
    return Path(path).read_bytes()


def read_tile(path: str, index: int) -> bytes:
    """One quadrant of a 2×2 grid as a PNG file: 0 and 1 above, 2 and 3 below.

    The tile's pixels are the grid's: PNG adds no loss to them.
    """
    from PIL import Image

    from detector.images import read_image

    rgb = read_image(Path(path).read_bytes()).rgb
    height, width = rgb.shape[0] // 2, rgb.shape[1] // 2
    top, left = index // 2 * height, index % 2 * width
    stream = io.BytesIO()
    tile = Image.fromarray(rgb[top : top + height, left : left + width])
    tile.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _hashed_folders(folder: Path) -> Iterable[Path]:
    digits = frozenset("0123456789abcdef")
    return (p for p in sorted(folder.iterdir()) if len(p.name) == 2 and digits >= set(p.name))


def _row_samples(row: Row, path: Path) -> list[Sample]:
    def sample(key: str, read: Callable[[], bytes]) -> Sample:
        return Sample(
            key, row.label, row.source, row.generator, row.kind, row.split, row.pair, read,
            row.group,
        )  # fmt: skip

    if not row.grid:
        return [sample(row.sha256, partial(read_file, str(path)))]
    return [
        sample(f"{row.sha256}#{index}", partial(read_tile, str(path), index))
        for index in range(row.tiles)
    ]
