"""How many actions of a policy would be wrong, from a model's measured error rates.

The rates are those that the bundle carries: the share of real and of generated images whose
pixels reach each verdict. The share of generated images among those at hand is not known; it is
estimated from how often each verdict came (maximum likelihood), and the interval runs over every
share that the counts allow and both ends of the rates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from detector import metrics
from detector.results import Verdict

_LIKELY, _MIDDLE, _NONE = (
    str(Verdict.LIKELY_GENERATED),
    str(Verdict.INCONCLUSIVE),
    str(Verdict.NO_SIGN),
)
LEVELS = (_LIKELY, _MIDDLE, _NONE)
# Half the 95 % point of chi-squared with one degree of freedom: how far the log-likelihood may
# fall below its maximum.
_FALL = 1.92
_SHARES = 201


@dataclass(frozen=True)
class Range:
    """A figure with its interval."""

    value: float
    low: float
    high: float

    def to_record(self) -> dict[str, float]:
        """Plain JSON values, rounded to one decimal."""
        return {k: round(v, 1) for k, v in vars(self).items()}


@dataclass(frozen=True)
class Rates:
    """How often a model's pixels say what.

    Attributes:
        real: share of real images at or above "likely_generated", with its interval.
        real_doubt: share of real images at or above "inconclusive", likewise.
        generated, generated_doubt: the same of generated images.
        source: where the rates come from, in words.
    """

    real: Range
    real_doubt: Range
    generated: Range
    generated_doubt: Range
    source: str

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> Rates | None:
        """The rates that a bundle's config.json carries; None when it was never measured.

        The held-out evaluation comes before the validation sources, on which the thresholds
        were chosen. The upper end is never below the rate that the thresholds were set for.
        """
        limits = config.get("thresholds", {})
        chosen = config.get("validation", {})
        tested = config.get("evaluation", {}).get("overall", {})
        high, low = chosen.get("likely_generated", {}), chosen.get("inconclusive", {})
        fpr = tested.get("fpr", high.get("fpr"))
        tpr = tested.get("tpr", high.get("recall"))
        doubt, doubt_tpr = low.get("fpr"), low.get("recall")
        if fpr is None or tpr is None or doubt is None or doubt_tpr is None:
            return None
        half = max(int(chosen.get("images", 0)) // 2, 1)
        real, made = int(tested.get("real", half)), int(tested.get("generated", half))
        source = str(config.get("evaluation", {}).get("measured_on", "its validation sources"))
        return cls(
            _range(fpr, real, float(limits.get("nominal_fpr", 0.0))),
            _range(max(doubt, fpr), half, float(limits.get("inconclusive_fpr", 0.0))),
            _range(tpr, made),
            _range(max(doubt_tpr, tpr), half),
            source,
        )

    def levels(self, end: str = "value") -> tuple[dict[str, float], dict[str, float]]:
        """Shares of real and of generated images at each verdict.

        Args:
            end: "value"; or "low" or "high": that end of the rates of real images.
        """
        real, doubt = getattr(self.real, end), getattr(self.real_doubt, end)
        return _split(real, doubt), _split(self.generated.value, self.generated_doubt.value)


def expected_real(counts: Mapping[str, int], rates: Rates) -> dict[str, Range]:
    """For each verdict, how many of so many images are real.

    Args:
        counts: images by the verdict of their pixels.
        rates: of the model.
    """
    total = sum(counts.get(level, 0) for level in LEVELS)
    if not total:
        return {level: Range(0.0, 0.0, 0.0) for level in LEVELS}
    central = _posteriors(counts, *rates.levels(), only_best=True)[0]
    all_of_them = [
        found
        for end in ("low", "value", "high")
        for found in _posteriors(counts, *rates.levels(end), only_best=False)
    ]
    found = {}
    for level in LEVELS:
        n = counts.get(level, 0)
        values = [p[level] * n for p in all_of_them]
        found[level] = Range(central[level] * n, min(values), max(values))
    return found


def _posteriors(
    counts: Mapping[str, int],
    real: Mapping[str, float],
    made: Mapping[str, float],
    *,
    only_best: bool,
) -> list[dict[str, float]]:
    """P(real | verdict), under the likeliest share of generated images or all plausible ones."""
    fits = []
    for step in range(_SHARES):
        share = step / (_SHARES - 1)
        mixed = {v: share * made[v] + (1 - share) * real[v] for v in LEVELS}
        fit = sum(counts.get(v, 0) * math.log(max(mixed[v], 1e-12)) for v in LEVELS)
        fits.append((fit, share, mixed))
    best = max(fit for fit, _, _ in fits)
    kept = [row for row in fits if row[0] >= best - (1e-9 if only_best else _FALL)]
    return [
        {v: (1 - share) * real[v] / mixed[v] if mixed[v] > 0 else 1 - share for v in LEVELS}
        for _, share, mixed in kept
    ]


def _split(likely: float, doubt: float) -> dict[str, float]:
    doubt = max(doubt, likely)
    return {_LIKELY: likely, _MIDDLE: doubt - likely, _NONE: 1 - doubt}


def _range(rate: float, images: int, nominal: float = 0.0) -> Range:
    low, high = metrics.wilson(round(rate * images), images)
    return Range(float(rate), low, max(high, nominal))
