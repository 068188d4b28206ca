"""Files to begin with, all made in code: the channels' examples, and one of each container."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from detector.evidence import CHANNELS, build, channel

# Larger files are changed too slowly to teach anything.
MOST_BYTES = 20_000


def seeds() -> Iterator[bytes]:
    """Every seed once."""
    seen: set[bytes] = set()
    for data in (*_examples(), *_containers()):
        if len(data) <= MOST_BYTES and data not in seen:
            seen.add(data)
            yield data


def _examples() -> Iterator[bytes]:
    for name in CHANNELS:
        for example in channel(name).examples():
            yield example.data


def _containers() -> Iterator[bytes]:
    pixels = build.picture(40, 32)
    image = Image.fromarray(pixels)
    for suffix, options in (
        ("GIF", {}), ("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {}), ("AVIF", {}), ("PNG", {}), ("JPEG", {"progressive": True}),
    ):  # fmt: skip
        stream = io.BytesIO()
        image.save(stream, suffix, **options)
        yield stream.getvalue()
    stream = io.BytesIO()
    frames = [Image.fromarray(np.roll(pixels, 4 * i, axis=0)) for i in range(3)]
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    yield stream.getvalue()
