"""Joins groups of pictures whose corners show that one is a crop or an overlaid copy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from detector.campaign import features
from detector.campaign.by_hash import HashGroup, Loader
from detector.campaign.features import Box, Match
from detector.campaign.fingerprint import Picture

# Two places in a picture are one when they share this much of the smaller.
_SAME_PLACE = 0.1


@dataclass(frozen=True)
class Join:
    """A group within a cluster, and by how many corners it came in; None for the first one."""

    group: HashGroup
    inliers: int | None = None


def join(
    pictures: Sequence[Picture],
    groups: Sequence[HashGroup],
    load: Loader,
    progress: Callable[[int, int], None],
) -> list[list[Join]]:
    """The groups of every cluster, its largest picture's first; most clusters have one.

    Only the seed of a group is looked at: its other members are copies of it.
    """
    prints = [pictures[group.seed].print for group in groups]
    empty = np.empty((0, 32), dtype=np.uint8)
    pairs = features.candidates([empty if p is None else p.descriptors for p in prints])
    matches = []
    for done, (a, b, _) in enumerate(pairs.tolist()):
        match = features.confirm(a, b, prints, lambda i: load(groups[i].seed))
        if match is not None:
            matches.append(match)
        progress(done + 1, len(pairs))
    cautious = _Cautious(len(groups))
    for match in sorted(matches, key=lambda m: (-min(m.of_a, m.of_b), -m.inliers, m.a, m.b)):
        cautious.add(match)
    return [_ordered(part, pictures, groups, cautious) for part in cautious.parts()]


class _Cautious:
    """Joins matches one by one, the fullest first, and leaves out those that would chain."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))
        self._holder: dict[int, int] = {}
        self._places: dict[int, list[Box]] = defaultdict(list)
        self.inliers: dict[int, int] = {}

    def root(self, i: int) -> int:
        """The number that stands for everything joined with i."""
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = self._parent[i]
        return i

    def add(self, match: Match) -> None:
        """Join two pictures, unless one of them only connects unlike ones."""
        small, large, box = match.a, match.b, match.box_b
        if match.of_a < match.of_b:
            small, large, box = match.b, match.a, match.box_a
        whole = min(match.of_a, match.of_b) >= features.INSIDE
        if not whole:
            holder = self._holder.get(small)
            if holder is not None and self.root(holder) != self.root(large):
                return
            places = self._places[large]
            if places and not any(_shared(box, place) > _SAME_PLACE for place in places):
                return
            self._holder.setdefault(small, large)
            places.append(box)
        for number in (match.a, match.b):
            self.inliers[number] = max(match.inliers, self.inliers.get(number, 0))
        self._parent[self.root(match.b)] = self.root(match.a)

    def held(self, i: int) -> int:
        """How many smaller pictures lie in picture i."""
        return len(self._places[i])

    def parts(self) -> list[list[int]]:
        """The joined numbers, each part sorted."""
        found: dict[int, list[int]] = defaultdict(list)
        for i in range(len(self._parent)):
            found[self.root(i)].append(i)
        return list(found.values())


def _ordered(
    part: Sequence[int],
    pictures: Sequence[Picture],
    groups: Sequence[HashGroup],
    cautious: _Cautious,
) -> list[Join]:
    def rank(i: int) -> tuple[int, int, int]:
        return cautious.held(i), groups[i].size, pictures[groups[i].seed].pixels

    first = max(part, key=rank)
    rest = (Join(groups[i], cautious.inliers[i]) for i in part if i != first)
    return [Join(groups[first]), *rest]


def _shared(a: Box, b: Box) -> float:
    """The share of the smaller of two boxes that lies in the other."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b))
    return max(0.0, width) * max(0.0, height) / smaller if smaller > 0 else 0.0
