"""How often a model scores real and generated pictures high or low, source by source.

The counts per source are what lets an estimate of prevalence carry the uncertainty of the error
rates: another campaign is another draw of sources, and not of images.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from detector.weights import Bundle

Floats = NDArray[np.float64]
CONFIG_KEY = "error_rates"

# Without counts by source: how much sources differ, as the concentration of a Dirichlet
# distribution around the pooled rates. A recall of 0.2 then has a standard deviation of 0.16
# between sources, a false positive rate of 0.02 one of 0.03. Assumed, and said so in the words.
_ASSUMED_CONCENTRATION = {"real": 20.0, "generated": 5.0}
# Images of a source that count as one more source's worth of prior; keeps small counts from 0.
_PRIOR = 2.0


@dataclass(frozen=True)
class ErrorRates:
    """Counts of scored images by class, source and bin of the score.

    Attributes:
        edges: rising scores between the bins; a score at an edge belongs above it.
        real, generated: unit (a source, or one kind of picture of it) to images per bin, one
            bin more than there are edges. Empty when only `pooled` is known.
        pooled: without counts by source: rates per bin of each class, "real" and "generated".
        sources: number of real and of generated sources behind the figures.
        measured_on: what was scored, in words.
    """

    edges: tuple[float, ...]
    real: Mapping[str, tuple[int, ...]]
    generated: Mapping[str, tuple[int, ...]]
    pooled: Mapping[str, tuple[float, ...]]
    sources: tuple[int, int]
    measured_on: str = ""

    @property
    def by_source(self) -> bool:
        """Whether the spread between sources was measured, or is assumed."""
        return bool(self.real and self.generated)

    def bins(self, scores: ArrayLike) -> NDArray[np.int64]:
        """(N,) number of the bin of every score."""
        return np.searchsorted(np.asarray(self.edges), np.asarray(scores, float), side="right")

    def to_record(self) -> dict[str, Any]:
        """Plain JSON values, for a bundle's config under `error_rates`."""
        return {
            "edges": list(self.edges),
            "real": {k: list(v) for k, v in self.real.items()},
            "generated": {k: list(v) for k, v in self.generated.items()},
            "sources": list(self.sources),
            "measured_on": self.measured_on,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ErrorRates:
        """The inverse of `to_record`; raises KeyError or ValueError for another form."""
        edges = tuple(float(e) for e in record["edges"])
        real = {str(k): tuple(int(n) for n in v) for k, v in record["real"].items()}
        generated = {str(k): tuple(int(n) for n in v) for k, v in record["generated"].items()}
        if any(len(v) != len(edges) + 1 for v in [*real.values(), *generated.values()]):
            raise ValueError("error_rates: a source has another number of bins than the edges say")
        sources = (int(record["sources"][0]), int(record["sources"][1]))
        return cls(edges, real, generated, {}, sources, str(record.get("measured_on", "")))

    def draws(
        self, count: int, rng: np.random.Generator, set_sources: tuple[float, float]
    ) -> tuple[Floats, Floats]:
        """Rates that another set of images may have, for real and for generated pictures.

        A set is a mixture of sources like those measured, with random shares: a Dirichlet
        distribution over the measured sources whose concentration makes the spread that of
        `set_sources` new sources, plus what the limited number of measured ones leaves open.
        Within a source the rates have their own posterior.

        Args:
            count: number of draws.
            rng: random numbers.
            set_sources: how many independent sources of real and of generated pictures the
                set is worth.

        Returns:
            Two (count, bins) arrays whose rows sum to 1.
        """
        if not self.by_source:
            return (
                self._assumed("real", count, rng, set_sources[0]),
                self._assumed("generated", count, rng, set_sources[1]),
            )
        return (
            _mixtures(self.real, count, rng, set_sources[0]),
            _mixtures(self.generated, count, rng, set_sources[1]),
        )

    def _assumed(
        self, label: str, count: int, rng: np.random.Generator, set_sources: float
    ) -> Floats:
        mean = np.maximum(np.asarray(self.pooled[label]), 1e-4)
        known = max(1, self.sources[label == "generated"])
        spread = 1 / (_ASSUMED_CONCENTRATION[label] + 1) * (1 / set_sources + 1 / known)
        concentration = max(1.0, 1 / spread - 1)
        return rng.dirichlet(concentration * mean / mean.sum(), count)


def _mixtures(
    units: Mapping[str, tuple[int, ...]], count: int, rng: np.random.Generator, k: float
) -> Floats:
    counts = np.array(list(units.values()), dtype=np.float64)
    # A source of a few images says little: it gets its part of a say.
    say = np.minimum(counts.sum(axis=1), 10) / 10
    shares = counts / counts.sum(axis=1, keepdims=True)
    pooled = (say[:, None] * shares).sum(axis=0) / say.sum() + 1e-4
    effective = max(say.sum(), 1.0)
    concentration = max(0.5, 1 / (1 / k + 1 / effective) - 1)
    weights = rng.dirichlet(np.maximum(concentration * say / say.sum(), 1e-3), count)
    alphas = counts + _PRIOR * pooled / pooled.sum()
    within = rng.standard_gamma(alphas, (count, *alphas.shape))
    within /= np.maximum(within.sum(axis=2, keepdims=True), 1e-12)
    mixed = np.einsum("ns,nsb->nb", weights, within) + 1e-6
    return np.asarray(mixed / mixed.sum(axis=1, keepdims=True), dtype=np.float64)


def measure(
    scores: ArrayLike,
    labels: ArrayLike,
    sources: Sequence[Hashable],
    edges: Sequence[float],
    *,
    kinds: Sequence[str] | None = None,
    measured_on: str = "",
) -> ErrorRates:
    """The counts of scored validation images, to go into a bundle's config.

    Args:
        scores: (N,) logits, one for each image (not one for each condition).
        labels: (N,) 0 real, 1 generated.
        sources: (N,) the source of each image; sources that trained nothing.
        edges: where the bins part: the bundle's two thresholds, and more if wanted.
        kinds: (N,) the kind of each image; each kind of a source is then a unit of its own.
        measured_on: what was scored, in words.

    Raises ValueError when lengths differ, a score is not finite, or a class is absent.
    """
    s = np.asarray(scores, dtype=np.float64).ravel()
    y = np.asarray(labels, dtype=np.int64).ravel()
    names = list(kinds) if kinds is not None else [""] * s.size
    if not s.size == y.size == len(sources) == len(names):
        raise ValueError("scores, labels, sources and kinds do not match in length")
    if not np.isfinite(s).all() or set(y.tolist()) != {0, 1}:
        raise ValueError("error rates need finite scores of both labels, 0 and 1")
    edges = tuple(sorted(float(e) for e in edges))
    where = np.searchsorted(np.asarray(edges), s, side="right")
    counts: dict[int, dict[str, list[int]]] = {0: {}, 1: {}}
    seen: dict[int, set[Hashable]] = defaultdict(set)
    for label, source, kind, at in zip(y.tolist(), sources, names, where.tolist(), strict=True):
        unit = f"{source} · {kind}" if kind else str(source)
        counts[label].setdefault(unit, [0] * (len(edges) + 1))[at] += 1
        seen[label].add(source)
    real, generated = ({k: tuple(v) for k, v in sorted(counts[i].items())} for i in (0, 1))
    return ErrorRates(edges, real, generated, {}, (len(seen[0]), len(seen[1])), measured_on)


def of_bundle(bundle: Bundle) -> ErrorRates | None:
    """The error rates of a bundle: counts by source, or its pooled rates with assumed spread.

    None when its config has neither.
    """
    record = bundle.config.get(CONFIG_KEY)
    if isinstance(record, dict):
        return ErrorRates.from_record(record)
    validation, evaluation = (bundle.config.get(key) or {} for key in ("validation", "evaluation"))
    try:
        upper, lower = validation["likely_generated"], validation["inconclusive"]
        between = {
            "real": float(lower["fpr"]) - float(upper["fpr"]),
            "generated": float(lower["recall"]) - float(upper["recall"]),
        }
        overall = evaluation.get("overall", {})
        flagged = {
            "real": float(overall.get("fpr", upper["fpr"])),
            "generated": float(overall.get("tpr", upper["recall"])),
        }
    except (KeyError, TypeError, ValueError):
        return None
    # The stricter of two measurements of false positives, so that neither is taken as luck.
    flagged["real"] = max(flagged["real"], float(upper["fpr"]))
    pooled = {
        label: (1 - between[label] - flagged[label], between[label], flagged[label])
        for label in ("real", "generated")
    }
    sources = bundle.calibration.sources
    thresholds = (bundle.thresholds.inconclusive, bundle.thresholds.likely_generated)
    where = f"the validation sources of {bundle.id}, pooled; their spread is assumed"
    return ErrorRates(thresholds, {}, {}, pooled, sources, where)
