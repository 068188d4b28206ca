"""What CLIP's tower says of the cached views: targets for the CNN, features for the heads.

The tower knows style and content far better than a small network can learn them from labels.
Its tokens of several layers, on clean whole views and native crops, are kept beside the crop
cache; `detector.tower` has the tower itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from detector.errors import CorpusError
from detector.tower import LAYERS, SIZE, WIDTH, Tower
from detector.train.cache import CropCache
from detector.train.loop import TeacherFeatures


@dataclass(frozen=True)
class TokenFiles:
    """Where the tokens of one view lie in a cache's folder."""

    folder: Path
    view: str

    @property
    def tokens(self) -> Path:
        """(M, 3 L, 768) float16, as `Tower.tokens` gives them."""
        return self.folder / f"teacher_{self.view}.npy"

    @property
    def rows(self) -> Path:
        """(M,) rows of the cache that are, or will be, looked at."""
        return self.folder / f"teacher_{self.view}_rows.npy"

    @property
    def done(self) -> Path:
        """How many of the rows were looked at."""
        return self.folder / f"teacher_{self.view}_done.json"

    def read(self) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """The rows that were looked at and their tokens, memory-mapped.

        Raises:
            CorpusError: the tower has not looked at this view of the cache.
        """
        try:
            done = int(json.loads(self.done.read_text()))
            rows: NDArray[np.int64] = np.load(self.rows)[:done]
            return rows, np.load(self.tokens, mmap_mode="r")[:done]
        except OSError as error:
            raise CorpusError(
                f"{self.folder}: no teacher's features of the {self.view} view; make them with: "
                f"detector train teacher --view {self.view}"
            ) from error


def capped_rows(cache: CropCache, cap: int, seed: int = 0) -> NDArray[np.int64]:
    """Usable rows in random order, at most `cap` of each source and class."""
    counts: dict[tuple[str, int], int] = {}
    chosen: list[int] = []
    for row in np.random.default_rng(seed).permutation(len(cache.index)).tolist():
        item = cache.index[row]
        key = (item["source"], item["label"])
        if cache.usable[row] and item["split"] != "test" and counts.get(key, 0) < cap:
            counts[key] = counts.get(key, 0) + 1
            chosen.append(row)
    return np.array(chosen, np.int64)


def cut_for_tower(cache: CropCache, view: str, row: int) -> NDArray[np.uint8]:
    """(224, 224, 3) uint8 RGB: the whole view resized, or the middle of the first native crop."""
    stored: NDArray[np.uint8] = cache.arrays[view][row]
    if not view.endswith("native"):
        return np.asarray(cv2.resize(stored, (SIZE, SIZE), interpolation=cv2.INTER_AREA), np.uint8)
    edge = (stored.shape[1] - SIZE) // 2
    return stored[0, edge : edge + SIZE, edge : edge + SIZE]


def cache_tokens(
    tower: Tower,
    cache: CropCache,
    rows: NDArray[np.int64],
    *,
    view: str = "whole",
    batch: int = 16,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Run the tower on one view of some rows; an interrupted run goes on.

    Args:
        view: an array of the cache: "whole", "native", "web_whole" or "web_native".

    Writes the files that `TokenFiles` names into the cache's folder.
    """
    files = TokenFiles(cache.folder, view)
    done = 0
    if files.done.is_file() and np.array_equal(np.load(files.rows), rows):
        done = int(json.loads(files.done.read_text()))
        tokens = open_memmap(files.tokens, mode="r+")
    else:
        np.save(files.rows, rows)
        shape = (len(rows), 3 * len(LAYERS), WIDTH)
        tokens = open_memmap(files.tokens, mode="w+", dtype=np.float16, shape=shape)
    while done < len(rows):
        chosen = rows[done : done + batch].tolist()
        views = np.stack([cut_for_tower(cache, view, row) for row in chosen])
        tokens[done : done + len(chosen)] = tower.tokens(views).numpy()
        done += len(chosen)
        if done % (50 * batch) == 0 or done == len(rows):
            tokens.flush()
            files.done.write_text(json.dumps(done))
        progress(done, len(rows))


def distilled_features(cache: CropCache, layers: tuple[int, ...] = (8, 10, 12)) -> TeacherFeatures:
    """The class tokens that a student learns, standardised by column.

    Raises:
        CorpusError: the teacher has not looked at this cache.
    """
    rows, tokens = TokenFiles(cache.folder, "whole").read()
    values = tokens_of(tokens, layers)
    values = (values - values.mean(0)) / (values.std(0) + 1e-4)
    return TeacherFeatures(rows, np.clip(values, -6, 6).astype(np.float16))


def tokens_of(
    tokens: NDArray[np.float16], layers: tuple[int, ...], patches: bool = False
) -> NDArray[np.float32]:
    """(M, F) float32: class tokens of some layers, with the patches' statistics if wanted."""
    kinds = range(3) if patches else range(1)
    columns = [3 * LAYERS.index(layer) + kind for layer in layers for kind in kinds]
    return tokens[:, columns].reshape(len(tokens), -1).astype(np.float32)
