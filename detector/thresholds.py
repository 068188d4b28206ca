"""The choice of a decision threshold on validation images; numpy only.

A threshold is chosen once, on sources that trained nothing, and then frozen in the bundle.
An image is flagged when its score is at or above it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detector import metrics

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ThresholdChoice:
    """A threshold, and what it does on the images that it was chosen on.

    Attributes:
        threshold: flag at or above it.
        nominal_fpr: what was asked for.
        fpr: source-weighted share of real images flagged; never above `nominal_fpr`.
        recall: share of generated images flagged; NaN without any.
        fpr_by_kind: plain share flagged of the real images of each kind.
        raised_for: kinds for whose sake the threshold lies above what `nominal_fpr` needs.
        above_guard: kinds still above the guard, because meeting it would cost too much recall.
    """

    threshold: float
    nominal_fpr: float
    fpr: float
    recall: float
    fpr_by_kind: Mapping[str, float] = field(default_factory=dict)
    raised_for: tuple[str, ...] = ()
    above_guard: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        record = asdict(self)
        return record | {
            "fpr_by_kind": dict(self.fpr_by_kind),
            "raised_for": list(self.raised_for),
            "above_guard": list(self.above_guard),
        }


def threshold_at_fpr(
    scores: ArrayLike,
    labels: ArrayLike,
    kinds: Sequence[str],
    groups: Sequence[Hashable],
    fpr: float,
    *,
    full_at: int = 10,
    guard: float = 3.0,
    guard_images: int = 50,
    recall_loss: float = 0.25,
) -> ThresholdChoice:
    """The lowest threshold whose false positive rate stays within `fpr`, with a guard by kind.

    The rate is over real images in which every source has the same say (see
    `metrics.source_weights` for `full_at`). Every kind of real image with at least
    `guard_images` images is then held within `guard * fpr` as well, by raising the threshold,
    unless that would lose more than the share `recall_loss` of the recall; such kinds are
    named. Of the thresholds that decide alike on these images, the middle of the gap above
    the highest unflagged real image is taken. Raises ValueError when there is no real image
    or `fpr` is not strictly between 0 and 1.
    """
    s = np.asarray(scores, dtype=np.float64).ravel()
    y = np.asarray(labels, dtype=np.float64).ravel()
    if not s.size == y.size == len(kinds) == len(groups):
        raise ValueError("scores, labels, kinds and groups do not match in length")
    if not 0 < fpr < 1:
        raise ValueError(f"a nominal FPR lies strictly between 0 and 1: {fpr}")
    if np.isnan(s).any() or not (y == 0).any():
        raise ValueError("a threshold needs real images with scores that are numbers")
    real = y == 0
    weights = metrics.source_weights([g for g, r in zip(groups, real, strict=True) if r], full_at)
    names = np.asarray(kinds, dtype=object)
    lowest = _lowest(s[real], weights, fpr, s)
    ceiling = _recall_ceiling(s[~real], lowest, recall_loss)
    needed = {
        kind: _lowest(own, np.ones_like(own), guard * fpr, s)
        for kind in sorted(set(names[real].tolist()))
        if (own := s[real & (names == kind)]).size >= guard_images and guard * fpr < 1
    }
    threshold = max([lowest, *(t for t in needed.values() if t <= ceiling)])
    flagged = s >= threshold
    return ThresholdChoice(
        threshold=threshold,
        nominal_fpr=fpr,
        fpr=float(np.average(flagged[real], weights=weights)),
        recall=float(flagged[~real].mean()) if (~real).any() else float("nan"),
        fpr_by_kind={
            kind: float(flagged[real & (names == kind)].mean())
            for kind in sorted(set(names[real].tolist()))
        },
        raised_for=tuple(kind for kind, t in needed.items() if lowest < t <= threshold),
        above_guard=tuple(kind for kind, t in needed.items() if t > threshold),
    )


def _lowest(real: Floats, weights: Floats, fpr: float, everything: Floats) -> float:
    """The lowest threshold at which the weighted share of `real` at or above it is ≤ `fpr`."""
    distinct, inverse = np.unique(-real, return_inverse=True)
    share = np.cumsum(np.bincount(inverse, weights=weights)) / weights.sum()
    # The tolerance is for sums of weights, which do not add up exactly.
    unflagged = -float(distinct[np.flatnonzero(share > fpr + 1e-12)[0]])
    above = everything[everything > unflagged]
    if not above.size:
        return unflagged + 1e-6 * max(1.0, abs(unflagged))
    upper = float(above.min())
    middle = unflagged + (upper - unflagged) / 2
    return middle if middle > unflagged else upper


def _recall_ceiling(generated: Floats, threshold: float, loss: float) -> float:
    """The highest threshold that keeps the share 1 - `loss` of the recall at `threshold`."""
    found = np.sort(generated[generated >= threshold])[::-1]
    if not found.size:
        return float("inf")
    keep = int(np.ceil(found.size * (1 - loss)))
    return float(found[max(keep, 1) - 1])
