"""What a bundle's config says about the model's error rates, for reports and the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from detector.errors import BundleError
from detector.weights import Bundle, load_bundle

# The prior at which a bundle's probabilities are given, see `detector.calibration`.
PRIOR = 0.5


def model_facts(model: str | Path | None) -> dict[str, Any] | None:
    """The facts that `detector.report.write_report` shows; None when the bundle is not there.

    The thresholds come from the bundle's config, the measured error rates from its
    `evaluation` part where it has one (`measured_on`, `overall`, `strata`).
    """
    try:
        bundle = load_bundle(model)
    except BundleError:
        return None
    evaluation = bundle.config.get("evaluation")
    return {
        "model": bundle.id,
        "nominal_fpr": bundle.thresholds.nominal_fpr,
        "prior": PRIOR,
        "threshold": bundle.thresholds.likely_generated,
        "no_sign_below": bundle.thresholds.inconclusive,
        **(evaluation if isinstance(evaluation, dict) else {}),
    }


def error_rate(bundle: Bundle) -> str:
    """One sentence on how often the model is wrong at its threshold."""
    facts = bundle.config.get("evaluation")
    overall = facts.get("overall") if isinstance(facts, dict) else None
    if isinstance(overall, dict) and {"tpr", "fpr"} <= overall.keys():
        return (
            f"On images that it never saw, this model flagged {overall['fpr']:.1%} of the real "
            f"ones and found {overall['tpr']:.0%} of the generated ones."
        )
    return (
        f"The threshold was set where {bundle.thresholds.nominal_fpr:.1%} of the real validation "
        "images lie above it; on other images the rate may differ."
    )
