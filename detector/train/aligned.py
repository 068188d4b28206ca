"""Aligned pairs in training: cached real crops, and the same crops through an autoencoder.

A pair has the same content, size and history, and differs only by a decoder's traces
("Aligned Datasets Improve Detection of Latent Diffusion-Generated Images", arXiv 2410.11835). The
reconstructions of the first native crop of some real images lie beside the crop cache.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from detector.corpus.pairs import reconstruct
from detector.errors import CorpusError
from detector.train.cache import SIDE, CropCache

if TYPE_CHECKING:
    from detector.corpus.pairs import Autoencoder

Pixels = NDArray[np.uint8]
PIXELS, ROWS, DONE = "aligned.npy", "aligned_rows.npy", "aligned_done.json"


@dataclass(frozen=True)
class Pair:
    """A real crop and its reconstruction, (S, S, 3) uint8 RGB each, and the seed of their draws."""

    row: int
    real: Pixels
    made: Pixels
    seed: int

    def halves(self) -> Iterator[tuple[Pixels, random.Random]]:
        """The real half, then the made one, each with the same chances."""
        yield self.real, random.Random(self.seed)
        yield self.made, random.Random(self.seed)


@dataclass(frozen=True)
class Reconstructions:
    """The reconstructions beside a cache.

    Attributes:
        rows: (M,) rows of the cache.
        pixels: (M, S, S, 3) uint8 RGB, memory-mapped.
    """

    rows: NDArray[np.int64]
    pixels: Pixels

    @classmethod
    def open(cls, cache: CropCache) -> Reconstructions:
        """Open what `cache_reconstructions` wrote.

        Raises:
            CorpusError: there is none.
        """
        try:
            done = int(json.loads((cache.folder / DONE).read_text(encoding="utf-8")))
            rows: NDArray[np.int64] = np.load(cache.folder / ROWS)[:done]
            return cls(rows, np.load(cache.folder / PIXELS, mmap_mode="r")[:done])
        except OSError as error:
            raise CorpusError(
                f"{cache.folder}: no reconstructions for aligned pairs; make them with: "
                "detector train aligned"
            ) from error

    def places(self, allowed: Sequence[Sequence[int]]) -> list[int]:
        """Positions of those rows that a run may train on.

        Raises:
            CorpusError: none of them may.
        """
        usable = {row for members in allowed for row in members}
        found = [place for place, row in enumerate(self.rows.tolist()) if row in usable]
        if not found:
            raise CorpusError("no reconstruction is of a real image that may be trained on")
        return found

    def pair(self, cache: CropCache, place: int, rng: random.Random) -> Pair:
        """The pair at a position, with a seed for its draws."""
        row = int(self.rows[place])
        return Pair(row, cache.arrays["native"][row, 0], self.pixels[place], rng.getrandbits(64))


def real_rows(cache: CropCache, most: int, seed: int = 0) -> NDArray[np.int64]:
    """Up to `most` usable real rows outside of `test`, even over sources as far as they reach."""
    rng = np.random.default_rng(seed)
    by_source: dict[str, list[int]] = {}
    for row in rng.permutation(len(cache.index)).tolist():
        item = cache.index[row]
        if cache.usable[row] and item["label"] == 0 and item["split"] != "test":
            by_source.setdefault(item["source"], []).append(row)
    # Round by round: the first image of every source, then the second.
    ranked = [(rank, row) for rows in by_source.values() for rank, row in enumerate(rows)]
    return np.array([row for _, row in sorted(ranked)[:most]], np.int64)


def cache_reconstructions(
    autoencoder: Autoencoder,
    cache: CropCache,
    rows: NDArray[np.int64],
    *,
    multiple: int = 16,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Reconstruct the first native crop of some rows; an interrupted run goes on.

    Args:
        autoencoder: see `detector.corpus.pairs`.
        rows: of real images.
    """
    folder = cache.folder
    done = 0
    if (folder / DONE).is_file() and np.array_equal(np.load(folder / ROWS), rows):
        done = int(json.loads((folder / DONE).read_text(encoding="utf-8")))
        stored = open_memmap(folder / PIXELS, mode="r+")
    else:
        np.save(folder / ROWS, rows)
        shape = (len(rows), SIDE, SIDE, 3)
        stored = open_memmap(folder / PIXELS, mode="w+", dtype=np.uint8, shape=shape)
    for place in range(done, len(rows)):
        crop = np.ascontiguousarray(cache.arrays["native"][rows[place], 0])
        stored[place] = reconstruct(crop, autoencoder, multiple=multiple)
        if (place + 1) % 50 == 0 or place + 1 == len(rows):
            stored.flush()
            (folder / DONE).write_text(json.dumps(place + 1), encoding="utf-8")
        progress(place + 1, len(rows))
