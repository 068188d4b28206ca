"""Reads what image containers say, in plain Python, before any decoder sees the bytes.

One module a format. Each finds size, frames, orientation and missing ends, and hands on only
the parts that the first frame's pixels need.
"""

from __future__ import annotations

from collections.abc import Callable

from detector.images.containers import bmff, bmp, gif, jpeg, png, tiff, webp
from detector.images.containers.base import Container
from detector.images.containers.sniff import describe, sniff

__all__ = ["FORMATS", "Container", "describe", "parse", "sniff"]

FORMATS: dict[str, Callable[[bytes], Container]] = {
    "JPEG": jpeg.parse,
    "PNG": png.parse,
    "WEBP": webp.parse,
    "AVIF": bmff.parse_avif,
    "HEIF": bmff.parse_heif,
    "GIF": gif.parse,
    "TIFF": tiff.parse,
    "BMP": bmp.parse,
}


def parse(kind: str, data: bytes) -> Container:
    """Read the container of a file that `sniff` took for `kind`; raises `ImageError`."""
    return FORMATS[kind](data)
