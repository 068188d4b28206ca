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
    # The mirror image of a seed has corners of its own.
    looks = [(i, group.seed) for i, group in enumerate(groups)]
    looks += [(i, g.mirrored) for i, g in enumerate(groups) if g.mirrored is not None]
    prints = [pictures[number].print for _, number in looks]
    empty = np.empty((0, 32), dtype=np.uint8)
    pairs = features.candidates([empty if p is None else p.descriptors for p in prints])
    matches = []
    for done, (a, b, _) in enumerate(pairs.tolist()):
        match = None
        if looks[a][0] != looks[b][0]:
            match = features.confirm(a, b, prints, lambda i: load(looks[i][1]))
        if match is not None:
            matches.append(match)
        progress(done + 1, len(pairs))
    cautious = _Cautious(len(groups), [group for group, _ in looks])
    for match in sorted(matches, key=lambda m: (-min(m.of_a, m.of_b), -m.inliers, m.a, m.b)):
        cautious.add(match)
    return [_ordered(part, pictures, groups, cautious) for part in cautious.parts()]


class _Cautious:
    """Joins matches one by one, the fullest first, and leaves out those that would chain."""

    def __init__(self, count: int, group_of: Sequence[int]) -> None:
        self._parent = list(range(count))
        self._group_of = group_of
        self._holder: dict[int, int] = {}
        self._places: dict[tuple[int, int], list[Box]] = defaultdict(list)
        self.inliers: dict[int, int] = {}

    def root(self, i: int) -> int:
        """The number that stands for everything joined with i."""
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = self._parent[i]
        return i

    def add(self, match: Match) -> None:
        """Join two pictures, unless one of them only connects unlike ones."""
        a, b = self._group_of[match.a], self._group_of[match.b]
        small, large, place_of, box = a, b, match.b, match.box_b
        if match.of_a < match.of_b:
            small, large, place_of, box = b, a, match.a, match.box_a
        whole = min(match.of_a, match.of_b) >= features.INSIDE
        if not whole:
            holder = self._holder.get(small)
            if holder is not None and self.root(holder) != self.root(large):
                return
            # A seed and its mirror image hold the same pictures in different places.
            places = self._places[large, place_of]
            if places and not any(_shared(box, place) > _SAME_PLACE for place in places):
                return
            self._holder.setdefault(small, large)
            places.append(box)
        for number in (a, b):
            self.inliers[number] = max(match.inliers, self.inliers.get(number, 0))
        self._parent[self.root(b)] = self.root(a)

    def held(self, i: int) -> int:
        """How many smaller pictures lie in picture i."""
        return sum(len(boxes) for (group, _), boxes in self._places.items() if group == i)

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
