"""The verdict rule over pixels and evidence, with the name of the rule that decided.

The CNN's own judgement and what the file says of itself stay two things; `decide` looks at both
and names its rule. Trusted provenance that is specific decides alone; claims that anyone can
write raise a doubt and never more; a broken signature is reported and not used; camera
metadata clear nothing. `RULES` is the whole table.
"""

from __future__ import annotations

from detector.verdict.rules import (
    CREATED_ACTION,
    RULES,
    TRUSTED_INGREDIENT,
    Decision,
    PixelJudgement,
    Rule,
    decide,
    decided,
    pixels_of,
)

__all__ = [
    "CREATED_ACTION",
    "RULES",
    "TRUSTED_INGREDIENT",
    "Decision",
    "PixelJudgement",
    "Rule",
    "decide",
    "decided",
    "pixels_of",
]
