"""A model with calibration and thresholds that were fitted elsewhere than in its own bundle.

`detector calibrate` writes an overlay, a folder with `overlay.json`, for models of plug-ins: it
names the model, holds what was fitted on local images, and is itself a name for `--model`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector.calibration import Calibration
from detector.errors import BundleError
from detector.preprocess import Cutter, Prepared
from detector.results import Finding, Verdict
from detector.weights import Thresholds

if TYPE_CHECKING:
    from detector.scorers import Scorer

OVERLAY_FILE = "overlay.json"
FORMAT = 1
UNCALIBRATED = "uncalibrated"


@dataclass(frozen=True)
class Overlay:
    """What was fitted for one model.

    Attributes:
        id: the overlaid model's own id.
        model: as for `--model`: what is overlaid.
        config_hash: of the model that it was fitted for; another one is refused.
        calibration: score to likelihood ratio.
        thresholds: where the verdicts change.
        fitted: what it was fitted on, for people.
    """

    id: str
    model: str
    config_hash: str
    calibration: Calibration
    thresholds: Thresholds
    fitted: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Overlay:
        """Read a folder's overlay; raises BundleError with the cure."""
        file = folder / OVERLAY_FILE
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            if record["format"] != FORMAT:
                raise BundleError(f"{file}: format {record['format']} is unknown: upgrade")
            return cls(
                str(record["id"]),
                str(record["model"]),
                str(record["config_hash"]),
                Calibration.from_dict(record["calibration"]),
                Thresholds(**record["thresholds"]),
                dict(record.get("fitted", {})),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(f"{file}: not a readable overlay: run calibrate again") from error

    def write(self, folder: Path) -> Path:
        """Write the folder; gives the file."""
        folder.mkdir(parents=True, exist_ok=True)
        record = {
            "format": FORMAT,
            "id": self.id,
            "model": self.model,
            "config_hash": self.config_hash,
            "calibration": self.calibration.to_dict(),
            "thresholds": dict(vars(self.thresholds)),
            "fitted": dict(self.fitted),
        }
        file = folder / OVERLAY_FILE
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        file.write_text(text, encoding="utf-8")
        return file


@dataclass(frozen=True)
class OverlaidBundle:
    """What a scan and a service ask of a bundle."""

    preprocess: Cutter
    thresholds: Thresholds
    calibrated: bool = True


class Calibrated:
    """A `Scorer` that judges another one's scores by an overlay.

    Raises BundleError when the model is not the one that the overlay was fitted for.
    """

    def __init__(self, scorer: Scorer, overlay: Overlay) -> None:
        if scorer.config_hash != overlay.config_hash:
            raise BundleError(
                f"{overlay.id} was fitted for {overlay.model} with settings {overlay.config_hash}, "
                f"which now has {scorer.config_hash}: run detector calibrate again"
            )
        self._scorer = scorer
        self.overlay = overlay
        self.bundle = OverlaidBundle(scorer.bundle.preprocess, overlay.thresholds)
        self.model_id = overlay.id
        fitted = json.dumps(
            [overlay.config_hash, overlay.calibration.to_dict(), vars(overlay.thresholds)],
            sort_keys=True,
        )
        self.config_hash = hashlib.sha256(fitted.encode()).hexdigest()[:16]

    def load(self) -> Scorer:
        """The overlaid model with its weights in memory."""
        load = getattr(self._scorer, "load", None)
        if load is not None:
            load()
        return self

    def score_prepared(self, prepared: Sequence[Prepared], batch_size: int = 16) -> list[Finding]:
        """One finding per prepared file, in order."""
        found = self._scorer.score_prepared(prepared, batch_size)
        textures = [p.views.texture if p.views is not None else math.inf for p in prepared]
        return [self._judged(f, t) for f, t in zip(found, textures, strict=True)]

    def _judged(self, finding: Finding, texture: float) -> Finding:
        if finding.score is None:
            return replace(finding, model=self.model_id)
        score, calibration = finding.score, self.overlay.calibration
        verdict, code, reason = verdict_of(score, texture, self.overlay.thresholds)
        return replace(
            finding,
            model=self.model_id,
            probability=calibration.probability(score, finding.stratum),
            lr=calibration.lr(score, finding.stratum),
            verdict=verdict,
            verdict_code=code,
            reason=reason,
            pixel_verdict=verdict,
            pixel_code=code,
            pixel_reason=reason,
        )


def verdict_of(score: float, texture: float, limits: Thresholds) -> tuple[Verdict, str, str]:
    """Verdict, code and reason of a score, with the codes of the package's own bundles."""
    if texture < limits.least_texture:
        reason = "The image is almost without texture: there is nothing for the model to judge."
        return Verdict.INCONCLUSIVE, "too_flat", reason
    high, low = limits.likely_generated, limits.inconclusive
    if score >= high:
        reason = (
            f"Score {score:+.2f} reaches {high:+.2f}, which {limits.nominal_fpr:.0%} of the local "
            "real images reached."
        )
        return Verdict.LIKELY_GENERATED, "score_above_threshold", reason
    if score >= low:
        reason = (
            f"Score {score:+.2f} lies between {low:+.2f} and {high:+.2f}: too many real images "
            "score like this."
        )
        return Verdict.INCONCLUSIVE, "score_between_thresholds", reason
    reason = (
        f"Score {score:+.2f} is below {low:+.2f}: the model saw no sign of generation, which "
        "does not show that there was none."
    )
    return Verdict.NO_SIGN, "score_below_threshold", reason
