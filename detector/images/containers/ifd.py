"""Reads the directories (IFDs) of TIFF 6.0 and BigTIFF, which EXIF and MPF use as well."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from detector.errors import ImageError
from detector.images.containers.base import damaged, take, truncated

ORIENTATION = 0x0112

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
_UNSIGNED = {1: "u1", 3: "u2", 4: "u4", 7: "u1", 13: "u4", 16: "u8", 18: "u8"}


@dataclass(frozen=True)
class Layout:
    """How numbers are laid out in one TIFF structure; `first` is the offset of its first IFD."""

    order: str
    big: bool
    first: int

    @property
    def record(self) -> int:
        """Bytes of one directory entry."""
        return 20 if self.big else 12

    @property
    def count_size(self) -> int:
        """Bytes of the number of entries."""
        return 8 if self.big else 2

    @property
    def offset_size(self) -> int:
        """Bytes of an offset."""
        return 8 if self.big else 4

    def number(self, raw: bytes) -> int:
        """An unsigned integer of 1 to 8 bytes."""
        return int.from_bytes(raw, "little" if self.order == "<" else "big")

    def bytes_of(self, number: int, size: int) -> bytes:
        """The inverse of `number`."""
        return number.to_bytes(size, "little" if self.order == "<" else "big")


@dataclass(frozen=True)
class Entry:
    """One directory entry; `at` is where its value begins, `raw` the record itself."""

    tag: int
    kind: int
    count: int
    at: int
    raw: bytes

    @property
    def size(self) -> int:
        """Bytes of the value; 0 for a type that TIFF does not define."""
        return _SIZES.get(self.kind, 0) * self.count


def layout(data: bytes) -> Layout:
    """Read the header at the beginning of `data`."""
    head = take(data, 0, 8, "the TIFF header")
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        raise damaged("it has no TIFF byte order")
    magic: int = struct.unpack(order + "H", head[2:4])[0]
    if magic == 42:
        return Layout(order, False, struct.unpack(order + "I", head[4:8])[0])
    if magic == 43:
        raw = take(data, 8, 8, "the TIFF header")
        return Layout(order, True, struct.unpack(order + "Q", raw)[0])
    raise damaged("it has no TIFF version number")


def read_directory(data: bytes, form: Layout, offset: int) -> tuple[dict[int, Entry], int]:
    """The entries at `offset` by tag, and the offset of the next directory (0: none)."""
    count = form.number(take(data, offset, form.count_size, "a directory"))
    start = offset + form.count_size
    if start + count * form.record > len(data):
        raise truncated("it ends inside a directory")
    entries: dict[int, Entry] = {}
    for at in range(start, start + count * form.record, form.record):
        entry = _entry(data, form, at)
        entries.setdefault(entry.tag, entry)
    end = start + count * form.record
    following = data[end : end + form.offset_size]
    return entries, form.number(following) if len(following) == form.offset_size else 0


def _entry(data: bytes, form: Layout, at: int) -> Entry:
    raw = data[at : at + form.record]
    tag, kind = form.number(raw[:2]), form.number(raw[2:4])
    count = form.number(raw[4 : 4 + form.offset_size])
    inline = at + 4 + form.offset_size
    size = _SIZES.get(kind, 0) * count
    place = inline if size <= form.offset_size else form.number(raw[-form.offset_size :])
    return Entry(tag, kind, count, place, raw)


def short(form: Layout, tag: int, value: int) -> Entry:
    """An entry that holds one 16-bit number in its own record."""
    raw = form.bytes_of(tag, 2) + form.bytes_of(3, 2) + form.bytes_of(1, form.offset_size)
    raw += form.bytes_of(value, 2) + bytes(form.offset_size - 2)
    return Entry(tag, 3, 1, 0, raw)


def numbers(data: bytes, form: Layout, entry: Entry) -> np.ndarray:
    """The entry's value as (count,) uint64; raises `ImageError` when it is not integers."""
    if entry.kind not in _UNSIGNED:
        raise damaged(f"tag {entry.tag} has the unexpected type {entry.kind}")
    raw = take(data, entry.at, entry.size, f"the value of tag {entry.tag}")
    return np.frombuffer(raw, dtype=form.order + _UNSIGNED[entry.kind]).astype(np.uint64)


def orientation(block: bytes | None) -> int:
    """The orientation (1–8) that an EXIF block states; 1 when it is absent or unreadable.

    A broken EXIF block does not make an image unreadable: every viewer shows it as stored.
    """
    if not block:
        return 1
    if block[:6] == b"Exif\0\0":
        block = block[6:]
    try:
        form = layout(block)
        entries, _ = read_directory(block, form, form.first)
        return orientation_of(block, form, entries)
    except ImageError:
        return 1


def orientation_of(data: bytes, form: Layout, entries: dict[int, Entry]) -> int:
    """The orientation (1–8) among directory entries; 1 when absent or senseless."""
    entry = entries.get(ORIENTATION)
    if entry is None or entry.kind not in _UNSIGNED or entry.count < 1:
        return 1
    try:
        value = int(numbers(data, form, entry)[0])
    except ImageError:
        return 1
    return value if 1 <= value <= 8 else 1
