"""Somebody's network as a model of this package, uncalibrated."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from detector.calibration import stratum_of
from detector.preprocess import Cutter, Pixels, Prepared
from detector.results import CropScore, Finding, Status, Verdict
from detector.scorers.overlay import UNCALIBRATED

# Views in, logits out; a higher one is more likely generated.
Forward = Callable[[Sequence[Pixels]], list[float]]


@dataclass(frozen=True)
class HubBundle:
    """What a scan and a service ask of a bundle."""

    preprocess: Cutter
    calibrated: bool = False


class HubScorer:
    """A `detector.scorers.Scorer` around somebody's network.

    Args:
        model_id: the name in results.
        config_hash: of all that can change a score.
        cutter: the preprocessing's half that moves pixels; runs in the workers.
        build: loads the network; called once, when the first image comes.
        notes: what a reader of every finding should know.
    """

    def __init__(
        self,
        model_id: str,
        config_hash: str,
        cutter: Cutter,
        build: Callable[[], Forward],
        notes: tuple[str, ...] = (),
    ) -> None:
        self.model_id = model_id
        self.config_hash = config_hash
        self.bundle = HubBundle(cutter)
        self._build = build
        self._notes = notes
        self._forward: Forward | None = None
        self._lock = threading.Lock()

    def load(self) -> HubScorer:
        """Read the weights, if they are not in memory yet."""
        with self._lock:
            if self._forward is None:
                self._forward = self._build()
        return self

    def score_prepared(self, prepared: Sequence[Prepared], batch_size: int = 16) -> list[Finding]:
        """One finding per prepared file, in order."""
        self.load()
        assert self._forward is not None
        views = [p.views.whole for p in prepared if p.views is not None]
        images = [view for view in views if view is not None]
        scores: list[float] = []
        for start in range(0, len(images), batch_size):
            scores += self._forward(images[start : start + batch_size])
        given = iter(scores)
        return [self._finding(item, given) for item in prepared]

    def _finding(self, item: Prepared, scores: Iterator[float]) -> Finding:
        views, facts = item.views, item.facts
        if views is None or facts is None or item.status is not Status.OK:
            return Finding(
                item.path, item.sha256, item.status, item.reason, self.model_id, notes=item.notes
            )
        score = round(float(next(scores)), 6)
        reason = (
            f"Score {score:+.2f}. What this model's scores are worth was not measured: run "
            "detector calibrate on images of your own."
        )
        box = views.whole_box or (0, 0, facts.width, facts.height)
        return Finding(
            item.path,
            item.sha256,
            Status.OK,
            reason,
            self.model_id,
            score,
            verdict=Verdict.INCONCLUSIVE,
            verdict_code=UNCALIBRATED,
            crops=(CropScore("whole", *box, score),),
            stratum=stratum_of(facts),
            file=facts,
            notes=item.notes + self._notes,
            pixel_verdict=Verdict.INCONCLUSIVE,
            pixel_code=UNCALIBRATED,
            pixel_reason=reason,
        )
