"""Walks WebP (RFC 9649), GIF89a and TIFF 6.0 for EXIF, XMP, IPTC and comments."""

from __future__ import annotations

from detector.errors import ImageError
from detector.evidence.blocks.base import MAX_BLOCK, MAX_STEPS, Collector
from detector.evidence.text import decode
from detector.images.containers import ifd

_TIFF_XMP, _TIFF_IPTC = 700, 33723
MAX_ENTRIES = 4096


def webp(data: bytes, found: Collector) -> None:
    """Hand every block of the WebP to `found`."""
    size = min(int.from_bytes(data[4:8], "little") + 8, len(data))
    at = 12
    for _ in range(MAX_STEPS):
        if at + 8 > size:
            break
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body_end = at + 8 + length
        if body_end > len(data):
            found.note("a WebP chunk reaches beyond the end of the file")
            break
        if kind in (b"EXIF", b"XMP ") and found.fits(length, f"the WebP's {kind.decode()}"):
            (found.exif if kind == b"EXIF" else found.xmp)(data[at + 8 : body_end])
        at = body_end + length % 2
    if size < len(data):
        found.tail = (size, len(data) - size)


def gif(data: bytes, found: Collector) -> None:
    """Hand the comments and the XMP of the GIF to `found`."""
    if len(data) < 13:
        return
    at = 13 + (3 * 2 ** ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    for _ in range(MAX_STEPS):
        mark = data[at : at + 1]
        if mark == b"\x2c" and at + 10 < len(data):
            packed = data[at + 9]
            at += 11 + (3 * 2 ** ((packed & 7) + 1) if packed & 0x80 else 0)
            at, _ = _sub_blocks(data, at, keep=False)
        elif mark == b"\x21":
            at = _gif_extension(data, at, found)
        elif mark == b"\x3b":
            if at + 1 < len(data):
                found.tail = (at + 1, len(data) - at - 1)
            return
        else:
            found.note("the GIF ends before its trailer")
            return


def _gif_extension(data: bytes, at: int, found: Collector) -> int:
    label = data[at + 1 : at + 2]
    if label == b"\xff" and data[at + 3 : at + 14] == b"XMP DataXMP":
        # The packet is not cut into sub-blocks; a fixed trailer of 258 bytes makes readers
        # that think so end up in the right place.
        end, _ = _sub_blocks(data, at + 14, keep=False)
        found.xmp(data[at + 14 : max(at + 14, end - 258)][:MAX_BLOCK])
        return end
    end, body = _sub_blocks(data, at + 2, keep=label == b"\xfe")
    if label == b"\xfe":
        found.text("GIF comment", "", decode(body))
    return end


def _sub_blocks(data: bytes, at: int, *, keep: bool) -> tuple[int, bytes]:
    """Where the chain of sub-blocks ends, and their content if it is to be kept."""
    kept, taken = [], 0
    while at < len(data) and data[at]:
        length = data[at]
        if keep and taken < MAX_BLOCK:
            kept.append(data[at + 1 : at + 1 + length])
            taken += length
        at += 1 + length
    return at + 1, b"".join(kept)


def tiff(data: bytes, found: Collector) -> None:
    """Hand the TIFF's own directory to `found` as EXIF, and its XMP and IPTC."""
    try:
        form = ifd.layout(data)
        entries = directory(data, form, form.first)
    except ImageError as error:
        found.note(error.reason)
        return
    for tag, take in ((_TIFF_XMP, found.xmp), (_TIFF_IPTC, found.iptc)):
        entry = entries.get(tag)
        if entry is not None and 0 < entry.size <= MAX_BLOCK:
            take(data[entry.at : entry.at + entry.size])
    # EXIF offsets count from the file's beginning, so the block is the file. It may be large.
    found.exif_file(data)


def directory(data: bytes, form: ifd.Layout, offset: int) -> dict[int, ifd.Entry]:
    """The entries of one directory; empty when it lists more than any honest file.

    Raises `ImageError` for a directory that lies beyond the end.
    """
    count = form.number(data[offset : offset + form.count_size])
    if count > MAX_ENTRIES:
        return {}
    entries, _ = ifd.read_directory(data, form, offset)
    return entries
