"""A small model for tests of the scan: scores from mean brightness, instantly and repeatably."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detector.preprocess import Prepared, PreprocessConfig
from detector.results import Finding, Status, Verdict


@dataclass(frozen=True)
class Bundle:
    """All that a scan asks of a bundle."""

    preprocess: PreprocessConfig


class StandIn:
    """A `detector.scorers.Scorer` whose score is 8 × brightness − 4, in [-4, 4].

    Args:
        model_id, config_hash: as of a bundle.
        log: file that gets one line with the sha256 of every image that is scored.
        delay: seconds that each image takes.
        refuses: the sha256 of an image whose scoring raises.
    """

    def __init__(
        self,
        model_id: str = "standin_v1",
        config_hash: str = "0123456789abcdef",
        *,
        log: Path | None = None,
        delay: float = 0.0,
        refuses: str = "",
    ) -> None:
        self.model_id = model_id
        self.config_hash = config_hash
        self.bundle = Bundle(PreprocessConfig(size=32, native=1, whole=False))
        self.scored: list[str] = []
        self.batches: list[int] = []
        self._log = log
        self._delay = delay
        self._refuses = refuses

    def score_prepared(self, prepared: Sequence[Prepared], batch_size: int = 16) -> list[Finding]:
        """One finding per image, in order."""
        self.batches.append(len(prepared))
        if any(item.sha256 == self._refuses for item in prepared):
            raise RuntimeError("not this one")
        return [self._finding(item) for item in prepared]

    def _finding(self, item: Prepared) -> Finding:
        assert item.views is not None
        time.sleep(self._delay)
        self.scored.append(item.sha256)
        if self._log is not None:
            with self._log.open("a") as stream:
                stream.write(item.sha256 + "\n")
        score = round(float(item.views.native.mean()) / 255 * 8 - 4, 6)
        verdict = (
            Verdict.LIKELY_GENERATED
            if score > 1
            else Verdict.INCONCLUSIVE
            if score > 0
            else Verdict.NO_SIGN
        )
        return Finding(
            item.path,
            item.sha256,
            Status.OK,
            f"brightness gives {score:+.2f}",
            self.model_id,
            score,
            (score + 4) / 8,
            1.0,
            verdict,
            "brightness",
            file=item.facts,
            notes=item.notes,
        )
