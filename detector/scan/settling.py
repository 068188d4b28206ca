"""The second pass of a scan: verdicts that a treatment might turn are tried, and settled.

Every file is saved before with the verdict that it has; only the files in question are read once
more, so that a scan that is stopped here loses nothing, and the next one goes on with the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from detector.errors import UsageError
from detector.explain.stability import in_question, measured, settle
from detector.pool import Fault
from detector.preprocess import Prepared
from detector.results import Evidence, Finding
from detector.scan.examine import Copies, Doubt
from detector.scorers import Scorer
from detector.verdict import decided

OFF, NEAR, ALL = "off", "near", "all"
MODES = (OFF, NEAR, ALL)
_NOT_MEASURED = "stability was not measured: "


class Held(NamedTuple):
    """A path whose finding is told when its verdict is settled; `fresh` as for `Watcher.found`."""

    path: str
    fresh: bool


class Settling:
    """Which findings are in question, and what becomes of them.

    Args:
        mode: "off"; "near" for verdicts near a threshold, see `in_question`; "all" for every
            verdict that decided. An `inconclusive` one has nothing to lose.
        scorer: whose thresholds count.
        score: gives one finding per file; never raises for a bad one.

    Raises UsageError for another mode.
    """

    def __init__(
        self, mode: str, scorer: Scorer, score: Callable[[Sequence[Prepared]], list[Finding]]
    ) -> None:
        if mode not in MODES:
            raise UsageError(f"no stability {mode!r}: use {', '.join(MODES)}")
        self._mode = mode
        self._thresholds = getattr(scorer.bundle, "thresholds", None) if mode == NEAR else None
        self._score = score
        self._held: dict[str, list[Held]] = {}

    def holds(self, finding: Finding, fresh: bool) -> bool:
        """Whether a finding waits for the second pass; notes it if so."""
        if self._mode == OFF or finding.stability or not in_question(finding, self._thresholds):
            return False
        self._held.setdefault(finding.sha256, []).append(Held(finding.path, fresh))
        return True

    def tasks(self) -> list[Doubt]:
        """One file of each content in question."""
        return [Doubt(held[0].path, sha256) for sha256, held in self._held.items()]

    def take(self, sha256: str) -> list[Held]:
        """The paths that wait for a content, which then wait no more."""
        return self._held.pop(sha256, [])

    def settled(
        self,
        stored: Finding,
        outcome: Copies | Fault,
        evidence: Sequence[Evidence] | None,
    ) -> Finding:
        """The finding after its treated copies were scored.

        Args:
            stored: as it was saved, decided with evidence or not.
            outcome: the copies, or why there are none; a note then says so.
            evidence: what it is to be decided with; None for the pixels alone.
        """
        if isinstance(outcome, Fault):
            return _noted(stored, f"{_NOT_MEASURED}{outcome.reason}")
        held = measured(stored, self._score(outcome.copies))
        final = settle(_pixels_alone(stored), held)
        if evidence is not None:
            final = decided(final, evidence)
        return final if held.flips else _noted(final, f"stability: {held.words}")


def _pixels_alone(finding: Finding) -> Finding:
    """The finding as it was before any evidence had its say."""
    if finding.pixel_verdict is None:
        return finding
    return replace(
        finding,
        verdict=finding.pixel_verdict,
        verdict_code=finding.pixel_code,
        reason=finding.pixel_reason,
        evidence_kinds=(),
        conflicts=(),
    )


def _noted(finding: Finding, note: str) -> Finding:
    kept = tuple(n for n in finding.notes if not n.startswith(_NOT_MEASURED))
    return replace(finding, notes=(*kept, note))
