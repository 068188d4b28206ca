"""The control that must fail: gradient boosting on what a file looks like from outside.

Width, height, format, bytes per pixel and quantisation tables say nothing about whether an
image was generated; they say where it was published. When they separate the classes of a test
table, so may any detector, and its figures are worth less. This is measured, printed, and used
to weigh the table so that these properties cannot help.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector import metrics
from detector.errors import MissingExtraError
from detector.evaluate.table import ScoreRow

Floats = NDArray[np.float64]

# Above this AUC of the control a table is biased and has to be balanced (the protocol's bar).
BIASED_ABOVE = 0.65

_FORMATS = ("JPEG", "PNG", "WEBP")
_FOLDS = 5
_BINS = 10
_LEAST_IMAGES = 20
# A number and not NaN: scikit-learn cannot bin a column that is NaN throughout.
_ABSENT = -1.0


@dataclass(frozen=True)
class Control:
    """What the control gave for the rows of a test table.

    Attributes:
        scores: (N,) higher means more likely generated; NaN where there is no score.
        how: what it was fitted on, in words.
    """

    scores: Floats
    how: str


def features(rows: Sequence[ScoreRow]) -> Floats:
    """(N, 13) outside properties of the files; -1 where a property is absent."""
    return np.array([_features(row) for row in rows], dtype=np.float64).reshape(len(rows), 13)


def _features(row: ScoreRow) -> list[float]:
    if row.width is None or row.height is None or row.bytes is None:
        return [_ABSENT] * 13
    pixels = row.width * row.height
    return [
        row.width,
        row.height,
        max(row.width, row.height),
        min(row.width, row.height),
        pixels,
        row.width / row.height,
        row.bytes / pixels,
        *(float(row.format == name) for name in _FORMATS),
        _ABSENT if row.jpeg_quality is None else row.jpeg_quality,
        _ABSENT if row.luma_table is None else row.luma_table,
        _ABSENT if row.chroma_table is None else row.chroma_table,
    ]


def run_control(
    train: Sequence[ScoreRow], test: Sequence[ScoreRow], seed: int = 0
) -> Control | None:
    """Fit the control on `train` and apply it to `test`, rows of one and the same condition.

    Without enough of both classes in `train` (a folder of a benchmark has no training part),
    every source of `test` is scored by a control fitted on the other sources. Returns None
    when that cannot be done either. Raises MissingExtraError without scikit-learn.
    """
    usable = [row for row in train if row.width is not None]
    if _enough(usable):
        model = _fit(usable, seed)
        how = f"fitted on {len(usable)} images of the training sources"
        return Control(model.predict_proba(features(test))[:, 1], how)
    return _by_folds(test, seed)


def _enough(rows: Sequence[ScoreRow]) -> bool:
    generated = sum(row.label for row in rows)
    return min(generated, len(rows) - generated) >= _LEAST_IMAGES


def _by_folds(rows: Sequence[ScoreRow], seed: int) -> Control | None:
    sources = sorted({row.source for row in rows})
    if len(sources) < 2:
        return None
    order = np.random.default_rng(seed).permutation(len(sources))
    fold_of = {sources[i]: place % _FOLDS for place, i in enumerate(order)}
    scores = np.full(len(rows), np.nan)
    for fold in range(_FOLDS):
        held = np.array([fold_of[row.source] == fold for row in rows])
        rest = [row for row, out in zip(rows, held, strict=True) if not out]
        if held.any() and _enough(rest):
            looks = features([row for row, out in zip(rows, held, strict=True) if out])
            scores[held] = _fit(rest, seed).predict_proba(looks)[:, 1]
    if np.isnan(scores).any():
        return None
    return Control(scores, f"fitted on the other sources of this table, in {_FOLDS} folds")


def _fit(rows: Sequence[ScoreRow], seed: int):  # type: ignore[no-untyped-def]
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError as error:
        raise MissingExtraError("the size-and-format control", "train") from error
    labels = np.array([row.label for row in rows])
    weights = np.empty(len(rows))
    for label in (0, 1):
        inside = labels == label
        groups = [row.source for row, chosen in zip(rows, inside, strict=True) if chosen]
        weights[inside] = metrics.source_weights(groups, full_at=50)
    weights = metrics.prior_weights(labels, 0.5, weights)
    model = HistGradientBoostingClassifier(
        max_iter=200, learning_rate=0.06, max_leaf_nodes=15, min_samples_leaf=10, random_state=seed
    )
    return model.fit(features(rows), labels, sample_weight=weights)


def balancing_weights(labels: Sequence[int], control: Floats) -> Floats:
    """(N,) weights under which both classes have the same spread of control scores.

    The control's scores are cut into ten bins of equal count. In every bin each class weighs
    what the rarer one holds there (overlap weights; Li, Morgan and Zaslavsky 2018), so images
    of a size or format that only one class has drop out.
    """
    y = np.asarray(labels)
    edges = np.quantile(control, np.linspace(0, 1, _BINS + 1)[1:-1])
    bins = np.searchsorted(edges, control, side="right")
    weights = np.zeros(y.size)
    counts = {label: np.bincount(bins[y == label], minlength=_BINS) for label in (0, 1)}
    totals = {label: max(int((y == label).sum()), 1) for label in (0, 1)}
    shared = np.minimum(counts[0] / totals[0], counts[1] / totals[1])
    for label in (0, 1):
        inside = y == label
        weights[inside] = (shared / np.maximum(counts[label], 1))[bins[inside]]
    return weights * y.size / weights.sum() if weights.sum() > 0 else weights


def effective_size(weights: Floats) -> float:
    """How many equally weighted images would say as much (Kish 1965)."""
    square = float((weights**2).sum())
    return float(weights.sum()) ** 2 / square if square > 0 else 0.0
