"""Turns the bytes of an image file into upright 8-bit RGB pixels, or into a clear refusal.

A file passes four gates, cheapest first: its length, its type by content, its container read
in plain Python (size, frames, missing ends), and only then a decoder, which is given the first
frame's data and nothing else. `detector.images.pixels` documents how pixels become RGB.

Everything here is a pure function of bytes: nothing global is read or switched on.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from detector.errors import ImageError
from detector.images import containers, pixels
from detector.images.containers import sniff
from detector.images.containers.base import damaged
from detector.images.containers.ifd import ORIENTATION
from detector.images.decoders import Opened, open_container, translated
from detector.images.sources import read_bytes
from detector.results import FileFacts, Status

__all__ = [
    "DEFAULT_LIMITS",
    "DecodedImage",
    "Limits",
    "decoded_from_pixels",
    "read_bytes",
    "read_header",
    "read_image",
    "sniff",
    "thumbnail",
]

_READ = "JPEG, PNG, WebP, AVIF, GIF, TIFF, BMP and (with an extra) HEIC are read"


@dataclass(frozen=True)
class Limits:
    """What is refused before any pixel is decoded.

    Attributes:
        max_bytes: largest file, in bytes.
        max_pixels: largest width × height.
        min_side: smallest width and smallest height, in pixels.
    """

    max_bytes: int = 256 * 2**20
    max_pixels: int = 200_000_000
    min_side: int = 32


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class DecodedImage:
    """An image ready to be looked at.

    Attributes:
        rgb: (H, W, 3) uint8 RGB, C-contiguous, upright, read-only.
        facts: what the container said.
        notes: what a reader should know about the frame and the conversion.
    """

    rgb: np.ndarray
    facts: FileFacts
    notes: tuple[str, ...] = ()


def read_image(data: bytes, limits: Limits = DEFAULT_LIMITS) -> DecodedImage:
    """Decode the first frame of one file.

    Raises `ImageError` with status EMPTY, UNSUPPORTED, TRUNCATED, UNREADABLE, TOO_SMALL,
    TOO_LARGE or (out of memory) FAILED; nothing else. Thread-safe.
    """
    opened = _open(data, limits)
    rgb, notes = opened.decode()
    rgb = pixels.upright(rgb, opened.facts.orientation)
    height, width = rgb.shape[:2]
    if (width, height) != (opened.facts.width, opened.facts.height):
        raise damaged(f"it declares another size than the {width} × {height} pixels it holds")
    rgb.flags.writeable = False
    return DecodedImage(rgb, opened.facts, opened.notes() + notes)


def read_header(data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileFacts:
    """The container's facts, without decoding a pixel; raises `ImageError` as `read_image`."""
    return _open(data, limits).facts


def decoded_from_pixels(
    image: Image.Image | np.ndarray, limits: Limits = DEFAULT_LIMITS
) -> DecodedImage:
    """Wrap pixels that came without a file, as format "PIXELS".

    A PIL image may have any mode that a file may have; an orientation in its EXIF is applied.
    An array is bool, uint8 or uint16, (H, W) or (H, W, 1–4), see `pixels.from_array`. The
    sha256 is that of the RGB bytes, row by row. Raises `ImageError` for other pixels.
    """
    if isinstance(image, Image.Image):
        mode = image.mode
        with translated(*image.size):
            image.load()
            # Asked after loading: some plug-ins turn the image, and then drop the tag.
            orientation = image.getexif().get(ORIENTATION, 1)
            rgb, notes = pixels.to_rgb(image)
        rgb = pixels.upright(rgb, orientation if orientation in range(1, 9) else 1)
    else:
        mode = "RGB"
        rgb, notes = pixels.from_array(np.asarray(image))
    if not rgb.size:
        raise ImageError(Status.EMPTY, "The image has no pixels.")
    height, width = rgb.shape[:2]
    _check_size(width, height, limits)
    rgb = rgb.copy()  # the caller may go on writing into its own array
    rgb.flags.writeable = False
    digest = hashlib.sha256(rgb.data).hexdigest()
    facts = FileFacts(digest, rgb.nbytes, "PIXELS", width, height, mode, lossless=True)
    return DecodedImage(rgb, facts, notes)


def thumbnail(rgb: np.ndarray, side: int = 256, quality: int = 80) -> bytes:
    """WebP bytes of the (H, W, 3) uint8 image, reduced to fit a square of `side` pixels.

    The aspect ratio is kept, nothing is enlarged, and no side falls below 1 pixel.
    """
    height, width = rgb.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = rgb if scale == 1.0 else cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    done, encoded = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, quality])
    if not done:
        raise ImageError(Status.FAILED, "The thumbnail could not be encoded.")
    return encoded.tobytes()


def _open(data: bytes, limits: Limits) -> Opened:
    if not data:
        raise ImageError(Status.EMPTY, "The file has no bytes.")
    if len(data) > limits.max_bytes:
        raise ImageError(
            Status.TOO_LARGE, f"The file has {len(data):,} bytes; at most {limits.max_bytes:,}."
        )
    data = bytes(data)  # costs nothing unless it is a bytearray or a view
    kind = sniff(data)
    if kind is None:
        raise ImageError(
            Status.UNSUPPORTED, f"This looks like {containers.describe(data)}; {_READ}."
        )
    with translated(0, 0):
        container = containers.parse(kind, data)
    if container.width and container.height:
        _check_size(container.width, container.height, limits)
    opened = open_container(container, data)
    _check_size(opened.facts.width, opened.facts.height, limits)
    return opened


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.max_pixels:
        raise ImageError(
            Status.TOO_LARGE,
            f"The image has {width} × {height} pixels; at most {limits.max_pixels:,} are read.",
        )
    if min(width, height) < limits.min_side:
        raise ImageError(
            Status.TOO_SMALL,
            f"The image has {width} × {height} pixels; each side needs {limits.min_side}.",
        )
