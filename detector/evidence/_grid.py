"""Finds the 8 × 8 block grid that a JPEG compression leaves, also when a crop has moved it.

Quantisation makes many cosine coefficients of a block zero, but only at the grid's own offset.
Every place of the image votes for the offset with the most zeros, and the winner's share is
tested against chance (Nikoukhah, Anger, Colom, Morel and Grompone von Gioi, "ZERO: a local JPEG
grid origin detector based on the number of DCT zeros", IPOL 11, 2021).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detector.evidence._history import blocks_of, dct_basis
from detector.evidence._luma import Window, usable_blocks

# A coefficient below this counts as zero: the paper's bound for a grid in exact pixels, and
# coarser ones where a later compression has blurred the zeros.
EXACT, BLURRED = (0.5,), (1.0, 2.0)
# A grid in exact pixels is clear with this share of the votes and this chance, as a power of ten;
# of 170 real lossless images without one, none reached the share with such a chance.
_CLEAR_SHARE, _CLEAR_CHANCE = 0.2, -20.0
# A grid under another: of 1,009 real JPEGs, four lay between −10 and −3, the rest apart.
_CLEAR_FOREIGN = -10.0
# The four lattices that each window is voted on: a vote must not favour one side.
_BASES = ((0, 0), (0, 1), (1, 0), (1, 1))


@dataclass(frozen=True)
class Grid:
    """The offset with the strongest vote.

    Attributes:
        row, column: of the grid from the stored image's corner, 0–7 each.
        share: of the votes that the offset won, among those it is compared with.
        log10_chance: how often chance would do as much anywhere, as a power of ten.
        votes: how many places voted.
    """

    row: int
    column: int
    share: float
    log10_chance: float
    votes: int

    @property
    def clear(self) -> bool:
        """Whether a grid that `strongest` gave is one."""
        return self.share >= _CLEAR_SHARE and self.log10_chance <= _CLEAR_CHANCE

    @property
    def clear_under_another(self) -> bool:
        """Whether a grid that `foreign` gave is one."""
        return self.log10_chance <= _CLEAR_FOREIGN


def strongest(windows: Sequence[Window]) -> Grid | None:
    """The best of all 64 offsets, for pixels that are kept exactly; None without any vote."""
    ballot = _ballots(windows, EXACT, own_grid=False)[EXACT[0]]
    votes = int(ballot.sum())
    if not votes:
        return None
    best = int(ballot.argmax())
    won = int(ballot[best])
    return Grid(best // 8, best % 8, won / votes, _log10_chance(won, votes, 1 / 64, 64), votes)


def foreign(windows: Sequence[Window]) -> Grid | None:
    """The best offset but (0, 0), for a file whose own grid lies there.

    The own grid favours some offsets, but mirrored ones alike: each is compared only with its
    mirror images. Offset (4, 4), (0, 4) and (4, 0) have none and are never found.
    """
    found = [
        grid
        for ballot in _ballots(windows, BLURRED, own_grid=True).values()
        for grid in _against_mirrors(ballot)
    ]
    return min(found, key=lambda grid: grid.log10_chance, default=None)


def _against_mirrors(ballot: np.ndarray) -> list[Grid]:
    table, found = ballot.reshape(8, 8), []
    for row, column in np.ndindex(8, 8):
        mirrors = {(y % 8, x % 8) for y in (row, -row) for x in (column, -column)}
        votes = sum(int(table[place]) for place in mirrors)
        won = int(table[row, column])
        if len(mirrors) > 1 and votes:
            tests = 63 * len(BLURRED)
            chance = _log10_chance(won, votes, 1 / len(mirrors), tests)
            found.append(Grid(row, column, won / votes, chance, votes))
    return found


def _ballots(
    windows: Sequence[Window], bounds: Sequence[float], own_grid: bool
) -> dict[float, np.ndarray]:
    """(64,) votes won by each offset, for each bound of what counts as zero."""
    ballots = {bound: np.zeros(64, dtype=np.int64) for bound in bounds}
    for window in windows:
        for bound, zeros in _zero_counts(window, bounds).items():
            for top, left in _BASES:
                ballots[bound] += _vote(zeros, top, left, own_grid)
    # Four lattices over the same blocks are one set of independent votes.
    return {bound: ballot // len(_BASES) for bound, ballot in ballots.items()}


def _zero_counts(window: Window, bounds: Sequence[float]) -> dict[float, np.ndarray]:
    """(h, w) zeros of the block that starts at each pixel; 0 for flat and clipped blocks."""
    height, width = (length // 8 * 8 for length in window.luma.shape)
    high, wide = max(height // 8 - 1, 0), max(width // 8 - 1, 0)
    counts = {bound: np.zeros((high * 8, wide * 8), dtype=np.uint8) for bound in bounds}
    basis = np.ascontiguousarray(dct_basis()[:, 1:].T)
    usable = usable_blocks(window)
    for top, left in np.ndindex(8, 8):
        area = (slice(top, top + high * 8), slice(left, left + wide * 8))
        pixels = blocks_of(window.luma[area], 0, 0).astype(np.float32)
        # A row for each coefficient: summing down the columns is what numpy does fast.
        size = np.abs(basis @ pixels.T)
        for bound, zeros in counts.items():
            number = np.add.reduce(size < bound, axis=0, dtype=np.uint8)
            zeros[top::8, left::8] = number.reshape(high, wide)
    for zeros in counts.values():
        zeros *= usable[: high * 8, : wide * 8]
    return counts


def _vote(zeros: np.ndarray, top: int, left: int, own_grid: bool) -> np.ndarray:
    """(64,) places won by each offset; a tie or no zero at all is no vote."""
    counts = blocks_of(zeros, top, left)
    number = np.arange(64)
    offset = (number // 8 + top) % 8 * 8 + (number % 8 + left) % 8
    if own_grid:
        counts = np.where(offset == 0, 0, counts)
    best = counts.max(axis=1, initial=0)
    clear = ((counts == best[:, None]).sum(axis=1) == 1) & (best > 0)
    winner = offset[counts[clear].argmax(axis=1)]
    return np.asarray(np.bincount(winner, minlength=64))


def _log10_chance(won: int, votes: int, fair: float, tests: int) -> float:
    """Upper bound of how often `tests` fair ballots would do as well (Hoeffding 1963), log10."""
    share = won / votes
    if share <= fair:
        return math.log10(tests)
    excess = share * math.log(share / fair)
    if share < 1:
        excess += (1 - share) * math.log((1 - share) / (1 - fair))
    return math.log10(tests) - votes * excess / math.log(10)
