"""The part of the page on how the results came about and how far they hold."""

from __future__ import annotations

from detector.report.facts import ModelFacts, Rates
from detector.report.markup import Html, cells, element, join, table
from detector.report.wording import ICD203, percent, signed


def icd_table() -> Html:
    """The likelihood terms with their ranges."""
    rows = (cells(band.term, f"{band.low * 100:.0f} to {band.high * 100:.0f} %") for band in ICD203)
    return table("Likelihood terms of ICD 203", ("Term", "Probability"), rows)


def error_rates(facts: ModelFacts) -> Html:
    """The model's error rates per kind of file, or a sentence that they are not known here."""
    named = [(stratum, rates) for stratum, rates in facts.strata]
    if facts.overall != Rates():
        named.insert(0, ("all files", facts.overall))
    if not named:
        return element(
            "p",
            "This page was made without the model’s error rates. The model’s card states them.",
        )
    rows = (
        cells(
            stratum,
            "–" if rates.fpr is None else percent(rates.fpr, 1),
            "–" if rates.tpr is None else percent(rates.tpr, 1),
            "–" if rates.real is None else f"{rates.real:,}",
            "–" if rates.generated is None else f"{rates.generated:,}",
            "–" if rates.sources is None else f"{rates.sources:,}",
        )
        for stratum, rates in named
    )
    head = ("Kind of file", "Real, flagged", "Generated, flagged", "Real", "Generated", "Sources")
    return join(
        element("p", facts.measured_on) if facts.measured_on else None,
        table("Error rates at the threshold", head, rows),
    )


def thresholds(facts: ModelFacts) -> Html:
    """The rule from score to verdict, with its numbers where they are known."""
    if facts.threshold is None:
        return element(
            "p",
            "The thresholds are part of the model’s bundle and were not given to this page. "
            "Each image’s details state the rule that decided.",
        )
    text = f"From {signed(facts.threshold)} an image is called likely generated."
    if facts.no_sign_below is not None:
        text += (
            f" Under {signed(facts.no_sign_below)} it is said to show no sign. "
            "Between the two the verdict is inconclusive."
        )
    if facts.prior is not None:
        text += (
            f" Probabilities assume that {percent(facts.prior)} of such images are generated, "
            "before the image is looked at."
        )
    return element("p", text)
