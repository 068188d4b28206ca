"""Names the JPEG quantisation tables that public encoders write, and finds the nearest.

All tables here are in natural order, 8u + v with u the vertical frequency.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from PIL import JpegPresets

from detector.images.containers.jpeg_tables import LUMINANCE, ijg_luminance, nearest, scaled


def _table(text: str) -> np.ndarray:
    return np.array([int(word) for word in text.split()], dtype=np.int64)


# ITU-T T.81 table K.2, which the Independent JPEG Group's library scales as it does K.1.
_K2 = _table(
    """17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99
    47 66 99 99 99 99 99 99 """
    + "99 " * 32
)

# The alternatives that mozjpeg offers as -quant-table 1 to 8, from its jcparam.c. One table
# serves luminance and chrominance, except in 2 and 4. Its default is number 3.
_FLAT = np.full(64, 16, dtype=np.int64)
_MSSIM = _table(
    """12 17 20 21 30 34 56 63 18 20 20 26 28 51 61 55 19 20 21 26 33 58 69 55
    26 26 26 30 46 87 86 66 31 33 36 40 46 96 100 73 40 35 46 62 81 100 111 91
    46 66 76 86 102 121 120 101 68 90 90 96 113 102 105 103"""
)
_ROBIDOUX = _table(
    """16 16 16 18 25 37 56 85 16 17 20 27 34 40 53 75 16 20 24 31 43 62 91 135
    18 27 31 40 53 74 106 156 25 34 43 53 69 94 131 189 37 40 62 74 94 124 169 238
    56 53 91 106 131 169 226 311 85 75 135 156 189 238 311 418"""
)
_PSNR_HVS = _table(
    """9 10 12 14 27 32 51 62 11 12 14 19 27 44 59 73 12 14 18 25 42 59 79 78
    17 18 25 42 61 92 87 92 23 28 42 75 79 112 112 99 40 42 59 84 88 124 132 111
    42 64 78 95 105 126 125 99 70 75 100 102 116 100 107 98"""
)
_KLEIN = _table(
    """10 12 14 19 26 38 57 86 12 18 21 28 35 41 54 76 14 21 25 32 44 63 92 136
    19 28 32 41 54 75 107 157 26 35 44 54 70 95 132 190 38 41 63 75 95 125 170 239
    57 54 92 107 132 170 227 312 86 76 136 157 190 239 312 419"""
)
_WATSON = _table(
    """7 8 10 14 23 44 95 241 8 8 11 15 25 47 102 255 10 11 13 19 31 58 127 255
    14 15 19 27 44 83 181 255 23 25 31 44 72 136 255 255 44 47 58 83 136 255 255 255
    95 102 127 181 255 255 255 255 241 255 255 255 255 255 255 255"""
)
_AHUMADA = _table(
    """15 11 11 12 15 19 25 32 11 13 10 10 12 15 19 24 11 10 14 14 16 18 22 27
    12 10 14 18 21 24 28 33 15 12 16 21 26 31 36 42 19 15 18 24 31 38 45 53
    25 19 22 28 36 45 55 65 32 24 27 33 42 53 65 77"""
)
_PETERSON = _table(
    """14 10 11 14 19 25 34 45 10 11 11 12 15 20 26 33 11 11 15 18 21 25 31 38
    14 12 18 24 28 33 39 47 19 15 21 28 36 43 51 59 25 20 25 33 43 54 64 74
    34 26 31 39 51 64 77 91 45 33 38 47 59 74 91 108"""
)

# Family: luminance, and chrominance or None where it is not compared. The first of a tie wins.
_SCALED: dict[str, tuple[np.ndarray, np.ndarray | None]] = {
    "IJG (ITU-T T.81 annex K)": (LUMINANCE, _K2),
    "mozjpeg -quant-table 1 (flat)": (_FLAT, _FLAT),
    "mozjpeg -quant-table 2 (MS-SSIM)": (_MSSIM, None),
    "mozjpeg -quant-table 3 (Robidoux, its default)": (_ROBIDOUX, _ROBIDOUX),
    "mozjpeg -quant-table 4 (PSNR-HVS-M)": (_PSNR_HVS, None),
    "mozjpeg -quant-table 5 (Klein 1992)": (_KLEIN, _KLEIN),
    "mozjpeg -quant-table 6 (Watson 1997)": (_WATSON, _WATSON),
    "mozjpeg -quant-table 7 (Ahumada 1993)": (_AHUMADA, _AHUMADA),
    "mozjpeg -quant-table 8 (Peterson 1993)": (_PETERSON, _PETERSON),
}
IJG = next(iter(_SCALED))


@dataclass(frozen=True)
class Match:
    """The nearest known table.

    Attributes:
        family: the encoder or table family.
        setting: "quality 85", or a preset's name.
        quality: on the family's own scale 1–100; None for presets.
        deviation: mean absolute difference of the compared entries, in steps; 0 is exact.
        compared: "luminance and chrominance" or "luminance".
    """

    family: str
    setting: str
    quality: int | None
    deviation: float
    compared: str

    @property
    def exact(self) -> bool:
        """Whether every compared entry is equal."""
        return self.deviation == 0.0


@lru_cache(maxsize=1)
def _scaled_families() -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    return {
        name: (scaled(luma), None if chroma is None else scaled(chroma))
        for name, (luma, chroma) in _SCALED.items()
    }


@lru_cache(maxsize=1)
def _presets() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Photoshop's tables, as Pillow's `JpegPresets` documents them."""
    known = {}
    for name, preset in JpegPresets.presets.items():
        tables = cast("list[list[int]]", preset["quantization"])
        known[name] = (np.array(tables[0]), np.array(tables[1]))
    return known


def match(luma: np.ndarray, chroma: np.ndarray | None) -> Match:
    """The known setting whose tables come nearest; the higher quality of a tie.

    Args:
        luma: (64,) steps of the first component.
        chroma: (64,) steps of the second component; None for greyscale.
    """
    return min(_candidates(luma, chroma), key=lambda candidate: candidate.deviation)


def _candidates(luma: np.ndarray, chroma: np.ndarray | None) -> list[Match]:
    found = []
    for name, (lumas, chromas) in _scaled_families().items():
        distance = np.abs(lumas - np.clip(luma, 1, 255)).mean(axis=1)
        compared = "luminance"
        if chroma is not None and chromas is not None:
            distance = (distance + np.abs(chromas - np.clip(chroma, 1, 255)).mean(axis=1)) / 2
            compared = "luminance and chrominance"
        best = int(np.flatnonzero(distance == distance.min())[-1])
        deviation = round(float(distance[best]), 4)
        found.append(Match(name, f"quality {best + 1}", best + 1, deviation, compared))
    for name, tables in _presets().items():
        parts = [np.abs(tables[0] - luma).mean()]
        compared = "luminance"
        if chroma is not None:
            parts.append(np.abs(tables[1] - chroma).mean())
            compared = "luminance and chrominance"
        deviation = round(float(np.mean(parts)), 4)
        found.append(Match("Photoshop preset", name, None, deviation, compared))
    return found


def ijg_quality(table: np.ndarray) -> tuple[int, float]:
    """The quality (1–100) whose luminance table is nearest, and the mean difference."""
    quality, distance = nearest(table, ijg_luminance())
    return quality, round(distance, 4)


def ijg_chroma_quality(table: np.ndarray) -> tuple[int, float]:
    """As `ijg_quality`, for the chrominance table."""
    quality, distance = nearest(table, scaled(_K2))
    return quality, round(distance, 4)
