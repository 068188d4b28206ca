"""Figures of merit: pure functions of labels and scores, with numpy alone.

Conventions of the whole module. `labels` is (N,) with 0 for real and 1 for generated.
`scores` is (N,) and higher means more likely generated; only the order matters unless a
function asks for probabilities or log-likelihood ratios. An image is *flagged* when its
score is at or above the threshold. `weights` is (N,) and not negative; None counts every
image once. `groups` names the source of each image: sources, not images, are independent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Statistic = Callable[[Floats, Floats, Floats], float]


@dataclass(frozen=True)
class Roc:
    """A receiver operating characteristic, one point per distinct score.

    Attributes:
        thresholds: (M,) falling; the first is +inf, where nothing is flagged.
        fpr, tpr: (M,) rising in [0, 1]; shares of real and of generated images flagged.
    """

    thresholds: Floats
    fpr: Floats
    tpr: Floats


@dataclass(frozen=True)
class Interval:
    """A figure with its percentile interval; NaN where it could not be computed."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Rate:
    """A share of images flagged.

    Attributes:
        images, sources: how many there were; the interval is worth what `sources` is.
        flagged: how many images were at or above the threshold.
        rate: flagged / images, in [0, 1].
        low, high: the wider of the bootstrap over sources and Wilson's interval over images.
    """

    images: int
    sources: int
    flagged: int
    rate: float
    low: float
    high: float


def _checked(
    labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None
) -> tuple[Floats, Floats, Floats]:
    y = np.asarray(labels, dtype=np.float64).ravel()
    s = np.asarray(scores, dtype=np.float64).ravel()
    w = np.ones_like(y) if weights is None else np.asarray(weights, dtype=np.float64).ravel()
    if not y.size == s.size == w.size:
        raise ValueError(f"{y.size} labels, {s.size} scores and {w.size} weights do not match")
    if np.isnan(s).any():
        raise ValueError("a score is NaN; leave out the images that could not be scored")
    if not np.isin(y, (0.0, 1.0)).all():
        raise ValueError("labels must be 0 (real) or 1 (generated)")
    if (w < 0).any() or not np.isfinite(w).all():
        raise ValueError("weights must be finite and not negative")
    return y, s, w


def roc_curve(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Roc:
    """The share of real and of generated images flagged at every distinct score.

    A rate whose class is absent is NaN throughout.
    """
    y, s, w = _checked(labels, scores, weights)
    order = np.argsort(-s, kind="stable")
    y, s, w = y[order], s[order], w[order]
    last = np.append(s[1:] != s[:-1], True) if s.size else np.zeros(0, dtype=bool)
    positive = np.append(0.0, np.cumsum(w * y)[last])
    negative = np.append(0.0, np.cumsum(w * (1 - y))[last])
    thresholds = np.append(np.inf, s[last])
    with np.errstate(invalid="ignore", divide="ignore"):
        return Roc(thresholds, negative / negative[-1], positive / positive[-1])


def auc(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The chance that a generated image outscores a real one, ties counting one half.

    This is the Mann–Whitney U divided by the number of pairs. NaN when a class is absent.
    """
    roc = roc_curve(labels, scores, weights)
    # The trapezoid between two points of the curve is what counts ties as one half.
    return float(np.sum(np.diff(roc.fpr) * (roc.tpr[1:] + roc.tpr[:-1]) / 2))


def tpr_at_fpr(
    labels: ArrayLike, scores: ArrayLike, fpr: float, weights: ArrayLike | None = None
) -> float:
    """The largest share of generated images that any threshold flags within `fpr`.

    Conservative: only points that a threshold reaches count, and nothing is interpolated
    between them, so with fewer than 1/fpr real images it is the share above all of them.
    NaN when a class is absent.
    """
    roc = roc_curve(labels, scores, weights)
    if np.isnan(roc.fpr[-1]) or np.isnan(roc.tpr[-1]):
        return math.nan
    # The tolerance is for sums of weights, which do not add up exactly.
    return float(roc.tpr[roc.fpr <= fpr + 1e-12].max())


def rates_at(
    labels: ArrayLike, scores: ArrayLike, threshold: float, weights: ArrayLike | None = None
) -> tuple[float, float]:
    """(FPR, TPR) of the rule `score >= threshold`; NaN for a class that is absent."""
    y, s, w = _checked(labels, scores, weights)
    flagged = s >= threshold
    with np.errstate(invalid="ignore", divide="ignore"):
        fpr = np.sum(w * (1 - y) * flagged) / np.sum(w * (1 - y))
        tpr = np.sum(w * y * flagged) / np.sum(w * y)
    return float(fpr), float(tpr)


def balanced_accuracy(
    labels: ArrayLike, scores: ArrayLike, threshold: float, weights: ArrayLike | None = None
) -> float:
    """The mean of the true positive and the true negative rate at one threshold."""
    fpr, tpr = rates_at(labels, scores, threshold, weights)
    return (tpr + 1 - fpr) / 2


def ece(
    labels: ArrayLike, probabilities: ArrayLike, bins: int = 15, weights: ArrayLike | None = None
) -> float:
    """Expected calibration error: the mean gap between stated and observed share, in [0, 1].

    `bins` of equal width over [0, 1], each weighted by what it holds (Guo et al., "On
    Calibration of Modern Neural Networks", ICML 2017). Probabilities are stated at a prior:
    give `prior_weights` so that the labels are weighed at the same one.
    """
    y, p, w = _checked(labels, probabilities, weights)
    if ((p < 0) | (p > 1)).any():
        raise ValueError("probabilities must lie in [0, 1]")
    which = np.minimum((p * bins).astype(np.int64), bins - 1)
    gap = np.bincount(which, weights=w * (p - y), minlength=bins)
    return float(np.abs(gap).sum() / w.sum()) if w.sum() > 0 else math.nan


def brier(labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The mean squared difference between probability and label (Brier 1950), in [0, 1]."""
    y, p, w = _checked(labels, probabilities, weights)
    return float(np.sum(w * (p - y) ** 2) / w.sum()) if w.sum() > 0 else math.nan


def cllr(labels: ArrayLike, log_lrs: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The log-likelihood-ratio cost in bits; 0 is perfect, 1 is what a constant LR of 1 costs.

    `log_lrs` are natural logarithms and may be infinite. Brümmer and du Preez,
    "Application-independent evaluation of speaker detection", Computer Speech & Language 2006.
    NaN when a class is absent.
    """
    y, llr, w = _checked(labels, log_lrs, weights)
    # Images of no weight are left out: an infinite cost times zero would be NaN.
    generated, real = (y == 1) & (w > 0), (y == 0) & (w > 0)
    if not generated.any() or not real.any():
        return math.nan
    miss = np.logaddexp(0.0, -llr[generated])
    false_alarm = np.logaddexp(0.0, llr[real])
    cost = np.average(miss, weights=w[generated]) + np.average(false_alarm, weights=w[real])
    return float(cost / 2 / math.log(2))


def pav(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """The isotonic (pool-adjacent-violators) share of generated images at every score.

    Returns (N,) in the order given, never falling with the score; equal scores share a value.
    """
    y, s, w = _checked(labels, scores, weights)
    _, inverse = np.unique(s, return_inverse=True)
    mass = np.bincount(inverse, weights=w)
    hits = np.bincount(inverse, weights=w * y)
    blocks: list[tuple[float, float, int]] = []  # hits, mass, distinct scores pooled
    for h, m in zip(hits.tolist(), mass.tolist(), strict=True):
        size = 1
        while blocks and blocks[-1][0] * m >= h * blocks[-1][1]:
            before_h, before_m, before = blocks.pop()
            h, m, size = h + before_h, m + before_m, size + before
        blocks.append((h, m, size))
    levels = [h / m if m > 0 else 0.5 for h, m, _ in blocks]
    return np.repeat(levels, [size for _, _, size in blocks])[inverse]


def cllr_min(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The Cllr that the best rising map of these scores would reach: discrimination alone.

    The map is fitted by PAV on the very same images, so it is a bound, not a forecast;
    Cllr minus Cllr_min is what calibration loses. NaN when a class is absent.
    """
    y, s, w = _checked(labels, scores, weights)
    balanced = prior_weights(y, 0.5, w)
    if balanced[y == 1].sum() == 0 or balanced[y == 0].sum() == 0:
        return math.nan
    share = pav(y, s, balanced)
    with np.errstate(divide="ignore"):
        return cllr(y, np.log(share) - np.log1p(-share), balanced)


def prior_weights(
    labels: ArrayLike, prior: float = 0.5, weights: ArrayLike | None = None
) -> Floats:
    """(N,) weights under which generated images make up `prior` of the whole, which sums to N."""
    y = np.asarray(labels, dtype=np.float64).ravel()
    w = np.ones_like(y) if weights is None else np.asarray(weights, dtype=np.float64).ravel()
    result = np.zeros_like(y)
    for label, share in ((1.0, prior), (0.0, 1.0 - prior)):
        inside = y == label
        if w[inside].sum() > 0:
            result[inside] = w[inside] / w[inside].sum() * share * y.size
    return result


def source_weights(groups: Sequence[Hashable], full_at: int = 1) -> Floats:
    """(N,) weights that give every source the same say, however many images it holds.

    A source of fewer than `full_at` images gets its proportional part, so that a handful of
    images does not weigh as much as a thousand; 1, the default, makes all sources equal.
    """
    _, inverse, counts = np.unique(group_codes(groups), return_inverse=True, return_counts=True)
    say = np.minimum(counts, full_at) / full_at
    return np.asarray((say / counts)[inverse], dtype=np.float64)


def bootstrap(
    statistic: Statistic,
    labels: ArrayLike,
    scores: ArrayLike,
    groups: Sequence[Hashable],
    *,
    weights: ArrayLike | None = None,
    rounds: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """A figure and its percentile interval under resampling of whole sources.

    Sources are drawn with replacement within three strata (only real, only generated, both),
    so that no round lacks a class; a source drawn twice counts twice. `statistic` takes
    (labels, scores, weights). The interval ignores rounds that give NaN. The bootstrap is
    too narrow with fewer than about ten sources (Davison and Hinkley 1997, section 3.8).
    """
    y, s, w = _checked(labels, scores, weights)
    codes = group_codes(groups)
    if codes.size != y.size:
        raise ValueError(f"{codes.size} groups for {y.size} labels")
    value = statistic(y, s, w)
    if not y.size:
        return Interval(value, math.nan, math.nan)
    count = int(codes.max()) + 1
    has_real = np.bincount(codes, weights=1 - y, minlength=count) > 0
    has_generated = np.bincount(codes, weights=y, minlength=count) > 0
    kinds_of_source = has_real + 2 * has_generated
    strata = [np.flatnonzero(kinds_of_source == kind) for kind in (1, 2, 3)]
    rng = np.random.default_rng(seed)
    values = np.empty(rounds)
    for i in range(rounds):
        drawn = [rng.choice(members, members.size) for members in strata if members.size]
        times = np.bincount(np.concatenate(drawn), minlength=count)
        values[i] = statistic(y, s, w * times[codes])
    values = values[~np.isnan(values)]
    if not values.size:
        return Interval(value, math.nan, math.nan)
    tail = (1 - level) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def rate_by(
    keys: Sequence[str],
    scores: ArrayLike,
    threshold: float,
    groups: Sequence[Hashable],
    *,
    rounds: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Rate]:
    """The share flagged for every value of `keys`, most images first.

    Over real images keyed by kind it is the realised FPR per kind; over generated images
    keyed by generator it is the recall per generator.
    """
    s = np.asarray(scores, dtype=np.float64).ravel()
    names, codes = np.asarray(keys, dtype=object), group_codes(groups)
    found: dict[str, Rate] = {}
    for name in dict.fromkeys(keys):
        inside = names == name
        found[name] = _rate(s[inside] >= threshold, codes[inside], rounds, level, seed)
    return dict(sorted(found.items(), key=lambda item: (-item[1].images, item[0])))


def _rate(
    flagged: NDArray[np.bool_], codes: NDArray[np.int64], rounds: int, level: float, seed: int
) -> Rate:
    images, hits = int(flagged.size), int(flagged.sum())
    spread = bootstrap(
        lambda _, f, w: float(np.average(f, weights=w)),
        np.zeros(images),
        flagged,
        codes.tolist(),
        rounds=rounds,
        level=level,
        seed=seed,
    )
    low, high = wilson(hits, images, level)
    sources = int(np.unique(codes).size)
    return Rate(images, sources, hits, hits / images, min(low, spread.low), max(high, spread.high))


def wilson(hits: int, images: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927); (0, 1) without images."""
    if images == 0:
        return 0.0, 1.0
    z, p = NormalDist().inv_cdf(0.5 + level / 2), hits / images
    middle = p + z * z / (2 * images)
    half = z * math.sqrt(p * (1 - p) / images + z * z / (4 * images * images))
    scale = 1 + z * z / images
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def group_codes(groups: Sequence[Hashable]) -> NDArray[np.int64]:
    """(N,) whole numbers from 0 that stand for the groups, by first appearance."""
    seen: dict[Hashable, int] = {}
    return np.array([seen.setdefault(group, len(seen)) for group in groups], dtype=np.int64)
