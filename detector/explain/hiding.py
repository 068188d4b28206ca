"""Tests the map: hiding what it calls hottest must cost more score than hiding what is coolest.

The deletion test of Samek et al., "Evaluating the Visualization of What a Deep Neural Network Has
Learned" (2017), in its simplest form: one tenth of the image, scored anew by the whole pipeline.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.errors import ImageError
from detector.explain.hide import DEFAULT_FILLING, soft_mask, without
from detector.explain.maps import CROPS, Heatmap
from detector.preprocess import Box

if TYPE_CHECKING:
    from detector.explain.looking import Seen
    from detector.predict import Detector, Source

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

TENTH = 0.1
_CELLS = 10  # cells along each side; ten of the hundred are a tenth
_LEAST_USABLE = 0.3  # share of cells with something to see, for hot and cool to be apart
HOT, COOL, RANDOM = "hot", "cool", "random"


@dataclass(frozen=True)
class Hidden:
    """What hiding a tenth of one image did to its score; drops are positive where it fell.

    Attributes:
        score: of the untouched pixels.
        hot_drop, cool_drop, random_drop: after hiding the hottest tenth, the coolest one, and
            one that was drawn from the pixels' hash.
    """

    score: float
    hot_drop: float
    cool_drop: float
    random_drop: float

    @property
    def agrees(self) -> bool:
        """Whether the score fell more for the hottest tenth than for the coolest."""
        return self.hot_drop > self.cool_drop


@dataclass(frozen=True)
class HidingResult:
    """The test over a list of images.

    Attributes:
        images: that could be tested; `skipped` could not: unreadable, or almost all blank.
        agree: share of images whose score falls more for the hottest tenth than for the coolest.
        p: one-sided sign test of that share against one half; ties are left out.
        hot_drop, cool_drop, random_drop: mean falls of the score in logits.
        over_random: share of images where the hottest tenth costs more than the drawn one.
    """

    images: int
    skipped: int
    agree: float
    p: float
    hot_drop: float
    cool_drop: float
    random_drop: float
    over_random: float

    def to_record(self) -> dict[str, Any]:
        """Plain JSON values; NaN (no image) becomes None."""
        return {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in asdict(self).items()
        }


def hide_tenths(
    detector: Detector, source: Source | Seen, *, filling: str = DEFAULT_FILLING, **options: Any
) -> Hidden | None:
    """Hide the hottest, the coolest and a drawn tenth of one image.

    Args:
        detector: a loaded bundle.
        source: as for `Detector.predict`, or what `look` gave.
        filling: of `detector.explain.hide.FILLINGS`.
        options: of `heatmap`.

    Returns None when less than a third of the image has anything to see. Raises ImageError for
    a file that cannot be scored.
    """
    from detector.explain.looking import Seen, heatmap, look

    seen = source if isinstance(source, Seen) else look(detector, source)
    if seen.image is None:
        raise ImageError(seen.finding.status, seen.finding.reason)
    shown = heatmap(detector, seen, **({"method": CROPS} | options))
    heat, usable = cell_heat(shown)
    return hide_by(detector, seen.image.rgb, heat, usable, filling)


def hide_by(
    detector: Detector,
    rgb: Pixels,
    heat: Floats,
    usable: NDArray[np.bool_],
    filling: str = DEFAULT_FILLING,
) -> Hidden | None:
    """The same for a given heat of `cell_heat`'s form; None with too few usable cells."""
    return hide_by_all(detector, rgb, [(heat, usable)], filling)[0]


def hide_by_all(
    detector: Detector,
    rgb: Pixels,
    heats: Sequence[tuple[Floats, NDArray[np.bool_]]],
    filling: str = DEFAULT_FILLING,
) -> list[Hidden | None]:
    """The same for several heats of one image; the drawn tenth is one for all of them."""
    seed = int.from_bytes(hashlib.sha256(rgb.tobytes()).digest()[:8], "big")
    places = np.random.default_rng(seed).permutation(_CELLS**2).tolist()
    count = round(TENTH * _CELLS**2)
    known: dict[tuple[int, ...], float] = {(): _score(detector, rgb)}

    def drop(own: Sequence[int]) -> float:
        key = tuple(sorted(own))
        if key not in known:
            mask = soft_mask(rgb.shape[:2], cells(rgb, key))
            known[key] = _score(detector, without(rgb, mask, filling))
        return known[()] - known[key]

    found: list[Hidden | None] = []
    for heat, usable in heats:
        if usable.mean() < _LEAST_USABLE:
            found.append(None)
            continue
        flat = usable.ravel()
        order = [int(i) for i in np.argsort(-heat.ravel(), kind="stable") if flat[i]]
        drawn = [int(i) for i in places if flat[i]][:count]
        found.append(Hidden(known[()], drop(order[:count]), drop(order[-count:]), drop(drawn)))
    return found


def cell_heat(shown: Heatmap, view: str | None = None) -> tuple[Floats, NDArray[np.bool_]]:
    """(10, 10) float32 heat of an even grid over the image, and which cells may be compared.

    Only cells with something to see count, so that a clear sky is never "the coolest tenth":
    hiding it would cost nothing under any map. `view` takes one layer; None adds all up.
    """
    side = _CELLS * 8
    layers = [layer for layer in shown.layers if view in (None, layer.view)]
    rasters = [layer.raster(side, side, shown.size)[0] for layer in layers]
    total = np.sum([np.nan_to_num(r) for r in rasters], axis=0)
    seen = np.any([~np.isnan(r) for r in rasters], axis=0)
    heat = _means(total.astype(np.float32))
    return heat, _means(seen.astype(np.float32)) >= 0.5


def cells(rgb: Pixels, numbers: Iterable[int]) -> list[Box]:
    """The boxes of cells of an even 10 × 10 grid over an (H, W, 3) image, counted row by row."""
    height, width = rgb.shape[:2]
    boxes = []
    for number in numbers:
        row, col = divmod(int(number), _CELLS)
        y0, y1 = (round(height * n / _CELLS) for n in (row, row + 1))
        x0, x1 = (round(width * n / _CELLS) for n in (col, col + 1))
        boxes.append((x0, y0, x1 - x0, y1 - y0))
    return boxes


def summarise(found: Sequence[Hidden | None]) -> HidingResult:
    """The figures over many images; None entries are counted as skipped."""
    tested = [h for h in found if h is not None]
    if not tested:
        return HidingResult(0, len(found), *([math.nan] * 6))
    wins = sum(h.agrees for h in tested)
    losses = sum(h.hot_drop < h.cool_drop for h in tested)
    mean = {key: float(np.mean([getattr(h, key) for h in tested])) for key in
            ("hot_drop", "cool_drop", "random_drop")}  # fmt: skip
    return HidingResult(
        len(tested),
        len(found) - len(tested),
        wins / len(tested),
        sign_test(wins, wins + losses),
        **mean,
        over_random=sum(h.hot_drop > h.random_drop for h in tested) / len(tested),
    )


def hiding_test(
    detector: Detector, sources: Iterable[Source], *, filling: str = DEFAULT_FILLING, **options: Any
) -> HidingResult:
    """The test over many images; those that cannot be scored are counted as skipped."""
    found: list[Hidden | None] = []
    for source in sources:
        try:
            found.append(hide_tenths(detector, source, filling=filling, **options))
        except ImageError:
            found.append(None)
    return summarise(found)


def sign_test(wins: int, trials: int) -> float:
    """The chance of at least so many wins if each were a toss of a fair coin; 1 without trials."""
    return float(sum(math.comb(trials, k) for k in range(wins, trials + 1)) / 2**trials)


def _score(detector: Detector, rgb: Pixels) -> float:
    finding = detector.score_prepared([detector.prepare(rgb)])[0]
    if finding.score is None:
        raise ImageError(finding.status, finding.reason)
    return finding.score


def _means(picture: Floats) -> Floats:
    return np.asarray(
        cv2.resize(picture, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA), dtype=np.float32
    )
