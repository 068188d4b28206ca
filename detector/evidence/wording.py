"""Words for evidence under its own roof; they live with the verdict, which speaks them too."""

from __future__ import annotations

from detector.verdict.conflicts import between_claims as conflicts
from detector.verdict.wording import (
    CLAIMS,
    KINDS,
    NOTHING_MEANS_NOTHING,
    TRUSTS,
    kind_words,
    summary,
)

__all__ = [
    "CLAIMS",
    "KINDS",
    "NOTHING_MEANS_NOTHING",
    "TRUSTS",
    "conflicts",
    "kind_words",
    "summary",
]
