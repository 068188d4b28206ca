"""The crop cache: every sample decoded once, its views kept as raw pixels on disk.

Decoding is the bottleneck of training on a CPU. The cache holds, for each sample, as
memory-mapped uint8 arrays of side `SIDE`:

- `whole.npy` (N, S, S, 3): the central square, resized;
- `native.npy` (N, 2, S, S, 3): crops at the image's own resolution;
- `web_whole.npy`, `web_native.npy`: the same after a platform's treatment of the whole image
  (long side shrunk to 512–1024 pixels, then JPEG or WebP at quality 40–90, half of them twice).

If wanted, also `detail.npy` and `web_detail.npy` (N, 2, 224, 224, 3): crops of the image shrunk
to a short side of 448 pixels, the two most textured ones, as a bundle cuts them.

`index.json` says what each row is. A cache that was interrupted goes on where it stopped. One may
grow by other samples: its rows, and what is kept beside them, stay as they are.
"""

from __future__ import annotations

import io
import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.augment import JPEG_SUBSAMPLING, resave
from detector.corpus.samples import Sample
from detector.errors import CorpusError, DetectorError
from detector.images import read_image
from detector.pool import Fault, Pool
from detector.preprocess import PreprocessConfig, detail_crops, pad_to, texture_of, whole_view

SIDE = 256
CROPS = 2
DETAIL = PreprocessConfig(native=0, whole=False, detail=CROPS)
SHAPES = {
    "whole": (SIDE, SIDE, 3),
    "native": (CROPS, SIDE, SIDE, 3),
    "detail": (CROPS, DETAIL.size, DETAIL.size, 3),
}
KINDS = ("whole", "native")
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class CropCache:
    """An open cache, read only.

    Attributes:
        folder: where it lies.
        index: one dict per row: key, label, source, generator, kind, split, pair.
    """

    folder: Path
    index: list[dict[str, Any]]

    @classmethod
    def open(cls, folder: str | Path) -> CropCache:
        """Open a finished cache.

        Raises:
            CorpusError: there is none, or it was not finished.
        """
        path = Path(folder)
        try:
            index = json.loads((path / "index.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CorpusError(
                f"{path}: no crop cache here; make one with: detector train cache"
            ) from error
        return cls(path, index)

    @cached_property
    def arrays(self) -> dict[str, Pixels]:
        """The arrays that were made, by name, memory-mapped."""
        files = {name: self.folder / f"{name}.npy" for name in _names(tuple(SHAPES))}
        return {
            name: np.load(file, mmap_mode="r") for name, file in files.items() if file.is_file()
        }

    @cached_property
    def usable(self) -> NDArray[np.bool_]:
        """(N,) whether the sample could be decoded."""
        return self.made("whole")

    def made(self, view: str) -> NDArray[np.bool_]:
        """(N,) which samples have this kind of view, clean or treated."""
        file = self.folder / _done_name((view.removeprefix("web_"),))
        made = np.zeros(len(self.index), bool)
        if file.is_file():
            done = np.load(file) == 1
            made[: len(done)] = done  # detail views may be those of a smaller cache
        return made


def _names(kinds: tuple[str, ...]) -> list[str]:
    return [f"{prefix}{kind}" for prefix in ("", "web_") for kind in kinds]


def _done_name(kinds: tuple[str, ...]) -> str:
    """Whole and native views are made together; detail views may be added later."""
    return "done_detail.npy" if kinds == ("detail",) else "done.npy"


def web_treatment(rgb: Pixels, rng: random.Random) -> Pixels:
    """What a platform does to an upload: shrink, then re-save once or twice."""
    height, width = rgb.shape[:2]
    side = max(height, width)
    target = min(side, rng.randint(512, 1024))
    if target < side:
        shape = (max(1, round(width * target / side)), max(1, round(height * target / side)))
        rgb = cv2.resize(rgb, shape, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    for _ in range(rng.choice((1, 2))):
        quality, webp = rng.randint(40, 90), rng.random() < 0.25
        rgb = resave(rgb, quality, webp, JPEG_SUBSAMPLING[0])
    return np.ascontiguousarray(rgb)


def native_crop(rgb: Pixels, rng: random.Random) -> Pixels:
    """The most textured of three random windows; small images are padded by reflection."""
    rgb = pad_to(rgb, SIDE)
    windows = []
    for _ in range(3):
        y = rng.randint(0, rgb.shape[0] - SIDE)
        x = rng.randint(0, rgb.shape[1] - SIDE)
        windows.append(rgb[y : y + SIDE, x : x + SIDE])
    return max(windows, key=texture_of)


def sample_views(data: bytes, seed: str, kinds: tuple[str, ...] = KINDS) -> dict[str, Pixels]:
    """The cached views of one file, clean and treated, of the kinds asked for."""
    rng = random.Random(seed)
    rgb = read_image(data).rgb
    web = web_treatment(rgb, rng)
    views: dict[str, Pixels] = {}
    for prefix, image in (("", rgb), ("web_", web)):
        if "whole" in kinds:
            views[f"{prefix}whole"] = whole_view(image, SIDE)[0]
        if "native" in kinds:
            views[f"{prefix}native"] = np.stack([native_crop(image, rng) for _ in range(CROPS)])
        if "detail" in kinds:
            crops, _ = detail_crops(image, DETAIL)
            # A small image has room for one crop only.
            views[f"{prefix}detail"] = np.stack([crops[0], crops[-1]])
    return views


@lru_cache(maxsize=1)
def _worker_arrays(folder: Path, names: tuple[str, ...]) -> dict[str, Pixels]:
    """The arrays, opened once in each worker: they cannot be sent with every task."""
    cv2.setNumThreads(1)
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r+") for name in names}


def _cache_one(task: tuple[int, Sample], *, folder: Path, kinds: tuple[str, ...]) -> str:
    """Why the sample could not be read; "" when its views were written."""
    row, sample = task
    try:
        views = sample_views(sample.read(), sample.key, kinds)
    except (DetectorError, OSError) as error:
        return str(error)
    arrays = _worker_arrays(folder, tuple(_names(kinds)))
    for name, pixels in views.items():
        arrays[name][row] = pixels
    return ""


def teachers_cut(stored: Pixels, name: str, side: int) -> Pixels:
    """What a teacher sees of a stored view: the whole one resized, the middle of the first crop.

    Args:
        stored: one row of the array `name`.
        side: of the cut, in pixels.

    Returns:
        (side, side, 3) uint8 RGB.
    """
    if name.endswith("whole"):
        return np.asarray(cv2.resize(stored, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    edge = (stored.shape[1] - side) // 2  # 0 for detail crops
    return stored[0, edge : edge + side, edge : edge + side]


def build_cache(
    samples: Sequence[Sample],
    folder: str | Path,
    *,
    workers: int = 2,
    seed: int = 0,
    kinds: tuple[str, ...] = KINDS,
    add: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, str]:
    """Decode every sample once and keep its views.

    Args:
        samples: of any corpus; shuffled, so that an unfinished cache is still a fair sample.
        folder: made when missing; needs about 1.2 MB a sample.
        workers: decoding processes.
        kinds: `KINDS`, or ("detail",) to add those views to a cache of the same samples.
        add: keep what is there and add the samples that are not; else a cache of other samples
            is made anew.
        progress: called with (finished, total).

    Returns:
        The samples that could not be read: key to reason.
    """
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    shuffled = list(samples)
    random.Random(seed).shuffle(shuffled)
    kept = _old_index(path) if add else []
    place = {item["key"]: row for row, item in enumerate(kept)}
    fresh = [sample for sample in shuffled if sample.key not in place]
    index = kept + [_described(sample) for sample in fresh]
    place |= {sample.key: len(kept) + i for i, sample in enumerate(fresh)}
    file = path / _done_name(kinds)
    done = _resume(path, index, kinds)
    failed: dict[str, str] = {}
    tasks = [(place[s.key], s) for s in shuffled if done[place[s.key]] != 1]
    tasks.sort(key=lambda task: task[0])
    with Pool(partial(_cache_one, folder=path, kinds=kinds), workers) as pool:
        for count, ((row, sample), said) in enumerate(pool.run(tasks), 1):
            reason = said.reason if isinstance(said, Fault) else said
            done[row] = 2 if reason else 1
            if reason:
                failed[sample.key] = reason
            if count % 500 == 0:
                np.save(file, done)
            progress(len(index) - len(tasks) + count, len(index))
    np.save(file, done)
    return failed


def _described(sample: Sample) -> dict[str, Any]:
    """What the index says of a sample."""
    names = ("key", "label", "source", "generator", "kind", "split", "pair")
    return {name: getattr(sample, name) for name in names}


def _old_index(path: Path) -> list[dict[str, Any]]:
    """The index of the cache that is there; empty when there is none."""
    file = path / "index.json"
    return list(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else []


def _resume(path: Path, index: list[dict[str, Any]], kinds: tuple[str, ...]) -> NDArray[np.uint8]:
    """State of each row (0 to do, 1 done, 2 failed): of an earlier run, then of new samples."""
    old, file = _old_index(path), path / _done_name(kinds)
    grows = bool(old) and index[: len(old)] == old
    if not grows and kinds != KINDS:
        raise CorpusError(
            f"{path}: no crop cache of these samples; make one without --detail first"
        )
    for name in _names(kinds):
        shape, array = (len(index), *SHAPES[name.removeprefix("web_")]), path / f"{name}.npy"
        if grows and array.is_file():
            lengthen(array, len(index))
        else:
            np.lib.format.open_memmap(array, mode="w+", dtype=np.uint8, shape=shape).flush()
    if not grows:
        # Other samples than before: what was added to the old rows says nothing of the new ones.
        (path / _done_name(("detail",))).unlink(missing_ok=True)
    (path / "index.json").write_text(json.dumps(index), encoding="utf-8")
    known: NDArray[np.uint8] = np.load(file) if grows and file.is_file() else np.zeros(0, np.uint8)
    done = np.pad(known, (0, len(index) - len(known)))
    np.save(file, done)
    return done


def lengthen(file: Path, rows: int) -> None:
    """Give an array on disk more rows, in place; the new ones are zeros.

    NumPy leaves room in the header of a .npy file for a first axis that grows.

    Raises:
        CorpusError: the header has no room, as some other program wrote it.
    """
    array = np.load(file, mmap_mode="r")
    if array.shape[0] >= rows:
        return
    shape = (rows, *array.shape[1:])
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"shape": shape, "fortran_order": False, "descr": array.dtype.str}
    )
    with file.open("r+b") as out:
        version = np.lib.format.read_magic(out)
        if version == (1, 0):
            np.lib.format.read_array_header_1_0(out)
        if version != (1, 0) or out.tell() != len(header.getvalue()):
            raise CorpusError(f"{file}: cannot grow; remove the folder and make the cache anew")
        out.seek(0)
        out.write(header.getvalue())
        out.truncate(len(header.getvalue()) + math.prod(shape) * array.dtype.itemsize)
