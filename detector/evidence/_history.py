"""Estimates the quality of an earlier JPEG compression from the values that it left possible.

A block transform whose coefficients were once rounded to multiples of a step keeps gaps at the
other values, also after a second rounding to other steps (Lukáš and Fridrich, "Estimation of
primary quantization matrix in double compressed JPEG images", DFRWS 2003). What the histogram
would look like without the first rounding is learnt from the same image with its blocks shifted
by half a block, which belong to no compression (Fridrich's calibration, same paper).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from detector.evidence._luma import Window, usable_blocks
from detector.images.containers.jpeg_tables import ZIGZAG, ijg_luminance

# The first 20 frequencies after the mean: later ones are zero nearly everywhere.
_FREQUENCIES = ZIGZAG[1:21]
# Histograms of |coefficient| in quarters, up to 256; larger values share the last bin.
_PARTS, _TOP = 4, 256
_BINS = _PARTS * _TOP + 1
_QUALITIES = range(30, 101)
# A table of this quality or finer leaves no trace, so that it stands for "none".
_TRANSPARENT = 98
# This share of blocks may follow the null model: edited, overlaid or clipped ones.
_STRAYS = 0.02
_MIN_BLOCKS = 200


@dataclass(frozen=True)
class Primary:
    """The earlier compression that explains the coefficients best.

    Attributes:
        quality: on the scale of the Independent JPEG Group, 30–97.
        gain: by how much the earlier compression explains a block better than none, in nats
            per block, all 20 frequencies together.
        blocks: how many blocks were looked at.
    """

    quality: int
    gain: float
    blocks: int


@lru_cache(maxsize=1)
def dct_basis() -> np.ndarray:
    """(64, 64) float32: column 8u + v is the basis picture of vertical u, horizontal v."""
    n = np.arange(8)
    rows = np.cos((2 * n[None, :] + 1) * n[:, None] * np.pi / 16) / 2
    rows[0] /= np.sqrt(2)
    both = np.einsum("uy,vx->yxuv", rows, rows)
    return np.ascontiguousarray(both.reshape(64, 64), dtype=np.float32)


def blocks_of(plane: np.ndarray, top: int, left: int) -> np.ndarray:
    """(n, 64) the whole 8 × 8 blocks of a plane, from the given start."""
    part = plane[top:, left:]
    high, wide = part.shape[0] // 8, part.shape[1] // 8
    cut = part[: high * 8, : wide * 8].reshape(high, 8, wide, 8)
    return np.asarray(cut.swapaxes(1, 2).reshape(-1, 64))


def primary_quality(
    windows: Sequence[Window],
    steps: np.ndarray | None = None,
    offset: tuple[int, int] = (0, 0),
    noise: float = 0.5,
) -> Primary | None:
    """The best earlier quality at a block grid, whether or not there was one: see `gain`.

    Args:
        windows: of the stored image.
        steps: (64,) luminance steps of the file itself; None where it keeps pixels exactly.
        offset: rows and columns from the corner to the earlier grid, 0–7 each.
        noise: standard deviation of what rounding to whole pixel values adds to a coefficient.

    None with fewer than 200 blocks that are neither flat nor clipped.
    """
    seen, blocks = _histograms(windows, offset)
    half = ((offset[0] + 4) % 8, (offset[1] + 4) % 8)
    without, others = _histograms(windows, half)
    if min(blocks, others) < _MIN_BLOCKS:
        return None
    gains = np.zeros(len(_QUALITIES))
    for row, frequency in enumerate(_FREQUENCIES):
        step = 1 if steps is None else int(steps[frequency])
        smooth = _smoothed(without[row])
        gains += _gains(seen[row], smooth, frequency, step, noise)
    gains /= blocks
    usable = len([q for q in _QUALITIES if q < _TRANSPARENT])
    best = int(gains[:usable].argmax())
    null = max(0.0, float(gains[usable:].max()))
    return Primary(_QUALITIES[best], float(gains[best]) - null, blocks)


def _histograms(windows: Sequence[Window], offset: tuple[int, int]) -> tuple[np.ndarray, int]:
    """(20, bins) counts of |coefficient|, and the number of blocks."""
    counts, number = np.zeros((len(_FREQUENCIES), _BINS)), 0
    basis = dct_basis()[:, _FREQUENCIES]
    for window in windows:
        pixels = blocks_of(window.luma, *offset)
        # One value for each block, in the same order.
        usable = usable_blocks(window)[offset[0] :: 8, offset[1] :: 8]
        high, wide = (side // 8 for side in window.luma[offset[0] :, offset[1] :].shape)
        flags = usable[:high, :wide].ravel().astype(bool)
        size = np.abs(basis.T @ pixels[flags].astype(np.float32).T)
        place = np.minimum(np.rint(size * _PARTS), _BINS - 1).astype(np.int64)
        counts += [np.bincount(row, minlength=_BINS) for row in place]
        number += int(flags.sum())
    return counts, number


def _smoothed(counts: np.ndarray) -> np.ndarray:
    """Folded probabilities without gaps: smoothed little near zero, more where it is sparse."""
    two_sided = _unfold(counts + 0.0)
    near, far = (
        cv2.GaussianBlur(two_sided[None], (0, 0), sigma * _PARTS, sigmaY=1.0)[0]
        for sigma in (1.0, 5.0)
    )
    weight = np.clip((np.abs(np.arange(1 - _BINS, _BINS)) / _PARTS - 3) / 20, 0, 1)
    folded = _fold(near * (1 - weight) + far * weight) + 1e-6 * counts.sum()
    return np.asarray(folded / folded.sum())


def _unfold(folded: np.ndarray) -> np.ndarray:
    return np.concatenate([folded[:0:-1] / 2, folded[:1], folded[1:] / 2])


def _fold(two_sided: np.ndarray) -> np.ndarray:
    right = two_sided[_BINS - 1 :].copy()
    right[1:] += two_sided[_BINS - 2 :: -1]
    return np.asarray(right)


def _gains(
    seen: np.ndarray, smooth: np.ndarray, frequency: int, step: int, noise: float
) -> np.ndarray:
    """Log-likelihood of each quality's step at one frequency, less that of no first step."""
    observed = _rounded(seen, step)
    null = _rounded(smooth, step)
    firsts, place = np.unique(
        ijg_luminance()[[q - 1 for q in _QUALITIES], frequency], return_inverse=True
    )
    known = []
    for folded in _requantised(smooth, firsts.tolist(), noise):
        model = _rounded(folded, step)
        mixed = (1 - _STRAYS) * model / model.sum() + _STRAYS * null
        known.append(float((observed * np.log(mixed / null)).sum()))
    return np.array(known)[place.ravel()]


def _rounded(folded: np.ndarray, step: int) -> np.ndarray:
    """The folded histogram after rounding to multiples of `step`."""
    return np.asarray(np.bincount(_multiples(step), folded))


@lru_cache(maxsize=256)
def _multiples(step: int) -> np.ndarray:
    return np.rint(np.arange(_BINS) / (_PARTS * step)).astype(np.int64)


def _requantised(folded: np.ndarray, steps: Sequence[int], noise: float) -> list[np.ndarray]:
    """The folded histogram after rounding to multiples of each step and decoding to pixels."""
    combs = np.zeros((len(steps), 2 * _BINS - 1))
    for comb, step in zip(combs, steps, strict=True):
        masses = _rounded(folded, step)
        places = np.arange(len(masses)) * step * _PARTS
        inside = places < _BINS
        comb[_BINS - 1 + places[inside]] += masses[inside] / 2
        comb[_BINS - 1 - places[inside]] += masses[inside] / 2
    width = int(8 * noise * _PARTS + 1) | 1
    across = cv2.getGaussianKernel(width, noise * _PARTS)
    return [_fold(row) for row in cv2.sepFilter2D(combs, -1, across, np.ones((1, 1)))]
