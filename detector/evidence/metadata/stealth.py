"""Reads texts hidden in the lowest bits of pixels ("stealth PNG info").

The bits run down the columns, left to right: a name of 15 bytes, a big-endian length in bits
(32), and the text, gzipped where the name ends in "comp". `stealth_png…` uses the alpha
channel, `stealth_rgb…` red, green and blue in turn. NovelAI and SwarmUI write it, as does an
extension of the web UI.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from detector.errors import ImageError
from detector.evidence.base import EvidenceInput
from detector.evidence.blocks.base import inflate
from detector.evidence.metadata.fields import Field, Fields
from detector.evidence.text import as_text, decode, parse_object
from detector.images import containers

MAX_PIXELS = 17_000_000
_MAX_TEXT = 2 * 2**20
_NAME_BYTES, _LENGTH_BYTES = 15, 4
_HEAD_BITS = 8 * (_NAME_BYTES + _LENGTH_BYTES)
_GZIP = 16 + zlib.MAX_WBITS
_NAMES = {
    b"stealth_pnginfo": ("alpha", False),
    b"stealth_pngcomp": ("alpha", True),
    b"stealth_rgbinfo": ("colour", False),
    b"stealth_rgbcomp": ("colour", True),
}


def find(item: EvidenceInput) -> Fields | None:
    """The hidden text as fields; None when there is none.

    JSON whose values are texts becomes a field each, as the same generator would write them
    into PNG text; anything else is one field named "parameters".
    """
    text = read(item)
    if text is None:
        return None
    where, value = text
    found = parse_object(value)
    if found is not None and "sui_image_params" not in found:
        loose = [Field(where, key, as_text(v)) for key, v in list(found.items())[:50] if as_text(v)]
        if any(field.key in ("Comment", "Description", "Software") for field in loose):
            return Fields(tuple(loose))
    return Fields((Field(where, "parameters", value),))


def read(item: EvidenceInput) -> tuple[str, str] | None:
    """Where the hidden text was ("stealth alpha", "stealth colour"), and the text."""
    image = _stored_image(item)
    if image is None:
        return None
    with image:
        for channel in ("alpha", "colour") if image.mode == "RGBA" else ("colour",):
            text = _from_image(image, channel)
            if text is not None:
                return f"stealth {channel}", text
    return None


def _from_image(image: Image.Image, channel: str) -> str | None:
    head = _bytes(image, channel, _HEAD_BITS)
    form = _NAMES.get(head[:_NAME_BYTES])
    if form is None or form[0] != channel:
        return None
    length = int.from_bytes(head[_NAME_BYTES:], "big") // 8
    if not 0 < length <= _MAX_TEXT:
        return None
    body = _bytes(image, channel, _HEAD_BITS + 8 * length)[_NAME_BYTES + _LENGTH_BYTES :]
    if form[1]:
        try:
            body, _ = inflate(body, _MAX_TEXT, wbits=_GZIP)
        except zlib.error:
            return None
    return decode(body) or None


def _bytes(image: Image.Image, channel: str, bits: int) -> bytes:
    """The first `bits` lowest bits of a channel's samples, down the columns, as bytes."""
    samples = 1 if channel == "alpha" else 3
    columns = min(image.width, -(-bits // (image.height * samples)))
    # Only the columns that hold the text are copied; the image may be large.
    part = np.asarray(image.crop((0, 0, columns, image.height)))
    plane = part[:, :, 3:] if channel == "alpha" else part[:, :, :3]
    ordered = plane.transpose(1, 0, 2).reshape(-1)[:bits] & 1
    return np.packbits(ordered).tobytes()


def _stored_image(item: EvidenceInput) -> Image.Image | None:
    """The image as stored, of formats that keep every bit; None for all others."""
    if item.kind not in ("PNG", "WEBP"):
        return None
    try:
        container = containers.parse(item.kind, item.data)
    except ImageError:
        return None
    small = 0 < container.width * container.height <= MAX_PIXELS
    if not small or not container.lossless or container.frames > 1 or container.depth > 8:
        return None
    try:
        image = Image.open(io.BytesIO(container.pixel_file()), formats=[item.kind])
        if image.mode not in ("RGB", "RGBA"):
            return None
        image.load()
    except (OSError, SyntaxError, ValueError, EOFError, KeyError, struct.error, zlib.error):
        return None  # damaged pixels hide nothing that can be read
    return image
