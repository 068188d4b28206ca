"""Which views a training step sees: balanced by class, tempered over sources, degraded alike."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.augment import degrade, flip_and_cut
from detector.train.cache import CROPS, CropCache
from detector.train.config import TrainConfig

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Batch:
    """The views of one step.

    Attributes:
        whole, native: (B/2, S, S, 3) uint8 RGB.
        whole_labels, native_labels: (B/2,) float32, 0 real, 1 generated.
        whole_rows, native_rows: (B/2,) rows of the cache, for what a teacher said of them.
    """

    whole: Pixels
    native: Pixels
    whole_labels: NDArray[np.float32]
    native_labels: NDArray[np.float32]
    whole_rows: NDArray[np.int64]
    native_rows: NDArray[np.int64]


class Sampler:
    """Draws rows of a cache; the draw of step n depends on the seed and n alone.

    So a run that is resumed sees what it would have seen.
    """

    def __init__(self, cache: CropCache, config: TrainConfig) -> None:
        self.cache = cache
        self.config = config
        held_out = set(config.validation)
        rows: dict[tuple[int, str], list[int]] = defaultdict(list)
        paired: set[str] = set()
        for row, item in enumerate(cache.index):
            # Sources marked "test" never train anything.
            if item["split"] == "test" or item["source"] in held_out or not cache.usable[row]:
                continue
            rows[item["label"], item["source"]].append(row)
            if item["pair"]:
                paired.add(item["source"])
        chance = random.Random(config.seed)
        self.rows: tuple[list[list[int]], list[list[int]]] = ([], [])
        self.weights: tuple[list[float], list[float]] = ([], [])
        for (label, source), members in sorted(rows.items()):
            chance.shuffle(members)
            kept = members[: config.data.caps.get(source, len(members))]
            if not kept:
                continue
            factor = config.data.pair_weight if source in paired else 1.0
            self.rows[label].append(kept)
            self.weights[label].append(factor * len(kept) ** (1 - config.data.evenness))

    @property
    def size(self) -> int:
        """Number of samples that may be drawn."""
        return sum(len(members) for label in self.rows for members in label)

    def batch(self, step: int, strength: float) -> Batch:
        """The views of one step, with degradations at the given strength."""
        rng = random.Random(f"{self.config.seed}/{step}")
        half = self.config.optim.batch // 2
        drawn = {}
        for view in ("whole", "native"):
            labels = [i % 2 for i in range(half)]
            rows = [self._draw(label, rng) for label in labels]
            pixels = np.stack([self._view(row, view, strength, rng) for row in rows])
            drawn[view] = (pixels, np.array(labels, np.float32), np.array(rows, np.int64))
        whole, native = drawn["whole"], drawn["native"]
        return Batch(whole[0], native[0], whole[1], native[1], whole[2], native[2])

    def batches(self, first: int, last: int, workers: int = 1) -> Iterator[tuple[int, Batch]]:
        """Steps `first` … `last` − 1 with their batches, made ahead in threads."""
        with ThreadPoolExecutor(workers) as pool:
            waiting: list[tuple[int, Future[Batch]]] = []
            for step in range(first, last):
                waiting.append((step, pool.submit(self.batch, step, self.strength(step))))
                if len(waiting) > workers + 2:
                    number, future = waiting.pop(0)
                    yield number, future.result()
            for number, future in waiting:
                yield number, future.result()

    def strength(self, step: int) -> float:
        """How strong the degradations are at a step, in [0, 1]."""
        optim = self.config.optim
        share = min(1.0, step / max(1.0, optim.ramp * optim.steps))
        return optim.gentle + (1 - optim.gentle) * share

    def _draw(self, label: int, rng: random.Random) -> int:
        source = rng.choices(self.rows[label], self.weights[label])[0]
        return rng.choice(source)

    def _view(self, row: int, view: str, strength: float, rng: random.Random) -> Pixels:
        arrays = self.cache.arrays
        name = f"web_{view}" if rng.random() < 0.5 else view
        stored = arrays[name][row]
        pixels = stored if view == "whole" else stored[rng.randrange(CROPS)]
        cut = flip_and_cut(pixels, self.config.size, rng)
        return degrade(cut, self.config.degradations, strength, rng)
