"""The part of the page on how the results came about and how far they hold."""

from __future__ import annotations

from detector.campaign.records import LocalRates
from detector.evidence.wording import TRUSTS
from detector.names import one_line
from detector.report.document import Document
from detector.report.evidence import TRUST_NAMES
from detector.report.facts import ModelFacts, Rates
from detector.report.markup import Html, cells, element, folded, join, paragraph, table
from detector.report.wording import ICD203, interval, percent, signed


def icd_table() -> Html:
    """The likelihood terms with their ranges."""
    rows = (cells(band.term, f"{band.low * 100:.0f} to {band.high * 100:.0f} %") for band in ICD203)
    return table("Likelihood terms of ICD 203", ("Term", "Probability"), rows)


def lr_table() -> Html:
    """The verbal scale for likelihood ratios, as `detector.words` applies it."""
    scale = (
        ("1 to 2", "no support either way"),
        ("2 to 10", "weak support"),
        ("10 to 100", "moderate support"),
        ("100 to 1,000", "moderately strong support"),
        ("1,000 to 10,000", "strong support"),
        ("10,000 to 1,000,000", "very strong support"),
        ("above 1,000,000", "extremely strong support"),
    )
    rows = (cells(*pair) for pair in scale)
    return table("Words for likelihood ratios (ENFSI 2015)", ("Ratio", "In words"), rows)


def trust_table() -> Html:
    """Degrees of trust in a statement of the file, with what each means."""
    rows = (cells(TRUST_NAMES[trust], words) for trust, words in TRUSTS.items())
    return table("How far a statement in a file goes", ("Trust", "Meaning"), rows)


def error_rates(document: Document) -> Html:
    """The model's error rates per kind of file, and those on the analyst's own labels."""
    facts = document.facts
    named = [(stratum, rates) for stratum, rates in facts.strata]
    if facts.overall != Rates():
        named.insert(0, ("all files", facts.overall))
    local = document.campaign.local_rates
    return join(
        _measured(facts, named),
        None if local is None else _local(local),
        _card(document),
    )


def _measured(facts: ModelFacts, named: list[tuple[str, Rates]]) -> Html:
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


def _local(local: LocalRates) -> Html:
    """Rates on confirmed labels beside the card's."""

    def row(
        what: str, rate: float | None, between: tuple[float, float] | None, card: float
    ) -> Html:
        return cells(
            what,
            "no label allows it" if rate is None else percent(rate, 1),
            "–" if between is None else interval(*between),
            percent(card, 1),
        )

    rows = (
        row(
            "Real, flagged",
            local.false_positive_rate,
            local.false_positive_interval,
            local.card_false_positive_rate,
        ),
        row("Generated, flagged", local.recall, local.recall_interval, local.card_recall),
    )
    return join(
        table(
            f"On labels that an analyst confirmed here ({local.real:,} real, "
            f"{local.generated:,} generated)",
            ("Rate", "On these labels", "95 % interval", "On the card"),
            rows,
        ),
        paragraph(element("strong", "Warning: "), one_line(local.warning))
        if local.warning
        else None,
    )


def _card(document: Document) -> Html | None:
    if not document.card:
        return None
    lines = (one_line(line) for line in document.card.splitlines())
    text = Html("\n").join(element("span", line) for line in lines)
    return folded(
        f"The whole card of {one_line(document.facts_model)}, with the commands behind its figures",
        element("pre", Html(text), class_="card-text"),
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
