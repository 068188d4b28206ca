"""Metadata: generators, services, cameras and editors, by what the file says of itself.

EXIF, PNG text, XMP, IPTC-IIM, comments and texts hidden in pixel bits are gathered into one
list of fields, and every recogniser reads that list. Which rule rests on which source is in
`detector.evidence.metadata.rules`.
"""

from __future__ import annotations

from collections.abc import Sequence

from detector.evidence.base import EvidenceInput, Example
from detector.evidence.metadata import a1111, camera, comfyui, generators, stealth, vendors
from detector.evidence.metadata.fields import Fields, fields_of
from detector.evidence.metadata.rules import evidence
from detector.results import Evidence

__all__ = ["examples", "find"]

_SHOWN_TAIL = 32


def find(item: EvidenceInput) -> list[Evidence]:
    """All evidence in the file's metadata; see `detector.evidence.base.Channel`."""
    fields = fields_of(item)
    found = [*_generated_by(fields), *vendors.find(item, fields), *_hidden(item)]
    return [*found, *camera.find(item), *_leftovers(item)]


def examples() -> Sequence[Example]:
    """Files of every kind that the channel knows, and some that it must not mistake."""
    from detector.evidence.metadata.gallery import all_examples

    return all_examples()


def _generated_by(fields: Fields) -> list[Evidence]:
    return [*a1111.find(fields), *comfyui.find(fields), *generators.find(fields)]


def _hidden(item: EvidenceInput) -> list[Evidence]:
    """What a hidden text says; a text of no known form is still worth telling."""
    fields = stealth.find(item)
    if fields is None:
        return []
    return _generated_by(fields) or [
        evidence("stealth_payload", {"found_in": f.where, "text": f.value}) for f in fields.all[:1]
    ]


def _leftovers(item: EvidenceInput) -> list[Evidence]:
    """What stands behind the image, and what could not be read."""
    found = []
    blocks = item.blocks
    if blocks.tail is not None:
        start, length = blocks.tail
        shown = item.data[start : start + _SHOWN_TAIL]
        raw = {"offset": start, "bytes": length, "begins": shown.hex(), "text": _readable(shown)}
        found.append(evidence("appended_data", raw))
    faults = [f"an XMP packet: {packet.fault}" for packet in item.xmp if packet.fault]
    notes = [*blocks.notes, *faults]
    if notes:
        found.append(evidence("metadata_unreadable", {"notes": notes}))
    return found


def _readable(raw: bytes) -> str:
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in raw)
    return text if text.strip(".") else ""
