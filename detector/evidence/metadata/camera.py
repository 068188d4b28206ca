"""Camera evidence: what EXIF says of the exposure, and whether its thumbnail fits the image."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from detector.errors import ImageError
from detector.evidence.base import EvidenceInput
from detector.evidence.exif import Exif
from detector.evidence.metadata.rules import evidence
from detector.images import Limits, read_image
from detector.results import Evidence

_EXPOSURE = ("ExposureTime", "FNumber", "ISOSpeed", "FocalLength")
_THUMBNAIL_LIMITS = Limits(max_bytes=2**20, max_pixels=2**20, min_side=8)
_NO_CAMERA = ("prompt:", "workflow:", "ideogram")
# Thumbnails of 160 × 120 show a 3:2 photograph between black bars; those are cut off first.
_BLACK = 16
_ASPECT_TOLERANCE = 0.06
_SIDE = 24


def find(item: EvidenceInput) -> list[Evidence]:
    """One piece of evidence when maker, model and at least two exposure values are there."""
    for block in item.exif:
        make, model = block.text("Make"), block.text("Model")
        exposure = {name: block.numbers[name] for name in _EXPOSURE if block.numbers.get(name)}
        if not make or not model or len(exposure) < 2:
            continue
        if f"{make} {model}".lower().startswith(_NO_CAMERA) or model.startswith("prompt:"):
            continue
        return [evidence("camera_exif", _raw(item, block, exposure), issuer=f"{make} {model}")]
    return []


def _raw(item: EvidenceInput, block: Exif, exposure: dict[str, float]) -> dict[str, Any]:
    note = block.maker_note
    return {
        "found_in": "EXIF",
        "make": block.text("Make"),
        "model": block.text("Model"),
        "lens": block.text("LensModel"),
        "software": block.text("Software"),
        "taken": block.text("DateTimeOriginal"),
        "exposure_s": exposure.get("ExposureTime"),
        "f_number": exposure.get("FNumber"),
        "iso": exposure.get("ISOSpeed"),
        "focal_length_mm": exposure.get("FocalLength"),
        "maker_note": {"bytes": note[0], "begins": note[1]} if note else "",
        "has_position": block.gps,
        "thumbnail": thumbnail_agreement(item, block.thumbnail),
    }


def thumbnail_agreement(item: EvidenceInput, thumbnail: bytes) -> dict[str, Any]:
    """Whether the embedded thumbnail shows the image: size, aspect and correlation.

    Correlation is Pearson's, over a grid of 24 × 24 grey cells, in [-1, 1]; above about 0.9
    the two show the same. Cropping, or a changed image under old EXIF, makes it fall.
    """
    if not thumbnail:
        return {}
    try:
        small = _without_bars(read_image(thumbnail, _THUMBNAIL_LIMITS).rgb)
    except ImageError as error:
        return {"fault": error.reason}
    height, width = small.shape[:2]
    result: dict[str, Any] = {"width": width, "height": height}
    if item.rgb is None:
        return result
    large = _as_stored(item)
    ratio = (width / height) / (large.shape[1] / large.shape[0])
    result["same_aspect"] = bool(abs(np.log(ratio)) < _ASPECT_TOLERANCE)
    result["correlation"] = round(_correlation(_grid(small), _grid(large)), 2)
    return result


def _as_stored(item: EvidenceInput) -> np.ndarray:
    """The image as it is stored: thumbnails are not turned upright."""
    assert item.rgb is not None
    turns = {3: 2, 6: 1, 8: 3}.get(item.facts.orientation if item.facts else 1, 0)
    return np.rot90(item.rgb, turns)


def _without_bars(rgb: np.ndarray) -> np.ndarray:
    """The picture without black rows above and below, or columns at the sides."""
    bright = rgb.max(axis=2) > _BLACK
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    if len(rows) < 4 or len(columns) < 4:
        return rgb
    return rgb[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _grid(rgb: np.ndarray) -> np.ndarray:
    small = cv2.resize(np.ascontiguousarray(rgb), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    grey: np.ndarray = small.astype(np.float64).mean(axis=2)
    return grey


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / scale if scale > 0 else 0.0
