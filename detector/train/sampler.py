"""Which views a training step sees: balanced by class, tempered over sources, degraded alike."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from detector.augment import degrade, flip_and_cut
from detector.train.aligned import Pair, Reconstructions
from detector.train.cache import CROPS, CropCache, teachers_cut
from detector.train.config import TrainConfig

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Drawn:
    """The views of one kind in a step.

    Attributes:
        pixels: (N, S, S, 3) uint8 RGB.
        labels: (N,) float32, 0 real, 1 generated.
        rows: (N,) rows of the cache.
        arrays: N names of the cache's arrays that the views were cut from, for what a teacher said
            of them; "" for a crop that no teacher looks at.
        clean: (N, S, S, 3) uint8 RGB, the same views before degradation; None when not wanted.
    """

    pixels: Pixels
    labels: NDArray[np.float32]
    rows: NDArray[np.int64]
    arrays: tuple[str, ...]
    clean: Pixels | None = None


# The views of one step, by kind.
Batch = dict[str, Drawn]


class Sampler:
    """Draws rows of a cache; the draw of step n depends on the seed and n alone.

    So a run that is resumed sees what it would have seen.
    """

    def __init__(
        self, cache: CropCache, config: TrainConfig, aligned: Reconstructions | None = None
    ) -> None:
        self.cache = cache
        self.config = config
        self.side = config.optim.side or config.size
        self.aligned = aligned if config.data.aligned > 0 else None
        held_out = set(config.validation)
        rows: dict[tuple[int, str], list[int]] = defaultdict(list)
        paired: set[str] = set()
        for row, item in enumerate(cache.index):
            # Sources marked "test" never train anything.
            if item["split"] == "test" or item["source"] in held_out or not cache.usable[row]:
                continue
            if not config.data.uses(item["source"]):
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
        self.aligned_at = [] if self.aligned is None else self.aligned.places(self.rows[0])

    @property
    def size(self) -> int:
        """Number of samples that may be drawn."""
        return sum(len(members) for label in self.rows for members in label)

    def batch(self, step: int, strength: float) -> Batch:
        """The views of one step, with degradations at the given strength."""
        rng = random.Random(f"{self.config.seed}/{step}")
        optim = self.config.optim
        forms = 2 if optim.consistency > 0 else 1
        count = optim.batch // (forms * len(self.config.views))
        return {view: self._drawn(view, count, strength, rng) for view in self.config.views}

    def _drawn(self, view: str, count: int, strength: float, rng: random.Random) -> Drawn:
        pairs = self._pairs(count, rng) if view == "native" else []
        labels = [i % 2 for i in range(count)]
        rows = [self._draw(label, rng) for label in labels[2 * len(pairs) :]]
        halves = ((pixels, "", chance) for pair in pairs for pixels, chance in pair.halves())
        # One at a time: a view's draws follow those of the view before it.
        others = ((*self._stored(row, view, rng), rng) for row in rows)
        cuts, pixels, names = [], [], []
        for stored, name, chance in chain(halves, others):
            names.append(name)
            cuts.append(flip_and_cut(stored, self.side, chance))
            pixels.append(degrade(cuts[-1], self.config.degradations, strength, chance))
        known = [row for pair in pairs for row in (pair.row, pair.row)] + rows
        return Drawn(
            np.stack(pixels),
            np.array(labels, np.float32),
            np.array(known, np.int64),
            tuple(names),
            np.stack(cuts) if self.config.optim.consistency > 0 else None,
        )

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

    def _stored(self, row: int, view: str, rng: random.Random) -> tuple[Pixels, str]:
        """A view with both sides at least the run's, and the name of what a teacher may know."""
        name = f"web_{view}" if rng.random() < self.config.data.web else view
        stored: Pixels = self.cache.arrays[name][row]
        # No draw is made where the run does not ask for it: an older run's draws stay the same.
        share = self.config.data.as_taught
        taught = share > 0 and rng.random() < share
        if taught:
            return teachers_cut(stored, name, self.side), name
        if view == "whole":
            return stored, name
        crop = rng.randrange(CROPS)
        return stored[crop], "" if crop else name

    def _pairs(self, count: int, rng: random.Random) -> list[Pair]:
        """Aligned pairs for the given number of native views; none unless the run wants them."""
        if self.aligned is None:
            return []
        wanted = round(self.config.data.aligned * count / 2)
        return [
            self.aligned.pair(self.cache, rng.choice(self.aligned_at), rng) for _ in range(wanted)
        ]
