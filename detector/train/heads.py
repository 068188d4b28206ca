"""Trains the heads of the thorough profile on the tokens that CLIP's tower gave once.

The tower is frozen, so an image is looked at once and the heads train in minutes. Each member of
a head draws its own batches and its own mixtures of two images (mixup, arXiv 1710.09412), which
on few sources keeps a network from learning sources by heart.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from detector.errors import CorpusError
from detector.metrics import auc, tpr_at_fpr
from detector.tower import TokenNet
from detector.train.cache import CropCache
from detector.train.config import TrainConfig
from detector.train.loop import write_weights
from detector.train.teacher import TokenFiles


@dataclass(frozen=True)
class TokenData:
    """The tokens of one view with what is known of their images.

    Attributes:
        features: (M, D) float32.
        labels: (M,) float32, 0 real, 1 generated.
        weights: (M,) float32: how often an image is drawn; 0 for those held out.
        held_out: (V,) positions of the validation sources' images.
        paired: (M,) bool: of sources that hold both classes of one subject.
    """

    features: Tensor
    labels: Tensor
    weights: Tensor
    held_out: Tensor
    paired: NDArray[np.bool_]


def read_tokens(
    cache: CropCache, config: TrainConfig, view: str, *, treated: bool = True
) -> TokenData:
    """The tokens of one view, clean and, where the tower saw them, platform-treated too.

    Without `treated`, clean ones only: where images are left out of training on purpose, a
    treated copy of one must not stay in.
    """
    features: list[NDArray[np.float32]] = []
    rows: list[int] = []
    clean = 0
    for name in (view, f"web_{view}") if treated else (view,):
        if name != view and not TokenFiles(cache.folder, name).done.is_file():
            continue
        files = TokenFiles(cache.folder, name)
        seen, _ = files.read()
        features.append(files.features(config.head.layers, config.head.patches))
        rows += seen.tolist()
        clean = clean or len(rows)
    items = [cache.index[row] for row in rows]
    # Sources marked "test" never train anything, and were never cached.
    weights = draw_weights(items, config)
    validation = set(config.validation)
    held_out = [i for i, item in enumerate(items[:clean]) if item["source"] in validation]
    return TokenData(
        torch.from_numpy(np.concatenate(features)),
        torch.tensor([float(item["label"]) for item in items]),
        weights,
        torch.tensor(held_out, dtype=torch.long),
        np.array([bool(item["pair"]) for item in items]),
    )


def draw_weights(items: list[dict[str, Any]], config: TrainConfig) -> Tensor:
    """(M,) float32: classes even, sources tempered and capped, held-out sources zero.

    As `detector.train.sampler.Sampler` draws, with a cap as less weight in place of fewer images.
    """
    validation = set(config.validation)
    counts = Counter((item["source"], item["label"]) for item in items)
    paired = {item["source"] for item in items if item["pair"]}
    weights = np.zeros(len(items), np.float32)
    for i, item in enumerate(items):
        source = item["source"]
        if source in validation or item["split"] == "test" or not config.data.uses(source):
            continue
        count = counts[source, item["label"]]
        say = min(count, config.data.caps.get(source, count)) ** (1 - config.data.evenness)
        weights[i] = say / count * (config.data.pair_weight if source in paired else 1.0)
    labels = np.array([item["label"] for item in items])
    for label in (0, 1):
        own = labels == label
        if not weights[own].sum():
            raise CorpusError("the training sources must hold real and generated images")
        weights[own] /= weights[own].sum()
    return torch.from_numpy(weights)


def train_heads(
    cache: CropCache,
    config: TrainConfig,
    folder: str | Path,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Train every view's head and write them as `ema.safetensors`, with `log.jsonl` beside.

    Raises:
        CorpusError: the tower has not looked at the cache, or a class is missing.
    """
    run = Path(folder)
    run.mkdir(parents=True, exist_ok=True)
    options = config.head
    torch.manual_seed(config.seed)
    views = config.views
    net = TokenNet(options.layers, options.patches, options.hidden, options.members, views)
    total = len(views) * options.steps
    with (run / "log.jsonl").open("w", encoding="utf-8") as log:
        for number, view in enumerate(views):
            data = read_tokens(cache, config, view)
            done = number * options.steps
            train_head(net, view, data, config, partial(_after, progress, done, total))
            line = {"view": view, "images": len(data.labels), **judge_head(net, view, data)}
            log.write(json.dumps(line) + "\n")
    # Half precision: the logits move by less than a hundredth, the file shrinks by half.
    return write_weights(net.half(), run / "ema.safetensors")


def single_head(data: TokenData, view: str, config: TrainConfig, weights: Tensor) -> TokenNet:
    """A net whose one head for a view has one member and was trained with these draw weights."""
    options = config.head
    torch.manual_seed(config.seed)
    net = TokenNet(options.layers, options.patches, options.hidden, 1, [view])
    single = replace(config, head=replace(options, members=1))
    train_head(net, view, replace(data, weights=weights), single)
    return net


def train_head(
    net: TokenNet,
    view: str,
    data: TokenData,
    config: TrainConfig,
    progress: Callable[[int], None] = lambda step: None,
) -> None:
    """Train one view's head in place."""
    options = config.head
    head = net.heads[view].train()
    head.standardise(data.features, torch.nonzero(data.weights).squeeze(1))  # type: ignore[operator]
    optimizer = torch.optim.AdamW(head.parameters(), options.rate, weight_decay=options.decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.steps)
    draws = torch.Generator().manual_seed(config.seed)
    mixing = torch.distributions.Beta(options.mixup, options.mixup) if options.mixup else None
    for step in range(options.steps):
        rows = torch.multinomial(data.weights, options.batch, replacement=True, generator=draws)
        x, truth = data.features[rows], data.labels[rows]
        if mixing is not None:
            share = mixing.sample((options.batch,))
            other = torch.randperm(options.batch, generator=draws)
            x = torch.lerp(x[other], x, share[:, None])
            truth = torch.lerp(truth[other], truth, share)
        logits = head.all_logits(x)  # type: ignore[operator]
        loss = F.binary_cross_entropy_with_logits(logits, truth[:, None].expand_as(logits))
        # Members share batches; the sum keeps each one's step what it would be alone.
        optimizer.zero_grad(set_to_none=True)
        (loss * options.members).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        progress(step + 1)
    head.eval()


def _after(progress: Callable[[int, int], None], done: int, total: int, step: int) -> None:
    progress(done + step, total)


@torch.inference_mode()
def judge_head(net: TokenNet, view: str, data: TokenData) -> dict[str, float]:
    """AUC and TPR at 5 % FPR on the clean views of the validation sources."""
    if not len(data.held_out):
        return {}
    scores = net.heads[view](data.features[data.held_out]).numpy()
    labels = data.labels[data.held_out].numpy().astype(np.int64)
    paired = data.paired[data.held_out.numpy()]
    return figures(labels, scores, paired)


def figures(
    labels: NDArray[np.int64], scores: NDArray[np.float32], paired: NDArray[np.bool_]
) -> dict[str, float]:
    """AUC, TPR at 5 % FPR and, where `paired` images are of both classes, AUC on them alone."""
    found = {"auc": auc(labels, scores), "tpr_at_5": tpr_at_fpr(labels, scores, 0.05)}
    if len(set(labels[paired].tolist())) == 2:
        found["auc_matched"] = auc(labels[paired], scores[paired])
    return {name: round(float(value), 4) for name, value in found.items()}
