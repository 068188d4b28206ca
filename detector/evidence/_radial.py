"""Measures an image's power spectrum: its radial profile, and lines that stand out of it.

The profile is the azimuthal average of log power (Durall, Keuper and Keuper, "Watch your
up-convolution", CVPR 2020); lines at fractions of the sampling rate come from up-sampling
(Zhang, Karaman and Chang, "Detecting and simulating artifacts in GAN fake images", WIFS 2019),
from JPEG blocks and from patterns in the scene.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from detector.evidence._luma import Window, windows

SIDES = (256, 128, 64)
BINS = 64
_WINDOWS = 12
# The profile is shifted so that its mean over this band of frequencies is 0 dB: contrast and
# the amount of texture say nothing here.
_LEVEL = (0.02, 0.12)
# Frequencies below this hold the picture, not its making.
_LOWEST_LINE = 0.06
_NEIGHBOURS = 10
_MOST_LINES = 8


@dataclass(frozen=True)
class Line:
    """A point of the spectrum that stands out.

    Attributes:
        fx, fy: cycles per pixel, to the right and down; fy is 0 or more.
        decibels: above its surroundings.
    """

    fx: float
    fy: float
    decibels: float

    @property
    def period(self) -> float:
        """In pixels, across the wave fronts."""
        return 1 / math.hypot(self.fx, self.fy)


@dataclass(frozen=True)
class Spectrum:
    """What was measured.

    Attributes:
        profile: (64,) dB by radial frequency from 0 to 0.5 cycles per pixel, in equal bins.
        lines: up to eight, strongest first; a line and its mirror image are one.
        side, number: of the square windows.
    """

    profile: np.ndarray
    lines: tuple[Line, ...]
    side: int
    number: int


def measure(rgb: np.ndarray) -> Spectrum | None:
    """The spectrum of up to 12 windows of (H, W, 3) pixels; None under 64 pixels or when flat.

    Looks at no more than 0.8 megapixels, whatever the image.
    """
    side = next((s for s in SIDES if s <= min(rgb.shape[:2])), None)
    if side is None:
        return None
    squares = _squares(windows(rgb, side, _WINDOWS), side)
    logs = [log for log in map(_log_power, squares) if log is not None]
    if not logs:
        return None
    mean = np.mean(logs, axis=0)
    return Spectrum(_profile(mean), _lines(mean, len(logs)), side, len(logs))


def frequencies() -> np.ndarray:
    """(64,) the radial frequencies that the profile's bins are centred on."""
    return (np.arange(BINS) + 0.5) / (2 * BINS)


def _squares(parts: Sequence[Window], side: int) -> list[np.ndarray]:
    """Squares of `side`; a part that is a whole small image is cut into up to 12."""
    found = []
    for part in parts:
        height, width = part.luma.shape
        tops = _places(height, side)
        lefts = _places(width, side)
        found += [part.luma[y : y + side, x : x + side] for y in tops for x in lefts]
    step = max(1, math.ceil(len(found) / _WINDOWS))
    return found[::step]


def _places(length: int, side: int) -> list[int]:
    number = min(6, math.ceil(length / side))
    return [round(i * (length - side) / max(number - 1, 1)) for i in range(number)]


def _log_power(square: np.ndarray) -> np.ndarray | None:
    """(side, side // 2 + 1) power in dB, rows centred on fy = 0; None for a flat square."""
    luma = square.astype(np.float64)
    if luma.std() < 1.0:
        return None
    side = len(luma)
    taper = np.outer(np.hanning(side), np.hanning(side))
    power = np.abs(np.fft.rfft2((luma - luma.mean()) * taper)) ** 2 / np.square(taper).sum()
    # One grey level of rounding noise is the floor below which nothing is known.
    return np.asarray(np.fft.fftshift(10 * np.log10(power + 1 / 12), axes=0))


@lru_cache(maxsize=len(SIDES))
def _rings(side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ring number of each place, its weight, and the rings' sums of weights."""
    fy = (np.arange(side) - side // 2)[:, None] / side
    fx = np.arange(side // 2 + 1)[None] / side
    ring = np.floor(np.hypot(fy, fx) * 2 * BINS).astype(np.int64)
    # Columns other than the first and last stand for their mirror images too.
    weight = np.broadcast_to(np.where((fx > 0) & (fx < 0.5), 2.0, 1.0), ring.shape).copy()
    weight[(ring >= BINS) | ((fy == 0) & (fx == 0))] = 0
    ring = np.minimum(ring, BINS - 1)
    return ring, weight, np.bincount(ring.ravel(), weight.ravel(), minlength=BINS)


def _profile(log: np.ndarray) -> np.ndarray:
    ring, weight, total = _rings(len(log))
    sums = np.bincount(ring.ravel(), (log * weight).ravel(), minlength=BINS)
    known = total > 0
    profile = np.interp(np.arange(BINS), np.flatnonzero(known), sums[known] / total[known])
    level = (frequencies() >= _LEVEL[0]) & (frequencies() <= _LEVEL[1])
    return np.asarray(profile - profile[level].mean())


def _lines(log: np.ndarray, number: int) -> tuple[Line, ...]:
    """Places that stand out in every direction, by more than noise does among so many."""
    side = len(log)
    excess = log - _surroundings(log)
    fy = (np.arange(side) - side // 2)[:, None] / side
    fx = np.arange(side // 2 + 1)[None] / side
    excess[np.hypot(fy, fx) < _LOWEST_LINE] = 0
    excess[(fx == 0) & (fy < 0)] = 0  # mirror images
    excess[(fx == 0.5) & (fy < 0)] = 0
    peaks = (excess >= cv2.dilate(excess, np.ones((5, 5)))) & (excess > _bound(number))
    places = np.argwhere(peaks)
    ranked = sorted(places.tolist(), key=lambda place: -excess[place[0], place[1]])
    return tuple(
        _line(int(row), int(column), side, float(excess[row, column]))
        for row, column in ranked[:_MOST_LINES]
    )


def _line(row: int, column: int, side: int, decibels: float) -> Line:
    fx, fy = column / side, (row - side // 2) / side
    if fy < 0:
        fx, fy = -fx, -fy
    return Line(round(fx, 5), round(fy, 5), round(decibels, 1))


def _bound(number: int) -> float:
    """Decibels: the mean of `number` logarithms of exponential noise varies by 5.6/√number."""
    return 7.0 + 12.0 / math.sqrt(number)


def _surroundings(log: np.ndarray) -> np.ndarray:
    """The highest of the medians along a row, a column and both diagonals.

    An edge in the picture is a ridge through the centre: its points stand out across the ridge,
    but not along it.
    """
    reach = _NEIGHBOURS
    full = np.hstack([log, _mirror(log)])
    around = np.pad(full, reach, mode="wrap")
    height, width = log.shape
    steps = [d for d in range(-reach, reach + 1) if abs(d) > 1]
    medians = [
        _median(
            [
                around[
                    reach + dy * d : reach + dy * d + height,
                    reach + dx * d : reach + dx * d + width,
                ]
                for d in steps
            ]
        )
        for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1))
    ]
    return np.asarray(np.max(medians, axis=0))


def _median(planes: list[np.ndarray]) -> np.ndarray:
    """The median of an even number of planes, place by place.

    By exchanging whole planes (odd-even transposition sort), which is several times as fast as
    `np.median` for so few values at so many places.
    """
    rows = [plane.copy() for plane in planes]
    for turn in range(len(rows)):
        for i in range(turn % 2, len(rows) - 1, 2):
            rows[i], rows[i + 1] = (
                np.minimum(rows[i], rows[i + 1]),
                np.maximum(rows[i], rows[i + 1]),
            )
    half = len(rows) // 2
    return np.asarray((rows[half - 1] + rows[half]) / 2)


def _mirror(log: np.ndarray) -> np.ndarray:
    """The other half of the spectrum, so that neighbours across its seams are at hand."""
    inner = log[:, -2:0:-1]
    return np.roll(inner[::-1], 1, axis=0)
