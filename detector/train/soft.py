"""Soft targets: what heads on the teacher's tokens say of images whose sources they never saw.

A small network soon knows the training sources by heart, and its training loss then says little
about others. Heads that never saw an image's source can only tell what carries over from other
sources; a student that learns their word, mixed with the label, has less to learn by heart.
(Knowledge distillation: Hinton et al., arXiv 1503.02531; here out of fold, by source.)
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from detector.preprocess import VIEWS
from detector.train.cache import CropCache
from detector.train.config import TrainConfig
from detector.train.heads import read_tokens, single_head
from detector.train.teacher import TokenFiles


def soft_file(folder: Path, view: str) -> Path:
    """(N,) float32: probability of "generated" for each row of the cache, NaN where unknown."""
    return folder / f"soft_{view}.npy"


def write_soft_targets(
    cache: CropCache,
    config: TrainConfig,
    *,
    folds: int = 4,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Path]:
    """Write the soft targets of every view that the tower has looked at.

    Args:
        config: of the heads; its validation sources get no target.
        folds: sources are dealt into so many parts, each judged by heads of the others.
    """
    written: list[Path] = []
    views = [view for view in VIEWS if TokenFiles(cache.folder, view).done.is_file()]
    for number, view in enumerate(views):
        rows, _ = TokenFiles(cache.folder, view).read()
        data = read_tokens(cache, config, view, treated=False)
        sources = [cache.index[row]["source"] for row in rows.tolist()]
        names = sorted(set(sources) - set(config.validation))
        random.Random(config.seed).shuffle(names)
        fold_of = {name: i % folds for i, name in enumerate(names)}
        fold = np.array([fold_of.get(source, -1) for source in sources])
        found = np.full(len(cache.index), np.nan, np.float32)
        for part in range(folds):
            own = torch.from_numpy(fold == part)
            weights = torch.where(own, 0.0, data.weights)
            net = single_head(data, view, config, weights)
            with torch.inference_mode():
                logits = net.heads[view](data.features[own])
            found[rows[own.numpy()]] = torch.sigmoid(logits).numpy()
            progress(number * folds + part + 1, len(views) * folds)
        np.save(soft_file(cache.folder, view), found)
        written.append(soft_file(cache.folder, view))
    return written


def read_soft_targets(cache: CropCache) -> dict[str, NDArray[np.float32]]:
    """The soft targets of each view, NaN where there is none; views without any are left out."""
    files = {view: soft_file(cache.folder, view) for view in VIEWS}
    found = {view: np.load(file) for view, file in files.items() if file.is_file()}
    rows = len(cache.index)
    return {
        # The cache may have grown since.
        view: np.pad(said, (0, rows - len(said)), constant_values=np.nan)
        for view, said in found.items()
    }
