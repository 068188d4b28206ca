"""Joins the context table to the images of a store, or lets folders stand for accounts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from detector.campaign.records import BadRow, ContextSummary, Post
from detector.campaign.table import Row, Table

_SHOWN = 3


@dataclass(frozen=True)
class Place:
    """A file of the store.

    Attributes:
        path: as the scan was given it.
        location: its absolute name; the path again when there is none.
        key: what stands for the image: its sha256, or something of its own without one.
        sha256: of its bytes; "" when it could not be hashed.
    """

    path: str
    location: str
    key: str
    sha256: str


@dataclass(frozen=True)
class Context:
    """Posts by image.

    Attributes:
        posts: `Place.key` to the posts that carry the image, in the order of the table.
        summary: what became of the table.
    """

    posts: Mapping[str, tuple[Post, ...]]
    summary: ContextSummary


def join(table: Table, places: Sequence[Place]) -> Context:
    """The posts of every image that the table names.

    A row meets an image by its sha256, else by its path: exactly, else where one path is the
    end of the other ("a/1.jpg" and "/data/a/1.jpg"), else by the file name alone. Capitals
    and the kind of slash do not matter where nothing else fits. A path that fits images with
    different bytes is reported and not guessed.
    """
    known = {place.sha256: place.key for place in places if place.sha256}
    index = _Paths(places)
    posts: dict[str, list[Post]] = defaultdict(list)
    unmatched: list[int] = []
    bad = list(table.bad)
    for row in table.rows:
        keys = [known[row.sha256]] if row.sha256 in known else index.find(row.file)
        if len(keys) == 1:
            posts[keys[0]].append(row.post)
            bad += _contradiction(row, keys[0])
        elif keys:
            bad.append(BadRow(row.post.line, _ambiguous(row.file, index.examples(keys))))
        else:
            unmatched.append(row.post.line)
    bad.sort(key=lambda b: b.line)
    summary = ContextSummary(
        source=table.source,
        columns=dict(table.columns),
        rows=table.count,
        matched=sum(map(len, posts.values())),
        unmatched=tuple(unmatched),
        bad=tuple(bad),
    )
    return Context({key: tuple(found) for key, found in posts.items()}, summary)


def by_folder(places: Sequence[Place], roots: Iterable[str] = ()) -> Context:
    """One post for every file, with the folder as its account.

    The account is the first folder below the scanned root that holds the file; the root's own
    name for a file that lies right in it.

    Args:
        places: the files.
        roots: what the scans were told to scan, as they were told.
    """
    prefixes = sorted({_parts(root) for root in roots}, key=len, reverse=True)
    posts: dict[str, list[Post]] = defaultdict(list)
    for place in sorted(places, key=lambda p: p.path):
        posts[place.key].append(Post(line=0, account=_folder(_parts(place.path), prefixes)))
    return Context({key: tuple(found) for key, found in posts.items()}, ContextSummary())


def _folder(path: tuple[str, ...], prefixes: Sequence[tuple[str, ...]]) -> str:
    for prefix in prefixes:
        if len(path) > len(prefix) and path[: len(prefix)] == prefix:
            below = path[len(prefix) : -1]
            return below[0] if below else prefix[-1] if prefix else "."
    return path[-2] if len(path) > 1 else "."


class _Paths:
    """Images by the ends of their paths."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._exact: dict[str, set[str]] = defaultdict(set)
        self._by_name: dict[str, list[tuple[tuple[str, ...], str]]] = defaultdict(list)
        self._folded: dict[str, list[tuple[tuple[str, ...], str]]] = defaultdict(list)
        self._shown: dict[str, str] = {}
        for place in places:
            self._shown.setdefault(place.key, place.path)
            for path in {place.path, place.location}:
                self._exact[path].add(place.key)
                parts = _parts(path)
                if parts:
                    folded = tuple(part.casefold() for part in parts)
                    self._by_name[parts[-1]].append((parts, place.key))
                    self._folded[folded[-1]].append((folded, place.key))

    def find(self, path: str) -> list[str]:
        """The keys of all images that a path may mean, of the first rule that gives any."""
        if not path:
            return []
        if path in self._exact:
            return sorted(self._exact[path])
        parts = _parts(path)
        folded = tuple(part.casefold() for part in parts)
        for wanted, index in ((parts, self._by_name), (folded, self._folded)):
            same_name = index.get(wanted[-1], []) if wanted else []
            ends = [(min(len(p), len(wanted)), k) for p, k in same_name if _one_ends(p, wanted)]
            if ends:
                longest = max(length for length, _ in ends)
                return sorted({key for length, key in ends if length == longest})
            if same_name:
                return sorted({key for _, key in same_name})
        return []

    def examples(self, keys: Sequence[str]) -> list[str]:
        """The first paths of some images."""
        return [self._shown[key] for key in keys]


def _one_ends(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    shorter = min(len(a), len(b))
    return a[-shorter:] == b[-shorter:]


def _parts(path: str) -> tuple[str, ...]:
    return tuple(p for p in path.replace("\\", "/").split("/") if p not in ("", "."))


def _ambiguous(file: str, paths: Sequence[str]) -> str:
    shown = ", ".join(repr(path[-120:]) for path in paths[:_SHOWN])
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return (
        f"{file[-120:]!r} fits {len(paths)} different images ({shown}{more}): "
        "give a longer path or the sha256"
    )


def _contradiction(row: Row, key: str) -> list[BadRow]:
    if row.sha256 and row.sha256 != key:
        reason = f"the sha256 is not that of {row.file[-120:]!r} in the store; the path was used"
        return [BadRow(row.post.line, reason)]
    return []
