"""Cuts the windows that the measured channels look at, so that no image costs more than another.

All coordinates are those of the stored image: the EXIF orientation is undone, since a JPEG's
blocks start at the corner that was stored first.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detector.errors import ImageError
from detector.evidence.base import HEADER_LIMITS, EvidenceInput
from detector.images import read_header
from detector.results import FileFacts


@dataclass(frozen=True)
class Window:
    """A rectangle of the stored image.

    Attributes:
        top, left: of its first pixel; multiples of 8.
        luma: (h, w) uint8, the rounded JFIF luminance of its pixels.
        clipped: (h, w) uint8, 1 where a colour channel is 0 or 255: there the rounding of the
            decoder hides what was stored.
    """

    top: int
    left: int
    luma: np.ndarray
    clipped: np.ndarray


def facts_of(item: EvidenceInput) -> FileFacts | None:
    """The container's facts: the caller's, or read from the header; None for no image."""
    if item.facts is not None:
        return item.facts
    try:
        return read_header(item.data, HEADER_LIMITS)
    except ImageError:
        return None


def as_stored(rgb: np.ndarray, orientation: int) -> np.ndarray:
    """A view of upright (H, W, 3) pixels as they were before EXIF turned them."""
    if orientation in (3, 4, 7, 8):
        rgb = rgb[::-1]
    if orientation in (2, 3, 6, 7):
        rgb = rgb[:, ::-1]
    return rgb.transpose(1, 0, 2) if orientation in (5, 6, 7, 8) else rgb


def windows(rgb: np.ndarray, side: int, count: int) -> list[Window]:
    """Up to `count` windows of `side` pixels (a multiple of 8), the most varied of the image.

    An image with no more than `count` windows' pixels is one window. Candidates lie on a
    regular lattice, so that the same image always gives the same windows.
    """
    height, width = rgb.shape[:2]
    if height * width <= side * side * count:
        return [_window(rgb, 0, 0, height, width)]
    tall, wide = min(side, height), min(side, width)
    places = [(y, x) for y in _starts(height, tall) for x in _starts(width, wide)]
    ranked = sorted(places, key=lambda p: _variety(rgb[p[0] : p[0] + tall, p[1] : p[1] + wide]))
    return [_window(rgb, y, x, tall, wide) for y, x in sorted(ranked[-count:])]


def flat_share(window: Window) -> float:
    """Share of pixels that lie on a straight line with their neighbours in the row, to one level.

    It is high in drawn pictures, in empty skies and under heavy compression, where there is
    little for a measurement to rest on.
    """
    luma = window.luma.astype(np.int16)
    bent = 2 * luma[:, 1:-1] - luma[:, :-2] - luma[:, 2:]
    return 1.0 if bent.size == 0 else float((np.abs(bent) <= 1).mean())


def _starts(length: int, side: int) -> list[int]:
    """Up to 6 multiples of 8, evenly spread, from which `side` fits."""
    last = (length - side) // 8
    number = min(6, length // side)
    return sorted({round(i * last / max(number - 1, 1)) * 8 for i in range(number)})


def _variety(rgb: np.ndarray) -> float:
    """Mean absolute difference of neighbours, on every fourth row; clipped areas count less."""
    green = rgb[::4, :, 1]
    inside = float(((green > 2) & (green < 253)).mean())
    return float(cv2.absdiff(green[:, 1:], green[:, :-1]).mean()) * inside**2


def _window(rgb: np.ndarray, top: int, left: int, height: int, width: int) -> Window:
    part = np.ascontiguousarray(rgb[top : top + height, left : left + width])
    luma = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)
    red, green, blue = cv2.split(part)
    lowest, highest = cv2.min(cv2.min(red, green), blue), cv2.max(cv2.max(red, green), blue)
    clipped = np.asarray((lowest == 0) | (highest == 255), dtype=np.uint8)
    return Window(top, left, luma, clipped)


def usable_blocks(window: Window) -> np.ndarray:
    """(h, w) uint8, 1 where the 8 × 8 block from a pixel on is neither flat nor clipped anywhere.

    Of the last seven rows and columns, from which no block fits, nothing is said.
    """
    block = np.ones((8, 8), dtype=np.uint8)
    corner = (0, 0)
    largest = cv2.dilate(window.luma, block, anchor=corner)
    smallest = cv2.erode(window.luma, block, anchor=corner)
    clipped = cv2.dilate(window.clipped, block, anchor=corner)
    return np.asarray((largest > smallest) & (clipped == 0), dtype=np.uint8)
