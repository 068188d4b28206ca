"""Puts pictures together that show the same, whatever was done to the file.

Two signals. PDQ hashes find what was re-saved, resized or mirrored; corners with a geometric and
a pixel test find crops, overlays and pictures set into a frame. Neither may chain unlike
pictures into one cluster:

- a hash joins when it is within 31 bits of a member *and* within 48 bits of the seed, and
  when the thumbnails agree block by block;
- a picture that lies inside two others joins them only when those two are one picture
  themselves (a logo joins nothing);
- a picture that holds two others in separate places joins only the first (a collage joins
  nothing, and of two crops that share no pixel one stays out).

Pictures made from one template (a frame or a meme with other content) are one cluster where
about two thirds of the area look alike, and stay apart otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from detector.campaign.by_corners import Join, join
from detector.campaign.by_hash import Loader, by_hash
from detector.campaign.fingerprint import Picture
from detector.campaign.records import Member

# Decoded thumbnails kept at hand while pairs are looked at, 64 kB each.
_KEPT = 1000


def same_pictures(
    pictures: Sequence[Picture],
    load: Loader | None = None,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[tuple[Member, ...]]:
    """Groups of at least two pictures that show the same, each with its seed first.

    Args:
        pictures: distinct images; the order does not matter to the result.
        load: gives a picture's grey levels by its number, see `fingerprint.on_one_scale`;
            without it hashes are believed as they are and corners are not looked at.
        progress: called with (done, total) candidate pairs of the second signal.

    Groups and members come sorted, so that the same pictures give the same value.
    Raises MissingExtraError without the extra `campaign`.
    """
    order = sorted(range(len(pictures)), key=lambda i: pictures[i].key)
    ordered = [pictures[i] for i in order]
    loader: Loader | None = None
    if load is not None:
        given = load
        loader = lru_cache(maxsize=_KEPT)(lambda i: given(order[i]))
    groups = by_hash(ordered, loader)
    if loader is None:
        joined = [[Join(group)] for group in groups]
    else:
        joined = join(ordered, groups, loader, progress)
    found = [_members(ordered, parts) for parts in joined]
    return sorted((m for m in found if len(m) > 1), key=lambda m: m[0].sha256)


def _members(pictures: Sequence[Picture], joins: Sequence[Join]) -> tuple[Member, ...]:
    """The members of one cluster, the seed first, the others by how near they are."""
    seed = pictures[joins[0].group.seed].key
    rest: list[Member] = []
    for part in joins:
        group = part.group
        if part.inliers is not None:
            rest.append(Member(pictures[group.seed].key, "features", inliers=part.inliers))
        rest += [Member(pictures[n].key, "pdq", distance=d) for n, d in group.distances.items()]
    rest.sort(key=lambda m: (m.by == "features", m.distance or 0, -(m.inliers or 0), m.sha256))
    return (Member(seed, "seed"), *rest)
