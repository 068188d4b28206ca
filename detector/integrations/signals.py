"""The written forms of a finding that hash-sharing tools store and compare; see `threatexchange`.

An image's form says what the detector found in one file. A rule's form, for a bank, says which
findings match. A detector's score is no fingerprint: two images with the same score have nothing
in common, so an image's form never matches another image's.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from detector.results import Finding, Verdict

_MODEL = r"[A-Za-z0-9][A-Za-z0-9_.+/-]{0,99}"
_SCORE = r"[+-]\d{1,4}\.\d{2}"
_VERDICTS = "|".join(str(verdict) for verdict in Verdict)
_IMAGE = re.compile(rf"({_MODEL}):({_SCORE}):({_VERDICTS}):([0-9a-f]{{16}})", re.ASCII)
_VERDICT_RULE = re.compile(rf"verdict=({_VERDICTS})", re.ASCII)
_SCORE_RULE = re.compile(rf"({_MODEL})>=({_SCORE})", re.ASCII)


@dataclass(frozen=True)
class ImageSignal:
    """What was found in one file.

    Attributes:
        model: the bundle's id.
        score: logit, rounded to two places.
        verdict: what may be said of it.
        file: the first 16 hex digits of the file's sha256.
    """

    model: str
    score: float
    verdict: Verdict
    file: str

    def __str__(self) -> str:
        return f"{self.model}:{self.score:+.2f}:{self.verdict}:{self.file}"


@dataclass(frozen=True)
class RuleSignal:
    """Which findings match: a verdict of any model, or a score of one model.

    Attributes:
        verdict: the verdict that matches; None for a rule over scores.
        model: the model whose scores are meant; "" for a rule over verdicts.
        least: the lowest score that matches.
    """

    verdict: Verdict | None = None
    model: str = ""
    least: float = -math.inf

    def __str__(self) -> str:
        if self.verdict is not None:
            return f"verdict={self.verdict}"
        return f"{self.model}>={self.least:+.2f}"

    def met_by(self, image: ImageSignal) -> bool:
        """Whether an image's finding is one that this rule asks for."""
        if self.verdict is not None:
            return image.verdict is self.verdict
        return image.model == self.model and image.score >= self.least


def parse_signal(text: str) -> ImageSignal | RuleSignal:
    """The signal of one written form; raises ValueError for any other text."""
    if found := _IMAGE.fullmatch(text):
        model, score, verdict, file = found.groups()
        return ImageSignal(model, float(score), Verdict(verdict), file)
    if found := _VERDICT_RULE.fullmatch(text):
        return RuleSignal(Verdict(found[1]))
    if found := _SCORE_RULE.fullmatch(text):
        return RuleSignal(None, found[1], float(found[2]))
    raise ValueError(f"no signal of the detector: {text[:100]!r}")


def signal_of(finding: Finding) -> ImageSignal | None:
    """The signal of a finding; None when the file was not scored."""
    if finding.verdict is None or finding.score is None:
        return None
    score = min(max(round(finding.score, 2), -9999.0), 9999.0)
    return ImageSignal(finding.model, score, finding.verdict, finding.sha256[:16])


def matches(one: str, other: str) -> bool:
    """Whether two written forms match: an image meets a rule, or both are the same.

    The order does not matter. An empty form, of a file that was not scored, matches nothing.
    """
    if not one or not other:
        return False
    first, second = parse_signal(one), parse_signal(other)
    if isinstance(first, RuleSignal) and isinstance(second, ImageSignal):
        return first.met_by(second)
    if isinstance(first, ImageSignal) and isinstance(second, RuleSignal):
        return second.met_by(first)
    if isinstance(first, ImageSignal) and isinstance(second, ImageSignal):
        return first.file == second.file
    return first == second
