"""Measures where the CNN sees what: a dense grid of native crops, and the whole view in pieces.

What is shown is what the CNN itself gives: the native head's logit of every crop, and how much
the whole head's logit falls when a piece is hidden from it (Zeiler and Fergus, "Visualizing and
Understanding Convolutional Networks", 2014). Grad-CAM (Selvaraju et al., 2017) is an option.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import ImageError, UsageError
from detector.explain.hide import soft_mask, without
from detector.explain.maps import (
    CROPS,
    DETAIL,
    GRADCAM,
    MEANINGS,
    METHODS,
    NATIVE,
    WHOLE,
    Contribution,
    Heatmap,
    Layer,
    covered_share,
)
from detector.explain.texture import nothing_to_see
from detector.images import DecodedImage, decoded_from_pixels, read_bytes, read_image
from detector.preprocess import Box, Prepared, box_in, pad_to, shrunk, whole_view
from detector.results import Finding, Status

if TYPE_CHECKING:
    from detector.predict import Detector, Source
    from detector.weights import Bundle

Pixels = NDArray[np.uint8]

# Some 20 ms of one core a piece: both layers take about a second and a half.
DEFAULT_GRID = 36
_BATCH = 2  # larger batches are no quicker on a CPU


@dataclass(frozen=True)
class Seen:
    """An image that was read once, with the pixels' own finding; `image` is None for bad files."""

    image: DecodedImage | None
    finding: Finding
    data: bytes | None = None


def look(detector: Detector, source: Source) -> Seen:
    """Read and score one image; a bad file gives a finding with its status, never an error."""
    path = str(source) if isinstance(source, (str, Path)) else ""
    data: bytes | None = None
    try:
        if isinstance(source, (str, Path)):
            data = read_bytes(path)
        elif isinstance(source, bytes):
            data = source
        if data is not None:
            image = read_image(data, detector.limits)
        else:
            image = decoded_from_pixels(source, detector.limits)  # type: ignore[arg-type]
    except ImageError as error:
        prepared = detector.prepare(data if data is not None else source)
        bad = Finding(path, prepared.sha256, error.status, error.reason, detector.model_id)
        return Seen(None, bad, data)
    return Seen(image, score_pixels(detector, image, path), data)


def score_pixels(detector: Detector, image: DecodedImage, path: str = "") -> Finding:
    """The finding of an image that was decoded already."""
    views = detector.bundle.preprocess.cut(image.rgb)
    notes = image.notes + views.notes
    ready = Prepared(path, image.facts.sha256, Status.OK, "", image.facts, views, notes)
    return detector.score_prepared([ready])[0]


def heatmap(
    detector: Detector, source: Source | Seen, *, grid: int = DEFAULT_GRID, method: str = CROPS
) -> Heatmap:
    """Where in one image the CNN saw what.

    Args:
        detector: a loaded bundle.
        source: as for `Detector.predict`, or what `look` gave.
        grid: how many native crops at most, and how many pieces of the whole view at most; time
            grows with it.
        method: "crops", or "gradcam", which is quicker and needs gradients.

    Raises:
        ImageError: the file cannot be scored; its status says why.
        UsageError: an unknown method, `grid` under 1, or a model without views of its own.
    """
    if method not in METHODS:
        raise UsageError(f"no heatmap method {method!r}: use {' or '.join(METHODS)}")
    if grid < 1:
        raise UsageError(f"a heatmap needs at least one crop, not {grid}")
    if not can_be_mapped(detector, method):
        raise UsageError(f"model {detector.model_id} cannot be mapped with method {method!r}")
    seen = source if isinstance(source, Seen) else look(detector, source)
    if seen.image is None:
        raise ImageError(seen.finding.status, seen.finding.reason)
    bundle, rgb = detector.bundle, seen.image.rgb
    parts = contributions(seen.finding, bundle)
    measure = {CROPS: _by_crops, GRADCAM: _by_gradient}[method]
    layers = measure(detector, rgb, grid)
    size = (rgb.shape[1], rgb.shape[0])
    covered = covered_share(layers[0].boxes, size)
    return Heatmap(bundle.id, method, size, layers, parts, covered, _notes(layers, covered))


def can_be_mapped(detector: Detector, method: str = CROPS) -> bool:
    """Whether a model has the views and the network that `heatmap` needs."""
    net = getattr(detector, "net", None)
    return net is not None and (method != GRADCAM or hasattr(net, "top_norm"))


def contributions(finding: Finding, bundle: Bundle) -> tuple[Contribution, ...]:
    """How much each view brought to the score, in the order whole, native, detail."""
    weights = bundle.fusion.weights()
    logits = {view: [crop.score for crop in finding.crops if crop.view == view] for view in weights}
    parts = {
        view: weights[view] * sum(found) / len(found) for view, found in logits.items() if found
    }
    total = sum(abs(part) for part in parts.values())
    slope = bundle.calibration.slope
    return tuple(
        Contribution(
            view,
            sum(logits[view]) / len(logits[view]),
            weights[view],
            part,
            slope * part,
            abs(part) / total if total else 0.0,
        )
        for view, part in parts.items()
    )


def grid_boxes(height: int, width: int, size: int, most: int) -> tuple[list[int], list[int]]:
    """(ys, xs) of an even grid of windows, half overlapping where `most` allows it.

    Larger images get windows further apart, up to gaps between them.
    """
    step = size / 2
    while True:
        rows, cols = (1 + max(0, math.ceil((side - size) / step)) for side in (height, width))
        if rows * cols <= most:
            return _spread(height, size, rows), _spread(width, size, cols)
        step *= 1.02


def _spread(length: int, size: int, count: int) -> list[int]:
    if count == 1:
        return [max(0, (length - size) // 2)]
    return [round(i * (length - size) / (count - 1)) for i in range(count)]


def _by_crops(detector: Detector, rgb: Pixels, grid: int) -> tuple[Layer, ...]:
    config = detector.bundle.preprocess
    layers = [_crops_layer(detector, rgb, NATIVE, grid)] if config.native else []
    if config.detail:
        layers.append(_crops_layer(detector, rgb, DETAIL, grid))
    if config.whole:
        layers.append(_occluded_layer(detector, rgb, grid))
    return tuple(layers)


def _crops_layer(detector: Detector, rgb: Pixels, view: str, grid: int) -> Layer:
    """Every crop of the dense grid, scored by the head for native or for detail crops."""
    config = detector.bundle.preprocess
    size = config.size
    seen = shrunk(rgb, config.detail_side) if view == DETAIL else rgb
    height, width = seen.shape[:2]
    padded = pad_to(seen, size)
    ys, xs = grid_boxes(padded.shape[0], padded.shape[1], size, grid)
    crops = np.stack([padded[y : y + size, x : x + size] for y in ys for x in xs])
    at = [(x, y, min(size, width - x), min(size, height - y)) for y in ys for x in xs]
    scores = logits(detector, crops, view).reshape(len(ys), len(xs))
    reasons = [
        nothing_to_see(crop, w * h / size**2) for crop, (_, _, w, h) in zip(crops, at, strict=True)
    ]
    boxes = at if seen is rgb else [box_in(box, seen.shape, rgb.shape) for box in at]
    return _layer(detector, view, CROPS, scores, boxes, reasons)


def _occluded_layer(detector: Detector, rgb: Pixels, grid: int) -> Layer:
    """How much the whole view's logit falls for every piece that is hidden from it."""
    size = detector.bundle.preprocess.size
    view, square = whole_view(rgb, size)
    # Windows of two sevenths, half overlapping: 6 × 6 of them, fewer when the budget is less.
    count = max(1, min(6, math.isqrt(grid)))
    window = min(size, round(2 * size / (count + 1)))
    places = _spread(size, window, count)
    at = [(x, y, window, window) for y in places for x in places]
    hidden = np.stack([without(view, soft_mask((size, size), [box])) for box in at])
    base = logits(detector, view[None], WHOLE)[0]
    falls = (base - logits(detector, hidden, WHOLE)).reshape(count, count)
    reasons = [nothing_to_see(view[y : y + h, x : x + w]) for x, y, w, h in at]
    return _layer(detector, WHOLE, CROPS, falls, _in_image(at, square, size), reasons)


def _in_image(boxes: Sequence[Box], square: Box, size: int) -> list[Box]:
    """Boxes of the whole view as boxes of the image."""
    left, top, side, _ = square
    scale = side / size
    found = []
    for x, y, w, h in boxes:
        x0, y0 = round(left + x * scale), round(top + y * scale)
        x1, y1 = round(left + (x + w) * scale), round(top + (y + h) * scale)
        found.append((x0, y0, max(1, x1 - x0), max(1, y1 - y0)))
    return found


def _by_gradient(detector: Detector, rgb: Pixels, grid: int) -> tuple[Layer, ...]:
    """Grad-CAM of the whole view, or of the middle crop where a bundle has no whole view.

    The map is kept in logits instead of being cut at 0 and stretched: the last features are
    averaged before the head, so to first order its mean is what they add to the logit.
    """
    config = detector.bundle.preprocess
    size = config.size
    if config.whole:
        name, (view, square) = WHOLE, whole_view(rgb, size)
    else:
        padded = pad_to(rgb, size)
        y, x = ((side - size) // 2 for side in padded.shape[:2])
        name, view, square = NATIVE, padded[y : y + size, x : x + size], (x, y, size, size)
    values = _grad_cam(detector, view, name)
    rows, cols = values.shape
    edges = [[round(i * size / n) for i in range(n + 1)] for n in (rows, cols)]
    at = [
        (x0, y0, x1 - x0, y1 - y0)
        for y0, y1 in zip(edges[0][:-1], edges[0][1:], strict=True)
        for x0, x1 in zip(edges[1][:-1], edges[1][1:], strict=True)
    ]
    reasons = [nothing_to_see(view[y : y + h, x : x + w]) for x, y, w, h in at]
    return (_layer(detector, name, GRADCAM, values, _in_image(at, square, size), reasons),)


def _grad_cam(detector: Detector, view: Pixels, name: str) -> NDArray[np.float32]:
    """(rows, cols) float32: what each place of the last features adds to the view's logit."""
    import torch

    from detector.model import to_tensor

    kept: list[Any] = []
    last: Any = detector.net.top_norm
    hook = last.register_forward_hook(lambda _, __, out: kept.append(out))
    try:
        with torch.enable_grad():
            logit = detector.net(to_tensor(view[None]).requires_grad_(), name)[0]
            (gradient,) = torch.autograd.grad(logit, kept[0])
    finally:
        hook.remove()
    features = kept[0].detach().clamp(0, 6)
    places = features.shape[2] * features.shape[3]
    found = (gradient.mean((2, 3), keepdim=True) * features).sum(1)[0] * places
    return np.asarray(found.numpy(), dtype=np.float32)


def _layer(
    detector: Detector,
    view: str,
    method: str,
    scores: NDArray[np.float32],
    boxes: Sequence[Box],
    reasons: Sequence[str],
) -> Layer:
    bundle = detector.bundle
    weight = bundle.fusion.weights()[view]
    values = (scores * (weight * bundle.calibration.slope)).astype(np.float32)
    meaning = MEANINGS[(method, view)]
    return Layer(view, meaning, values, scores.astype(np.float32), tuple(boxes), tuple(reasons))


def logits(detector: Detector, views: Pixels, view: str) -> NDArray[np.float32]:
    """(N,) float32 logits of (N, S, S, 3) uint8 views under the head named `view`."""
    import torch

    from detector.model import to_tensor

    found: list[float] = []
    with torch.inference_mode():
        for start in range(0, len(views), _BATCH):
            found += detector.net(to_tensor(views[start : start + _BATCH]), view).tolist()
    # Rounded as the findings are, so that thread counts do not show.
    return np.round(np.array(found, dtype=np.float64), 4).astype(np.float32)


def _notes(layers: Sequence[Layer], covered: float) -> tuple[str, ...]:
    notes = []
    if covered < 0.995:
        notes.append(f"{covered:.0%} of the image was looked at in this grid; the rest is bleached")
    blank = layers[0].blank
    if blank.all():
        notes.append("there is nothing to see in any piece of this image")
    elif blank.any():
        notes.append(f"{int(blank.sum())} of {blank.size} pieces have nothing to see (hatched)")
    return tuple(notes)
