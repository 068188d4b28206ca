"""The enricher: adds the detector's finding to every archived image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from auto_archiver.core import Enricher
from auto_archiver.utils.custom_logger import logger

from detector.errors import DetectorError
from detector.integrations.client import Judge, Judgement, make_judge

PREFIX = "ai_generated_"


class AigiDetectorEnricher(Enricher):
    """Made by auto-archiver, which sets the options of the manifest as attributes."""

    endpoint: str
    token_file: str
    model: str
    timeout: int
    max_bytes: int
    screenshots: bool
    judge: Judge

    def setup(self) -> None:
        """Checks the options; raises UsageError, which ends auto-archiver's start."""
        self.judge = make_judge(
            self.endpoint or None,
            token_file=self.token_file or None,
            model=self.model or None,
            timeout=self.timeout,
        )

    def enrich(self, to_enrich: Any) -> None:
        """Adds a finding to every image of one archived page; a failure is written there, too."""
        seen: set[int] = set()
        for outer in to_enrich.media:
            for media in outer.all_inner_media(True):
                if id(media) not in seen and self._wanted(media):
                    seen.add(id(media))
                    self._judge(media)

    def _wanted(self, media: Any) -> bool:
        if not media.is_image():
            return False
        return self.screenshots or "screenshot" not in str(media.get("id", ""))

    def _judge(self, media: Any) -> None:
        try:
            path = Path(media.filename)
            if path.stat().st_size > self.max_bytes:
                raise DetectorError(f"the file has more than {self.max_bytes:,} bytes")
            judgement = self.judge(path.read_bytes())
        except (DetectorError, OSError) as fault:
            logger.error(f"the detector has no finding for {media.filename}: {fault}")
            media.set(f"{PREFIX}status", f"not judged: {fault}")
            return
        for key, value in properties(judgement).items():
            media.set(f"{PREFIX}{key}", value)


def properties(judgement: Judgement) -> dict[str, Any]:
    """What is written beside one image: plain values, in the order in which they are read."""
    finding = judgement.finding
    if finding.verdict is None:
        return {"status": f"{finding.status}: {finding.reason}"}
    found: dict[str, Any] = {
        "verdict": str(finding.verdict),
        "reason": finding.reason,
        "score": finding.score,
        "probability": finding.probability,
        "model": finding.model,
    }
    if judgement.claims:
        found["evidence"] = [
            f"{item.channel}: {item.kind} asserts {item.asserts} ({item.trust})"
            for item in judgement.claims
        ]
    return {key: value for key, value in found.items() if value is not None}
