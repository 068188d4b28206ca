"""Reads the first directory of a TIFF (TIFF 6.0, BigTIFF) and keeps what decoding needs."""

from __future__ import annotations

import numpy as np

from detector.images.containers import ifd
from detector.images.containers.base import MAX_PARTS, Container, damaged, truncated, unsupported

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_STRIP_OFFSETS, _STRIP_COUNTS, _TILE_OFFSETS, _TILE_COUNTS = 273, 279, 324, 325
_SAMPLES, _MAX_SAMPLES = 277, 6
_PLANAR, _SUB_IFDS, _SAMPLE_FORMAT, _DNG_VERSION = 284, 330, 339, 50706

# Layout, colour map, fax options, predictor, JPEG tables, YCbCr: nothing that is for people.
_NEEDED = {256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323}
_NEEDED |= {324, 325, 332, 338, 339, 347, 529, 530, 531, 532}

_LOSSLESS = {1, 2, 3, 4, 5, 8, 32771, 32773, 32946, 34925, 50000}
_LOSSY = {7, 50001}
_RAW_PHOTOMETRIC = {32803, 34892}
_SAMPLE_FORMATS = {2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}


def parse(data: bytes) -> Container:
    """Read a TIFF's facts; raises `ImageError`, also when a strip or tile is missing."""
    form = ifd.layout(data)
    if form.big and form.order == ">":
        raise unsupported("a big-endian BigTIFF")
    entries, following = ifd.read_directory(data, form, form.first)
    page = _Page(data, form, entries)
    _refuse_raw_photographs(data, page)
    compression = page.one(_COMPRESSION, 1)
    if compression not in _LOSSLESS | _LOSSY:
        raise unsupported(f"a TIFF of compression type {compression}")
    sample_format = page.one(_SAMPLE_FORMAT, 1)
    if sample_format in _SAMPLE_FORMATS:
        raise unsupported(f"a TIFF of {_SAMPLE_FORMATS[sample_format]} samples")
    depth = page.one(_BITS, 1)
    if depth > 16:
        raise unsupported(f"a TIFF of {depth} bits per sample")
    if depth > 8 and page.one(_PLANAR, 1) == 2:
        raise unsupported(f"a TIFF of {depth} bits per sample in separate planes")
    if page.one(_SAMPLES, 1) > _MAX_SAMPLES:
        raise unsupported(f"a TIFF of {page.one(_SAMPLES, 1)} samples per pixel")
    _require_pixels(data, page)
    inverted = depth > 8 and page.one(_PHOTOMETRIC, 0) == 0
    if inverted:
        # The decoder knows 16-bit greyscale with 0 for black only; ours turns it round.
        entries[_PHOTOMETRIC] = ifd.short(form, _PHOTOMETRIC, 1)
    return Container(
        kind="TIFF",
        width=page.one(_WIDTH, 0),
        height=page.one(_HEIGHT, 0),
        parts=_one_page(data, form, entries),
        frames=1 + _count_pages(data, form, following),
        orientation=ifd.orientation_of(data, form, entries),
        lossless=compression in _LOSSLESS,
        depth=max(8, depth),
        inverted=inverted,
    )


class _Page:
    """One directory whose values can be asked for."""

    def __init__(self, data: bytes, form: ifd.Layout, entries: dict[int, ifd.Entry]) -> None:
        self.data = data
        self.form = form
        self.entries = entries

    def one(self, tag: int, default: int) -> int:
        """The first number of the tag, or the default when the tag is absent."""
        if tag not in self.entries or not self.entries[tag].count:
            return default
        return int(ifd.numbers(self.data, self.form, self.entries[tag])[0])


def _refuse_raw_photographs(data: bytes, page: _Page) -> None:
    # Their first directory holds a thumbnail, which must not be scored for the photograph.
    reduced = page.one(_SUBFILE, 0) & 1 and _SUB_IFDS in page.entries
    raw = page.one(_PHOTOMETRIC, 0) in _RAW_PHOTOMETRIC
    if reduced or raw or _DNG_VERSION in page.entries or data[8:10] == b"CR":
        raise unsupported("a camera's raw photograph")


def _require_pixels(data: bytes, page: _Page) -> None:
    entries = page.entries
    for offsets_tag, counts_tag in ((_STRIP_OFFSETS, _STRIP_COUNTS), (_TILE_OFFSETS, _TILE_COUNTS)):
        if offsets_tag not in entries:
            continue
        offsets = ifd.numbers(data, page.form, entries[offsets_tag])
        counts = np.zeros_like(offsets)
        if counts_tag in entries:
            counts = ifd.numbers(data, page.form, entries[counts_tag])
        if len(counts) != len(offsets) or not len(offsets):
            raise damaged("the TIFF lists unequal numbers of offsets and lengths")
        # Offsets are clipped first, so that hostile sums cannot wrap around.
        ends = np.minimum(offsets, len(data) + 1) + np.minimum(counts, len(data) + 1)
        if int(ends.max()) > len(data):
            raise truncated("a strip or tile of the TIFF lies beyond its end")
        return
    raise damaged("the TIFF has no image data")


def _count_pages(data: bytes, form: ifd.Layout, offset: int) -> int:
    pages, seen = 0, {form.first}
    while offset and offset not in seen and pages < MAX_PARTS:
        seen.add(offset)
        count = form.number(data[offset : offset + form.count_size])
        end = offset + form.count_size + count * form.record
        if end + form.offset_size > len(data):
            break
        offset = form.number(data[end : end + form.offset_size])
        pages += 1
    return pages


def _one_page(
    data: bytes, form: ifd.Layout, entries: dict[int, ifd.Entry]
) -> tuple[bytes | memoryview, ...]:
    """The file with a new last directory that holds only what decoding needs."""
    kept = [entry for tag, entry in sorted(entries.items()) if tag in _NEEDED]
    for entry in kept:
        if entry.at + entry.size > len(data):
            raise truncated(f"the value of the TIFF's tag {entry.tag} lies beyond its end")
    head = 8 if form.big else 4
    place = head + form.offset_size
    padding = b"\0" * (len(data) % 2)
    directory = form.bytes_of(len(kept), form.count_size)
    directory += b"".join(entry.raw for entry in kept) + b"\0" * form.offset_size
    return (
        data[:head],
        form.bytes_of(len(data) + len(padding), form.offset_size),
        memoryview(data)[place:],
        padding,
        directory,
    )
