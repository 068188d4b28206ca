"""Groups pictures by their PDQ hashes, around seeds, so that no chain joins unlike pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.campaign import features, hashes
from detector.campaign.fingerprint import Grey, Picture
from detector.errors import MissingExtraError

Loader = Callable[[int], "Grey | None"]
Ints = NDArray[np.int64]
Hashes = NDArray[np.uint8]

# Two copies within 31 bits of one original are at most 62 apart; unlike pictures lie around 128.
SEED_DISTANCE = 48
# Of a component this many are compared to choose its seed; more would cost the square.
_SEED_CHOICE = 256
# A picture's nearest neighbour is looked for among this many.
_NEIGHBOURS = 4096
# Share of blocks that must look alike for hashes to be believed.
_BELIEVED = 0.5


@dataclass
class HashGroup:
    """Pictures joined by their hashes.

    Attributes:
        seed: number of the picture that the others were compared with.
        distances: number of every other member to its distance from the nearest one.
        mirrored: the largest member that is the seed's mirror image; None without one.
    """

    seed: int
    distances: dict[int, int]
    mirrored: int | None = None

    @property
    def size(self) -> int:
        return 1 + len(self.distances)


def by_hash(pictures: Sequence[Picture], load: Loader | None) -> list[HashGroup]:
    """Every picture in one group, by PDQ alone."""
    usable = [
        i
        for i, p in enumerate(pictures)
        if p.print is not None and p.print.quality >= hashes.LEAST_QUALITY
    ]
    alone = set(range(len(pictures))) - set(usable)
    groups = [HashGroup(i, {}) for i in sorted(alone)]
    if not usable:
        return groups
    prints = [p for i in usable if (p := pictures[i].print) is not None]
    straight = np.stack([p.pdq for p in prints])
    distinct, first, which = np.unique(straight, axis=0, return_index=True, return_inverse=True)
    mirrored = np.stack([p.mirrored for p in prints])[first]
    holders: dict[int, list[int]] = defaultdict(list)
    for number, place in zip(usable, which.ravel().tolist(), strict=True):
        holders[place].append(number)
    for component in _components(distinct, mirrored):
        if component.size == 1 and len(holders[int(component[0])]) == 1:
            groups.append(HashGroup(holders[int(component[0])][0], {}))
            continue
        for group in _around_seeds(component, distinct, mirrored, holders, pictures):
            groups += _believed(group, load)
    return groups


def _components(distinct: Hashes, mirrored: Hashes) -> list[Ints]:
    """Hashes connected by near pairs, seen straight or in a mirror."""
    try:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components
    except ImportError as error:
        raise MissingExtraError("finding the same picture again", "campaign") from error
    pairs = np.concatenate(
        [hashes.near_pairs(distinct), hashes.near_pairs(distinct, mirrored)], axis=0
    )
    ones = np.ones(len(pairs), dtype=np.int8)
    graph = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(len(distinct),) * 2)
    _, labels = connected_components(graph, directed=False)
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def _around_seeds(
    component: Ints,
    distinct: Hashes,
    mirrored: Hashes,
    holders: dict[int, list[int]],
    pictures: Sequence[Picture],
) -> list[HashGroup]:
    """The component cut so that every picture lies near a seed."""
    found = []
    left = component
    while left.size:
        seed_hash = _most_central(left, distinct, holders, pictures)
        apart = _apart(distinct[left], distinct[seed_hash], mirrored[seed_hash])
        straight = _apart(distinct[left], distinct[seed_hash], distinct[seed_hash])
        inside = left[apart <= SEED_DISTANCE]
        turned = left[(apart <= SEED_DISTANCE) & (apart < straight)]
        seed = _largest([seed_hash], holders, pictures)
        nearest = _nearest(inside, distinct, mirrored, holders)
        nearest.pop(seed)
        mirror = _largest(turned.tolist(), holders, pictures) if turned.size else None
        found.append(HashGroup(seed, nearest, mirror))
        left = left[apart > SEED_DISTANCE]
    return found


def _largest(
    chosen: Sequence[int], holders: dict[int, list[int]], pictures: Sequence[Picture]
) -> int:
    numbers = (n for h in chosen for n in holders[h])
    return max(numbers, key=lambda n: (pictures[n].pixels, pictures[n].key))


def _apart(many: Hashes, one: Hashes, mirror: Hashes) -> NDArray[np.int16]:
    straight = hashes.distances(many, np.broadcast_to(one, many.shape))
    return np.minimum(straight, hashes.distances(many, np.broadcast_to(mirror, many.shape)))


def _most_central(
    left: Ints, distinct: Hashes, holders: dict[int, list[int]], pictures: Sequence[Picture]
) -> int:
    """The hash that most pictures are within the threshold of; of equals the largest picture's."""
    step = max(1, left.size // _SEED_CHOICE)
    choice = left[::step][:_SEED_CHOICE]
    weight = np.array([len(holders[h]) for h in left.tolist()])

    def rank(h: int) -> tuple[int, int, int]:
        apart = hashes.distances(distinct[left], distinct[[h] * len(left)])
        near = int(weight[apart <= hashes.THRESHOLD].sum())
        return near, max(pictures[n].pixels for n in holders[h]), -h

    best: int = max(choice.tolist(), key=rank)
    return best


def _nearest(
    inside: Ints,
    distinct: Hashes,
    mirrored: Hashes,
    holders: dict[int, list[int]],
) -> dict[int, int]:
    """The distance of every picture to the nearest other one in the group."""
    nearest: dict[int, int] = {}
    for place, h in enumerate(inside.tolist()):
        others = np.delete(inside, place)[:_NEIGHBOURS]
        apart = 0
        if len(holders[h]) == 1 and others.size:
            apart = int(_apart(distinct[others], distinct[h], mirrored[h]).min())
        nearest.update(dict.fromkeys(holders[h], apart))
    return nearest


def _believed(group: HashGroup, load: Loader | None) -> list[HashGroup]:
    """The group without members whose thumbnail looks unlike the seed's; those stand alone."""
    if load is None or not group.distances:
        return [group]
    first = load(group.seed)
    kept, out = {}, []
    for number, distance in group.distances.items():
        second = load(number)
        if first is None or second is None or features.alike(first, second) >= _BELIEVED:
            kept[number] = distance
        else:
            out.append(HashGroup(number, {}))
    mirror = group.mirrored if group.mirrored in kept else None
    return [HashGroup(group.seed, kept, mirror), *out]
