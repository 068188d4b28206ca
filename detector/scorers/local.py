"""Calibration and thresholds from a user's own images, with figures from cross-validation.

The folds are made of whole sources (a sub-folder is one source), since images of one source are
not independent. What is told of the error rates was measured on folds that fitted nothing; what
is written was fitted on everything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector import calibration, metrics
from detector.calibration import Calibration
from detector.errors import UsageError
from detector.results import Finding
from detector.thresholds import threshold_at_fpr
from detector.weights import Thresholds

Floats = NDArray[np.float64]

FOLDS = 5
LEAST_IMAGES = 50
LEAST_SOURCES = 10
# So many real images must be expected above a threshold for it to mean anything.
_ABOVE = 2


@dataclass(frozen=True)
class LocalImage:
    """One image with its label: 0 real, 1 generated; `source` groups what belongs together."""

    finding: Finding
    label: int
    source: str


@dataclass(frozen=True)
class Fitted:
    """What was fitted, and what cross-validation says of it.

    Attributes:
        calibration, thresholds: fitted on all images.
        figures: plain JSON values: counts, and out-of-fold rates with their intervals.
    """

    calibration: Calibration
    thresholds: Thresholds
    figures: dict[str, Any]


def fit_locally(
    images: Sequence[LocalImage],
    *,
    fpr: float = 0.02,
    inconclusive_fpr: float = 0.10,
    least_texture: float = 0.0,
    seed: int = 0,
) -> Fitted:
    """Fit a model's calibration and thresholds.

    Args:
        images: scored ones; the same bytes count once.
        fpr: share of real images that may be called likely generated.
        inconclusive_fpr: the same for "inconclusive" and above.
        least_texture: as in the bundle.
        seed: of the folds.

    Raises:
        UsageError: too few images or sources, or scores that do not tell the classes apart;
            names the cure.
    """
    kept = _distinct(images)
    check_enough(kept, fpr)
    s = np.array([item.finding.score for item in kept], dtype=np.float64)
    y = np.array([item.label for item in kept], dtype=np.float64)
    strata = [item.finding.stratum for item in kept]
    groups = [item.source for item in kept]
    fitted = calibration.fit(s, y, strata, groups)
    auc = metrics.auc(y, s)
    if fitted.slope <= 0 or auc <= 0.5:
        raise UsageError(
            f"this model's scores do not tell these images apart (AUC {auc:.2f}): are the folders "
            "or the model's labels the wrong way round? Else use another model"
        )
    limits = _thresholds(s, y, groups, fpr, inconclusive_fpr, least_texture)
    figures = {
        "real": int((y == 0).sum()),
        "generated": int((y == 1).sum()),
        "sources": len(set(groups)),
        "auc": round(auc, 4),
        **_cross_validated(s, y, strata, groups, (fpr, inconclusive_fpr, least_texture), seed),
    }
    return Fitted(fitted, limits, figures)


def check_enough(images: Sequence[LocalImage], fpr: float) -> None:
    """Raise UsageError, with the cure, when the images are too few for that rate."""
    needed = max(LEAST_IMAGES, math.ceil(_ABOVE / fpr))
    for label, word, least in ((0, "real", needed), (1, "generated", LEAST_IMAGES)):
        own = [item for item in images if item.label == label]
        if len(own) < least:
            why = f" for a false positive rate of {fpr:.1%}" if label == 0 else ""
            other = f", or ask for --fpr {_ABOVE / max(len(own), 1):.2f} or more"
            cure = other if label == 0 and len(own) >= LEAST_IMAGES else ""
            raise UsageError(
                f"{len(own)} scored {word} images are too few{why}: {least} are needed. Add "
                f"{least - len(own)}{cure}"
            )
        sources = len({item.source for item in own})
        if sources < LEAST_SOURCES:
            raise UsageError(
                f"the {word} images come from {sources} sub-folders, and a sub-folder counts as "
                f"one source: {LEAST_SOURCES} are needed. Sort them by where they come from, or "
                "put them into one folder without sub-folders if they are independent"
            )


def _distinct(images: Sequence[LocalImage]) -> list[LocalImage]:
    """Each file's bytes once; the same bytes under both labels are an error."""
    labels: dict[str, int] = {}
    kept: list[LocalImage] = []
    for item in images:
        if item.finding.score is None or not math.isfinite(item.finding.score):
            continue
        known = labels.setdefault(item.finding.sha256, item.label)
        if known != item.label:
            raise UsageError(f"{item.finding.path} is among the real and the generated images")
        kept.append(item)
    found = {item.finding.sha256: item for item in reversed(kept)}
    return sorted(found.values(), key=lambda item: item.finding.sha256)


def _thresholds(
    s: Floats, y: Floats, groups: Sequence[str], fpr: float, doubt: float, texture: float
) -> Thresholds:
    kinds = ["local"] * len(groups)
    high = threshold_at_fpr(s, y, kinds, groups, fpr).threshold
    low = threshold_at_fpr(s, y, kinds, groups, max(doubt, fpr)).threshold
    return Thresholds(round(high, 5), round(min(low, high), 5), fpr, max(doubt, fpr), texture)


def _cross_validated(
    s: Floats,
    y: Floats,
    strata: Sequence[Any],
    groups: Sequence[str],
    rates: tuple[float, float, float],
    seed: int,
) -> dict[str, Any]:
    """Out-of-fold rates of both verdicts, and the cost of the likelihood ratios."""
    high, low = np.zeros(len(s), bool), np.zeros(len(s), bool)
    ratios = np.zeros(len(s))
    fold = _folds(y, groups, seed)
    for number in range(FOLDS):
        rest = np.flatnonzero(fold != number).tolist()
        own = np.flatnonzero(fold == number).tolist()
        if not own:
            continue
        named = [groups[i] for i in rest]
        limits = _thresholds(s[rest], y[rest], named, *rates)
        high[own], low[own] = s[own] >= limits.likely_generated, s[own] >= limits.inconclusive
        part = calibration.fit(s[rest], y[rest], [strata[i] for i in rest], named)
        ratios[own] = part.log_lrs(s[own], [strata[i] for i in own])
    found: dict[str, Any] = {"folds": FOLDS, "cllr": round(float(metrics.cllr(y, ratios)), 4)}
    for name, flagged in (("likely_generated", high), ("inconclusive", low)):
        found[name] = {
            "fpr": _rate(flagged[y == 0]),
            "recall": _rate(flagged[y == 1]),
        }
    return found


def _rate(flagged: NDArray[np.bool_]) -> dict[str, float]:
    low, high = metrics.wilson(int(flagged.sum()), len(flagged))
    return {"value": round(float(flagged.mean()), 4), "low": round(low, 4), "high": round(high, 4)}


def _folds(y: Floats, groups: Sequence[str], seed: int) -> NDArray[np.int64]:
    """(N,) fold of each image; whole sources, and both classes spread evenly."""
    fold = np.zeros(len(groups), dtype=np.int64)
    codes = metrics.group_codes(groups)
    dice = np.random.default_rng(seed)
    sizes = np.zeros((2, FOLDS))
    for code in dice.permutation(codes.max() + 1):
        own = codes == code
        label = int(y[own].mean() >= 0.5)
        chosen = int(np.argmin(sizes[label]))
        sizes[label, chosen] += own.sum()
        fold[own] = chosen
    return fold
