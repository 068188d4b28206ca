"""Finds crops and overlaid copies by corners: an index for candidates, geometry to confirm them.

Two pictures count as one when a shift, turn and scale lays the one over the other, when the
smaller is mostly inside the larger, and when the parts that overlap look alike block by block.
The last test is what keeps apart pictures that share a frame, a logo or a page layout only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.campaign.fingerprint import Fingerprint, Grey

Ints = NDArray[np.int64]
Box = tuple[float, float, float, float]

# Tables of the index, and bits of a descriptor that each looks at. A matching corner that
# differs in one bit of ten meets in a table about one time in thirty; chance almost never.
_TABLES, _KEY_BITS = 10, 32
_SEED = 20261124
# A value that so many corners share says nothing: lettering, borders, blank skies.
_COMMON = 24
_LEAST_VOTES = 4
_MOST_CANDIDATES = 10

_RATIO = 0.85
LEAST_INLIERS = 10
_RANSAC_PIXELS, _RANSAC_ROUNDS = 4.0, 500
_LEAST_SCALE = 0.2
# How much of one picture must lie inside the other, and how much of the other it must fill.
INSIDE, FILLS = 0.75, 0.25
_BLOCK, _LEAST_BLOCKS = 16, 6
_FLAT, _SAME_GREY, _ALIKE = 6.0, 16.0, 0.6
LEAST_AGREEMENT = 0.65


@dataclass(frozen=True)
class Match:
    """Two pictures that show the same.

    Attributes:
        a, b: their numbers.
        inliers: corners that fit one geometry.
        agreement: share of the overlapping blocks that look alike, in [0, 1].
        of_a, of_b: share of each picture that the other one shows.
        box_a, box_b: where it does, left, top, right, bottom as shares of the sides.
    """

    a: int
    b: int
    inliers: int
    agreement: float
    of_a: float
    of_b: float
    box_a: Box
    box_b: Box


def candidates(descriptors: Sequence[NDArray[np.uint8]]) -> Ints:
    """(M, 3) rows of (i, j, votes), i < j, of pictures worth a closer look; most votes first.

    Takes time and memory in proportion to the number of descriptors. Each picture is in at
    most `_MOST_CANDIDATES` pairs that it ranks among its best.
    """
    counts = np.array([len(d) for d in descriptors], dtype=np.int64)
    if counts.sum() == 0:
        return np.empty((0, 3), dtype=np.int64)
    owners = np.repeat(np.arange(len(descriptors)), counts)
    everything = np.concatenate([d for d in descriptors if len(d)])
    rng = np.random.default_rng(_SEED)
    met = np.empty(0, dtype=np.int64)
    for _ in range(_TABLES):
        bits = np.sort(rng.choice(256, _KEY_BITS, replace=False))
        # Two equal corners meet in every table, and are one vote all the same.
        met = np.union1d(met, _met(_keys(everything, bits), owners))
    i, j = owners[met // owners.size], owners[met % owners.size]
    pairs, votes = np.unique(i * len(descriptors) + j, return_counts=True)
    enough = votes >= _LEAST_VOTES
    pairs, votes = pairs[enough], votes[enough]
    i, j = pairs // len(descriptors), pairs % len(descriptors)
    keep = _best(i, j, votes)
    found = np.stack([i[keep], j[keep], votes[keep]], axis=1)
    return found[np.lexsort((found[:, 1], found[:, 0], -found[:, 2]))]


def _keys(descriptors: NDArray[np.uint8], bits: NDArray[np.int64]) -> NDArray[np.uint32]:
    """(N,) the chosen bits of every descriptor as one number."""
    keys = np.zeros(len(descriptors), dtype=np.uint32)
    for bit in bits:
        keys = keys << np.uint32(1) | (descriptors[:, bit // 8] >> np.uint8(bit % 8) & 1)
    return keys


def _met(keys: NDArray[np.uint32], owners: Ints) -> Ints:
    """Pairs of corners of different pictures that share a key, as i · count + j, i < j."""
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    sizes = np.diff(np.append(starts, keys.size))
    rare = np.repeat((sizes > 1) & (sizes <= _COMMON), sizes)
    keys, order = keys[rare], order[rare]
    found = []
    for step in range(1, _COMMON):
        same = keys[step:] == keys[:-step]
        if not same.any():
            break
        # A stable sort leaves equal keys in the order of their corners.
        low, high = order[:-step][same], order[step:][same]
        apart = owners[low] != owners[high]
        found.append(low[apart] * owners.size + high[apart])
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def _best(i: Ints, j: Ints, votes: Ints) -> NDArray[np.bool_]:
    """Which pairs are among the best of one of their two pictures."""
    keep = np.zeros(i.size, dtype=bool)
    for mine in (i, j):
        order = np.lexsort((-votes, mine))
        first = np.append(True, mine[order][1:] != mine[order][:-1])
        place = np.arange(order.size)
        rank = place - np.maximum.accumulate(np.where(first, place, 0))
        keep[order[rank < _MOST_CANDIDATES]] = True
    return keep


def confirm(
    a: int,
    b: int,
    prints: Sequence[Fingerprint | None],
    load: Callable[[int], Grey | None],
) -> Match | None:
    """The match of two candidates, or None when they do not show the same.

    Args:
        a, b: numbers of the pictures.
        prints: of all pictures.
        load: gives a picture's grey levels on the scale of its corners.
    """
    print_a, print_b = prints[a], prints[b]
    if print_a is None or print_b is None:
        return None
    found = _geometry(print_a, print_b)
    if found is None:
        return None
    matrix, inliers = found
    first, second = load(a), load(b)
    if first is None or second is None:
        return None
    overlap = compare(first, second, matrix)
    if overlap is None:
        return None
    agreement, of_a, of_b, box_a, box_b = overlap
    if agreement < LEAST_AGREEMENT or max(of_a, of_b) < INSIDE or min(of_a, of_b) < FILLS:
        return None
    return Match(a, b, inliers, agreement, of_a, of_b, box_a, box_b)


def _geometry(a: Fingerprint, b: Fingerprint) -> tuple[NDArray[np.float64], int] | None:
    """The (2, 3) similarity that lays a over b, and how many corners fit it."""
    if min(len(a.points), len(b.points)) < LEAST_INLIERS:
        return None
    nearest = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(a.descriptors, b.descriptors, 2)
    good = [
        pair[0]
        for pair in nearest
        if len(pair) == 2 and pair[0].distance < _RATIO * pair[1].distance
    ]
    if len(good) < LEAST_INLIERS:
        return None
    matrix, fits = cv2.estimateAffinePartial2D(
        a.points[[m.queryIdx for m in good]],
        b.points[[m.trainIdx for m in good]],
        method=cv2.RANSAC,
        ransacReprojThreshold=_RANSAC_PIXELS,
        maxIters=_RANSAC_ROUNDS,
    )
    if matrix is None or not np.isfinite(matrix).all():
        return None
    # Many corners of a may claim one of b; that is one point and not many.
    inside = fits.ravel().astype(bool)
    inliers = len({m.trainIdx for m, fit in zip(good, inside, strict=True) if fit})
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if inliers < LEAST_INLIERS or not _LEAST_SCALE <= scale <= 1 / _LEAST_SCALE:
        return None
    return np.asarray(matrix, dtype=np.float64), inliers


def compare(
    a: Grey, b: Grey, matrix: NDArray[np.float64]
) -> tuple[float, float, float, Box, Box] | None:
    """How much two pictures agree where the matrix lays a over b.

    Gives the share of blocks that look alike, the share of each picture that the other shows,
    and where; None when too little overlaps to tell.
    """
    height, width = b.shape
    smooth_a, ones = _smooth(a), np.ones(a.shape, dtype=np.float32)
    laid = cv2.warpAffine(smooth_a, matrix, (width, height), flags=cv2.INTER_LINEAR)
    mask = cv2.warpAffine(ones, matrix, (width, height), flags=cv2.INTER_NEAREST)
    agreement = _alike(np.asarray(laid, np.float32), _smooth(b), np.asarray(mask, np.float32))
    if agreement is None:
        return None
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    area = float(mask.sum())
    of_a, of_b = min(1.0, area / (a.size * scale * scale)), area / b.size
    ys, xs = np.nonzero(mask)
    edges = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], dtype=np.float64)
    box_b = edges / [width, height, width, height]
    back = cv2.invertAffineTransform(matrix)
    ends = np.array([[edges[0], edges[2], edges[0], edges[2]], [*edges[[1, 1, 3, 3]]]])
    turned = back[:, :2] @ ends + back[:, 2:]
    box_a = [
        *(turned.min(axis=1) / [a.shape[1], a.shape[0]]),
        *(turned.max(axis=1) / [a.shape[1], a.shape[0]]),
    ]
    return agreement, of_a, of_b, _box(box_a), _box(box_b.tolist())


def alike(a: Grey, b: Grey) -> float:
    """The share of blocks that look alike when a is stretched over b, straight or mirrored."""
    stretched = cv2.resize(a, b.shape[::-1], interpolation=cv2.INTER_AREA)
    first, second = _smooth(np.asarray(stretched, dtype=np.uint8)), _smooth(b)
    everywhere = np.ones_like(second)
    shares = (_alike(x, second, everywhere) for x in (first, np.ascontiguousarray(first[:, ::-1])))
    # A strip too narrow for blocks is left to its hash.
    return max(1.0 if share is None else share for share in shares)


def _smooth(grey: Grey) -> NDArray[np.float32]:
    """Without the finest detail, which compression and scaling change."""
    return np.asarray(cv2.GaussianBlur(grey, (5, 5), 1.0), dtype=np.float32)


def _alike(
    a: NDArray[np.float32], b: NDArray[np.float32], mask: NDArray[np.float32]
) -> float | None:
    """The share of blocks inside the mask that are alike: correlated, or flat and equally grey."""
    inside = _blocks(mask).mean(axis=1) > 0.9
    if inside.sum() < _LEAST_BLOCKS:
        return None
    x, y = _blocks(a)[inside], _blocks(b)[inside]
    mean_x, mean_y = x.mean(axis=1), y.mean(axis=1)
    x, y = x - mean_x[:, None], y - mean_y[:, None]
    std_x, std_y = np.sqrt((x * x).mean(axis=1)), np.sqrt((y * y).mean(axis=1))
    correlation = (x * y).mean(axis=1) / np.maximum(std_x * std_y, 1e-6)
    flat = (std_x < _FLAT) & (std_y < _FLAT)
    same = np.where(flat, np.abs(mean_x - mean_y) < _SAME_GREY, correlation > _ALIKE)
    return float(same.mean())


def _blocks(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 256) the whole blocks of a picture, one a row."""
    rows, columns = image.shape[0] // _BLOCK, image.shape[1] // _BLOCK
    cut = image[: rows * _BLOCK, : columns * _BLOCK]
    parts = cut.reshape(rows, _BLOCK, columns, _BLOCK).transpose(0, 2, 1, 3)
    return np.asarray(parts.reshape(rows * columns, _BLOCK * _BLOCK), dtype=np.float32)


def _box(values: Sequence[float]) -> Box:
    left, top, right, bottom = (min(1.0, max(0.0, float(v))) for v in values)
    return left, top, right, bottom
