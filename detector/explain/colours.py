"""Scores as colours: one fixed map for every image, safe for colour-blind readers.

Blue and orange stay apart under every common colour-vision deficiency, and both are dark
against the grey of "says nothing". The map never looks at an image's own range: a map that
stretched itself would make every image look guilty.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Pixels = NDArray[np.uint8]

# The scale of every map, in natural logarithms of a likelihood ratio: 1/10 to 10.
SCALE = (-math.log(10.0), math.log(10.0))

# Place on the scale, and colour. They rise fast near the middle: most pieces say little, and
# what they say must be seen without moving the ends.
_PLACES = np.array([-1.0, -0.5, -0.2, 0.0, 0.2, 0.5, 1.0])
_ANCHORS = np.array(
    [
        (0, 50, 130),
        (30, 110, 200),
        (120, 180, 235),
        (240, 240, 240),
        (255, 190, 110),
        (235, 110, 20),
        (140, 50, 0),
    ],
    dtype=np.float64,
)
_STRONGEST = 0.85  # how far the strongest colour covers what lies under it
_BLEACH = 0.65
_HATCH_PERIOD = 10
_HATCH_DARK, _HATCH_LIGHT = 70.0, 185.0


def positions(values: ArrayLike) -> NDArray[np.float64]:
    """Values in natural-log LR as places on the scale, in [-1, 1]; beyond the ends they stay."""
    v = np.asarray(values, dtype=np.float64)
    return np.asarray(np.clip(v / SCALE[1], -1.0, 1.0), dtype=np.float64)


def colours(values: ArrayLike) -> Pixels:
    """(…, 3) uint8 RGB of values in natural-log LR; the same value has the same colour always."""
    at = positions(values)
    channels = [np.interp(at, _PLACES, _ANCHORS[:, c]) for c in range(3)]
    return np.asarray(np.rint(np.stack(channels, axis=-1)), dtype=np.uint8)


def opacity(values: ArrayLike) -> NDArray[np.float64]:
    """(…) how far the colour covers the picture, in [0, 1]; it grows with the value's size."""
    grown = np.minimum(1.0, 1.6 * np.abs(positions(values))) ** 0.8
    return np.asarray(_STRONGEST * grown, dtype=np.float64)


def painted(rgb: Pixels, values: NDArray[np.float32], blank: NDArray[np.bool_]) -> Pixels:
    """The picture in grey under the colours of its values; (H, W, 3) uint8.

    Args:
        rgb: (H, W, 3) uint8 RGB.
        values: (H, W) natural-log LR; NaN where nothing was looked at, which is bleached.
        blank: (H, W) places with nothing to see, which are hatched.
    """
    grey = (rgb.astype(np.float64) @ np.array([0.299, 0.587, 0.114]))[..., None]
    looked = ~np.isnan(values)
    safe = np.where(looked, values, 0.0)
    cover = (opacity(safe) * looked)[..., None]
    # Dark pictures would drown the colours, so the grey is lifted where they lie on it.
    lifted = grey + cover * 0.35 * (255.0 - grey)
    out = lifted * (1 - cover) + colours(safe) * cover
    bleached = grey + _BLEACH * (255.0 - grey)
    out = np.where((looked | blank)[..., None], out, bleached)
    lines = hatching(*values.shape)[..., None]
    out = np.where(blank[..., None], np.where(lines == 0, 0.55 * grey + 0.45 * 128, lines), out)
    return np.asarray(np.clip(np.rint(out), 0, 255), dtype=np.uint8)


def hatching(height: int, width: int) -> NDArray[np.float64]:
    """(height, width) grey of oblique lines, dark beside light so that both grounds show them.

    0 stands for "no line here".
    """
    period = max(4, min(_HATCH_PERIOD, min(height, width) // 6 or 4))
    y, x = np.indices((height, width))
    phase = (x + y) % period
    thick = max(1, period // 6)
    dark, light = phase < thick, (phase >= thick) & (phase < 2 * thick)
    return np.where(dark, _HATCH_DARK, np.where(light, _HATCH_LIGHT, 0.0))
