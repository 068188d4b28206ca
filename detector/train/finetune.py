"""Fine-tunes a bundle's heads on a user's own folders, and fits its decisions anew.

Only the heads move: the trunk's features were learnt on far more sources than one user has, and
moving them on a few hundred images forgets more than it learns. A pull towards the old heads
keeps what they knew. A part of the images, whole sources where there are several, trains
nothing: calibration and thresholds come from it, and so do the figures in the new card.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from detector.corpus.samples import Sample
from detector.errors import CorpusError, UsageError
from detector.model import to_tensor
from detector.pool import Fault, Pool
from detector.predict import Detector
from detector.preprocess import VIEWS
from detector.train.finish import (
    CONDITIONS,
    decide_from,
    prepare_under,
    score_samples,
    write_bundle,
)
from detector.weights import Bundle

LEAST_IMAGES = 60
HELD_OUT = 0.34


@dataclass(frozen=True)
class Tuning:
    """How far and how long.

    Attributes:
        steps, batch, rate: of Adam on the heads.
        anchor: pull towards the old heads; larger stays nearer.
        seed: of the split and of every draw.
        nominal_fpr, inconclusive_fpr: what the thresholds aim at.
    """

    steps: int = 400
    batch: int = 64
    rate: float = 3e-4
    anchor: float = 1e-3
    seed: int = 0
    nominal_fpr: float = 0.02
    inconclusive_fpr: float = 0.1


def split(samples: Sequence[Sample], seed: int = 0) -> tuple[list[Sample], list[Sample]]:
    """Images that train and images held out; whole sources where a class has four or more.

    Raises:
        CorpusError: a class has too few images; names how many are needed.
    """
    chance = random.Random(seed)
    train: list[Sample] = []
    held: list[Sample] = []
    for label, word in ((0, "real"), (1, "generated")):
        own = sorted((s for s in samples if s.label == label), key=lambda s: s.key)
        if len(own) < LEAST_IMAGES:
            raise CorpusError(
                f"{len(own)} {word} images are too few to tune and to check on: "
                f"at least {LEAST_IMAGES} are needed"
            )
        sources = sorted({s.source for s in own})
        chance.shuffle(own)
        chance.shuffle(sources)
        if len(sources) >= 4:
            chosen = set(sources[: max(1, round(HELD_OUT * len(sources)))])
            held += [s for s in own if s.source in chosen]
            train += [s for s in own if s.source not in chosen]
        else:
            cut = round(HELD_OUT * len(own))
            held += own[:cut]
            train += own[cut:]
    return train, held


def finetune(
    bundle: Bundle,
    samples: Sequence[Sample],
    folder: Path,
    name: str,
    tuning: Tuning = Tuning(),
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Tune a bundle's heads on some images and write the result as a new bundle.

    Args:
        bundle: to start from.
        samples: real and generated images.
        folder: of the new bundle.
        name: its id.
        progress: called with images done and all of them.

    Returns:
        The new bundle's config.

    Raises:
        CorpusError: too few images of a class, or too few that can be read.
        UsageError: the name is a shipped bundle's.
    """
    if name == bundle.id:
        raise UsageError(f"the new bundle needs another name than {name}")
    train, held = split(samples, tuning.seed)
    detector = Detector(bundle)
    features = _features(detector, train, workers, progress)
    for view, (x, y) in features.items():
        if len(set(y.tolist())) == 2:
            _tune(detector.net.heads[view], x, y, tuning)
    folder.mkdir(parents=True, exist_ok=True)
    weights = _save(bundle, detector, folder)
    config = {**bundle.config, "id": name, "profile": ""}
    config.pop("evaluation", None)  # measured on the old heads
    write_bundle(folder, weights, config)
    tuned = Detector.load(folder)
    scored = list(score_samples(tuned, held, CONDITIONS, workers=workers))
    if {item.sample.label for item in scored} != {0, 1}:
        raise CorpusError("too few of the held-out images can be read to calibrate on")
    config |= decide_from(
        scored, tuning.nominal_fpr, tuning.inconclusive_fpr, bundle.thresholds.least_texture
    )
    config["training"] = {
        "started_from": bundle.id,
        "images": len(train),
        "held_out": len(held),
        "seed": tuning.seed,
    }
    write_bundle(folder, folder / "model.safetensors", config)
    (folder / "MODEL_CARD.md").write_text(_card(name, bundle.id, config), encoding="utf-8")
    return config


def _save(bundle: Bundle, detector: Detector, folder: Path) -> Path:
    """The shipped tensors with the new heads; norms were folded in memory, not on disk."""
    from safetensors.torch import save_file

    file = folder / "model.safetensors"
    tensors = bundle.tensors()
    for key, value in detector.net.heads.state_dict().items():
        old = tensors[f"heads.{key}"]
        tensors[f"heads.{key}"] = value.to(old.dtype).contiguous()
    save_file(tensors, file)
    return file


def _features(
    detector: Detector,
    samples: Sequence[Sample],
    workers: int,
    progress: Callable[[int, int], None],
) -> dict[str, tuple[Tensor, Tensor]]:
    """Per view: (M, F) features of every view under every condition, and their labels."""
    work = partial(prepare_under, conditions=CONDITIONS, config=detector.bundle.preprocess)
    found: dict[str, list[Tensor]] = {view: [] for view in VIEWS}
    labels: dict[str, list[int]] = {view: [] for view in VIEWS}
    with Pool(work, workers) as pool:
        for done, (sample, prepared) in enumerate(pool.run(samples), start=1):
            progress(done, len(samples))
            if isinstance(prepared, Fault):
                continue
            for item in prepared:
                if item.views is None:
                    continue
                for view, crops in groupby(item.views.crops(), itemgetter(0)):
                    pixels = [crop for _, _, crop in crops]
                    found[view].append(_embed(detector, pixels))
                    labels[view] += [sample.label] * len(pixels)
    return {
        view: (torch.cat(parts), torch.tensor(labels[view], dtype=torch.float32))
        for view, parts in found.items()
        if parts
    }


@torch.inference_mode()
def _embed(detector: Detector, views: Sequence[NDArray[np.uint8]]) -> Tensor:
    return detector.net.embed(to_tensor(np.stack(views)))


def _tune(head: torch.nn.Module, x: Tensor, y: Tensor, tuning: Tuning) -> None:
    """Move one head in place."""
    x = x.clone()  # features came from inference mode
    old = [p.detach().clone() for p in head.parameters()]
    optimizer = torch.optim.Adam(head.parameters(), tuning.rate)
    draws = torch.Generator().manual_seed(tuning.seed)
    even = torch.where(y == 1, 0.5 / y.sum(), 0.5 / (1 - y).sum())
    head.eval()  # no dropout: the pull towards the old heads is what holds them
    for _ in range(tuning.steps):
        rows = torch.multinomial(even, tuning.batch, replacement=True, generator=draws)
        logits = head(x[rows]).flatten()
        loss = F.binary_cross_entropy_with_logits(logits, y[rows])
        pull = sum(((p - q) ** 2).sum() for p, q in zip(head.parameters(), old, strict=True))
        optimizer.zero_grad(set_to_none=True)
        (loss + tuning.anchor * pull).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    head.requires_grad_(False)


def _card(name: str, parent: str, config: dict[str, Any]) -> str:
    checked = config["validation"]["likely_generated"]
    return f"""# {name}

Heads of `{parent}`, tuned on {config["training"]["images"]} local images with
`detector train finetune`. **The error rates in {parent}'s card no longer hold.**

On {config["training"]["held_out"]} local images held out, each as published, re-saved and as a
platform serves it, the threshold {config["thresholds"]["likely_generated"]:+.3f} was chosen for a
nominal {config["thresholds"]["nominal_fpr"]:.0%} of real images; what was reached there:

```json
{_json(checked)}
```

These images come from the same folders as those it was tuned on: on images from elsewhere it will
do worse. Measure it there with `detector evaluate FOLDER --model BUNDLE`.
"""


def _json(value: Any) -> str:
    import json

    return json.dumps(value, indent=2)
