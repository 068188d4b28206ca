"""Hides places of an image without adding anything that the CNN takes for a trace.

What to put in their place was measured, see `benchmarks/explanation_test.py`. A drawn tenth of 24
real images, filled in, moved the score of lite_v1 by (mean, mean size): inpainting +0.03, 0.18;
blur with grain +0.05, 0.23; blur +0.11, 0.24; the mean colour +0.19, 0.31. The least is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.preprocess import Box

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


def soft_mask(shape: tuple[int, int], boxes: Sequence[Box], feather: float = 0.0) -> Floats:
    """(H, W) float32 in [0, 1]: 1 inside the boxes, falling off over some pixels at their edges.

    A hard edge would be a trace of its own. `feather` is the σ of the fall in pixels; 0 takes
    an eighth of the smallest box side.
    """
    mask = np.zeros(shape, dtype=np.float32)
    for x, y, w, h in boxes:
        mask[y : y + h, x : x + w] = 1.0
    least = min((min(w, h) for _, _, w, h in boxes), default=8)
    sigma = feather or max(1.0, least / 8)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), dtype=np.float32)


def blurred(rgb: Pixels, mask: Floats) -> Pixels:
    """Filling: the image without any detail."""
    sigma = max(4.0, min(rgb.shape[:2]) / 24)
    # A blur of that width is the same on a reduced copy, and much quicker.
    step = max(1, int(sigma / 4))
    small = cv2.resize(rgb, (max(1, rgb.shape[1] // step), max(1, rgb.shape[0] // step)),
                       interpolation=cv2.INTER_AREA)  # fmt: skip
    soft = cv2.GaussianBlur(small, (0, 0), sigma / step)
    return np.asarray(
        cv2.resize(soft, (rgb.shape[1], rgb.shape[0]), interpolation=cv2.INTER_CUBIC), np.uint8
    )


def grained(rgb: Pixels, mask: Floats) -> Pixels:
    """Filling: the blurred image with the grain of a quiet sensor, so that it is not too smooth."""
    noise = np.random.default_rng(0).normal(0, 3, (*rgb.shape[:2], 1))
    soft = blurred(rgb, mask).astype(np.float64) + noise
    return np.asarray(np.clip(np.rint(soft), 0, 255), dtype=np.uint8)


def mean_colour(rgb: Pixels, mask: Floats) -> Pixels:
    """Filling: the image's mean colour."""
    return np.broadcast_to(rgb.mean((0, 1)).round().astype(np.uint8), rgb.shape)


def inpainted(rgb: Pixels, mask: Floats) -> Pixels:
    """Filling: continued from the edges (Telea, "An Image Inpainting Technique", 2004)."""
    side = max(rgb.shape[:2])
    scale = min(1.0, 256 / side)
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    hole = (cv2.resize(mask, size, interpolation=cv2.INTER_AREA) > 0.05).astype(np.uint8)
    filled = cv2.inpaint(small, hole, 3, cv2.INPAINT_TELEA)
    back = cv2.resize(filled, (rgb.shape[1], rgb.shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(back, dtype=np.uint8)


FILLINGS: dict[str, Callable[[Pixels, Floats], Pixels]] = {
    "blur": blurred,
    "grain": grained,
    "mean": mean_colour,
    "inpaint": inpainted,
}
DEFAULT_FILLING = "inpaint"


def without(rgb: Pixels, mask: Floats, filling: str = DEFAULT_FILLING) -> Pixels:
    """The image with the filling where `mask` is 1, blended in between; (H, W, 3) uint8."""
    filled = FILLINGS[filling](rgb, mask).astype(np.float32)
    share = mask[..., None]
    return np.asarray(np.clip(np.rint(rgb * (1 - share) + filled * share), 0, 255), dtype=np.uint8)
