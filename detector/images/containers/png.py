"""Walks the chunks of a PNG or APNG (W3C PNG third edition)."""

from __future__ import annotations

import struct
import zlib

from detector.images.containers import ifd
from detector.images.containers.base import (
    MAX_PARTS,
    Container,
    damaged,
    take,
    truncated,
    unsupported,
)

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NEEDED = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}


def parse(data: bytes) -> Container:
    """Read a PNG's facts; raises `ImageError`, also for a wrong checksum or a missing end."""
    view, at = memoryview(data), 8
    parts: list[bytes | memoryview] = [_SIGNATURE]
    header, exif, transparent = b"", None, b""
    animated, controls, first_control = False, 0, None
    for number in range(MAX_PARTS):
        length = int.from_bytes(take(data, at, 4, "a PNG chunk"), "big")
        kind = take(data, at + 4, 4, "a PNG chunk")
        end = at + 12 + length
        if end > len(data):
            raise truncated("it ends inside a PNG chunk")
        body = view[at + 8 : end - 4]
        if number == 0:
            header = _header(kind, body)
        if kind in _NEEDED:
            _check(kind, body, data[end - 4 : end])
            parts.append(view[at:end])
        if kind == b"eXIf":
            exif = bytes(body)
        elif kind == b"tRNS":
            transparent = bytes(body)
        elif kind == b"acTL":
            animated = True
        elif kind == b"fcTL":
            controls += 1
        elif kind == b"IDAT" and first_control is None:
            first_control = controls
        elif kind == b"IEND":
            break
        at = end
    else:
        raise damaged(f"the PNG has more than {MAX_PARTS} chunks")
    if first_control is None:
        raise damaged("the PNG has no image data")
    width, height, depth, colour = struct.unpack(">IIBB", header[:10])
    clear = None
    if depth == 16 and colour in (0, 2) and len(transparent) >= (2 if colour == 0 else 6):
        clear = struct.unpack(
            ">H" if colour == 0 else ">HHH", transparent[: 2 if colour == 0 else 6]
        )
        # The decoder compares 8-bit samples; ours compares the 16-bit ones.
        parts = [part for part in parts if bytes(part[4:8]) != b"tRNS"]
    # The default image is frame 0 only when a frame control comes before it.
    frames = controls + (0 if first_control else 1) if animated else 1
    return Container(
        kind="PNG",
        width=width,
        height=height,
        parts=tuple(parts),
        frames=max(1, frames),
        orientation=ifd.orientation(exif),
        lossless=True,
        depth=max(8, depth),
        clear=clear,
    )


def _header(kind: bytes, body: memoryview) -> bytes:
    if kind == b"CgBI":
        raise unsupported("a PNG in Apple's private variant (CgBI)")
    if kind != b"IHDR" or len(body) != 13:
        raise damaged("the PNG does not begin with its header")
    return bytes(body)


def _check(kind: bytes, body: memoryview, stored: bytes) -> None:
    if zlib.crc32(body, zlib.crc32(kind)) != int.from_bytes(stored, "big"):
        raise damaged(f"a checksum of the PNG is wrong (chunk {kind.decode('ascii')})")
