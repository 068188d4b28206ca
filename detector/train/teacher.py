"""What CLIP's tower says of the cached views: targets for the CNN, features for the heads.

The tower knows style and content far better than a small network can learn them from labels.
Its tokens of several layers, on clean whole views and native crops, are kept beside the crop
cache; `detector.tower` has the tower itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from detector.errors import CorpusError
from detector.tower import LAYERS, SIZE, WIDTH, Tower
from detector.train.cache import CropCache, teachers_cut
from detector.train.config import OptimConfig
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
    """Run the tower on one view of some rows; rows that it has looked at are kept, and come first.

    So an interrupted run goes on, and a cache that has grown needs the tower for its new rows only.

    Args:
        rows: of the cache; some of them may be done already.
        view: an array of the cache: "whole", "native", "detail", or one of them with "web_".
        layers: whose tokens are kept; the tower runs no further than the last. Rows whose tokens
            of other layers only are at hand begin anew.

    Writes the files that `TokenFiles` names into the cache's folder.
    """
    files = TokenFiles(cache.folder, view)
    rows, done = _with_room(files, rows, layers)
    tokens = open_memmap(files.tokens, mode="r+")
    while done < len(rows):
        chosen = rows[done : done + batch].tolist()
        views = np.stack([teachers_cut(cache.arrays[view][row], view, SIZE) for row in chosen])
        tokens[done : done + len(chosen)] = tower.tokens(views, layers).numpy()
        done += len(chosen)
        if done // batch % 50 == 0 or done == len(rows):
            tokens.flush()
            files.done.write_text(json.dumps(done))
        progress(done, len(rows))


def _with_room(
    files: TokenFiles, wanted: NDArray[np.int64], layers: tuple[int, ...]
) -> tuple[NDArray[np.int64], int]:
    """Make the token file ready for these rows: all of its rows, and how many of them are done."""
    known, kept = np.zeros(0, np.int64), None
    if files.done.is_file() and not set(layers) - set(files.layers):
        known, kept = files.read()
    rows = np.concatenate([known, wanted[~np.isin(wanted, known)]])
    shape = (len(rows), 3 * len(layers), WIDTH)
    if kept is None or files.layers != layers or _shape_of(files.tokens) != shape:
        draft = files.tokens.with_suffix(".part")
        tokens = open_memmap(draft, mode="w+", dtype=np.float16, shape=shape)
        if kept is not None:
            columns = [
                3 * files.layers.index(layer) + kind for layer in layers for kind in range(3)
            ]
            for start in range(0, len(known), 1000):
                tokens[start : min(start + 1000, len(known))] = kept[start : start + 1000, columns]
        tokens.flush()
        files.done.unlink(missing_ok=True)  # until all files agree again
        os.replace(draft, files.tokens)
        files.layers_file.write_text(json.dumps(layers))
    np.save(files.rows, rows)
    files.done.write_text(json.dumps(len(known)))
    return rows, len(known)


def _shape_of(file: Path) -> tuple[int, ...]:
    """Of an array on disk."""
    return tuple(np.load(file, mmap_mode="r").shape)


def distilled_features(
    cache: CropCache, optim: OptimConfig, views: Sequence[str] = ("whole",)
) -> TeacherFeatures:
    """What a student learns of the tower's tokens, standardised by column.

    A whole view after a platform's treatment has the clean one's tokens as its target, so that the
    student learns to see through the treatment; crops have their own, since they are others.

    Args:
        optim: says which tokens, and by how many principal components; these are divided by the
            square root of their deviation, half-way to whitening: what tells few images apart
            still counts.
        views: kinds of views of the run. Native ones are taught where the tower has looked at
            them and components are asked for.

    Raises:
        CorpusError: the teacher has not looked at this cache's whole views.
    """
    names = ["whole"]
    if optim.distil_components and "native" in views:
        crops = ("native", "web_native")
        names += [name for name in crops if TokenFiles(cache.folder, name).done.is_file()]
    places: dict[str, NDArray[np.int64]] = {}
    tokens: list[NDArray[np.float32]] = []
    first = 0
    for name in names:
        files = TokenFiles(cache.folder, name)
        rows, _ = files.read()
        places[name] = np.full(len(cache.index), -1, np.int64)
        places[name][rows] = first + np.arange(len(rows))
        tokens.append(files.features(optim.distil_layers, optim.distil_patches)[: len(rows)])
        first += len(rows)
    places["web_whole"] = places["whole"]
    mean, spread = tokens[0].mean(0), tokens[0].std(0) + 1e-4
    values = [np.clip((part - mean) / spread, -6, 6) for part in tokens]
    if optim.distil_components:
        values = _components(values, optim.distil_components)
    return TeacherFeatures(places, np.concatenate(values).astype(np.float16))


def _components(parts: list[NDArray[np.float32]], count: int) -> list[NDArray[np.float32]]:
    """Principal components of the first part, of all parts, half whitened, of mean square 1."""
    torch.manual_seed(0)
    sample = torch.from_numpy(parts[0][:: max(1, len(parts[0]) // 6000)])
    _, deviations, directions = torch.pca_lowrank(sample, q=count, center=False)
    scaled = directions / deviations.sqrt()
    size = (sample @ scaled).square().mean().sqrt()
    return [(torch.from_numpy(part) @ scaled / size).numpy() for part in parts]
