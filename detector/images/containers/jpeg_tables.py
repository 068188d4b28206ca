"""JPEG quantisation tables: reading them (ITU-T T.81), and the IJG's scale of qualities.

Used by the strict reader of JPEG files, which refuses what is incomplete, and by the evidence
channel, which tells of damaged files too. All tables are in natural order, 8u + v with u the
vertical frequency.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

# ITU-T T.81 figure 5: natural index of each zigzag position.
ZIGZAG: list[int] = sorted(
    range(64),
    key=lambda i: (i // 8 + i % 8, i % 8 if (i // 8 + i % 8) % 2 == 0 else i // 8),
)

# ITU-T T.81 table K.1, which the Independent JPEG Group scales by quality.
# fmt: off
LUMINANCE = np.array([
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
], dtype=np.int64).ravel()
# fmt: on


def read_tables(body: bytes) -> tuple[list[tuple[int, np.ndarray]], bool]:
    """The tables of one DQT segment, as (number, (64,) int64), and whether all were complete."""
    found: list[tuple[int, np.ndarray]] = []
    at = 0
    while at < len(body):
        wide, number = body[at] >> 4, body[at] & 15
        size = 128 if wide else 64
        raw = body[at + 1 : at + 1 + size]
        if len(raw) < size:
            return found, False
        table = np.zeros(64, dtype=np.int64)
        table[ZIGZAG] = np.frombuffer(raw, dtype=">u2" if wide else "u1")
        found.append((number, table))
        at += 1 + size
    return found, True


def scaled(base: np.ndarray) -> np.ndarray:
    """(100, 64) the table at qualities 1 to 100, as libjpeg's jpeg_set_quality scales it."""
    quality = np.arange(1, 101)
    percent = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return np.asarray(np.clip((base[None] * percent[:, None] + 50) // 100, 1, 255))


@lru_cache(maxsize=1)
def ijg_luminance() -> np.ndarray:
    """(100, 64) libjpeg's luminance tables of qualities 1 to 100."""
    return scaled(LUMINANCE)


def nearest(table: np.ndarray, tables: np.ndarray) -> tuple[int, float]:
    """The quality (1–100) whose table is nearest in L1, the higher of a tie; mean difference."""
    distance = np.abs(tables - np.clip(table, 1, 255)).mean(axis=1)
    best = int(np.flatnonzero(distance == distance.min())[-1])
    return best + 1, float(distance[best])
