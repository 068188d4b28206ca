"""Walks a JPEG's segments (ITU-T T.81) for EXIF, XMP with its extension, IPTC and comments."""

from __future__ import annotations

import re

from detector.evidence.blocks.base import MAX_BLOCK, MAX_STEPS, Collector
from detector.evidence.text import decode

_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_JUMBF = b"JP"
_SOS, _EOI, _COM = 0xDA, 0xD9, 0xFE
_APP0, _APP15 = 0xE0, 0xEF
_KNOWN_PREFIXES = (b"JFIF\0", b"JFXX\0", b"ICC_PROFILE\0", b"Adobe", b"MPF\0", b"Ducky")
# The next marker after a scan that is neither stuffing, restart nor fill.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


def collect(data: bytes, found: Collector) -> None:
    """Hand every block of the JPEG to `found`; stops where the file stops making sense."""
    extensions: dict[bytes, list[tuple[int, bytes]]] = {}
    at = 2
    for _ in range(MAX_STEPS):
        at = data.find(b"\xff", at)
        if at < 0 or at + 2 > len(data):
            found.note("the JPEG ends before its end marker")
            break
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == _EOI:
            if at + 2 < len(data):
                found.tail = (at + 2, len(data) - at - 2)
            break
        if marker in (0x00, 0x01, 0xD8) or 0xD0 <= marker <= 0xD7:
            at += 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data) or end < at + 4:
            found.note("a JPEG segment reaches beyond the end of the file")
            break
        if _APP0 <= marker <= _APP15 or marker == _COM:
            _segment(marker, data[at + 4 : end], extensions, found)
        if marker == _SOS:
            following = _MARKER.search(data, end)
            if following is None:
                found.note("the JPEG ends before its end marker")
                break
            end = following.start()
        at = end
    for parts in extensions.values():
        found.xmp(_joined(parts))


def _segment(
    marker: int, body: bytes, extensions: dict[bytes, list[tuple[int, bytes]]], found: Collector
) -> None:
    if marker == _COM:
        found.text("JPEG comment", "", decode(body.rstrip(b"\0")))
    elif body[:4] == b"Exif" and marker == 0xE1:
        found.exif(body)
    elif body.startswith(_XMP):
        found.xmp(body[len(_XMP) :])
    elif body.startswith(_XMP_EXTENSION):
        _extension(body[len(_XMP_EXTENSION) :], extensions)
    elif body.startswith(_PHOTOSHOP) and marker == 0xED:
        photoshop(body[len(_PHOTOSHOP) :], found)
    elif not body.startswith(_KNOWN_PREFIXES) and not (marker == 0xEB and body[:2] == _JUMBF):
        found.segment(f"JPEG APP{marker - _APP0}", body)


def _extension(body: bytes, extensions: dict[bytes, list[tuple[int, bytes]]]) -> None:
    """Keep one part of an extended packet (XMP part 3, 1.1.3.1): digest, length, offset."""
    digest, offset = body[:32], int.from_bytes(body[36:40], "big")
    if len(body) < 40 or (digest not in extensions and len(extensions) >= 4):
        return
    parts = extensions.setdefault(digest, [])
    if sum(len(part) for _, part in parts) + len(body) <= MAX_BLOCK:
        parts.append((offset, body[40:]))


def _joined(parts: list[tuple[int, bytes]]) -> bytes:
    """The parts in the order of their offsets; gaps and overlaps are not filled."""
    return b"".join(part for _, part in sorted(parts, key=lambda p: p[0]))


def photoshop(body: bytes, found: Collector) -> None:
    """Find the IPTC-IIM record among Photoshop's image resources (8BIM, number 0x0404)."""
    at = 0
    for _ in range(500):
        if body[at : at + 4] != b"8BIM" or at + 12 > len(body):
            return
        number = int.from_bytes(body[at + 4 : at + 6], "big")
        name = body[at + 6] + 1
        at += 6 + name + name % 2
        length = int.from_bytes(body[at : at + 4], "big")
        resource = body[at + 4 : at + 4 + length]
        if number == 0x0404:
            found.iptc(resource)
        at += 4 + length + length % 2
