"""The share of generated pictures behind a count of scores, with an honest interval.

The scores of a set fall into bins as a mixture: share · rates of generated pictures +
(1 − share) · rates of real ones. Rogan and Gladen ("Estimating prevalence from the results of a
screening test", 1978) solve that for one threshold and take the rates as known. Here the rates
are uncertain: the posterior of the share is averaged over thousands of rates that another set may
have (`ErrorRates.draws`), under a flat prior, and the interval is the one of highest density, so
that a share of 0 or 1 can lie in it. benchmarks/prevalence_simulation.py compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from detector.campaign.error_rates import ErrorRates

Floats = NDArray[np.float64]
LEVEL = 0.9
# How many independent sources of real and of generated pictures a set is worth. A campaign's
# generated pictures come from few generators, so its rates stray far from the pooled ones.
SET_SOURCES = (2.0, 1.0)
# A set is never worth more pictures than this: beyond it the rates' uncertainty rules, and what
# the bins do not describe would be taken for knowledge.
WORTH = 400
_DRAWS, _GRID, _SEED = 3000, 201, 7


@dataclass(frozen=True)
class Share:
    """A share in [0, 1] with its interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Quantifier:
    """Turns counts of scores by bin into a share; one for each model.

    Attributes:
        rates: of the model.
        set_sources: see `ErrorRates.draws`.
        level: of the intervals.
        seed: of the draws, which are the same for every set.
    """

    rates: ErrorRates
    set_sources: tuple[float, float] = SET_SOURCES
    level: float = LEVEL
    seed: int = _SEED

    @cached_property
    def _log_mixtures(self) -> Floats:
        """(draws, shares, bins) logarithms of the rates of a set at every share."""
        rng = np.random.default_rng(self.seed)
        real, generated = self.rates.draws(_DRAWS, rng, self.set_sources)
        share = np.linspace(0, 1, _GRID)[None, :, None]
        mixed = share * generated[:, None, :] + (1 - share) * real[:, None, :]
        return np.asarray(np.log(np.maximum(mixed, 1e-9)))

    def posterior(self, counts: NDArray[np.int64]) -> Floats:
        """(201,) the posterior of the share on an even grid over [0, 1], summing to 1.

        Args:
            counts: (bins,) pictures in each bin of the score.
        """
        total = float(counts.sum())
        worth = total / (1 + total / WORTH)
        tempered = counts / max(total, 1.0) * worth
        logs = self._log_mixtures @ tempered
        weights = np.exp(logs - logs.max()).mean(axis=0)
        return np.asarray(weights / weights.sum(), dtype=np.float64)

    def share(self, counts: NDArray[np.int64]) -> Share:
        """The median of the posterior, and its interval of highest density at `level`."""
        density = self.posterior(counts)
        grid = np.linspace(0, 1, _GRID)
        order = np.argsort(-density, kind="stable")
        needed = int(np.searchsorted(np.cumsum(density[order]), self.level)) + 1
        inside = grid[order[:needed]]
        median = grid[int(np.searchsorted(np.cumsum(density), 0.5))]
        low, high = float(inside.min()), float(inside.max())
        return Share(float(np.clip(median, low, high)), low, high)
