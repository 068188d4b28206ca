"""What is kept of a picture so that its copies, crops and overlaid versions can be found.

Everything is worked out from the 256-pixel thumbnail that a scan stores, so that a campaign can
be analysed where the originals are not.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detector.errors import MissingExtraError

Grey = NDArray[np.uint8]

# Thumbnails are brought to this longest side, so that all points live on one scale.
SIDE = 256
# PDQ reduces a picture to 64 × 64 by itself, but by picking pixels: reduced by area first, the hash
# of a thumbnail lies nearer to that of its original, and copies of different sizes nearer together.
_PDQ_SIDE = 64
MAX_POINTS = 250
# Corners are taken from every part of the picture: lettering would otherwise take them all.
_CELLS, _DETECTED = 8, 900
_EDGE, _PATCH, _FAST = 16, 24, 8


@dataclass(frozen=True)
class Fingerprint:
    """A picture's hash and its points.

    Attributes:
        pdq: (32,) uint8, the PDQ hash.
        mirrored: (32,) uint8, the hash of the picture seen in a mirror.
        quality: PDQ's own, 0–100; low for pictures with hardly any gradient.
        points: (K, 2) float32 x, y of corners on the picture at `SIDE`.
        descriptors: (K, 32) uint8 ORB descriptors of the corners.
    """

    pdq: NDArray[np.uint8]
    mirrored: NDArray[np.uint8]
    quality: int
    points: NDArray[np.float32]
    descriptors: NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """One distinct image, as far as clustering needs it.

    Attributes:
        key: its sha256.
        pixels: width × height; the larger of equals is the seed.
        print: None when it has no thumbnail.
    """

    key: str
    pixels: int
    print: Fingerprint | None


def read_thumbnail(webp: bytes) -> Grey | None:
    """(H, W) uint8 grey levels at `SIDE` from an encoded picture; None when it is damaged."""
    try:
        with Image.open(io.BytesIO(webp)) as image:
            rgb = np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError):
        return None
    return on_one_scale(rgb)


def on_one_scale(rgb: NDArray[np.uint8]) -> Grey:
    """(H, W) uint8 grey levels, longest side `SIDE`, of (H, W, 3) uint8 RGB of any size."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    scale = SIDE / max(height, width)
    if scale == 1:
        return np.asarray(grey, dtype=np.uint8)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    return np.asarray(cv2.resize(grey, size, interpolation=how), dtype=np.uint8)


def fingerprint(grey: Grey, *, points: bool = True) -> Fingerprint:
    """The fingerprint of (H, W) uint8 grey levels as `on_one_scale` gives them.

    Raises MissingExtraError without the extra `campaign`.
    """
    pdq, mirrored, quality = pdq_hashes(grey)
    where, descriptors = corners(grey) if points else _NO_CORNERS
    return Fingerprint(pdq, mirrored, quality, where, descriptors)


def pdq_hashes(grey: Grey) -> tuple[NDArray[np.uint8], NDArray[np.uint8], int]:
    """(32,) uint8 PDQ hash, that of the mirror image, and PDQ's quality."""
    try:
        import pdqhash
    except ImportError as error:
        raise MissingExtraError("finding the same picture again", "campaign") from error
    small = cv2.resize(grey, (_PDQ_SIDE, _PDQ_SIDE), interpolation=cv2.INTER_AREA)
    rgb = cv2.cvtColor(small, cv2.COLOR_GRAY2RGB)
    bits, quality = pdqhash.compute(rgb)
    other, _ = pdqhash.compute(np.ascontiguousarray(rgb[:, ::-1]))
    return np.packbits(bits), np.packbits(other), int(quality)


_NO_CORNERS = (np.empty((0, 2), np.float32), np.empty((0, 32), np.uint8))


def corners(grey: Grey) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """(K, 2) float32 points and (K, 32) uint8 ORB descriptors, K up to `MAX_POINTS`.

    ORB: Rublee et al., "ORB: an efficient alternative to SIFT or SURF", ICCV 2011.
    """
    # Points nearer to the edge than usual, since a thumbnail has few others.
    orb = cv2.ORB_create(  # type: ignore[attr-defined]
        _DETECTED, 1.2, 8, _EDGE, 0, 2, cv2.ORB_HARRIS_SCORE, _PATCH, _FAST
    )
    found = orb.detect(grey, None)
    if not found:
        return _NO_CORNERS
    kept, descriptors = orb.compute(grey, _spread(found, grey.shape))
    if descriptors is None or not kept:
        return _NO_CORNERS
    points = np.array([corner.pt for corner in kept], dtype=np.float32)
    return points, np.asarray(descriptors, dtype=np.uint8)


def _spread(found: list[cv2.KeyPoint], shape: tuple[int, ...]) -> list[cv2.KeyPoint]:
    """The strongest corners of each part of the picture in turn, `MAX_POINTS` in all."""
    height, width = shape[:2]
    ranked: dict[tuple[int, int], int] = {}
    turns = []
    for corner in sorted(found, key=lambda c: (-c.response, c.pt, c.octave)):
        cell = (int(corner.pt[0] * _CELLS / width), int(corner.pt[1] * _CELLS / height))
        ranked[cell] = ranked.get(cell, 0) + 1
        turns.append(ranked[cell])
    order = sorted(range(len(turns)), key=lambda i: turns[i])
    strongest = sorted(found, key=lambda c: (-c.response, c.pt, c.octave))
    return [strongest[i] for i in order[:MAX_POINTS]]
