"""The crop cache: every sample decoded once, its views kept as raw pixels on disk.

Decoding is the bottleneck of training on a CPU. The cache holds, for each sample, as
memory-mapped uint8 arrays of side `SIDE`:

- `whole.npy` (N, S, S, 3): the central square, resized;
- `native.npy` (N, 2, S, S, 3): crops at the image's own resolution;
- `web_whole.npy`, `web_native.npy`: the same after a platform's treatment of the whole image
  (long side shrunk to 512–1024 pixels, then JPEG or WebP at quality 40–90, half of them twice).

`index.json` says what each row is. A cache that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import json
import multiprocessing
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.augment import JPEG_SUBSAMPLING, resave
from detector.corpus.samples import Sample
from detector.errors import CorpusError, DetectorError
from detector.images import read_image
from detector.preprocess import pad_to, texture_of, whole_view

SIDE = 256
CROPS = 2
ARRAYS = {
    "whole": (SIDE, SIDE, 3),
    "native": (CROPS, SIDE, SIDE, 3),
    "web_whole": (SIDE, SIDE, 3),
    "web_native": (CROPS, SIDE, SIDE, 3),
}
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
        """The four arrays, memory-mapped."""
        return {name: np.load(self.folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}

    @cached_property
    def usable(self) -> NDArray[np.bool_]:
        """(N,) whether the sample could be decoded."""
        done: NDArray[np.bool_] = np.load(self.folder / "done.npy") == 1
        return done


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


def sample_views(data: bytes, seed: str) -> dict[str, Pixels]:
    """All cached views of one file."""
    rng = random.Random(seed)
    rgb = read_image(data).rgb
    web = web_treatment(rgb, rng)
    views: dict[str, Pixels] = {}
    for prefix, image in (("", rgb), ("web_", web)):
        views[f"{prefix}whole"] = whole_view(image, SIDE)[0]
        views[f"{prefix}native"] = np.stack([native_crop(image, rng) for _ in range(CROPS)])
    return views


# Set once in each worker process by `_start_worker`; arrays cannot be sent with every task.
_worker_arrays: dict[str, Pixels] = {}


def _start_worker(folder: str) -> None:
    cv2.setNumThreads(1)
    for name in ARRAYS:
        _worker_arrays[name] = np.load(Path(folder) / f"{name}.npy", mmap_mode="r+")


def _cache_one(task: tuple[int, Sample]) -> tuple[int, str]:
    row, sample = task
    try:
        views = sample_views(sample.read(), sample.key)
    except (DetectorError, OSError) as error:
        return row, str(error)
    for name, pixels in views.items():
        _worker_arrays[name][row] = pixels
    return row, ""


def build_cache(
    samples: Sequence[Sample],
    folder: str | Path,
    *,
    workers: int = 2,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, str]:
    """Decode every sample once and keep its views.

    Args:
        samples: of any corpus; shuffled, so that an unfinished cache is still a fair sample.
        folder: made when missing; needs about 1.2 MB a sample.
        workers: decoding processes.
        progress: called with (finished, total).

    Returns:
        The samples that could not be read: key to reason.
    """
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    ordered = list(samples)
    random.Random(seed).shuffle(ordered)
    index = [
        {"key": s.key, "label": s.label, "source": s.source, "generator": s.generator,
         "kind": s.kind, "split": s.split, "pair": s.pair}
        for s in ordered
    ]  # fmt: skip
    done = _resume(path, index)
    failed: dict[str, str] = {}
    tasks = [(row, sample) for row, sample in enumerate(ordered) if done[row] != 1]
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, _start_worker, (str(path),)) as pool:
        for count, (row, reason) in enumerate(pool.imap_unordered(_cache_one, tasks, 8), 1):
            done[row] = 2 if reason else 1
            if reason:
                failed[ordered[row].key] = reason
            if count % 500 == 0:
                np.save(path / "done.npy", done)
            progress(len(ordered) - len(tasks) + count, len(ordered))
    np.save(path / "done.npy", done)
    return failed


def _resume(path: Path, index: list[dict[str, Any]]) -> NDArray[np.uint8]:
    """State of each row (0 to do, 1 done, 2 failed) of an earlier run for the same samples."""
    old = path / "index.json"
    if old.is_file() and json.loads(old.read_text(encoding="utf-8")) == index:
        state: NDArray[np.uint8] = np.load(path / "done.npy")
        return state
    for name, shape in ARRAYS.items():
        np.lib.format.open_memmap(
            path / f"{name}.npy", mode="w+", dtype=np.uint8, shape=(len(index), *shape)
        ).flush()
    done = np.zeros(len(index), np.uint8)
    np.save(path / "done.npy", done)
    old.write_text(json.dumps(index), encoding="utf-8")
    return done
