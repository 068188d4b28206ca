"""Finds the EXIF and XMP items of an AVIF or HEIF (ISO/IEC 14496-12 and 23008-12)."""

from __future__ import annotations

from collections.abc import Iterator

from detector.evidence.blocks.base import MAX_BLOCK, Collector

_MAX_BOXES = 10_000
_MAX_ITEMS = 4_000
_MAX_WANTED = 20
_XMP_TYPE = b"application/rdf+xml"


def collect(data: bytes, found: Collector) -> None:
    """Hand every EXIF and XMP item of the file to `found`."""
    for name, start, end in _boxes(data, 0, len(data)):
        if name == b"meta":
            _meta(data, start + 4, end, found)


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Type and the span of the content of each box between two offsets."""
    for _ in range(_MAX_BOXES):
        if at + 8 > end:
            return
        length, name, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if length == 1:
            length, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif length == 0:
            length = end - at
        if length < head or at + length > end:
            return
        yield name, at + head, at + length
        at += length


def _meta(data: bytes, at: int, end: int, found: Collector) -> None:
    wanted: dict[int, bytes] = {}
    places: dict[int, list[tuple[int, int]]] = {}
    for name, start, stop in _boxes(data, at, end):
        if name == b"iinf":
            wanted = _item_types(data, start, stop)
        elif name == b"iloc":
            places = _item_places(data[start : min(stop, start + MAX_BLOCK)])
    for item, kind in wanted.items():
        extents = places.get(item, [])
        if not found.fits(sum(n for _, n in extents), f"the {kind.decode()} item"):
            continue
        body = b"".join(data[a : a + n] for a, n in extents)
        if kind == b"Exif":
            # A four-byte offset says where the TIFF header begins after it.
            skip = 4 + int.from_bytes(body[:4], "big")
            found.exif(body[skip:] if skip < len(body) else b"")
        else:
            found.xmp(body)


def _item_types(data: bytes, start: int, end: int) -> dict[int, bytes]:
    """The numbers of the items that hold EXIF ("Exif") or XMP ("mime")."""
    version = data[start : start + 1]
    first = start + (6 if version == b"\0" else 8)
    kinds: dict[int, bytes] = {}
    for name, at, stop in _boxes(data, first, end):
        if name != b"infe" or len(kinds) >= _MAX_WANTED:
            continue
        wide = data[at : at + 1] == b"\3"
        body = data[at + 4 : min(stop, at + 400)]
        size = 4 if wide else 2
        number, kind = int.from_bytes(body[:size], "big"), body[size + 2 : size + 6]
        if kind == b"Exif" or (kind == b"mime" and _XMP_TYPE in body):
            kinds[number] = kind
    return kinds


def _item_places(body: bytes) -> dict[int, list[tuple[int, int]]]:
    """Item numbers with the (offset, length) of their extents in the file."""
    reader = _Reader(body)
    version = reader.take(4) >> 24
    sizes = reader.take(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    count = reader.take(4 if version == 2 else 2)
    places: dict[int, list[tuple[int, int]]] = {}
    for _ in range(min(count, _MAX_ITEMS)):
        item = reader.take(4 if version == 2 else 2)
        method = reader.take(2) & 15 if version else 0
        reader.take(2)
        base = reader.take(base_size)
        extents = []
        for _ in range(min(reader.take(2), 32)):
            reader.take(index_size)
            extents.append((base + reader.take(offset_size), reader.take(length_size)))
        if reader.over:
            break
        # Method 0 counts from the file's beginning; 1 (in 'idat') and 2 are not used for these.
        if method == 0:
            places[item] = extents
    return places


class _Reader:
    """Big-endian numbers, one after the other; zero, and `over`, past the end."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.at = 0
        self.over = False

    def take(self, size: int) -> int:
        raw = self.body[self.at : self.at + size]
        self.over = self.over or len(raw) < size
        self.at += size
        return int.from_bytes(raw, "big")
