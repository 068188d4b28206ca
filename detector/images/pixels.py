"""Brings decoded pixels of any kind to upright 8-bit RGB, in one documented way.

- 16 bits per sample: `round(v / 257)`, which maps 0–65535 onto 0–255; other depths likewise.
- Greyscale: the value is repeated three times. A palette is looked up.
- Alpha: laid over white, `round((c · a + 255 · (255 − a)) / 255)`.
- CMYK: `R = (255 − C) · (255 − K) / 255` and so on, without a colour profile.
- YCbCr: the JFIF matrix.
- Colour profiles and gamma are not applied: they would change the pixel traces that the CNN
  looks at, and most images that are shared carry sRGB or none.
- The EXIF orientation is applied last, by flips and quarter turns, which change no value.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from detector.images.containers.base import unsupported

NOTE_ALPHA = "transparent pixels were laid over white"
NOTE_CMYK = "CMYK was converted to RGB without a colour profile"

_DEEP_GREY = {"I;16", "I;16L", "I;16B", "I;16N"}
_REFUSED = {
    "I": "an image of 32-bit integer samples",
    "F": "an image of floating-point samples",
    "LAB": "an image in the LAB colour space",
}
# Rows that are composited at once: bounds the memory of the 16-bit intermediate.
_ROWS = 512


def note_depth(depth: int) -> str:
    """The note on samples of more than 8 bits."""
    return f"{depth} bits per sample were rounded to 8"


def to_rgb(image: Image.Image) -> tuple[np.ndarray, tuple[str, ...]]:
    """(H, W, 3) uint8 RGB of a loaded Pillow image, as stored, and notes on the conversion.

    Raises `ImageError` (unsupported) for samples that have no fixed white.
    """
    if image.mode in _REFUSED:
        raise unsupported(_REFUSED[image.mode])
    if image.mode in _DEEP_GREY:
        grey = to_eight_bits(np.asarray(image).astype(np.uint16), 16)
        return grey_to_rgb(grey), (note_depth(16),)
    if image.has_transparency_data:
        if image.mode == "La":
            image = image.convert("LA")
        return over_white(np.asarray(image.convert("RGBA")))
    notes = (NOTE_CMYK,) if image.mode == "CMYK" else ()
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB")), notes


def to_eight_bits(samples: np.ndarray, depth: int) -> np.ndarray:
    """uint8 of uint16 samples whose white is `2**depth - 1`, rounded to nearest."""
    white = 2**depth - 1
    if white == 65535:
        return np.asarray((samples.astype(np.uint32) + 128) // 257, dtype=np.uint8)
    scaled = (samples.astype(np.uint32) * 255 + white // 2) // white
    return np.asarray(np.minimum(scaled, 255), dtype=np.uint8)


def grey_to_rgb(grey: np.ndarray) -> np.ndarray:
    """(H, W, 3) of (H, W)."""
    return np.repeat(grey[:, :, None], 3, axis=2)


def over_white(rgba: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """(H, W, 3) uint8 of (H, W, 4) uint8 with straight alpha, and the note if any is clear."""
    colour, alpha = rgba[:, :, :3], rgba[:, :, 3:]
    if alpha.size == 0 or alpha.min() == 255:
        return np.ascontiguousarray(colour), ()
    rgb = np.empty(colour.shape, dtype=np.uint8)
    for top in range(0, len(rgba), _ROWS):
        rows = slice(top, top + _ROWS)
        weight = alpha[rows].astype(np.uint16)
        rgb[rows] = (colour[rows] * weight + 255 * (255 - weight) + 127) // 255
    return rgb, (NOTE_ALPHA,)


def upright(rgb: np.ndarray, orientation: int) -> np.ndarray:
    """The stored pixels turned as EXIF orientation 1–8 demands (EXIF 2.32, tag 0x0112)."""
    if orientation in (5, 6, 7, 8):
        rgb = rgb.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        rgb = rgb[:, ::-1]
    if orientation in (3, 4, 7, 8):
        rgb = rgb[::-1]
    return np.ascontiguousarray(rgb)


def from_array(array: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """(H, W, 3) uint8 RGB of a bool, uint8 or uint16 array, and notes on the conversion.

    Takes (H, W), (H, W, 1) greyscale, (H, W, 2) greyscale with alpha, (H, W, 3) RGB and
    (H, W, 4) RGBA. Raises `ImageError` (unsupported) for anything else, such as floats, whose
    white nobody states.
    """
    notes: tuple[str, ...] = ()
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    elif array.dtype == np.uint16:
        array, notes = to_eight_bits(array, 16), (note_depth(16),)
    if array.dtype != np.uint8:
        raise unsupported(f"an array of {array.dtype} (give uint8, uint16 or bool)")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
        raise unsupported(f"an array of shape {array.shape} (give (H, W) or (H, W, 1 to 4))")
    channels = array.shape[2]
    if channels < 3:
        grey = grey_to_rgb(array[:, :, 0])
        array = grey if channels == 1 else np.dstack((grey, array[:, :, 1]))
    if array.shape[2] == 4:
        array, clear = over_white(array)
        notes += clear
    return np.ascontiguousarray(array), notes
