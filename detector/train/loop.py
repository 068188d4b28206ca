"""The training loop: read top to bottom.

Half of every step's views are whole, half native, or all are native for a design that looks at
nothing else. A binary cross-entropy teaches each head; where a teacher's features are at hand,
the trunk also learns to predict them; and a consistency loss, where it is wanted,
asks for the same answer before and after degradation. The averaged weights (EMA) are what ships.
Every `SAVE_EVERY` steps the whole state goes to disk as safetensors, and the same command goes
on from there.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from detector.errors import CorpusError
from detector.metrics import auc
from detector.model import TwoViewNet, to_tensor
from detector.traces import TraceNet
from detector.train.aligned import Reconstructions
from detector.train.cache import CropCache
from detector.train.config import OptimConfig, TrainConfig
from detector.train.sampler import Batch, Drawn, Sampler

SAVE_EVERY = 100
Trainable = TwoViewNet | TraceNet


@dataclass(frozen=True)
class TeacherFeatures:
    """What a teacher said of some views of a cache.

    Attributes:
        places: for each of the cache's arrays that it knows, (rows of the cache,) positions in
            `values`, −1 where it said nothing.
        values: (M, D) float16, standardised by column.
    """

    places: Mapping[str, NDArray[np.int64]]
    values: NDArray[np.float16]

    def of(self, drawn: Drawn) -> NDArray[np.int64]:
        """(N,) positions in `values` of what it said of these views, −1 for nothing."""
        at = [
            self.places[name][row] if name in self.places else -1
            for name, row in zip(drawn.arrays, drawn.rows, strict=True)
        ]
        return np.array(at, np.int64)


def rate_at(step: int, optim: OptimConfig) -> float:
    """Factor on the learning rates: a linear warm-up, then a cosine to zero."""
    if step < optim.warmup:
        return (step + 1) / optim.warmup
    share = (step - optim.warmup) / max(1, optim.steps - optim.warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def freeze(net: TwoViewNet, blocks: int) -> None:
    """Keep the stem, the first blocks and every depthwise filter at their initial values.

    The weight gradient of a depthwise convolution is by far the slowest step on a CPU, and
    these filters hold a hundredth of the parameters.
    """
    for block in net.blocks:
        block.depthwise.weight.requires_grad_(False)  # type: ignore[union-attr]
    for part in frozen_parts(net, blocks):
        for parameter in part.parameters():
            parameter.requires_grad_(False)


def frozen_parts(net: TwoViewNet, blocks: int) -> list[nn.Module]:
    """The stem and the first blocks, when any are to be frozen."""
    return [net.stem, net.stem_norm, *net.blocks[:blocks]] if blocks else []


def optimizer_for(net: nn.Module, optim: OptimConfig) -> torch.optim.AdamW:
    """AdamW: higher rates for heads, no decay on vectors."""
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            head = "heads." in name
            groups.setdefault((head, parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "peak": optim.head_rate if head else optim.trunk_rate,
                "weight_decay": optim.weight_decay if matrix else 0.0,
            }
            for (head, matrix), parameters in groups.items()
        ],
        betas=(0.9, 0.99),
    )


class Trainee(nn.Module):
    """The network with the linear map that predicts a teacher's features; only the first ships."""

    def __init__(self, net: Trainable, teacher_width: int) -> None:
        super().__init__()
        self.net = net
        self.distil = nn.Linear(net.features, teacher_width) if teacher_width else None
        if self.distil is not None:
            # Standardised targets: zero is the best guess before anything was learnt.
            nn.init.zeros_(self.distil.weight)
            nn.init.zeros_(self.distil.bias)


def step_loss(
    model: Trainee, batch: Batch, targets: Tensor | None, known: Tensor | None, optim: OptimConfig
) -> tuple[Tensor, dict[str, float]]:
    """The loss of one step and its parts.

    Args:
        targets: (N, D) teacher's features of the drawn views, kind by kind, or None.
        known: (N,) bool, where the teacher said anything.
    """
    net = model.net
    # One pass for all of them: batch norms see the same mixture in every step.
    pixels = np.concatenate([form for drawn in batch.values() for form in _forms(drawn)])
    features = net.embed(to_tensor(pixels))
    dropped = F.dropout(features, net.dropout, net.training)
    parts: dict[str, float] = {}
    total = features.new_zeros(())
    learnt: list[Tensor] = []
    first = 0
    for view, drawn in batch.items():
        count, forms_of = len(drawn.rows), len(_forms(drawn))
        rows = slice(first, first + count * forms_of)
        first = rows.stop
        # The degraded views come before the clean ones, if there are both.
        learnt.append(features[rows][:count])
        truth = torch.from_numpy(drawn.labels) * (1 - 2 * optim.smoothing) + optim.smoothing
        logits = net.heads[view](dropped[rows]).squeeze(1).view(forms_of, count)
        loss = F.binary_cross_entropy_with_logits(logits, truth.expand_as(logits))
        parts[view] = loss.item()
        total = total + optim.labels * loss
        if forms_of == 2:
            apart = disagreement(logits[0], logits[1])
            parts[f"{view}_apart"] = apart.item()
            total = total + optim.consistency * apart
    if targets is not None and known is not None and model.distil is not None and known.any():
        predicted = model.distil(torch.cat(learnt))[known]
        loss = F.smooth_l1_loss(predicted, targets[known])
        parts["distil"] = loss.item()
        total = total + optim.distil * loss
    return total, parts


def _forms(drawn: Drawn) -> list[NDArray[np.uint8]]:
    """The degraded views and, where the run compares them, the same views before."""
    return [drawn.pixels] if drawn.clean is None else [drawn.pixels, drawn.clean]


def disagreement(degraded: Tensor, clean: Tensor) -> Tensor:
    """How far apart two judgements of the same views are: the symmetric Kullback-Leibler
    divergence of their probabilities, as a mean.

    Args:
        degraded, clean: (N,) logits.
    """
    return ((torch.sigmoid(degraded) - torch.sigmoid(clean)) * (degraded - clean)).mean()


@torch.inference_mode()
def validate(
    net: Trainable, cache: CropCache, rows: NDArray[np.int64], size: int, batch: int = 64
) -> dict[str, float]:
    """AUC of each head on held-out rows, on clean and on platform-treated views."""
    net.eval()
    names = [name for name in cache.arrays if name.removeprefix("web_") in net.heads]
    labels = np.array([cache.index[row]["label"] for row in rows])
    edge = (cache.arrays["whole"].shape[1] - size) // 2
    report: dict[str, float] = {}
    for name in names:
        view = name.removeprefix("web_")
        scores: list[float] = []
        for start in range(0, len(rows), batch):
            stored = cache.arrays[name][rows[start : start + batch]]
            pixels = stored if view == "whole" else stored[:, 0]
            cut = pixels[:, edge : edge + size, edge : edge + size]
            scores += net(to_tensor(cut), view).tolist()
        report[f"auc_{name}"] = round(auc(labels, np.array(scores)), 4)
    return report


def train(
    cache: CropCache,
    config: TrainConfig,
    net: Trainable,
    folder: str | Path,
    *,
    teacher: TeacherFeatures | None = None,
    soft: Mapping[str, NDArray[np.float32]] = MappingProxyType({}),
    aligned: Reconstructions | None = None,
    validate_every: int = 700,
    validation_rows: int = 300,
    minutes: float | None = None,
    progress: Callable[[int, dict[str, Any]], None] = lambda step, log: None,
) -> Path:
    """Train a network, or go on with a run that was interrupted.

    Args:
        cache: crop cache of the corpus.
        config: the run's configuration.
        net: with its initial weights.
        folder: of the run; holds `state.safetensors`, `log.jsonl` and, at the end,
            `ema.safetensors`.
        teacher: features to be distilled, when `config.optim.distil` is above 0.
        soft: targets of each view by row of the cache, from `detector.train.soft`; mixed into
            the labels by `config.optim.soft`.
        aligned: reconstructions of real crops, when `config.data.aligned` is above 0.
        validate_every: steps between looks at the validation sources.
        validation_rows: how many validation samples such a look takes at most.
        minutes: stop cleanly after this long; the next call goes on.
        progress: called with the step and its log line.

    Returns:
        Path of the averaged weights when the run is complete, else of the saved state.
    """
    optim = config.optim
    run = Path(folder)
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    sampler = Sampler(cache, config, aligned)
    if not sampler.size:
        raise CorpusError(f"{cache.folder}: nothing to train on after holding out validation")
    if optim.distil <= 0 or "whole" not in config.views:
        teacher = None
    model = Trainee(net, 0 if teacher is None else teacher.values.shape[1])
    model.to(memory_format=torch.channels_last)
    if isinstance(net, TwoViewNet):
        freeze(net, optim.frozen_blocks)
    average = deepcopy(net).eval()
    optimizer = optimizer_for(model, optim)
    first = load_state(run, model, average, optimizer)
    held_out = validation_sample(cache, config, validation_rows)
    started = time.monotonic()
    with (run / "log.jsonl").open("a", encoding="utf-8") as log:
        for step, batch in sampler.batches(first, optim.steps):
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * rate_at(step, optim)
            targets, known = teacher_targets(teacher, batch)
            batch = softened(batch, soft, optim.soft)
            model.train()
            if isinstance(net, TwoViewNet):
                for part in frozen_parts(net, optim.frozen_blocks):
                    part.eval()  # their norms' statistics are frozen as well
            loss, parts = step_loss(model, batch, targets, known, optim)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            update_average(average, net, min(optim.ema, (step + 1) / (step + 10)))
            line: dict[str, Any] = {"step": step, **{k: round(v, 4) for k, v in parts.items()}}
            line |= {"norm": round(float(norm), 3), "seconds": round(time.monotonic() - started, 1)}
            last = step + 1 == optim.steps
            if len(held_out) and ((step + 1) % validate_every == 0 or last):
                line |= validate(average, cache, held_out, config.size)
            log.write(json.dumps(line) + "\n")
            progress(step, line)
            over = minutes is not None and time.monotonic() - started > 60 * minutes
            if (step + 1) % SAVE_EVERY == 0 or last or over:
                log.flush()
                save_state(run, model, average, optimizer, step + 1)
            if over and not last:
                return run / "state.safetensors"
    return write_weights(average, run / "ema.safetensors")


def validation_sample(cache: CropCache, config: TrainConfig, most: int) -> NDArray[np.int64]:
    """Up to `most` rows of the validation sources, even over classes."""
    names = set(config.validation)
    rng = np.random.default_rng(config.seed)
    chosen: list[NDArray[np.int64]] = []
    for label in (0, 1):
        rows = np.array(
            [
                i
                for i, item in enumerate(cache.index)
                if item["source"] in names and item["label"] == label and cache.usable[i]
            ],
            np.int64,
        )
        chosen.append(rng.permutation(rows)[: most // 2])
    return np.sort(np.concatenate(chosen))


def teacher_targets(
    teacher: TeacherFeatures | None, batch: Batch
) -> tuple[Tensor | None, Tensor | None]:
    """The teacher's features of a batch's views, kind by kind, and where it has any."""
    if teacher is None:
        return None, None
    found = np.concatenate([teacher.of(drawn) for drawn in batch.values()])
    values = teacher.values[np.maximum(found, 0)].astype(np.float32)
    return torch.from_numpy(values), torch.from_numpy(found >= 0)


def softened(batch: Batch, soft: Mapping[str, NDArray[np.float32]], share: float) -> Batch:
    """The batch with soft targets mixed into its labels, where there are any."""
    changed = dict(batch)
    for view in soft if share else ():
        if view in batch:
            drawn = batch[view]
            said = soft[view][drawn.rows]
            mixed = np.where(
                np.isnan(said), drawn.labels, (1 - share) * drawn.labels + share * said
            )
            changed[view] = replace(drawn, labels=mixed.astype(np.float32))
    return changed


@torch.no_grad()
def update_average(average: Trainable, net: Trainable, decay: float) -> None:
    """Move the averaged weights a little towards the current ones."""
    current = net.state_dict()
    for name, value in average.state_dict().items():
        if value.dtype.is_floating_point:
            value.lerp_(current[name], 1 - decay)
        else:
            value.copy_(current[name])


def write_weights(net: nn.Module, path: Path) -> Path:
    """Write a network's weights as safetensors; replaces the file at once."""
    from safetensors.torch import save_file

    tensors = {k: v.contiguous() for k, v in net.state_dict().items()}
    draft = path.with_suffix(".part")
    save_file(tensors, draft)
    os.replace(draft, path)
    return path


def save_state(
    run: Path, model: Trainee, average: Trainable, optimizer: torch.optim.Optimizer, step: int
) -> None:
    """Write everything that a resumed run needs into one safetensors file."""
    from safetensors.torch import save_file

    tensors = {f"model.{k}": v.contiguous() for k, v in model.state_dict().items()}
    tensors |= {f"average.{k}": v.contiguous() for k, v in average.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{k}": v.contiguous() for k, v in state.items()}
    draft = run / "state.part"
    save_file({k: v.clone() for k, v in tensors.items()}, draft, {"step": str(step)})
    os.replace(draft, run / "state.safetensors")


def load_state(
    run: Path, model: Trainee, average: Trainable, optimizer: torch.optim.Optimizer
) -> int:
    """Restore a saved run in place; returns the step to go on with, 0 when there is none."""
    from safetensors import safe_open

    file = run / "state.safetensors"
    if not file.is_file():
        return 0
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}}
    with safe_open(file, "pt") as saved:
        step = int(saved.metadata()["step"])
        for name in saved.keys():  # noqa: SIM118 - safe_open is no mapping
            kind, rest = name.split(".", 1)
            parts[kind][rest] = saved.get_tensor(name)
    model.load_state_dict(parts["model"])
    average.load_state_dict(parts["average"])
    whole = optimizer.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in parts["optimizer"].items():
        number, key = name.split(".", 1)
        state.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": whole["param_groups"]})
    return step
