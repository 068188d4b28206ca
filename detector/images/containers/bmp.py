"""Reads the headers of a Windows or OS/2 bitmap (BMP)."""

from __future__ import annotations

import struct

from detector.errors import ImageError
from detector.images.containers.base import Container, damaged, take, truncated, unsupported
from detector.results import Status

HEADER_SIZES = (12, 40, 52, 56, 64, 108, 124)
_RLE = (1, 2)
# Pillow expands run lengths in Python, about a microsecond a step.
_MAX_RLE = 2**23


def parse(data: bytes) -> Container:
    """Read a BMP's facts; raises `ImageError`, also when rows are missing."""
    head = take(data, 0, 18, "the BMP header")
    start, size = struct.unpack("<II", head[10:18])
    if size not in HEADER_SIZES:
        raise damaged(f"the BMP has an unknown header of {size} bytes")
    info = take(data, 14, size, "the BMP header")
    if size == 12:
        width, height, _, bits = struct.unpack("<HHHH", info[4:12])
        compression = stored = 0
    else:
        width, height, _, bits, compression, stored = struct.unpack("<iiHHII", info[4:24])
    height = abs(height)
    if width < 1 or height < 1:
        raise damaged(f"the BMP declares {width} × {height} pixels")
    if compression not in (0, 3, *_RLE):
        raise unsupported(f"a BMP of compression type {compression}")
    if compression in _RLE:
        _check_runs(data, start, stored, width * height)
        padding = 0
    else:
        padding = _check_rows(data, start, width, height, bits)
    return Container(
        kind="BMP",
        width=width,
        height=height,
        parts=(data, b"\0" * padding),
        lossless=True,
    )


def _check_rows(data: bytes, start: int, width: int, height: int, bits: int) -> int:
    """Raise unless every pixel is there; returns how many bytes of padding are missing."""
    stride = (width * bits + 31) // 32 * 4
    missing = start + stride * height - len(data)
    unused = stride - (width * bits + 7) // 8
    if missing > unused:
        raise truncated(f"{missing} bytes of the BMP's pixels are missing")
    return max(0, missing)


def _check_runs(data: bytes, start: int, stored: int, pixels: int) -> None:
    declared = start + stored if stored else int.from_bytes(data[2:6], "little")
    if declared > len(data):
        raise truncated(f"{declared - len(data)} bytes of the BMP's pixels are missing")
    if max(pixels, len(data) - start) > _MAX_RLE:
        raise ImageError(
            Status.TOO_LARGE, f"A run-length BMP is read up to {_MAX_RLE:,} pixels and bytes."
        )
