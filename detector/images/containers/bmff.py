"""Looks at the boxes of an AVIF or HEIF (ISO/IEC 23008-12) before its decoder does."""

from __future__ import annotations

import re

from detector.images.containers.base import Container, truncated

_MAX_BOXES = 10_000
_ESSENTIAL = {b"ftyp", b"meta", b"mdat", b"moov", b"idat"}
# 'ispe' states the size of an image item, as two numbers after version and flags.
_SIZE = re.compile(rb"\0\0\0\x14ispe\0{4}(.{8})", re.DOTALL)
# 'infe' (version 2 or 3) names an item's type; this one is EXIF.
_EXIF_ITEM = re.compile(rb"infe(?:\x02.{3}.{4}|\x03.{3}.{6})Exif", re.DOTALL)


def parse_avif(data: bytes) -> Container:
    """Read an AVIF's facts; raises `ImageError`. The decoder tells size and orientation."""
    return _parse("AVIF", data)


def parse_heif(data: bytes) -> Container:
    """Read a HEIF's facts; raises `ImageError`. The decoder tells size and orientation."""
    return _parse("HEIF", data)


def _parse(kind: str, data: bytes) -> Container:
    meta, seen = b"", set()
    at = 0
    for _ in range(_MAX_BOXES):
        if at + 8 > len(data):
            break
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if length == 1:
            length = int.from_bytes(data[at + 8 : at + 16], "big")
        elif length == 0:
            length = len(data) - at
        if name not in _ESSENTIAL and (length < 8 or at + length > len(data)):
            break  # some phones append data of their own that are no boxes
        if at + length > len(data) or length < 8:
            raise truncated(f"it ends inside the {kind}'s '{name.decode('latin-1')}' box")
        seen.add(name)
        if name == b"meta":
            meta = data[at : at + length]
        at += length
    if not seen & {b"meta", b"moov"} or not (b"mdat" in seen or b"idat" in meta):
        raise truncated(f"parts of the {kind} are missing")
    width, height = _largest_size(meta)
    return Container(kind, width, height, parts=_without_exif(data, meta))


def _largest_size(meta: bytes) -> tuple[int, int]:
    """Width and height of the largest image item; (0, 0) when none is stated."""
    sizes = [
        (int.from_bytes(size[:4], "big"), int.from_bytes(size[4:], "big"))
        for size in _SIZE.findall(meta)
    ]
    return max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))


def _without_exif(data: bytes, meta: bytes) -> tuple[bytes | memoryview, ...]:
    """The file with its EXIF item renamed: the format's own rotation is what counts."""
    if not _EXIF_ITEM.search(meta):
        return (data,)
    hidden = _EXIF_ITEM.sub(lambda found: found.group()[:-4] + b"skip", meta)
    start = data.find(meta)
    view = memoryview(data)
    return (view[:start], hidden, view[start + len(meta) :])
