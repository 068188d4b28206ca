"""Hard negatives: real images that a neural network has enlarged.

Phones, photo services and platforms enlarge pictures with networks. Such an image is not
generated, and detectors of decoder traces accuse it easily. The network is the user's: any
function from RGB to larger RGB.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.errors import CorpusError

Pixels = NDArray[np.uint8]
Upscaler = Callable[[Pixels], Pixels]  # (h, w, 3) uint8 RGB to (scale·h, scale·w, 3)


def upscaled_real(rgb: Pixels, upscaler: Upscaler, scale: int = 4) -> Pixels:
    """Shrinks a real image by area averaging and lets a network enlarge it again; label 0.

    Args:
        rgb: (H, W, 3) uint8; both sides at least 8 × `scale`.
        scale: by which the network enlarges.

    Returns:
        (scale · (H // scale), scale · (W // scale), 3) uint8.

    Raises:
        CorpusError: the image is too small, or the network gives another size back.
    """
    height, width = rgb.shape[0] // scale, rgb.shape[1] // scale
    if scale < 2 or min(height, width) < 8:
        raise CorpusError(f"an image of {rgb.shape[1]}×{rgb.shape[0]} cannot be shrunk by {scale}")
    kept = rgb[: height * scale, : width * scale]
    small = np.asarray(cv2.resize(kept, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    large = upscaler(small)
    if large.shape != kept.shape or large.dtype != np.uint8:
        raise CorpusError(f"the upscaler gave {large.shape} {large.dtype} back for {small.shape}")
    return large
