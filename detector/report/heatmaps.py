"""Heatmaps as small pictures for the page, whatever made them."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from PIL import Image

MOST_PIXELS = 640  # of the longer side, on the page


class HeatmapLike(Protocol):
    """What the page needs of a `detector.explain.Heatmap`.

    Attributes:
        values: (rows, cols) float32 scores.
        blank: (rows, cols) bool: nothing to see there.
        scale: the lowest and the highest score of the colours, the same for every image.
    """

    values: np.ndarray
    blank: np.ndarray
    scale: tuple[float, float]

    def overlay(self, rgb: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 upright RGB with the scores laid over it."""


@dataclass(frozen=True)
class Overlay:
    """A heatmap laid over its image, ready for the page.

    Attributes:
        webp: the picture.
        scale: the lowest and the highest score of the colours.
        low, high: the lowest and the highest score measured; None when all is blank.
        blank: share of the image with nothing to see, in [0, 1].
    """

    webp: bytes
    scale: tuple[float, float]
    low: float | None
    high: float | None
    blank: float

    def to_record(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "webp": base64.b64encode(self.webp).decode("ascii"),
            "scale": [round(value, 2) for value in self.scale],
            "low": None if self.low is None else round(self.low, 2),
            "high": None if self.high is None else round(self.high, 2),
            "blank": round(self.blank, 3),
        }


def overlay(heatmap: HeatmapLike, rgb: np.ndarray) -> Overlay:
    """Lay a heatmap over (H, W, 3) uint8 upright RGB and shrink the picture for the page."""
    picture = Image.fromarray(heatmap.overlay(rgb))
    picture.thumbnail((MOST_PIXELS, MOST_PIXELS), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=80)
    seen = heatmap.values[~heatmap.blank & np.isfinite(heatmap.values)]
    low, high = (float(seen.min()), float(seen.max())) if seen.size else (None, None)
    scale = float(heatmap.scale[0]), float(heatmap.scale[1])
    return Overlay(stream.getvalue(), scale, low, high, float(heatmap.blank.mean()))
