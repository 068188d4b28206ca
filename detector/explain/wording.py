"""What an explanation says, sentence by sentence.

A likelihood word (ICD 203) and a word for the strength of support never meet in one sentence,
and no sentence speaks of confidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from detector.calibration import Calibration
from detector.explain.maps import NAMES, Contribution
from detector.explain.reference import Alike, per_thousand
from detector.results import Finding, Stratum
from detector.words import likelihood, support

# What pictures of a kind are called; the corpus's own word stands for others.
KINDS: dict[str, str] = {
    "": "images",
    "photo": "photographs",
    "news": "news photographs",
    "face": "photographs of faces",
    "painting": "paintings",
    "illustration": "illustrations",
    "anime": "anime drawings",
    "art": "works of art",
    "meme": "memes",
    "screenshot": "screenshots",
    "render": "renders",
}
_FORMATS = {"jpeg": "JPEG", "webp": "WebP", "lossless": "lossless file", "other": "file"}


def ratio_sentences(finding: Finding, calibration: Calibration) -> tuple[str, ...]:
    """What the score adds, as a likelihood ratio with the words of ENFSI (2015)."""
    if finding.lr is None or finding.score is None:
        return ()
    low, high = calibration.bounds_of(finding.stratum)
    at = math.log(finding.lr) if finding.lr > 0 else -math.inf
    strength = support(finding.lr, against="that the image is not generated")
    first = f"Likelihood ratio {number(finding.lr)}: {strength}."
    sentences = [first]
    if at >= high - 1e-9 and math.isfinite(high) and high > low:
        sentences.append(
            f"It stops at {number(math.exp(high))}, the most that the validation images support, "
            "however high the score is."
        )
    elif at <= low + 1e-9 and math.isfinite(low) and high > low:
        sentences.append(
            f"It stops at {number(math.exp(low))}, the least that the validation images support, "
            "however low the score is."
        )
    elif high <= low:
        sentences.append("The validation images support no other ratio than 1.")
    if (
        finding.stratum is not None
        and calibration.counts
        and not calibration.measured(finding.stratum)
    ):
        real, generated = calibration.counts.get(str(finding.stratum), (0, 0))
        sentences.append(
            f"Files like this one ({stratum_words(finding.stratum)}) were too few in validation "
            f"for a map of their own ({real} real, {generated} generated): the one for all files "
            "was used."
        )
    return tuple(sentences)


def probability_sentence(probability: float, prior: float, stated: bool) -> str:
    """What is believed after, at a stated prior, with the word of ICD 203 (2015)."""
    whose = "the prior given" if stated else "a prior of even odds"
    return (
        f"If {share(prior)} of such images were generated ({whose}), the probability that this one "
        f"is would be {percent(probability)}: {likelihood(probability)}."
    )


def contribution_sentence(parts: Sequence[Contribution]) -> str:
    """How much each view brought to the score."""
    if not parts:
        return ""
    told = []
    for part in sorted(parts, key=lambda p: -p.share):
        told.append(f"the {NAMES[part.view]} brought {part.score:+.2f} ({percent(part.share)})")
    return f"Of the score, {', '.join(told[:-1])}{' and ' if told[1:] else ''}{told[-1]}."


def alike_sentences(found: Sequence[Alike], stratum: Stratum | None) -> tuple[str, ...]:
    """Look-alikes in words: how often images of known origin score this high."""
    if not found:
        return (
            "How often real images score this high was not measured for this model by kind of "
            "file; see its card for the rates at its threshold.",
        )
    return tuple(_alike(a) for a in found)


def _alike(a: Alike) -> str:
    who = f"{'generated' if a.label else 'real'} {KINDS.get(a.kind, f'images of kind {a.kind!r}')}"
    reach = f"reach the threshold of {a.score:+.2f}" if a.at_threshold else "score this high"
    basis = f"measured on {a.images:,} from {a.sources} sources"
    if a.sources == 0:
        basis = f"measured on {a.images:,}"
    if a.rate * a.images < 0.5:
        most = max(1, per_thousand(a.high))
        return (
            f"None of {a.images:,} {who} {scope_words(a.scope)} {_past(reach)}: of 1,000, up to "
            f"{most} may ({basis})."
        )
    low, high = per_thousand(a.low), per_thousand(a.high)
    return (
        f"Of 1,000 {who} {scope_words(a.scope)}, about {per_thousand(a.rate)} {reach} "
        f"(between {low} and {high}; {basis})."
    )


def _past(reach: str) -> str:
    return reach.replace("reach", "reached").replace("score this", "scored this")


def scope_words(scope: str) -> str:
    """A pattern of strata in words that follow a noun: "saved like this one"."""
    format_, _, compression = scope.split("/")
    if "*" not in scope:
        return "saved like this one"
    if format_ == "*":
        return "of any format and size"
    name = _FORMATS.get(format_, format_)
    if compression == "*":
        return f"saved as {name}, whatever the size and compression"
    how = "" if compression == "none" else f" with {compression} compression"
    return f"saved as {name}{how}, of any size"


def stratum_words(stratum: Stratum) -> str:
    """A stratum in words: "JPEG, medium size, heavy compression"."""
    parts = [_FORMATS.get(stratum.format, stratum.format), f"{stratum.size} size"]
    if stratum.compression != "none":
        parts.append(f"{stratum.compression} compression")
    return ", ".join(parts)


def share(prior: float) -> str:
    """A prior as people say it: "1 in 10", "half", "30 in 100"."""
    if prior == 0.5:
        return "half"
    for whole in (10, 100, 1000, 10_000):
        part = prior * whole
        if abs(part - round(part)) < 1e-9 and round(part) >= 1:
            return f"{round(part)} in {whole:,}"
    return f"{prior:.3g} of all"


def percent(value: float) -> str:
    """A share as a percentage that never claims certainty."""
    if value < 0.01:
        return "under 1 %"
    if value > 0.99:
        return "over 99 %"
    return f"{value:.0%}".replace("%", " %")


def number(ratio: float) -> str:
    """A ratio with two significant digits and thousands marked."""
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.2g}"
