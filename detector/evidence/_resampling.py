"""Looks for the periodic pattern that interpolation leaves, and lists scale factors that fit.

Where pixels are interpolated, their second difference and their error of a fixed linear predictor
vary with the period of the sampling positions (Gallagher, "Detection of linear and cubic
interpolation in JPEG compressed images", CRV 2005; Kirchner, "Fast and reliable resampling
detection by spectral analysis of fixed linear predictor residue", MM&Sec 2008). Both signals are
averaged along rows and along columns, and a line must stand out of both spectra. What stands out
of the brightness itself is a pattern in the scene, such as tiles or fabric, and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detector.evidence._luma import Window

# Kirchner's fixed predictor of a pixel from its eight neighbours.
_PREDICTOR = np.array([[-1, 2, -1], [2, 0, 2], [-1, 2, -1]], dtype=np.float32) / 4
# Lower frequencies hold the picture itself; the highest, colour filters and halving.
_LOW, _HIGH = 0.06, 0.49
# Bins around a multiple of 1/8 that JPEG blocks fill.
_BLOCK_BINS = 5
_MIN_SIDE = 128
# Power of a pattern in the scene over its surroundings, and bins on either side that it fills.
_PATTERN, _PATTERN_BINS = 14.0, 3
_SCALES = np.concatenate([np.arange(0.5, 1, 0.002), np.arange(1.004, 4.0, 0.004)])


@dataclass(frozen=True)
class Trace:
    """The strongest line that both directions share.

    Attributes:
        frequency: in cycles per pixel, 0.06–0.49.
        strength: its power over that of its surroundings, in the weaker direction; noise
            alone gives up to about 10.
        signal: "second difference" or "predictor residue", whichever shows it better.
        lines: up to five strongest frequencies of that signal, strongest first.
        scales: up to five factors whose lines fit best, best first.
    """

    frequency: float
    strength: float
    signal: str
    lines: tuple[float, ...]
    scales: tuple[float, ...]


def strongest_trace(window: Window) -> Trace | None:
    """The strongest line of a window, real or not: see `strength`. None under 128 pixels."""
    side = min(window.luma.shape)
    if side < _MIN_SIDE:
        return None
    luma = window.luma.astype(np.float32)
    signals = {"second difference": _second(luma), "predictor residue": _residue(luma)}
    length = min(min(len(across), len(down)) for across, down in signals.values())
    combs = {
        name: _shared(*(_standing_out(part[:length]) for part in pair))
        for name, pair in signals.items()
    }
    visible = _patterns(luma, length)
    combs = {name: np.where(visible, 0.0, comb) for name, comb in combs.items()}
    name = max(combs, key=lambda key: float(combs[key].max()))
    comb = combs[name]
    best = int(comb.argmax())
    return Trace(
        frequency=best / length,
        strength=float(comb[best]),
        signal=name,
        lines=tuple(round(line / length, 4) for line in _peaks(comb, 5)),
        scales=_scales(comb, length),
    )


def _second(luma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean absolute second difference by column and by row."""
    across = np.abs(2 * luma[:, 1:-1] - luma[:, :-2] - luma[:, 2:]).mean(axis=0)
    down = np.abs(2 * luma[1:-1] - luma[:-2] - luma[2:]).mean(axis=1)
    return across, down


def _residue(luma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean likelihood that a pixel was interpolated, by column and by row."""
    error = (luma - cv2.filter2D(luma, -1, _PREDICTOR))[2:-2, 2:-2]
    likely = np.exp(-np.square(error))
    return likely.mean(axis=0), likely.mean(axis=1)


def _standing_out(signal: np.ndarray) -> np.ndarray:
    """Power of each frequency over its surroundings' median; 0 where nothing can be said."""
    length = len(signal)
    slow = cv2.GaussianBlur(signal.astype(np.float32)[None], (0, 0), 6.0, sigmaY=1.0)[0]
    power = np.abs(np.fft.rfft((signal - slow) * np.hanning(length))) ** 2
    reach = max(16, len(power) // 24)
    padded = np.pad(power, reach, mode="reflect")
    around = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1), axis=1)
    # The median of exponentially distributed power is ln 2 of its mean.
    ratio = power / np.maximum(around / np.log(2), 1e-12)
    frequency = np.arange(len(power)) / length
    blocks = np.abs(frequency * 8 - np.rint(frequency * 8)) / 8 <= _BLOCK_BINS / length
    usable = (frequency > _LOW) & (frequency < _HIGH) & ~blocks
    return np.asarray(np.where(usable, ratio, 0.0))


def _patterns(luma: np.ndarray, length: int) -> np.ndarray:
    """(bins,) whether the brightness itself repeats at a frequency, in either direction."""
    profiles = (luma.mean(axis=axis)[:length] for axis in (0, 1))
    strongest = np.maximum(*(_standing_out(profile) for profile in profiles))
    wide = np.ones((1, 2 * _PATTERN_BINS + 1), dtype=np.uint8)
    return np.asarray(cv2.dilate(strongest[None], wide)[0] > _PATTERN)


def _shared(across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """What both directions show within one bin of each other, highest in between."""
    wide = np.ones((1, 3), dtype=np.uint8)
    lower = np.minimum(*(cv2.dilate(ratio[None], wide)[0] for ratio in (across, down)))
    summit = np.minimum(across + down, lower) / np.maximum(lower, 1e-12)
    return np.asarray(lower * (0.999 + 0.001 * summit))


def _peaks(comb: np.ndarray, count: int) -> list[int]:
    """Bins of the strongest lines, at least four bins apart."""
    rest, found = comb.copy(), list[int]()
    while len(found) < count and rest.max() > 0:
        best = int(rest.argmax())
        found.append(best)
        rest[max(0, best - 3) : best + 4] = 0
    return found


def _scales(comb: np.ndarray, length: int) -> tuple[float, ...]:
    """The factors whose lines explain most: of the pixel lattice, and of JPEG blocks before it.

    A factor s moves the old lattice to 1/s and the old blocks to k/(8s), both folded back below
    half. Several factors share lines, so that this is a list of candidates.
    """
    height = np.log(np.maximum(comb, 1.0))
    lattice = 1 / _SCALES[:, None]
    blocks = np.arange(1, 8)[None] / (8 * _SCALES[:, None])
    scores = np.maximum(
        _fit(height, lattice, length), _fit(height, np.hstack([lattice, blocks]), length)
    )
    chosen: list[float] = []
    for place in np.argsort(scores)[::-1]:
        scale = float(_SCALES[place])
        if all(abs(scale / other - 1) > 0.02 for other in chosen):
            chosen.append(round(scale, 3))
        if len(chosen) == 5:
            break
    return tuple(chosen)


def _fit(height: np.ndarray, lines: np.ndarray, length: int) -> np.ndarray:
    """(scales,) mean height of the lines that lie where something can be said."""
    folded = np.abs(lines - np.rint(lines))
    bins = np.minimum(np.rint(folded * length).astype(np.int64), len(height) - 1)
    seen = height[bins]
    usable = seen > 0
    number = usable.sum(axis=1)
    return np.asarray(np.where(number > 0, seen.sum(axis=1) / np.maximum(number, 1) ** 0.5, 0))
