"""What CLIP's tower says of the cached views: targets for the CNN, features for the heads.

The tower knows style and content far better than a small network can learn them from labels.
Its tokens of several layers, on clean whole views and native crops, are kept beside the crop
cache; `detector.tower` has the tower itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
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
        """(M, 3 L, 768) float16, as `Tower.tokens` gives them of some layers."""
        return self.folder / f"teacher_{self.view}.npy"

    @property
    def rows(self) -> Path:
        """(M,) rows of the cache that are, or will be, looked at."""
        return self.folder / f"teacher_{self.view}_rows.npy"

    @property
    def done(self) -> Path:
        """How many of the rows were looked at."""
        return self.folder / f"teacher_{self.view}_done.json"

    @property
    def layers_file(self) -> Path:
        """Whose tokens they are; files without it hold those of all `LAYERS`."""
        return self.folder / f"teacher_{self.view}_layers.json"

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers whose tokens are kept, counted from 1."""
        if not self.layers_file.is_file():
            return LAYERS
        return tuple(json.loads(self.layers_file.read_text()))

    def features(self, layers: tuple[int, ...], patches: bool = False) -> NDArray[np.float32]:
        """(M, F) float32: class tokens of some layers, with the patches' statistics if wanted.

        Raises:
            CorpusError: the tower has not looked at this view, or not with these layers.
        """
        missing = sorted(set(layers) - set(self.layers))
        if missing:
            raise CorpusError(f"{self.tokens}: no tokens of layer {missing[0]}: make them again")
        _, tokens = self.read()
        kinds = range(3) if patches else range(1)
        columns = [3 * self.layers.index(layer) + kind for layer in layers for kind in kinds]
        return tokens[:, columns].reshape(len(tokens), -1).astype(np.float32)

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


def capped_rows(
    cache: CropCache, cap: int, seed: int = 0, *, view: str = "whole", first: Sequence[str] = ()
) -> NDArray[np.int64]:
    """Usable rows in random order, at most `cap` of each source and class.

    Args:
        view: that the rows must have.
        first: sources whose rows come before all others.
    """
    usable = cache.made(view)
    counts: dict[tuple[str, int], int] = {}
    chosen: list[int] = []
    for row in np.random.default_rng(seed).permutation(len(cache.index)).tolist():
        item = cache.index[row]
        key = (item["source"], item["label"])
        if usable[row] and item["split"] != "test" and counts.get(key, 0) < cap:
            counts[key] = counts.get(key, 0) + 1
            chosen.append(row)
    early = set(first)
    chosen.sort(key=lambda row: cache.index[row]["source"] not in early)  # a stable sort
    return np.array(chosen, np.int64)


def cut_for_tower(cache: CropCache, view: str, row: int) -> NDArray[np.uint8]:
    """(224, 224, 3) uint8 RGB: the whole view resized, or the middle of the first crop."""
    stored: NDArray[np.uint8] = cache.arrays[view][row]
    if view.endswith("whole"):
        return np.asarray(cv2.resize(stored, (SIZE, SIZE), interpolation=cv2.INTER_AREA), np.uint8)
    edge = (stored.shape[1] - SIZE) // 2  # 0 for detail crops
    return stored[0, edge : edge + SIZE, edge : edge + SIZE]


def cache_tokens(
    tower: Tower,
    cache: CropCache,
    rows: NDArray[np.int64],
    *,
    view: str = "whole",
    layers: tuple[int, ...] = LAYERS,
    batch: int = 16,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Run the tower on one view of some rows; an interrupted run goes on.

    Args:
        view: an array of the cache: "whole", "native", "detail", or one of them with "web_".
        layers: whose tokens are kept; the tower runs no further than the last.

    Writes the files that `TokenFiles` names into the cache's folder.
    """
    files = TokenFiles(cache.folder, view)
    done = 0
    same = files.done.is_file() and files.layers == layers
    if same and np.array_equal(np.load(files.rows), rows):
        done = int(json.loads(files.done.read_text()))
        tokens = open_memmap(files.tokens, mode="r+")
    else:
        np.save(files.rows, rows)
        files.layers_file.write_text(json.dumps(layers))
        shape = (len(rows), 3 * len(layers), WIDTH)
        tokens = open_memmap(files.tokens, mode="w+", dtype=np.float16, shape=shape)
    while done < len(rows):
        chosen = rows[done : done + batch].tolist()
        views = np.stack([cut_for_tower(cache, view, row) for row in chosen])
        tokens[done : done + len(chosen)] = tower.tokens(views, layers).numpy()
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
    files = TokenFiles(cache.folder, "whole")
    rows, _ = files.read()
    values = files.features(layers)
    values = (values - values.mean(0)) / (values.std(0) + 1e-4)
    return TeacherFeatures(rows, np.clip(values, -6, 6).astype(np.float16))
