"""How often real and generated images score this high, measured by kind of file and of picture.

`measure` makes the table `reference` of a bundle's config from scored validation images; `alike`
reads it. The table decides nothing: no verdict depends on it. Each cell is a scope of files
("jpeg/medium/light", or wider with "*"), a label and a kind of picture, with the share of images
at or above some scores and its interval.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detector import metrics
from detector.results import Stratum

Floats = NDArray[np.float64]

VERSION = 1
# The least that a share in words may rest on.
LEAST_IMAGES, LEAST_SOURCES = 30, 2
_SHARES = (
    0.99, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.14, 0.1, 0.07, 0.05, 0.035, 0.025,
    0.017, 0.012, 0.008, 0.005, 0.003, 0.002, 0.001,
)  # fmt: skip


@dataclass(frozen=True)
class Alike:
    """How images of known origin score, among files like this one.

    Attributes:
        label: 0 real, 1 generated.
        kind: of picture, as the corpus names it; "" for all kinds.
        scope: the files: a stratum, or a wider pattern such as "jpeg/*/light".
        images, sources: that were measured.
        rate, low, high: share that scores at least as high, with its 95 % interval, in [0, 1].
        score: that the share is for; the image's own, or a threshold where only that was
            measured (`at_threshold`).
    """

    label: int
    kind: str
    scope: str
    images: int
    sources: int
    rate: float
    low: float
    high: float
    score: float
    at_threshold: bool = False

    def to_record(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def scopes(stratum: Stratum | str) -> tuple[str, ...]:
    """The stratum's own name and the wider ones that hold it, nearest first."""
    format_, _, compression = str(stratum).split("/")
    return (str(stratum), f"{format_}/*/{compression}", f"{format_}/*/*", "*/*/*")


def measure(
    scores: ArrayLike,
    labels: ArrayLike,
    strata: Sequence[Stratum | str | None],
    kinds: Sequence[str],
    sources: Sequence[Hashable],
    keys: Sequence[Hashable],
    *,
    rounds: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """The table `reference` for a bundle's config, plain JSON values.

    Args:
        scores: (N,) of validation images, fused as the bundle fuses them.
        labels: (N,) 0 real, 1 generated.
        strata, kinds, sources: of each row; rows without a stratum are left out.
        keys: name of the image; one that was scored under several conditions has several rows
            and counts once in every cell.
        rounds, seed: of the bootstrap over sources.

    Intervals are the wider of Wilson's over images and the bootstrap over sources. Cells of
    fewer than `LEAST_IMAGES` images or `LEAST_SOURCES` sources are left out. Raises ValueError
    when the lengths differ or a score is not finite.
    """
    s = np.asarray(scores, dtype=np.float64).ravel()
    y = np.asarray(labels, dtype=np.int64).ravel()
    if not s.size == y.size == len(strata) == len(kinds) == len(sources) == len(keys):
        raise ValueError("scores, labels, strata, kinds, sources and keys differ in length")
    if not np.isfinite(s).all():
        raise ValueError("a score is not finite; leave out the images that could not be scored")
    groups: dict[tuple[str, int, str], list[int]] = {}
    for i, (stratum, kind) in enumerate(zip(strata, kinds, strict=True)):
        if stratum is None:
            continue
        for scope in scopes(stratum):
            for own in ("",) if y[i] else dict.fromkeys(("", kind)):
                groups.setdefault((scope, int(y[i]), own), []).append(i)
    cells = []
    for (scope, label, kind), rows in sorted(groups.items()):
        curve = _curve(s[rows], [sources[i] for i in rows], [keys[i] for i in rows], rounds, seed)
        if curve is not None:
            cells.append({"scope": scope, "label": label, "kind": kind, **curve})
    return {"version": VERSION, "level": 0.95, "cells": cells}


def _curve(
    scores: Floats, sources: Sequence[Hashable], keys: Sequence[Hashable], rounds: int, seed: int
) -> dict[str, Any] | None:
    """Shares at or above some scores, with intervals; None where too little was measured."""
    image = metrics.group_codes(keys)
    images = int(image.max()) + 1
    source_of = np.zeros(images, dtype=np.int64)
    source_of[image] = metrics.group_codes(sources)
    count = int(source_of.max()) + 1
    if images < LEAST_IMAGES or count < LEAST_SOURCES:
        return None
    knots = _knots(scores, image)
    above = (scores[:, None] >= knots[None]).astype(np.float64)
    per_image = np.zeros((images, knots.size))
    np.add.at(per_image, image, above)
    per_image /= np.bincount(image)[:, None]
    rate = per_image.mean(0)
    size = np.bincount(source_of, minlength=count).astype(np.float64)
    hits = np.zeros((count, knots.size))
    np.add.at(hits, source_of, per_image)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), rounds)
    low, high = np.quantile((drawn @ hits) / (drawn @ size)[:, None], [0.025, 0.975], axis=0)
    wilson = np.array([metrics.wilson(round(r * images), images) for r in rate])
    return {
        "images": images,
        "sources": count,
        "scores": _packed(knots),
        "rates": _packed(rate),
        "lows": _packed(np.minimum(low, wilson[:, 0])),
        "highs": _packed(np.maximum(high, wilson[:, 1])),
    }


def _packed(values: Floats) -> str:
    # One string a curve: a config with a line for every number could not be read by people.
    return " ".join(f"{v:.4g}" for v in values.tolist())


def _knots(scores: Floats, image: NDArray[np.int64]) -> Floats:
    """Rising scores at which the shares are kept; the last lies above every score."""
    weights = 1 / np.bincount(image)[image]
    order = np.argsort(-scores, kind="stable")
    share = np.cumsum(weights[order]) / weights.sum()
    at = [scores[order][np.searchsorted(share, target)] for target in _SHARES if target < 1]
    top = float(np.nextafter(np.float32(scores.max()), np.float32(np.inf))) + 1e-3
    return np.unique(np.round(np.array([*at, scores.max(), top]), 3))


def alike(
    table: Mapping[str, Any] | None, score: float, stratum: Stratum | str
) -> tuple[Alike, ...]:
    """What the table says of images that score as high as this one, nearest scope first.

    For each label and kind, the nearest scope that was measured: first all real images, then
    real ones by kind (most measured first), then generated ones. Empty without a table of a
    version that is read here.
    """
    if not isinstance(table, Mapping) or table.get("version") != VERSION:
        return ()
    nearest: dict[tuple[int, str], tuple[int, Mapping[str, Any]]] = {}
    places = {scope: i for i, scope in enumerate(scopes(stratum))}
    for cell in table["cells"]:
        place = places.get(cell["scope"])
        key = (int(cell["label"]), str(cell["kind"]))
        if place is not None and (key not in nearest or place < nearest[key][0]):
            nearest[key] = (place, cell)
    found = [
        _read(cell, label, kind, score)
        for (label, kind), (_, cell) in nearest.items()
        if not (label == 1 and kind)
    ]
    return tuple(sorted(found, key=lambda a: (a.label, a.kind != "", -a.images)))


def _read(cell: Mapping[str, Any], label: int, kind: str, score: float) -> Alike:
    knots, rates, lows, highs = (
        np.array([float(v) for v in cell[name].split()])
        for name in ("scores", "rates", "lows", "highs")
    )
    rate, low, high = (float(np.interp(score, knots, column)) for column in (rates, lows, highs))
    return Alike(
        label, kind, cell["scope"], cell["images"], cell["sources"], rate, low, high, score
    )


def at_threshold(config: Mapping[str, Any], stratum: Stratum | str) -> tuple[Alike, ...]:
    """What a bundle without the table was measured to do: shares at its frozen threshold only.

    From the `evaluation` part of the config: of the stratum where it holds enough, else of all
    files. Empty when there is no such part either.
    """
    part = config.get("evaluation")
    if not isinstance(part, Mapping):
        return ()
    threshold = float(config["thresholds"]["likely_generated"])
    strata = part.get("strata")
    own = strata.get(str(stratum)) if isinstance(strata, Mapping) else None
    found = []
    for label, count, rate in ((0, "real", "fpr"), (1, "generated", "tpr")):
        for scope, cell in ((str(stratum), own), ("*/*/*", part.get("overall"))):
            if not isinstance(cell, Mapping) or cell.get(rate) is None:
                continue
            images = int(cell.get(count, 0))
            if images < LEAST_IMAGES:
                continue
            share = float(cell[rate])
            low, high = metrics.wilson(round(share * images), images)
            sources = int(cell.get("sources", 0))
            found.append(
                Alike(label, "", scope, images, sources, share, low, high, threshold, True)
            )
            break
    return tuple(found)


def per_thousand(rate: float) -> int:
    """A share as a number of 1,000."""
    return math.floor(rate * 1000 + 0.5)
