"""Walks a PNG's chunks (W3C PNG third edition) for texts, EXIF and XMP."""

from __future__ import annotations

from detector.evidence.blocks.base import MAX_STEPS, Collector, looks_like_xmp
from detector.evidence.blocks.jpeg import photoshop
from detector.evidence.text import decode

_XMP = "XML:com.adobe.xmp"
_RAW_PROFILE = "Raw profile type "


def collect(data: bytes, found: Collector) -> None:
    """Hand every block of the PNG to `found`; checksums are not looked at."""
    at = 8
    for _ in range(MAX_STEPS):
        if at + 12 > len(data):
            found.note("the PNG ends before its end chunk")
            return
        length = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            found.note("a PNG chunk reaches beyond the end of the file")
            return
        if kind in _CHUNKS and found.fits(length, f"a PNG {kind.decode()} chunk"):
            _CHUNKS[kind](data[at + 8 : end - 4], found)
        elif kind == b"IEND":
            if end < len(data):
                found.tail = (end, len(data) - end)
            return
        at = end


def _text(body: bytes, found: Collector) -> None:
    key, _, value = body.partition(b"\0")
    _hand_on("PNG tEXt", decode(key[:79]), value, found)


def _compressed(body: bytes, found: Collector) -> None:
    key, _, rest = body.partition(b"\0")
    name = decode(key[:79])
    _hand_on("PNG zTXt", name, found.inflate(rest[1:], f"the PNG text '{name}'"), found)


def _international(body: bytes, found: Collector) -> None:
    key, _, rest = body.partition(b"\0")
    flags, rest = rest[:2], rest[2:]
    _, _, rest = rest.partition(b"\0")  # language tag
    _, _, value = rest.partition(b"\0")  # keyword in that language
    name = decode(key[:79])
    if flags[:1] == b"\1":
        value = found.inflate(value, f"the PNG text '{name}'")
    _hand_on("PNG iTXt", name, value, found)


def _comfyui(body: bytes, found: Collector) -> None:
    """ComfyUI's own chunk in animated PNGs, laid out as tEXt."""
    key, _, value = body.partition(b"\0")
    _hand_on("PNG comf", decode(key[:79]), value, found)


def _exif(body: bytes, found: Collector) -> None:
    found.exif(body)


def _hand_on(where: str, key: str, value: bytes, found: Collector) -> None:
    if key == _XMP:
        found.xmp(value)
    elif key.startswith(_RAW_PROFILE):
        _raw_profile(key.removeprefix(_RAW_PROFILE), value, found)
    else:
        found.text(where, key, decode(value))


def _raw_profile(kind: str, value: bytes, found: Collector) -> None:
    """ImageMagick's way of keeping EXIF, XMP and IPTC in PNG: a length and hex digits."""
    lines = value.split(None, 2)
    if len(lines) < 3 or not lines[1].isdigit():
        return
    try:
        raw = bytes.fromhex(lines[2].decode("ascii"))
    except ValueError:
        found.note(f"the PNG's raw {kind} profile is damaged")
        return
    if raw[:4] == b"Exif":
        found.exif(raw)
    elif looks_like_xmp(raw):
        found.xmp(raw[max(0, raw.find(b"<")) :])
    elif kind == "iptc":
        photoshop(raw, found)


_CHUNKS = {
    b"tEXt": _text,
    b"zTXt": _compressed,
    b"iTXt": _international,
    b"comf": _comfyui,
    b"eXIf": _exif,
}
