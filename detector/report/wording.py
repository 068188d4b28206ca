"""The report's words for fixed codes, and its way to write numbers.

The words for probabilities and likelihood ratios come from `detector.words`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone

from detector.results import Status, Verdict

# Not from the locale: the same campaign gives the same page on every machine.
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

NOT_SCORED = "not_scored"

VERDICT_WORDS: dict[str, str] = {
    Verdict.LIKELY_GENERATED.value: "Likely generated",
    Verdict.INCONCLUSIVE.value: "Inconclusive",
    Verdict.NO_SIGN.value: "No sign",
    NOT_SCORED: "Not scored",
}

VERDICT_MEANINGS: dict[str, str] = {
    Verdict.LIKELY_GENERATED.value: "The score lies at or above the threshold.",
    Verdict.INCONCLUSIVE.value: "The tool cannot tell. This is a result, not a weak yes.",
    Verdict.NO_SIGN.value: "No trace was found. This does not show that an image is authentic.",
    NOT_SCORED: "The file could not be read, or the tool has no basis to score it.",
}

STATUS_WORDS: dict[Status, str] = {
    Status.OK: "Scored",
    Status.EMPTY: "Empty file",
    Status.UNSUPPORTED: "Not a supported image",
    Status.TRUNCATED: "Ends too early",
    Status.UNREADABLE: "Damaged",
    Status.TOO_SMALL: "Too small",
    Status.TOO_LARGE: "Too large",
    Status.MISSING: "Missing",
    Status.FAILED: "Tool failure",
}

# Channels by what a reader may make of them, strongest first; a plug-in's channel is "other".
EVIDENCE_GROUPS: dict[str, str] = {
    "provenance": "Signed provenance",
    "labels": "Labels required by law",
    "metadata": "Metadata in the file",
    "watermark": "Watermarks",
    "measured": "Measured traces",
    "other": "Other channels",
}
CHANNEL_GROUPS: dict[str, str] = {
    "c2pa": "provenance",
    "aigc_label": "labels",
    "metadata": "metadata",
    "watermark": "watermark",
    "compression": "measured",
    "spectrum": "measured",
}

TRACE_WORDS: dict[str, str] = {
    "model": "Generator’s model",
    "prompt": "Prompt passage",
    "seed": "Seed",
    "generator": "Generator",
    "c2pa_signer": "C2PA signer",
    "aigc_producer": "AIGC producer code",
    "quantisation": "JPEG tables",
    "size": "Unusual size",
}

GROUPINGS: dict[str, str] = {
    "all": "All images",
    "account": "Account",
    "platform": "Platform",
    "language": "Language",
    "week": "Week",
}


@dataclass(frozen=True)
class Band:
    """One likelihood term of ICD 203 with its range of probabilities, in [0, 1]."""

    low: float
    high: float
    term: str


# As printed in Intelligence Community Directive 203 (2015), section D.6.e(2)(a), for the
# reader's table; `detector.words.likelihood` chooses the term, and a test holds the two together.
ICD203: tuple[Band, ...] = (
    Band(0.01, 0.05, "almost no chance"),
    Band(0.05, 0.20, "very unlikely"),
    Band(0.20, 0.45, "unlikely"),
    Band(0.45, 0.55, "roughly even chance"),
    Band(0.55, 0.80, "likely"),
    Band(0.80, 0.95, "very likely"),
    Band(0.95, 0.99, "almost certain"),
)


def percent(share: float, digits: int = 0) -> str:
    """A share in [0, 1] as a percentage that never claims certainty: "<1 %", "34 %", ">99 %"."""
    step = 10.0**-digits
    value = share * 100
    if 0 < value < step:
        return f"<{step:g} %"
    if 100 - step < value < 100:
        return f">{100 - step:g} %"
    return f"{value:.{digits}f} %"


def signed(score: float) -> str:
    """A logit with its sign and two decimals: "+1.90", "−0.60"."""
    return f"{score:+.2f}".replace("-", "−")


def count(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: "1 file", "3,000 files"."""
    noun = one if number == 1 else (many if many is not None else one + "s")
    return f"{number:,} {noun}"


def when(time: datetime | None) -> str:
    """A moment as people read it, in UTC to the minute; "–" when unknown."""
    if time is None:
        return "–"
    return time.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def day(time: datetime | date | None) -> str:
    """A day, in UTC for moments: "5 January 2026"; "–" when unknown."""
    if time is None:
        return "–"
    if isinstance(time, datetime):
        time = time.astimezone(timezone.utc)
    return f"{time.day} {_MONTHS[time.month - 1]} {time.year}"


def span(first: datetime | None, last: datetime | None) -> str:
    """A period in days: "5 January 2026 to 9 February 2026"; "" when unknown."""
    if first is None or last is None:
        return ""
    return day(first) if day(first) == day(last) else f"{day(first)} to {day(last)}"


def listed(words: Sequence[str], most: int = 6) -> str:
    """Words joined for a sentence: "a, b and c"; "a, b and 5 more" beyond `most`."""
    if len(words) > most:
        return f"{', '.join(words[: most - 1])} and {len(words) - most + 1:,} more"
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def clipped(text: str, most: int) -> str:
    """The text's start, with a mark where something was left out."""
    return text if len(text) <= most else text[: most - 1] + "…"


def interval(low: float, high: float) -> str:
    """Two shares in [0, 1] as "17 to 83 %"."""
    return f"{low * 100:.0f} to {high * 100:.0f} %"
