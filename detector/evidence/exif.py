"""Reads EXIF (CIPA DC-008, laid out as TIFF 6.0) into names and plain values, within limits."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from detector.errors import ImageError
from detector.evidence.blocks.simple import directory
from detector.evidence.text import decode, decode_utf16
from detector.images.containers import ifd

# Names of CIPA DC-008-2019 (EXIF 2.32), of TIFF 6.0, and of Windows' own tags.
NAMES = {
    0x010D: "DocumentName",
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0131: "Software",
    0x0132: "DateTime",
    0x013B: "Artist",
    0x013C: "HostComputer",
    0x8298: "Copyright",
    0x829A: "ExposureTime",
    0x829D: "FNumber",
    0x8827: "ISOSpeed",
    0x9003: "DateTimeOriginal",
    0x9204: "ExposureBias",
    0x920A: "FocalLength",
    0x927C: "MakerNote",
    0x9286: "UserComment",
    0x9C9B: "XPTitle",
    0x9C9C: "XPComment",
    0x9C9D: "XPAuthor",
    0x9C9E: "XPKeywords",
    0x9C9F: "XPSubject",
    0xA000: "FlashpixVersion",
    0xA431: "BodySerialNumber",
    0xA433: "LensMake",
    0xA434: "LensModel",
}
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 0x0201, 0x0202
_ASCII, _BYTE, _UNDEFINED, _UTF8 = 2, 1, 7, 129
_RATIONAL, _SIGNED_RATIONAL = 5, 10
_MAX_VALUE = 4 * 2**20
_MAX_THUMBNAIL = 2**20
_COMMENT_CODES = {b"ASCII\0\0\0": "ascii", b"UNICODE\0": "utf16", b"JIS\0\0\0\0\0": "ascii"}


@dataclass(frozen=True)
class Exif:
    """What one EXIF block says.

    Attributes:
        texts: (name, value) of every text, in directory order. Tags without a name are kept
            as "0x010B": ComfyUI counts down from 0x010F.
        numbers: numbers by name, the first of each tag: seconds, f-number, ISO, millimetres.
        maker_note: length in bytes and the first 16 of them, as hex; None when absent.
        gps: whether there is a directory of positions.
        thumbnail: the embedded thumbnail's JPEG bytes; b"" when absent.
    """

    texts: tuple[tuple[str, str], ...] = ()
    numbers: dict[str, float] = field(default_factory=dict)
    maker_note: tuple[int, str] | None = None
    gps: bool = False
    thumbnail: bytes = field(default=b"", repr=False)

    def text(self, name: str) -> str:
        """The first text of that name without blanks and NUL around it; "" when absent."""
        return next((v.strip(" \0\r\n\t") for n, v in self.texts if n == name), "")


def read_exif(block: bytes) -> Exif:
    """Read a TIFF structure; what is damaged or out of bounds is left out, nothing raises."""
    try:
        form = ifd.layout(block)
    except ImageError:
        return Exif()
    reader = _Reader(block, form)
    main, following = reader.directory(form.first)
    camera, _ = reader.directory(reader.offset(main, _EXIF_IFD))
    small, _ = reader.directory(following)
    texts: list[tuple[str, str]] = []
    numbers: dict[str, float] = {}
    for entry in (*main.values(), *camera.values()):
        text = reader.text(entry)
        if text:
            texts.append((NAMES.get(entry.tag, f"0x{entry.tag:04X}"), text))
        elif entry.tag in NAMES:
            number = reader.number(entry)
            if number is not None:
                numbers[NAMES[entry.tag]] = number
    return Exif(
        texts=tuple(texts),
        numbers=numbers,
        maker_note=reader.maker_note(camera) or reader.maker_note(main),
        gps=_GPS_IFD in main,
        thumbnail=reader.thumbnail(small),
    )


class _Reader:
    """Values of one block; everything out of bounds is empty."""

    def __init__(self, block: bytes, form: ifd.Layout) -> None:
        self.block = block
        self.form = form
        self.seen: set[int] = set()

    def directory(self, offset: int) -> tuple[dict[int, ifd.Entry], int]:
        """The entries at `offset`, and the offset of the next directory; each only once."""
        if not offset or offset in self.seen:
            return {}, 0
        self.seen.add(offset)
        try:
            entries = directory(self.block, self.form, offset)
        except ImageError:
            return {}, 0
        count = self.form.number(self.block[offset : offset + self.form.count_size])
        end = offset + self.form.count_size + count * self.form.record
        return entries, self.form.number(self.block[end : end + self.form.offset_size])

    def offset(self, entries: dict[int, ifd.Entry], tag: int) -> int:
        """The first number of an integer tag; 0 when absent."""
        entry = entries.get(tag)
        if entry is None or not 0 < entry.count <= 4:
            return 0
        try:
            return int(ifd.numbers(self.block, self.form, entry)[0])
        except ImageError:
            return 0

    def raw(self, entry: ifd.Entry) -> bytes:
        """The value's bytes; b"" when it is too long or lies beyond the end."""
        size = entry.count if entry.kind == _UTF8 else entry.size
        if not 0 < size <= _MAX_VALUE:
            return b""
        place = entry.at
        if entry.kind == _UTF8 and size > self.form.offset_size:
            place = self.form.number(entry.raw[-self.form.offset_size :])
        raw = self.block[place : place + size]
        return raw if len(raw) == size else b""

    def text(self, entry: ifd.Entry) -> str:
        """The value as text, where the tag holds text; "" otherwise."""
        name = NAMES.get(entry.tag, "")
        if name.startswith("XP") and entry.kind in (_BYTE, _UNDEFINED):
            return decode_utf16(self.raw(entry), "little").rstrip("\0")
        if name == "MakerNote":
            # Fooocus writes the name of its scheme where cameras keep a block of their own.
            note = self.raw(entry).strip(b"\0") if entry.size <= 64 else b""
            return note.decode("ascii", "replace") if note.isalnum() else ""
        if name == "UserComment":
            return self._comment(self.raw(entry))
        if entry.kind in (_ASCII, _UTF8) or (entry.kind == _BYTE and name == "ImageDescription"):
            return decode(self.raw(entry).rstrip(b"\0"))
        return ""

    def _comment(self, raw: bytes) -> str:
        """EXIF's UserComment: eight bytes name the encoding; some writers leave them out."""
        code = _COMMENT_CODES.get(raw[:8])
        if code == "utf16":
            guess = "little" if self.form.order == "<" else "big"
            return decode_utf16(raw[8:], guess).rstrip("\0")
        if code == "ascii" or raw[:8] == bytes(8):
            raw = raw[8:]
        return decode(raw.strip(b"\0"))

    def number(self, entry: ifd.Entry) -> float | None:
        """The first number of the value; None when it is no number."""
        if not 0 < entry.count <= 64:
            return None
        raw = self.raw(entry)
        if entry.kind in (_RATIONAL, _SIGNED_RATIONAL) and len(raw) >= 8:
            kind = self.form.order + ("u4" if entry.kind == _RATIONAL else "i4")
            above, below = (int(v) for v in np.frombuffer(raw[:8], dtype=kind))
            return above / below if below else None
        try:
            return float(ifd.numbers(self.block, self.form, entry)[0])
        except ImageError:
            return None

    def maker_note(self, entries: dict[int, ifd.Entry]) -> tuple[int, str] | None:
        """Length and beginning of the maker's own block."""
        entry = entries.get(0x927C)
        if entry is None or entry.size <= 0:
            return None
        return entry.size, self.block[entry.at : entry.at + min(entry.size, 16)].hex()

    def thumbnail(self, entries: dict[int, ifd.Entry]) -> bytes:
        """The JPEG that the second directory points at."""
        start = self.offset(entries, _THUMBNAIL_OFFSET)
        length = self.offset(entries, _THUMBNAIL_LENGTH)
        body = self.block[start : start + length] if 0 < length <= _MAX_THUMBNAIL else b""
        return body if body[:2] == b"\xff\xd8" else b""
