"""What each IPTC Digital Source Type claims; used by XMP and by C2PA actions alike.

Source: IPTC NewsCodes, http://cv.iptc.org/newscodes/digitalsourcetype/, as released on
2024-10-23 (read 2026-11-24), and C2PA's two terms of its own.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from detector.results import Asserts


class SourceType(NamedTuple):
    """A term of the vocabulary: its code, its claim, and its name in the vocabulary."""

    code: str
    asserts: Asserts
    name: str


_BASES = re.compile(r"^https?://(cv\.iptc\.org/newscodes|c2pa\.org)/digitalsourcetype/", re.I)

# "compositeSynthetic" was renamed in 2024: before, its elements could be any computer graphics,
# so it claims a composite and no more. "algorithmicMedia" is not made by trained models.
# What people edited by hand says nothing of where the picture came from.
_TERMS = (
    SourceType("trainedAlgorithmicMedia", Asserts.GENERATED, "Created using generative AI"),
    SourceType(
        "compositeWithTrainedAlgorithmicMedia",
        Asserts.EDITED_WITH_AI,
        "Edited using generative AI",
    ),
    SourceType(
        "compositeSynthetic", Asserts.COMPOSITE, "Composite including generative AI elements"
    ),
    SourceType("compositeCapture", Asserts.COMPOSITE, "Composite of captured elements"),
    SourceType("composite", Asserts.COMPOSITE, "Composite of elements"),
    SourceType("digitalCapture", Asserts.CAPTURED, "Digital capture sampled from real life"),
    SourceType(
        "computationalCapture", Asserts.CAPTURED, "Multi-frame capture sampled from real life"
    ),
    SourceType("negativeFilm", Asserts.CAPTURED, "Digitised from a negative on film"),
    SourceType("positiveFilm", Asserts.CAPTURED, "Digitised from a positive on film"),
    SourceType("print", Asserts.CAPTURED, "Digitised from a print"),
    SourceType("digitalCreation", Asserts.HUMAN_MADE, "Digital creation by a human"),
    SourceType("digitalArt", Asserts.HUMAN_MADE, "Digital art (retired)"),
    SourceType("humanEdits", Asserts.UNKNOWN, "Human-edited media"),
    SourceType("minorHumanEdits", Asserts.UNKNOWN, "Minor human edits (retired)"),
    SourceType("algorithmicallyEnhanced", Asserts.UNKNOWN, "Algorithmically altered media"),
    SourceType("algorithmicMedia", Asserts.UNKNOWN, "Made by an untrained algorithm"),
    SourceType("softwareImage", Asserts.UNKNOWN, "Created by software (retired)"),
    SourceType("dataDrivenMedia", Asserts.UNKNOWN, "Data-driven media"),
    SourceType("screenCapture", Asserts.UNKNOWN, "Screen capture"),
    SourceType("virtualRecording", Asserts.UNKNOWN, "Recording of a virtual event"),
    SourceType("trainedAlgorithmicData", Asserts.UNKNOWN, "Data made by a trained model (C2PA)"),
    SourceType("empty", Asserts.UNKNOWN, "A blank canvas (C2PA)"),
)
TERMS: dict[str, SourceType] = {term.code.lower(): term for term in _TERMS}


def source_type(value: str) -> SourceType | None:
    """The term that a URI, a QCode ("digsrctype:…") or a bare code stands for, if any."""
    code = _BASES.sub("", value.strip()).rstrip("/")
    code = code.removeprefix("digsrctype:").removeprefix("c2pa.")
    return TERMS.get(code.lower())
