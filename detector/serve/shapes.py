"""One judgement in four forms: our own, and three that clients of other services already read.

The others' forms hold less: no reason, no evidence, no "inconclusive". `flagged` and labels follow
the verdict and never a cut at one half of the probability.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from enum import Enum
from typing import Any

from detector.policy import Action
from detector.results import Verdict
from detector.serve.engine import Judged
from detector.serve.faults import HttpError
from detector.verdict import decided


class Shape(str, Enum):
    """The forms of an answer."""

    NATIVE = "native"
    HUGGINGFACE = "huggingface"
    REKOGNITION = "rekognition"
    OPENAI = "openai"


def native(
    judged: Sequence[Judged],
    actions: Sequence[Action | None],
    maps: Sequence[dict[str, Any] | None],
) -> dict[str, Any]:
    """Our own form: {"findings": [record, evidence, crops, action, heatmap]}."""
    rows = zip(judged, actions, maps, strict=True)
    return {"findings": [record_of(item, action, heat) for item, action, heat in rows]}


def record_of(
    judged: Judged, action: Action | None = None, heat: dict[str, Any] | None = None
) -> dict[str, Any]:
    """One finding as plain JSON values; what was not asked for is null."""
    record = {k: _finite(v) for k, v in judged.finding.to_record().items()}
    record["crops"] = [asdict(crop) for crop in judged.finding.crops]
    found = judged.evidence
    record["evidence"] = None if found is None else [item.to_record() for item in found]
    record["action"] = None if action is None else action.to_record()
    record["heatmap"] = heat
    return record


def huggingface(judged: Sequence[Judged]) -> list[Any]:
    """As the image-classification task of Hugging Face: labels with scores, the higher first.

    One image gives a list of labels, several give a list of such lists.
    """
    rows = [_labels(item) for item in judged]
    return rows[0] if len(rows) == 1 else rows


def rekognition(judged: Sequence[Judged], model: str, least: float = 50.0) -> dict[str, Any]:
    """As DetectModerationLabels of Amazon Rekognition; for one image.

    Args:
        judged: one judgement.
        model: the model's id.
        least: smallest confidence (0–100) of a label that is given.

    Raises:
        HttpError: several images, which that form has no place for.
    """
    if len(judged) != 1:
        raise HttpError(
            422,
            "one_image_only",
            "This shape has room for one image.",
            "Send one image a request, or ask for another shape.",
        )
    finding, labels = judged[0].finding, []
    names = {
        Verdict.LIKELY_GENERATED: "Likely AI-Generated",
        Verdict.INCONCLUSIVE: "Possibly AI-Generated",
    }
    confidence = round(100 * _probability(judged[0]), 4)
    if finding.verdict in names and confidence >= least:
        parent = "AI-Generated"
        labels = [
            {"Confidence": confidence, "Name": parent, "ParentName": "", "TaxonomyLevel": 1},
            {
                "Confidence": confidence,
                "Name": names[finding.verdict],
                "ParentName": parent,
                "TaxonomyLevel": 2,
            },
        ]
    return {"ModerationLabels": labels, "ModerationModelVersion": model, "ContentTypes": []}


def openai(judged: Sequence[Judged], model: str, identity: str) -> dict[str, Any]:
    """As OpenAI's moderations: one result per image, flagged when likely generated."""
    return {
        "id": f"modr-{identity}",
        "model": model,
        "results": [
            {
                "flagged": item.finding.verdict is Verdict.LIKELY_GENERATED,
                "categories": {
                    "ai_generated": item.finding.verdict is Verdict.LIKELY_GENERATED,
                },
                "category_scores": {"ai_generated": _probability(item)},
                "category_applied_input_types": {"ai_generated": ["image"]},
            }
            for item in judged
        ],
    }


def without_evidence(judged: Judged) -> Judged:
    """The judgement of the pixels alone, for a client that wanted no evidence."""
    return Judged(decided(judged.finding, ()), None, judged.rgb)


def all_scored(judged: Sequence[Judged]) -> None:
    """Raise `HttpError` 422 for a file that was not scored: the others' forms cannot say so."""
    for number, item in enumerate(judged, start=1):
        if not item.finding.ok:
            raise HttpError(
                422,
                str(item.finding.status),
                f"File {number} was not scored: {item.finding.reason}",
                "Send another file; shape=native reports such a file beside the others.",
            )
        if item.finding.probability is None:
            raise HttpError(
                422,
                "uncalibrated",
                "This model gives no probability: it was never calibrated.",
                "Run detector calibrate for it, or ask for shape=native.",
            )


def _labels(judged: Judged) -> list[dict[str, Any]]:
    chance = _probability(judged)
    labels = [{"label": "generated", "score": chance}, {"label": "real", "score": 1 - chance}]
    return sorted(labels, key=lambda row: -float(str(row["score"])))


def _probability(judged: Judged) -> float:
    value = judged.finding.probability
    return 0.0 if value is None else float(value)


def _finite(value: Any) -> Any:
    """JSON knows no infinity; an unbounded ratio becomes the largest number that it knows."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else math.copysign(1.7e308, value)
    return value
