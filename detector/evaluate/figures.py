"""From a table of scores to figures with intervals over sources."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from detector import metrics
from detector.calibration import Calibration
from detector.evaluate.control import Control, balancing_weights, effective_size
from detector.evaluate.table import ScoreRow
from detector.metrics import Interval, Rate

Floats = NDArray[np.float64]

# A source or stratum with fewer images of each class gets no AUC of its own.
_LEAST_FOR_AUC = 5


@dataclass(frozen=True)
class Rules:
    """What is frozen in the bundle, and how figures are computed.

    Attributes:
        threshold: of the verdict `likely_generated`.
        calibration: score to likelihood ratio.
        rounds: of the bootstrap over sources.
        seed: of the bootstrap.
    """

    threshold: float
    calibration: Calibration
    rounds: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class Subset:
    """Figures of some rows that do not depend on calibration.

    Attributes:
        real, generated: how many images of each label have a score.
        sources: how many sources they come from.
        auc, tpr_at_1, tpr_at_5: see `detector.metrics`; intervals over sources.
        fpr, recall, balanced_accuracy: at the frozen threshold.
    """

    real: int
    generated: int
    sources: int
    auc: Interval
    tpr_at_1: Interval
    tpr_at_5: Interval
    fpr: Interval
    recall: Interval
    balanced_accuracy: Interval


@dataclass(frozen=True)
class Calibrated:
    """How far the stated ratios and probabilities hold; both classes weighed alike.

    Attributes:
        ece, brier: of the probability at a prior of one half.
        cllr, cllr_min: in bits; their difference is what calibration loses.
        bins: (stated mean, observed share, images) for every filled tenth of probability.
    """

    ece: Interval
    brier: Interval
    cllr: Interval
    cllr_min: float
    bins: tuple[tuple[float, float, int], ...]


@dataclass(frozen=True)
class ControlFigures:
    """The control beside the model.

    Attributes:
        how: what the control was fitted on.
        auc: of the control, on the same images.
        balanced_auc: of the model, under weights that blind the control.
        balanced_control_auc: of the control under these weights, a check on them.
        effective_images: how many images the weights leave.
    """

    how: str
    auc: Interval
    balanced_auc: Interval
    balanced_control_auc: float
    effective_images: float


@dataclass(frozen=True)
class Small:
    """A source or stratum: counts, and AUC where both classes are there (else NaN)."""

    real: int
    generated: int
    fpr: float
    recall: float
    auc: float


@dataclass(frozen=True)
class ConditionFigures:
    """All figures of one condition.

    Attributes:
        every: all images. matched: those of sources with both classes of the same subjects.
        even_fpr: share of real images flagged when every source has the same say, which is
            what the threshold was chosen on.
        failed: status and number of the images without a score.
        seconds_prepare, seconds_score: mean time an image took; NaN without.
    """

    condition: str
    every: Subset
    matched: Subset | None
    even_fpr: float
    calibrated: Calibrated
    control: ControlFigures | None
    fpr_by_kind: dict[str, Rate]
    recall_by_generator: dict[str, Rate]
    by_stratum: dict[str, Small]
    by_source: dict[str, Small]
    failed: dict[str, int]
    seconds_prepare: float
    seconds_score: float


def condition_figures(
    condition: str, rows: Sequence[ScoreRow], rules: Rules, control: Control | None
) -> ConditionFigures:
    """The figures of the rows of one condition; `control` has a score for each of them."""
    kept = [row for row in rows if row.scored]
    pairs = [row for row in kept if row.pair]
    real, generated = ([row for row in kept if row.label == label] for label in (0, 1))
    return ConditionFigures(
        condition=condition,
        every=subset_figures(kept, rules),
        matched=subset_figures(pairs, rules) if pairs else None,
        even_fpr=_even_fpr(real, rules),
        calibrated=_calibrated(kept, rules),
        control=None if control is None else _control_figures(rows, control, rules),
        fpr_by_kind=_rates([row.kind or "not stated" for row in real], real, rules),
        recall_by_generator=_rates(
            [r.generator or "not stated" for r in generated], generated, rules
        ),
        by_stratum=_small([row.stratum for row in kept], kept, rules),
        by_source=_small([row.source for row in kept], kept, rules),
        failed=_failed(rows),
        seconds_prepare=_mean([row.prepare_seconds for row in kept]),
        seconds_score=_mean([row.score_seconds for row in kept]),
    )


def subset_figures(rows: Sequence[ScoreRow], rules: Rules) -> Subset:
    """AUC, TPR and rates at the threshold of rows that all have a score."""
    labels, scores = columns(rows)
    groups = [row.source for row in rows]
    threshold = rules.threshold

    def spread(statistic: metrics.Statistic) -> Interval:
        return metrics.bootstrap(
            statistic, labels, scores, groups, rounds=rules.rounds, seed=rules.seed
        )

    return Subset(
        real=int((labels == 0).sum()),
        generated=int((labels == 1).sum()),
        sources=len(set(groups)),
        auc=spread(metrics.auc),
        tpr_at_1=spread(lambda y, s, w: metrics.tpr_at_fpr(y, s, 0.01, w)),
        tpr_at_5=spread(lambda y, s, w: metrics.tpr_at_fpr(y, s, 0.05, w)),
        fpr=spread(lambda y, s, w: metrics.rates_at(y, s, threshold, w)[0]),
        recall=spread(lambda y, s, w: metrics.rates_at(y, s, threshold, w)[1]),
        balanced_accuracy=spread(lambda y, s, w: metrics.balanced_accuracy(y, s, threshold, w)),
    )


def columns(rows: Sequence[ScoreRow]) -> tuple[Floats, Floats]:
    """(labels, scores) of rows that all have a score, each (N,)."""
    labels = np.array([row.label for row in rows], dtype=np.float64)
    scores = np.array([row.score for row in rows], dtype=np.float64)
    return labels, scores


def _even_fpr(real: Sequence[ScoreRow], rules: Rules) -> float:
    if not real:
        return math.nan
    weights = metrics.source_weights([row.source for row in real], full_at=10)
    return float(np.average(columns(real)[1] >= rules.threshold, weights=weights))


def _calibrated(rows: Sequence[ScoreRow], rules: Rules) -> Calibrated:
    labels, scores = columns(rows)
    groups = [row.source for row in rows]
    log_lrs = rules.calibration.log_lrs(scores, [row.stratum for row in rows])
    probabilities = 1 / (1 + np.exp(-log_lrs))

    def spread(statistic: metrics.Statistic, values: Floats) -> Interval:
        return metrics.bootstrap(
            statistic, labels, values, groups, rounds=rules.rounds, seed=rules.seed
        )

    return Calibrated(
        ece=spread(
            lambda y, p, w: metrics.ece(y, p, weights=metrics.prior_weights(y, 0.5, w)),
            probabilities,
        ),
        brier=spread(
            lambda y, p, w: metrics.brier(y, p, metrics.prior_weights(y, 0.5, w)), probabilities
        ),
        cllr=spread(metrics.cllr, log_lrs),
        cllr_min=metrics.cllr_min(labels, scores),
        bins=_reliability(labels, probabilities),
    )


def _reliability(labels: Floats, probabilities: Floats) -> tuple[tuple[float, float, int], ...]:
    weights = metrics.prior_weights(labels, 0.5)
    which = np.minimum((probabilities * 10).astype(int), 9)
    filled = []
    for tenth in range(10):
        inside = which == tenth
        if weights[inside].sum() > 0:
            stated = float(np.average(probabilities[inside], weights=weights[inside]))
            observed = float(np.average(labels[inside], weights=weights[inside]))
            filled.append((stated, observed, int(inside.sum())))
    return tuple(filled)


def _control_figures(rows: Sequence[ScoreRow], control: Control, rules: Rules) -> ControlFigures:
    scored = np.array([row.scored for row in rows])
    kept = [row for row in rows if row.scored]
    looks = control.scores[scored]
    labels, scores = columns(kept)
    groups = [row.source for row in kept]
    weights = balancing_weights(labels.astype(int).tolist(), looks)

    def spread(values: Floats, given: Floats | None) -> Interval:
        return metrics.bootstrap(
            metrics.auc, labels, values, groups,
            weights=given, rounds=rules.rounds, seed=rules.seed,
        )  # fmt: skip

    return ControlFigures(
        how=control.how,
        auc=spread(looks, None),
        balanced_auc=spread(scores, weights),
        balanced_control_auc=metrics.auc(labels, looks, weights),
        effective_images=effective_size(weights),
    )


def _rates(keys: Sequence[str], rows: Sequence[ScoreRow], rules: Rules) -> dict[str, Rate]:
    scores = columns(rows)[1]
    groups = [row.source for row in rows]
    return metrics.rate_by(
        keys, scores, rules.threshold, groups, rounds=rules.rounds, seed=rules.seed
    )


def _small(keys: Sequence[str], rows: Sequence[ScoreRow], rules: Rules) -> dict[str, Small]:
    labels, scores = columns(rows)
    names = np.array(keys, dtype=object)
    found: dict[str, Small] = {}
    for name in sorted(set(keys)):
        y, s = labels[names == name], scores[names == name]
        generated = int(y.sum())
        real = y.size - generated
        fpr, recall = metrics.rates_at(y, s, rules.threshold)
        enough = min(real, generated) >= _LEAST_FOR_AUC
        found[name] = Small(real, generated, fpr, recall, metrics.auc(y, s) if enough else math.nan)
    return found


def _failed(rows: Sequence[ScoreRow]) -> dict[str, int]:
    failed: dict[str, int] = {}
    for row in rows:
        if not row.scored:
            failed[row.status] = failed.get(row.status, 0) + 1
    return dict(sorted(failed.items()))


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return fmean(known) if known else math.nan
