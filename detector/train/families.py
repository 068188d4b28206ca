"""Leaves one family of generators out of training, and looks how well it is found all the same.

Folds that leave sources out still hold images of the same generator on both sides. A detector is
asked about generators that came after it, and this table is the nearest that a corpus comes to
that question. Heads train in a minute, so it is made for them, on tokens of whole views.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from detector.metrics import auc, tpr_at_fpr
from detector.train.cache import CropCache
from detector.train.config import TrainConfig
from detector.train.heads import TokenData, read_tokens, single_head
from detector.train.teacher import TokenFiles

# First match wins, over the manifest's names of generators.
FAMILIES: tuple[tuple[str, str], ...] = (
    ("GPT Image and Gemini", r"gpt-image|gemini|nano-banana|imagen"),
    ("DALL·E", r"dalle"),
    ("Midjourney", r"midjourney"),
    ("Stable Diffusion XL", r"^sdxl"),
    ("Stable Diffusion 1", r"^sd1|stable-diffusion"),
    ("FLUX", r"^flux"),
    ("StyleGAN", r"^stylegan"),
)
LEAST_IMAGES = 20


@dataclass(frozen=True)
class FamilyFigures:
    """How well heads that never saw a family find it.

    Attributes:
        family: its name.
        images, sources: of the family, none of which trained these heads.
        auc, tpr_at_5: against the real images of the validation sources.
        seen_auc, seen_tpr_at_5: of heads trained on everything, on the family's images from the
            validation sources only; None where there are fewer than `LEAST_IMAGES`.
    """

    family: str
    images: int
    sources: int
    auc: float
    tpr_at_5: float
    seen_auc: float | None
    seen_tpr_at_5: float | None


def family_of(generator: str) -> str:
    """The family of a generator as the manifest names it; "" for none of them."""
    for name, pattern in FAMILIES:
        if re.search(pattern, generator):
            return name
    return ""


def leave_families_out(
    cache: CropCache,
    config: TrainConfig,
    folder: str | Path,
    *,
    progress: Callable[[str], None] = lambda family: None,
) -> list[FamilyFigures]:
    """Train heads without each family in turn, and write `families.json` into a folder.

    Raises:
        CorpusError: the tower has not looked at the cache.
    """
    rows, _ = TokenFiles(cache.folder, "whole").read()
    data = read_tokens(cache, config, "whole", treated=False)
    items = [cache.index[row] for row in rows.tolist()]
    families = np.array([family_of(item["generator"]) if item["label"] else "" for item in items])
    held = np.zeros(len(items), bool)
    held[data.held_out.numpy()] = True
    labels = data.labels.numpy()
    real = held & (labels == 0)
    progress("")
    every = _scores(data, data.weights, config)
    found: list[FamilyFigures] = []
    for family, _pattern in FAMILIES:
        own = families == family
        if own.sum() < LEAST_IMAGES:
            continue
        progress(family)
        weights = torch.where(torch.from_numpy(own), 0.0, data.weights)
        scores = _scores(data, weights, config)
        seen = _figures(every, own & held, real)
        away = _figures(scores, own, real)
        sources = len({item["source"] for item, o in zip(items, own, strict=True) if o})
        assert away is not None
        found.append(FamilyFigures(family, int(own.sum()), sources, *away, *(seen or (None, None))))
    record: dict[str, Any] = {
        "config": config.name,
        "seed": config.seed,
        "real_images": int(real.sum()),
        "families": [vars(figures) for figures in found],
    }
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, indent=1, ensure_ascii=False)
    (out / "families.json").write_text(text + "\n", encoding="utf-8")
    return found


def _scores(data: TokenData, weights: torch.Tensor, config: TrainConfig) -> NDArray[np.float32]:
    """Scores of every image by a head that was trained with these weights."""
    net = single_head(data, "whole", config, weights)
    with torch.inference_mode():
        scores: NDArray[np.float32] = net.heads["whole"](data.features).numpy()
    return scores


def _figures(
    scores: NDArray[np.float32], generated: NDArray[np.bool_], real: NDArray[np.bool_]
) -> tuple[float, float] | None:
    if generated.sum() < LEAST_IMAGES:
        return None
    labels = np.r_[np.ones(int(generated.sum())), np.zeros(int(real.sum()))]
    values = np.r_[scores[generated], scores[real]]
    return round(auc(labels, values), 3), round(tpr_at_fpr(labels, values, 0.05), 3)
