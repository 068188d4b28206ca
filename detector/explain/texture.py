"""Where an image has nothing to look at: flat, small, or compressed until nothing is left.

The CNN gives every crop a score, also one of a clear sky; such a score says nothing, and a map
that coloured it would lead its reader astray. The bounds below were measured, see
`benchmarks/blank_areas.py` and its committed result.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.preprocess import texture_of

Pixels = NDArray[np.uint8]

FLAT, COMPRESSED, SMALL = "flat", "compressed", "small"
REASONS: dict[str, str] = {
    FLAT: "a flat colour or a smooth gradient",
    COMPRESSED: "compressed until little of its texture is left",
    SMALL: "smaller than half of what the CNN looks at in one piece",
}

# Crops of scikit-image's photographs: smoothing all texture away moves the logit by 0.5 to 0.8 at
# the median, but by 0.35 for crops whose texture is under 1 grey level, and 0.09 under 0.5. Those
# score -5 to -2.4, whatever they show: a map without this rule would paint every sky deep blue.
LEAST_TEXTURE = 1.0
# The same crops as JPEG of qualities 90 to 5: with up to 85 % of still pixels the order of their
# scores is kept (rank correlation mostly 0.75 to 0.9), above that less (0.66, then 0.56).
MOST_STILL = 0.85
# By definition and not by measurement: under half a crop of image, most of it is a mirror.
LEAST_SEEN = 0.5


def still_share(rgb: Pixels) -> float:
    """The share of pixels of an (H, W, 3) image whose Laplacian is at most one grey level.

    Strong compression rounds whole 8 × 8 blocks down to a flat colour or a gradient, whose
    Laplacian is 0 inside the block; a few block edges may still make the mean texture high.
    """
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return float((np.abs(cv2.Laplacian(grey, cv2.CV_16S)) <= 1).mean())


def nothing_to_see(rgb: Pixels, seen: float = 1.0) -> str:
    """Why a view says nothing: one of `REASONS`, or "" when there is something to see.

    Args:
        rgb: (S, S, 3) uint8 RGB, as the CNN gets it.
        seen: share of the view that is image; the rest was padded.
    """
    if seen < LEAST_SEEN:
        return SMALL
    if texture_of(rgb) < LEAST_TEXTURE:
        return FLAT
    if still_share(rgb) > MOST_STILL:
        return COMPRESSED
    return ""
