"""Heatmaps and stability as the page shows them; `detector.explain` makes both."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from PIL import Image

from detector.names import one_line
from detector.results import Verdict

MOST_PIXELS = 640  # of the longer side, on the page


class HeatmapLike(Protocol):
    """What the page needs of a `detector.explain.Heatmap`.

    Attributes:
        values: (rows, cols) natural-log likelihood ratios of the image's parts.
        blank: (rows, cols) bool: nothing to see there.
        scale: values at the two ends of the colours, the same for every image.
        notes: what a reader should know.
    """

    @property
    def values(self) -> Any: ...

    @property
    def blank(self) -> Any: ...

    @property
    def scale(self) -> tuple[float, float]: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def overlay(self, rgb: Any) -> Any:
        """(H, W, 3) uint8 upright RGB with the values laid over it in colours."""


class TreatedLike(Protocol):
    """One row of a `StabilityLike`: what was done, and what the model then said."""

    @property
    def treatment(self) -> str: ...

    @property
    def score(self) -> float | None: ...

    @property
    def verdict(self) -> Verdict | None: ...


class StabilityLike(Protocol):
    """What the page needs of a `detector.explain.Stability`."""

    @property
    def rows(self) -> Sequence[TreatedLike]: ...

    @property
    def words(self) -> str: ...


@dataclass(frozen=True)
class Overlay:
    """A heatmap laid over its image, ready for the page.

    Attributes:
        webp: the picture.
        scale: values at the two ends of the colours.
        low, high: the lowest and the highest value measured; None when all is blank.
        blank: share of the image with nothing to see, in [0, 1].
        notes: what a reader should know.
    """

    webp: bytes
    scale: tuple[float, float]
    low: float | None
    high: float | None
    blank: float
    notes: tuple[str, ...] = ()

    def to_record(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "webp": base64.b64encode(self.webp).decode("ascii"),
            "scale": [round(value, 2) for value in self.scale],
            "low": None if self.low is None else round(self.low, 2),
            "high": None if self.high is None else round(self.high, 2),
            "blank": round(self.blank, 3),
            "notes": [one_line(note) for note in self.notes],
        }


def overlay(heatmap: HeatmapLike, rgb: np.ndarray) -> Overlay:
    """Lay a heatmap over (H, W, 3) uint8 upright RGB and shrink the picture for the page."""
    picture = Image.fromarray(heatmap.overlay(rgb))
    picture.thumbnail((MOST_PIXELS, MOST_PIXELS), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=80)
    values = np.asarray(heatmap.values, dtype=np.float64)
    seen = values[~np.asarray(heatmap.blank, dtype=bool) & np.isfinite(values)]
    low, high = (float(seen.min()), float(seen.max())) if seen.size else (None, None)
    scale = float(heatmap.scale[0]), float(heatmap.scale[1])
    blank = float(np.mean(heatmap.blank)) if np.size(heatmap.blank) else 0.0
    return Overlay(stream.getvalue(), scale, low, high, blank, tuple(heatmap.notes))


def stability_record(found: StabilityLike) -> dict[str, Any]:
    """Plain JSON values: words, and one row a treatment with its score and verdict."""
    return {
        "words": one_line(found.words),
        "rows": [
            [
                one_line(row.treatment),
                None if row.score is None else round(row.score, 2),
                None if row.verdict is None else row.verdict.value,
            ]
            for row in found.rows
        ],
    }
