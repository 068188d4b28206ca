"""Words for numbers: the verbal scales that reports and the manual use.

Two published scales, kept apart because they say different things. The ENFSI scale words a
likelihood ratio, that is, what the score adds, whatever was believed before. The ICD 203
scale words a probability, that is, what is believed after, at a stated prior.
"""

from __future__ import annotations

import math

# ENFSI guideline for evaluative reporting in forensic science, approved version 3.0 (2015),
# table of verbal equivalents. Each band holds its lower bound. The table leaves 1 to 2
# unnamed; it is worded here as the table words 1.
_ENFSI: tuple[tuple[float, str], ...] = (
    (1e6, "extremely strong"),
    (1e4, "very strong"),
    (1e3, "strong"),
    (1e2, "moderately strong"),
    (10.0, "moderate"),
    (2.0, "weak"),
)

# US Intelligence Community Directive 203, "Analytic Standards" (2015), section D.6.e(2)(a):
# 1–5, 5–20, 20–45, 45–55, 55–80, 80–95 and 95–99 %. A shared bound goes to the word nearer
# to even chance, and what lies outside 1–99 % takes the outermost word.
_ICD203: tuple[tuple[float, str], ...] = (
    (0.05, "almost no chance"),
    (0.20, "very unlikely"),
    (0.45, "unlikely"),
)
_ICD203_ABOVE: tuple[tuple[float, str], ...] = (
    (0.95, "almost certain"),
    (0.80, "very likely"),
    (0.55, "likely"),
)


def support(
    lr: float, for_: str = "that the image is generated", against: str = "that it is not"
) -> str:
    """The strength of support that a likelihood ratio gives, in the words of ENFSI (2015).

    `lr` is positive; 0 and infinity are allowed. Ratios under 1 support the second
    proposition by 1/lr. Raises ValueError for negative numbers and NaN.
    """
    if math.isnan(lr) or lr < 0:
        raise ValueError(f"a likelihood ratio is not negative: {lr}")
    towards, strength = (for_, lr) if lr >= 1 else (against, math.inf if lr == 0 else 1 / lr)
    for bound, word in _ENFSI:
        if strength >= bound:
            return f"{word} support {towards}"
    return "no support either way"


def likelihood(probability: float) -> str:
    """The word of ICD 203 (2015) for a probability in [0, 1]; raises ValueError outside.

    The directive asks never to join such a word with a level of confidence in one sentence.
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"a probability lies between 0 and 1: {probability}")
    for bound, word in _ICD203:
        if probability < bound:
            return word
    for bound, word in _ICD203_ABOVE:
        if probability > bound:
            return word
    return "roughly even chance"
