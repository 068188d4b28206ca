"""One image explained: verdict, stability, likelihood ratio, look-alikes and the map, together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from detector.errors import UsageError
from detector.explain.looking import (
    DEFAULT_GRID,
    can_be_mapped,
    contributions,
    heatmap,
    look,
)
from detector.explain.maps import CROPS, Contribution, Heatmap
from detector.explain.reference import Alike, alike, at_threshold
from detector.explain.stability import Stability, settle, stability
from detector.explain.wording import (
    alike_sentences,
    contribution_sentence,
    probability_sentence,
    ratio_sentences,
)
from detector.results import Evidence, Finding
from detector.verdict import decided

if TYPE_CHECKING:
    from detector.explain.looking import Seen
    from detector.predict import Detector, Source
    from detector.weights import Bundle

EVEN_PRIOR = 0.5


@dataclass(frozen=True)
class Reading:
    """How a finding's score should be read.

    Attributes:
        prior: share of generated images assumed before looking, in (0, 1).
        stated: whether the caller named it; else it is one half.
        probability: of "generated" at that prior, in [0, 1].
        ratio_words: sentences on the likelihood ratio.
        probability_words: one sentence; it holds no word of the ratio's scale.
        contributions: how much each view brought to the score.
        contribution_words: the same in one sentence.
        alike: how images of known origin score.
        alike_words: the same in sentences.
    """

    prior: float
    stated: bool
    probability: float
    ratio_words: tuple[str, ...]
    probability_words: str
    contributions: tuple[Contribution, ...]
    contribution_words: str
    alike: tuple[Alike, ...]
    alike_words: tuple[str, ...]

    def to_record(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "prior": self.prior,
            "prior_stated": self.stated,
            "probability": round(self.probability, 4),
            "ratio_words": list(self.ratio_words),
            "probability_words": self.probability_words,
            "contributions": [dict(vars(c)) for c in self.contributions],
            "contribution_words": self.contribution_words,
            "look_alikes": [a.to_record() for a in self.alike],
            "look_alike_words": list(self.alike_words),
        }


@dataclass(frozen=True)
class Explanation:
    """All that one model can say of one image's score.

    Attributes:
        finding: with the verdict that stability and evidence allow.
        measured: the pixels' own finding, before both.
        reading: how to read the score; None for a file that was not scored.
        stability, heatmap: None for such a file, or when they were not asked for.
        evidence: what the file says of its origin, as it was given.
        notes: what could not be done, and why.
    """

    finding: Finding
    measured: Finding
    reading: Reading | None = None
    stability: Stability | None = None
    heatmap: Heatmap | None = None
    evidence: tuple[Evidence, ...] = ()
    notes: tuple[str, ...] = ()

    def to_record(self) -> dict[str, Any]:
        """Plain JSON values: the finding's record with "explanation" beside it."""
        return {
            **self.finding.to_record(),
            "evidence": [e.to_record() for e in self.evidence],
            "explanation": {
                "verdict_before": None
                if self.measured.verdict is None
                else str(self.measured.verdict),
                "reading": None if self.reading is None else self.reading.to_record(),
                "stability": None if self.stability is None else self.stability.to_record(),
                "heatmap": None if self.heatmap is None else self.heatmap.to_record(),
                "notes": list(self.notes),
            },
        }


def explain(
    detector: Detector,
    source: Source | Seen,
    *,
    evidence: Sequence[Evidence] = (),
    prior: float | None = None,
    method: str = CROPS,
    grid: int = DEFAULT_GRID,
    with_map: bool = True,
    with_stability: bool = True,
) -> Explanation:
    """Explain one image; a bad file gives an explanation without parts, never an error.

    Args:
        detector: a loaded bundle.
        source: as for `Detector.predict`, or what `look` gave.
        evidence: what the file says of its origin; the verdict is decided with it.
        prior: share of generated images assumed before looking, in (0, 1); None for one half.
        method, grid: see `heatmap`.
        with_map, with_stability: leave out what takes most of the time.

    Raises:
        UsageError: a prior that is none, or an unknown method.
    """
    from detector.explain.looking import Seen

    check_prior(prior)
    seen = source if isinstance(source, Seen) else look(detector, source)
    listed = tuple(evidence)
    if seen.image is None or not seen.finding.ok:
        bad = decided(seen.finding, listed) if listed else seen.finding
        return Explanation(bad, seen.finding, evidence=listed)
    notes: tuple[str, ...] = ()
    shown: Heatmap | None = None
    if with_map:
        if can_be_mapped(detector, method):
            shown = heatmap(detector, seen, grid=grid, method=method)
        else:
            notes = (f"model {detector.model_id} cannot be mapped with method {method!r}",)
    held = stability(detector, seen) if with_stability else None
    settled = seen.finding if held is None else settle(seen.finding, held)
    # Evidence is set against what the pixels can still be said to show.
    finding = decided(settled, listed)
    reading = read(seen.finding, detector.bundle, prior)
    return Explanation(finding, seen.finding, reading, held, shown, listed, notes)


def read(finding: Finding, bundle: Bundle, prior: float | None = None) -> Reading:
    """How to read the score of a finding; needs no model, only its bundle's figures.

    Raises:
        UsageError: a prior that is none, or a finding without a score.
    """
    check_prior(prior)
    if finding.score is None or finding.stratum is None:
        raise UsageError("a file that was not scored has nothing to read")
    calibration = bundle.calibration
    assumed = EVEN_PRIOR if prior is None else prior
    probability = calibration.probability(finding.score, finding.stratum, assumed)
    parts = contributions(finding, bundle)
    found = alike(bundle.config.get("reference"), finding.score, finding.stratum)
    found = found or at_threshold(bundle.config, finding.stratum)
    return Reading(
        assumed,
        prior is not None,
        probability,
        ratio_sentences(replace(finding), calibration),
        probability_sentence(probability, assumed, prior is not None),
        parts,
        contribution_sentence(parts),
        found,
        alike_sentences(found, finding.stratum),
    )


def check_prior(prior: float | None) -> None:
    """Raises UsageError unless the prior is None or strictly between 0 and 1."""
    if prior is not None and not 0 < prior < 1:
        raise UsageError(f"a prior lies strictly between 0 and 1, such as 0.1; not {prior}")
