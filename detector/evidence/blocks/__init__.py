"""Finds the metadata blocks of an image file: EXIF, XMP, IPTC, text and other segments.

Nothing is refused: a damaged file gives what was readable before the damage. Pixels are never
decoded. All limits are stated in `detector.evidence.blocks.base`.
"""

from __future__ import annotations

from collections.abc import Callable

from detector.evidence.blocks import bmff, jpeg, png, simple
from detector.evidence.blocks.base import Blocks, Collector, Segment, TextBlock

__all__ = ["Blocks", "Segment", "TextBlock", "read_blocks"]

_READERS: dict[str, Callable[[bytes, Collector], None]] = {
    "JPEG": jpeg.collect,
    "PNG": png.collect,
    "WEBP": simple.webp,
    "GIF": simple.gif,
    "TIFF": simple.tiff,
    "AVIF": bmff.collect,
    "HEIF": bmff.collect,
}


def read_blocks(kind: str | None, data: bytes) -> Blocks:
    """The metadata blocks of a file that `detector.images.sniff` took for `kind`."""
    found = Collector()
    reader = _READERS.get(kind or "")
    if reader is not None:
        reader(data, found)
    return found.blocks()
