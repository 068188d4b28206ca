"""Where the CNN looked and what it measured there, as a frozen value that paints itself.

Nothing here loads torch: a map that was measured elsewhere can be kept, drawn and exported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.explain import colours
from detector.preprocess import Box

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

NATIVE, WHOLE, DETAIL = "native", "whole", "detail"
# What the views are called in words.
NAMES = {NATIVE: "native crops", WHOLE: "whole picture", DETAIL: "detail crops"}
CROPS, GRADCAM = "crops", "gradcam"
METHODS = (CROPS, GRADCAM)
MEANINGS: dict[tuple[str, str], str] = {
    (CROPS, NATIVE): "what the native view would add if all its crops scored as this piece does",
    (CROPS, DETAIL): "what the detail view would add if all its crops scored as this piece does",
    (CROPS, WHOLE): "what the whole view loses when this piece is hidden from it",
    (GRADCAM, WHOLE): "what this piece's last features add to the whole view (Grad-CAM)",
    (GRADCAM, NATIVE): "what this piece's last features add to the native view (Grad-CAM)",
}


@dataclass(frozen=True)
class Contribution:
    """How much one view brought to the score.

    Attributes:
        view: "native", "detail" or "whole".
        logit: the view's own, the mean of its crops.
        weight: that the bundle gives it.
        score: weight · logit, the part of the score.
        log_lr: the same in natural-log LR, before the calibration's bounds.
        share: part of all views' absolute contributions, in [0, 1].
    """

    view: str
    logit: float
    weight: float
    score: float
    log_lr: float
    share: float


@dataclass(frozen=True)
class Layer:
    """One grid of measurements; rows run down and columns to the right.

    Attributes:
        view: which view was measured, "native", "detail" or "whole".
        meaning: what a value says, in words.
        values: (rows, cols) float32, natural-log LR, on the fixed scale.
        scores: (rows, cols) float32, logits as the CNN gave them: of the crop for the native
            and detail views, for the whole one by how much the logit fell when the piece was
            hidden.
        boxes: rows · cols boxes (x, y, width, height) in the upright image, row by row; they
            may overlap, or leave parts of a large image unseen.
        reasons: rows · cols words why there is nothing to see, "" where there is.
    """

    view: str
    meaning: str
    values: Floats
    scores: Floats
    boxes: tuple[Box, ...]
    reasons: tuple[str, ...]

    @property
    def blank(self) -> Bools:
        """(rows, cols) bool: nothing to see here."""
        return np.array([bool(r) for r in self.reasons]).reshape(self.values.shape)

    def raster(self, height: int, width: int, size: tuple[int, int]) -> tuple[Floats, Bools]:
        """The values and the blank places as pictures of (height, width).

        A pixel has the mean of the pieces that cover it and have something to see; NaN where
        there is none. Blank is a pixel that only blank pieces cover.

        Args:
            height, width: of the pictures wanted.
            size: (width, height) of the image that the boxes refer to.
        """
        total, count, empty = np.zeros((3, height, width))
        across, down = width / size[0], height / size[1]
        values = self.values.ravel().tolist()
        for box, value, reason in zip(self.boxes, values, self.reasons, strict=True):
            x, y, w, h = box
            rows = slice(int(y * down), max(int(y * down) + 1, round((y + h) * down)))
            cols = slice(int(x * across), max(int(x * across) + 1, round((x + w) * across)))
            if reason:
                empty[rows, cols] += 1
            else:
                total[rows, cols] += value
                count[rows, cols] += 1
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
        return mean, (count == 0) & (empty > 0)

    def to_record(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "view": self.view,
            "meaning": self.meaning,
            "values": [[round(float(v), 4) for v in row] for row in self.values],
            "scores": [[round(float(v), 4) for v in row] for row in self.scores],
            "boxes": [list(box) for box in self.boxes],
            "blank": self.blank.tolist(),
            "reasons": list(self.reasons),
        }


@dataclass(frozen=True)
class Heatmap:
    """What the CNN measured where, at one fixed scale for every image.

    The fused score is bias + weight · whole + weight · mean(native) + weight · mean(detail). Each
    view has a layer of its own, since they measure different things; the first is the one that
    `values`, `boxes` and `blank` show. Values are natural-log likelihood ratios, before the
    bounds that the calibration sets to the score as a whole: they say where, and not how sure.

    Attributes:
        model: the bundle's id.
        method: "crops" or "gradcam".
        size: (width, height) of the upright image in pixels.
        layers: native crops, detail crops, the whole view; those that the bundle has.
        contributions: how much each view brought to the score.
        covered: share of the image that the first layer looked at, in [0, 1].
        notes: what a reader should know.
    """

    model: str
    method: str
    size: tuple[int, int]
    layers: tuple[Layer, ...]
    contributions: tuple[Contribution, ...] = ()
    covered: float = 1.0
    notes: tuple[str, ...] = field(default_factory=tuple)

    @property
    def scale(self) -> tuple[float, float]:
        """(low, high) natural-log LR of the two ends of the colours; a constant."""
        return colours.SCALE

    @property
    def values(self) -> Floats:
        """(rows, cols) of the first layer."""
        return self.layers[0].values

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Of the first layer, row by row."""
        return self.layers[0].boxes

    @property
    def blank(self) -> Bools:
        """(rows, cols) of the first layer: nothing to see here."""
        return self.layers[0].blank

    def layer(self, view: str) -> Layer | None:
        """The layer of one view; None when there is none."""
        return next((layer for layer in self.layers if layer.view == view), None)

    def carrier(self) -> str:
        """The view that brought most to the score; "" when that is unknown."""
        return max(self.contributions, key=lambda c: c.share).view if self.contributions else ""

    def overlay(self, rgb: Pixels, view: str | None = None) -> Pixels:
        """The picture in grey under the colours of one layer; (H, W, 3) uint8 RGB.

        Orange speaks for generated and blue against it; plain grey says nothing either way;
        hatched places have nothing to see, and bleached ones were not looked at.

        Args:
            rgb: (H, W, 3) uint8 RGB: the upright image, or a reduced copy of it.
            view: "native", "detail" or "whole"; None for the first layer. Raises ValueError when
                the map has no such layer.
        """
        layer = self.layers[0] if view is None else self.layer(view)
        if layer is None:
            raise ValueError(f"this map has no {view} layer")
        values, blank = layer.raster(rgb.shape[0], rgb.shape[1], self.size)
        return colours.painted(rgb, values, blank)

    def heat(self, height: int, width: int) -> Floats:
        """(height, width) float32: all layers added up, blank and unseen places as 0.

        It ranks places, as `detector.explain.hiding` does, and is no likelihood ratio itself.
        """
        total = np.zeros((height, width), dtype=np.float32)
        for layer in self.layers:
            total += np.nan_to_num(layer.raster(height, width, self.size)[0])
        return total

    def to_record(self) -> dict[str, Any]:
        """Plain JSON values; floats are rounded to four decimals."""
        return {
            "model": self.model,
            "method": self.method,
            "size": list(self.size),
            "scale": [round(end, 4) for end in self.scale],
            "unit": "natural logarithm of a likelihood ratio",
            "covered": round(self.covered, 4),
            "contributions": [_rounded(vars(c)) for c in self.contributions],
            "layers": [layer.to_record() for layer in self.layers],
            "notes": list(self.notes),
        }


def covered_share(boxes: Sequence[Box], size: tuple[int, int]) -> float:
    """The share of an image of (width, height) pixels that the boxes cover, in [0, 1]."""
    width, height = size
    xs = sorted({e for x, _, w, _ in boxes for e in (x, x + w)})
    ys = sorted({e for _, y, _, h in boxes for e in (y, y + h)})
    seen = np.zeros((len(ys), len(xs)), dtype=bool)
    for x, y, w, h in boxes:
        seen[ys.index(y) : ys.index(y + h), xs.index(x) : xs.index(x + w)] = True
    areas = np.outer(np.diff(ys), np.diff(xs)) if len(boxes) else np.zeros((0, 0))
    return float((areas * seen[:-1, :-1]).sum() / (width * height)) if len(boxes) else 0.0


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in values.items()}
