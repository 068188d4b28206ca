"""Chooses a threshold on an analyst's own labels, and says what it does on labels held out.

The threshold that is given was chosen on all labels; the rates that are given come from
thresholds chosen without the account on which they were then tried, fold by fold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detector.campaign.labels import GENERATED, REAL, Labelled
from detector.errors import UsageError
from detector.metrics import wilson
from detector.thresholds import threshold_at_fpr

FOLDS = 5
LEAST_EACH = 10


@dataclass(frozen=True)
class Recalibration:
    """A threshold chosen on confirmed labels.

    Attributes:
        threshold: on the score; flag at or above it.
        asked_fpr: the false positive rate that was asked for.
        real, generated: labelled pictures behind it.
        groups, folds: accounts, and parts that were held out in turn.
        fpr, recall: on held-out pictures, with 95 % intervals over pictures.
        old_fpr, old_recall: of the bundle's threshold on the same pictures.
        words: what the figures allow, in one or two sentences.
    """

    threshold: float
    asked_fpr: float
    real: int
    generated: int
    groups: int
    folds: int
    fpr: float
    fpr_interval: tuple[float, float]
    recall: float
    recall_interval: tuple[float, float]
    old_fpr: float
    old_recall: float
    words: str


def recalibrate(pictures: Sequence[Labelled], fpr: float, *, folds: int = FOLDS) -> Recalibration:
    """A threshold for these pictures at a false positive rate, with held-out figures.

    Accounts stay whole: a fold holds all pictures of an account. Raises UsageError with fewer
    than ten pictures of a class or fewer than two accounts with real pictures, and ValueError
    unless 0 < fpr < 1.
    """
    real = [p for p in pictures if p.label == REAL]
    generated = [p for p in pictures if p.label == GENERATED]
    if min(len(real), len(generated)) < LEAST_EACH:
        raise UsageError(
            f"{len(real)} real and {len(generated)} generated pictures are labelled: a threshold "
            f"needs at least {LEAST_EACH} of each"
        )
    parts = _folds(pictures, folds)
    flagged: list[tuple[int, bool]] = []
    for part in parts:
        held = set(part)
        rest = [p for p in pictures if p.group not in held]
        if not any(p.label == REAL for p in rest):
            raise UsageError("all labelled real pictures are of one account: label another one's")
        limit = _threshold(rest, fpr)
        flagged += [(p.label, p.score >= limit) for p in pictures if p.group in held]
    wrong, found = ([f for label, f in flagged if label == kind] for kind in (REAL, GENERATED))
    low, high = wilson(sum(wrong), len(wrong))
    return Recalibration(
        threshold=_threshold(pictures, fpr),
        asked_fpr=fpr,
        real=len(real),
        generated=len(generated),
        groups=len({p.group for p in pictures}),
        folds=len(parts),
        fpr=float(np.mean(wrong)),
        fpr_interval=(low, high),
        recall=float(np.mean(found)),
        recall_interval=wilson(sum(found), len(found)),
        old_fpr=float(np.mean([p.flagged for p in real])),
        old_recall=float(np.mean([p.flagged for p in generated])),
        words=_words(len(real), fpr, low, high),
    )


def _folds(pictures: Sequence[Labelled], folds: int) -> list[list[str]]:
    """Accounts in parts of about as many pictures each, the largest dealt out first."""
    sizes: dict[str, int] = defaultdict(int)
    for picture in pictures:
        sizes[picture.group] += 1
    count = max(2, min(folds, len(sizes)))
    parts: list[list[str]] = [[] for _ in range(count)]
    load = [0] * count
    for group, size in sorted(sizes.items(), key=lambda kv: (-kv[1], kv[0])):
        lightest = load.index(min(load))
        parts[lightest].append(group)
        load[lightest] += size
    return [part for part in parts if part]


def _threshold(pictures: Sequence[Labelled], fpr: float) -> float:
    return threshold_at_fpr(
        [p.score for p in pictures],
        [p.label for p in pictures],
        [""] * len(pictures),
        [p.group for p in pictures],
        fpr,
    ).threshold


def _words(real: int, fpr: float, low: float, high: float) -> str:
    text = (
        f"On labels held out, between {low:.1%} and {high:.1%} of real pictures would be flagged "
        f"({fpr:.1%} was asked for)."
    )
    if real < 1 / fpr:
        text += f" {real} real pictures cannot show a rate as low as {fpr:.1%}: label more."
    elif not low <= fpr <= high:
        text += " The threshold does not hold between these accounts: do not use it."
    return text
