"""From score to likelihood ratio and probability, per stratum of file, with honest bounds.

A `Calibration` is fitted once, on validation images of sources that trained nothing, and
travels in the bundle. It holds a logistic map of the score, an offset for every stratum
that had enough images, and the bounds beyond which those images support no ratio.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detector import metrics
from detector.results import FileFacts, Stratum

Floats = NDArray[np.float64]

_SMALL_PIXELS = 200_000
_MEDIUM_PIXELS = 1_200_000
_LIGHT_QUALITY, _MEDIUM_QUALITY = 90, 70
# For codecs whose quality the file does not state: bits of file per pixel. scikit-image's
# photographs, saved as WebP by Pillow, have a median of 1.6 at quality 90 and 0.76 at 70.
_LIGHT_BITS, _MEDIUM_BITS = 1.6, 0.8

# A stratum gets an offset of its own from this many images and sources of each class on.
_STRATUM_IMAGES, _STRATUM_SOURCES = 20, 2
# Shrinkage: with this many images of the rarer class an offset counts one half.
_SHRINK_AT = 50


def stratum_of(facts: FileFacts) -> Stratum:
    """The stratum that a file belongs to, by fixed rules on its container's facts.

    - format: "lossless" when `facts.lossless`; else "jpeg", "webp" or "other". An array
      without a file ("PIXELS") is "lossless": nothing was lost that is known of.
    - size: "small" under 0.2 megapixels, "medium" up to 1.2, "large" above.
    - compression: "none" for lossless files. JPEG by quality: "light" from 90, "medium" from
      70, "heavy" under that. Without a quality (WebP, AVIF, HEIF, and JPEG of unknown tables)
      by bits per pixel: "light" from 1.6, "medium" from 0.8, "heavy" under that; a coarse
      stand-in, since flat images need fewer bits at the same quality.
    """
    pixels = facts.width * facts.height
    size = "small" if pixels < _SMALL_PIXELS else "medium" if pixels <= _MEDIUM_PIXELS else "large"
    if facts.lossless or facts.format == "PIXELS":
        return Stratum("lossless", size, "none")
    format_ = {"JPEG": "jpeg", "WEBP": "webp"}.get(facts.format, "other")
    if facts.jpeg_quality is not None:
        measure, light, medium = float(facts.jpeg_quality), _LIGHT_QUALITY, _MEDIUM_QUALITY
        return Stratum(format_, size, _compression(measure, light, medium))
    bits = 8 * facts.bytes / max(pixels, 1)
    return Stratum(format_, size, _compression(bits, _LIGHT_BITS, _MEDIUM_BITS))


def _compression(measure: float, light: float, medium: float) -> str:
    return "light" if measure >= light else "medium" if measure >= medium else "heavy"


@dataclass(frozen=True)
class Calibration:
    """A map from score to likelihood ratio: log LR = slope · score + intercept + offset.

    Attributes:
        slope, intercept: of the logistic map; a slope of 0 means that the scores say nothing.
        log_lr_min, log_lr_max: natural logarithms of the bounds of every ratio given.
        offsets: of the strata that had enough images, keyed by `str(stratum)`; others use 0.
        counts: how many (real, generated) images each stratum held when it was fitted.
        sources: how many (real, generated) sources the fit rests on.
        bounds: (low, high) natural logarithms for the strata with an offset, from their own
            images and sources alone; a ratio stays within these and the general bounds.
    """

    slope: float
    intercept: float
    log_lr_min: float = -math.inf
    log_lr_max: float = math.inf
    offsets: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    sources: tuple[int, int] = (0, 0)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def bounds_of(self, stratum: Stratum | str | None) -> tuple[float, float]:
        """(low, high) natural-log bounds of every ratio that is given for the stratum."""
        low, high = self.bounds.get(str(stratum), (-math.inf, math.inf))
        return max(low, self.log_lr_min), min(high, self.log_lr_max)

    def log_lrs(self, scores: ArrayLike, strata: Iterable[Stratum | str | None]) -> Floats:
        """(N,) bounded natural log-likelihood ratios; raises ValueError for NaN scores."""
        names = [str(stratum) for stratum in strata]
        offset = np.array([self.offsets.get(name, 0.0) for name in names])
        raw = _unbounded(self.slope, self.intercept, scores) + offset
        limits = np.array([self.bounds_of(name) for name in names]).reshape(-1, 2)
        return np.asarray(np.clip(raw, limits[:, 0], limits[:, 1]), dtype=np.float64)

    def lr(self, score: float, stratum: Stratum | str | None = None) -> float:
        """The likelihood ratio of "generated" against "real" that the score supports."""
        return math.exp(self.log_lrs([score], [stratum])[0])

    def probability(
        self, score: float, stratum: Stratum | str | None = None, prior: float = 0.5
    ) -> float:
        """The probability of "generated" at the given prior, in [0, 1].

        Raises ValueError unless 0 < prior < 1.
        """
        return float(self.probabilities([score], [stratum], prior)[0])

    def probabilities(
        self, scores: ArrayLike, strata: Iterable[Stratum | str | None], prior: float = 0.5
    ) -> Floats:
        """(N,) probabilities of "generated" at the given prior."""
        if not 0 < prior < 1:
            raise ValueError(f"a prior lies strictly between 0 and 1: {prior}")
        log_odds = self.log_lrs(scores, strata) + math.log(prior / (1 - prior))
        return _sigmoid(log_odds)

    def measured(self, stratum: Stratum | str) -> bool:
        """Whether the stratum held enough images of both classes to get its own offset."""
        return str(stratum) in self.offsets

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; infinite bounds become None."""
        record = asdict(self)
        for bound in ("log_lr_min", "log_lr_max"):
            record[bound] = None if math.isinf(record[bound]) else record[bound]
        record["offsets"] = dict(self.offsets)
        record["counts"] = {key: list(value) for key, value in self.counts.items()}
        record["sources"] = list(self.sources)
        record["bounds"] = {key: list(value) for key, value in self.bounds.items()}
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Calibration:
        """The inverse of `to_dict`; raises KeyError when slope or intercept is missing."""
        low, high = record.get("log_lr_min"), record.get("log_lr_max")
        real, generated = record.get("sources", (0, 0))
        return cls(
            slope=float(record["slope"]),
            intercept=float(record["intercept"]),
            log_lr_min=-math.inf if low is None else float(low),
            log_lr_max=math.inf if high is None else float(high),
            offsets={str(k): float(v) for k, v in record.get("offsets", {}).items()},
            counts={str(k): (int(r), int(g)) for k, (r, g) in record.get("counts", {}).items()},
            sources=(int(real), int(generated)),
            bounds={
                str(k): (float(lowest), float(highest))
                for k, (lowest, highest) in record.get("bounds", {}).items()
            },
        )


def fit(
    scores: ArrayLike,
    labels: ArrayLike,
    strata: Sequence[Stratum | str | None],
    groups: Sequence[Hashable],
    *,
    full_at: int = 10,
    per_stratum: bool = True,
) -> Calibration:
    """A `Calibration` of validation scores, in which every source has the same say.

    Both classes are weighed alike, so the logistic map gives a log-likelihood ratio whatever
    the share of generated images was (Brümmer and du Preez 2006). Targets are softened as in
    Platt 1999 by the number of sources, which keeps the slope finite when the classes are
    separable. A falling map is refused: its slope is set to 0 and every ratio is 1.
    Sources of fewer than `full_at` images get their proportional part of a say. A stratum with
    an offset also gets bounds, from its own images: few sources support no strong ratio.
    Raises ValueError when a class is absent or a score is NaN or infinite.
    """
    s, y, codes = _checked(scores, labels, groups)
    weights = _even_weights(y, codes, full_at)
    real, generated = (len(set(codes[y == label].tolist())) for label in (0.0, 1.0))
    targets = np.where(y == 1, (generated + 1) / (generated + 2), 1 / (real + 2))
    slope, intercept = _logistic(s, targets, weights)
    if slope <= 0:
        slope, intercept = 0.0, 0.0
    names = np.array([str(stratum) for stratum in strata], dtype=object)
    base = _unbounded(slope, intercept, s)
    offsets: dict[str, float] = {}
    counts: dict[str, tuple[int, int]] = {}
    for name in sorted(set(names.tolist())):
        inside = names == name
        counts[name] = (int((y[inside] == 0).sum()), int((y[inside] == 1).sum()))
        if per_stratum and slope > 0 and _enough(y[inside], codes[inside]):
            offset = _offset(base[inside], targets[inside], y[inside], codes[inside], full_at)
            rarer = min(counts[name])
            offsets[name] = offset * rarer / (rarer + _SHRINK_AT)
    llr = base + np.array([offsets.get(name, 0.0) for name in names])
    low, high = empirical_bounds(llr, y, codes.tolist(), full_at=full_at)
    bounds = {}
    for name in offsets:
        inside = names == name
        own = codes[inside].tolist()
        bounds[name] = empirical_bounds(llr[inside], y[inside], own, full_at=full_at)
    return Calibration(slope, intercept, low, high, offsets, counts, (real, generated), bounds)


def empirical_bounds(
    log_lrs: ArrayLike, labels: ArrayLike, groups: Sequence[Hashable], *, full_at: int = 1
) -> tuple[float, float]:
    """(low, high) natural log-LRs beyond which the data support no likelihood ratio.

    The empirical lower and upper bounds (ELUB) of Vergeer et al., "Numerical likelihood
    ratios outputted by LR systems are often based on extrapolation: when to stop
    extrapolating?", Science & Justice 56 (2016): to each class one more, strongly misleading
    case is added, and the range kept is the one, going out from LR = 1, in which deciding
    by the ratio costs less than ignoring it. That reduces to LR(t) ≤ TPR(t) / FPR(t) above 1,
    and to the mirrored rule below. Here the unit of evidence is a source and not an image,
    so the added case weighs as much as one source: with n real sources no ratio exceeds
    n + 1. `low` ≤ 0 ≤ `high`, both 0 when the ratios mislead. Raises ValueError when a class is
    absent.
    """
    llr, y, codes = _checked(log_lrs, labels, groups)
    w = _even_weights(y, codes, full_at)
    generated, real = y == 1, y == 0
    sources = [len(set(codes[inside].tolist())) for inside in (generated, real)]
    high = _upper_bound(llr[generated], w[generated], sources[0], llr[real], w[real], sources[1])
    low = -_upper_bound(-llr[real], w[real], sources[1], -llr[generated], w[generated], sources[0])
    return low, high


def _upper_bound(
    right: Floats, right_w: Floats, right_n: int, wrong: Floats, wrong_w: Floats, wrong_n: int
) -> float:
    """The largest t such that e^t stays within right rate / wrong rate all the way from 0."""
    start = 0.0
    for end in np.unique(np.append(right, wrong)):
        if end <= 0:
            continue
        right_rate = right_w[right >= end].sum() / right_w.sum() * right_n / (right_n + 1)
        wrong_rate = (wrong_w[wrong >= end].sum() / wrong_w.sum() * wrong_n + 1) / (wrong_n + 1)
        # Both rates are constant on (start, end], so the ratio is crossed inside or not at all.
        limit = math.log(right_rate / wrong_rate) if right_rate > 0 else -math.inf
        if limit < end:
            return max(limit, start)
        start = float(end)
    return start


def _checked(
    scores: ArrayLike, labels: ArrayLike, groups: Sequence[Hashable]
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    s = np.asarray(scores, dtype=np.float64).ravel()
    y = np.asarray(labels, dtype=np.float64).ravel()
    if not s.size == y.size == len(groups):
        raise ValueError(f"{s.size} scores, {y.size} labels and {len(groups)} groups do not match")
    if not np.isfinite(s).all():
        raise ValueError("a score is not finite; leave out the images that could not be scored")
    if set(y.tolist()) != {0.0, 1.0}:
        raise ValueError("calibration needs images of both labels, 0 (real) and 1 (generated)")
    return s, y, metrics.group_codes(groups)


def _even_weights(y: Floats, codes: NDArray[np.int64], full_at: int) -> Floats:
    """(N,) weights: one half for each class, and within a class an even say for every source."""
    weights = np.empty_like(y)
    for label in (0.0, 1.0):
        inside = y == label
        weights[inside] = metrics.source_weights(codes[inside].tolist(), full_at)
    return metrics.prior_weights(y, 0.5, weights) / y.size


def _enough(y: Floats, codes: NDArray[np.int64]) -> bool:
    return all(
        (y == label).sum() >= _STRATUM_IMAGES
        and len(set(codes[y == label].tolist())) >= _STRATUM_SOURCES
        for label in (0.0, 1.0)
    )


def _unbounded(slope: float, intercept: float, scores: ArrayLike) -> Floats:
    s = np.asarray(scores, dtype=np.float64).ravel()
    if np.isnan(s).any():
        raise ValueError("a score is NaN; there is nothing to calibrate")
    # An infinite score times a slope of 0 would be NaN, and a flat map ignores the score.
    return slope * s + intercept if slope else np.full_like(s, intercept)


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(np.exp(-np.logaddexp(0.0, -x)), dtype=np.float64)


def _logistic(s: Floats, targets: Floats, weights: Floats) -> tuple[float, float]:
    """Slope and intercept that minimise the weighted cross-entropy of soft targets."""
    centre, scale = float(s.mean()), float(s.std())
    if scale == 0:
        return 0.0, 0.0
    design = np.stack([(s - centre) / scale, np.ones_like(s)], axis=1)
    slope, intercept = _newton(design, np.zeros_like(s), targets, weights) / (scale, 1.0)
    return float(slope), float(intercept - slope * centre)


def _offset(
    base: Floats, targets: Floats, y: Floats, codes: NDArray[np.int64], full_at: int
) -> float:
    weights = _even_weights(y, codes, full_at)
    return float(_newton(np.ones((base.size, 1)), base, targets, weights)[0])


def _newton(design: Floats, base: Floats, targets: Floats, weights: Floats) -> Floats:
    """The (D,) coefficients of a logistic model with a fixed part, by Newton's method.

    Steps are halved until the loss falls (Lin, Lin and Weng 2007); soft targets keep the
    minimum finite.
    """

    def loss(beta: Floats) -> float:
        z = design @ beta + base
        return float(np.sum(weights * (np.logaddexp(0.0, z) - targets * z)))

    beta = np.zeros(design.shape[1])
    current = loss(beta)
    for _ in range(100):
        p = _sigmoid(design @ beta + base)
        gradient = design.T @ (weights * (p - targets))
        if np.abs(gradient).max() < 1e-10:
            break
        curvature = (design * (weights * p * (1 - p))[:, None]).T @ design
        step = np.linalg.solve(curvature + 1e-12 * np.eye(beta.size), gradient)
        factor = 1.0
        while factor > 1e-8 and loss(beta - factor * step) > current:
            factor /= 2
        beta = beta - factor * step
        before, current = current, loss(beta)
        if before - current < 1e-14:
            break
    return beta
