"""What a bundle's config says about the model's error rates, for reports and the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from detector.errors import BundleError
from detector.weights import Bundle, load_bundle, stronger_than

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


def profile_words(model: str | Path | None) -> str:
    """Which model scores, and what a stronger one that is not used would add; for people."""
    try:
        bundle = load_bundle(model)
    except BundleError:
        return ""
    if not bundle.profile:
        return f"model: {bundle.id}"
    words = f"model: {bundle.id}, profile {bundle.profile}"
    better = stronger_than(bundle)
    if better is None:
        return words
    own, other = (_overall(b) for b in (bundle, better))
    if own and other:
        words += (
            f". {better.id} (profile {better.profile}) found {other['tpr']:.0%} of generated test "
            f"images where {bundle.id} found {own['tpr']:.0%}, and flagged {other['fpr']:.1%} of "
            f"real ones where {bundle.id} flagged {own['fpr']:.1%}"
        )
    get = f"--profile {better.profile}" if better.usable else _adding(better)
    return f"{words}; to use it: {get}"


def _adding(bundle: Bundle) -> str:
    return f"detector models add {bundle.profile} --download"


def _overall(bundle: Bundle) -> dict[str, float] | None:
    facts = bundle.config.get("evaluation")
    overall = facts.get("overall") if isinstance(facts, dict) else None
    return overall if isinstance(overall, dict) and {"tpr", "fpr"} <= overall.keys() else None


def error_rate(bundle: Bundle) -> str:
    """One sentence on how often the model is wrong at its threshold."""
    overall = _overall(bundle)
    if overall is not None:
        return (
            f"On images that it never saw, this model flagged {overall['fpr']:.1%} of the real "
            f"ones and found {overall['tpr']:.0%} of the generated ones."
        )
    return (
        f"The threshold was set where {bundle.thresholds.nominal_fpr:.1%} of the real validation "
        "images lie above it; on other images the rate may differ."
    )
