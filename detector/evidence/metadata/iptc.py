"""Reads the application record of IPTC-IIM 4.2, the form of IPTC that came before XMP."""

from __future__ import annotations

from detector.evidence.text import decode

_APPLICATION = 2
_MAX_DATASETS = 500

NAMES = {
    5: "ObjectName",
    25: "Keywords",
    40: "SpecialInstructions",
    65: "OriginatingProgram",
    80: "By-line",
    105: "Headline",
    110: "Credit",
    115: "Source",
    116: "CopyrightNotice",
    120: "Caption-Abstract",
    122: "Writer-Editor",
}


def read_iptc(record: bytes) -> list[tuple[str, str]]:
    """(name, text) of every named dataset, in order; stops where the record is damaged."""
    found: list[tuple[str, str]] = []
    at = 0
    for _ in range(_MAX_DATASETS):
        if record[at : at + 1] != b"\x1c" or at + 5 > len(record):
            break
        number, length = record[at + 2], int.from_bytes(record[at + 3 : at + 5], "big")
        if length >= 0x8000:
            break  # an extended length: no text of this kind is that long
        value = record[at + 5 : at + 5 + length]
        if record[at + 1] == _APPLICATION and number in NAMES and value.strip(b"\0 "):
            found.append((NAMES[number], decode(value)))
        at += 5 + length
    return found
