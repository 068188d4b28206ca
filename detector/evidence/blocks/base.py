"""What the block readers give, and how much of a file they are willing to hold."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field

# Honest files carry a handful of blocks of some kilobytes; a ComfyUI workflow may be larger.
MAX_BLOCK = 4 * 2**20
MAX_TOTAL = 8 * 2**20
MAX_BLOCKS = 300
# Steps through a container's parts, most of which are image data.
MAX_STEPS = 2**16

_XMP_IN_RAW = re.compile(rb"<x:xmpmeta|<rdf:RDF|<\?xpacket")


@dataclass(frozen=True)
class TextBlock:
    """A text that the container itself names.

    Attributes:
        where: the container's part, such as "PNG tEXt" or "JPEG comment".
        key: the text's keyword; "" where the format has none.
        value: the text.
    """

    where: str
    key: str
    value: str


@dataclass(frozen=True)
class Segment:
    """A part of the container that is none of the known kinds, such as a JPEG APP segment."""

    where: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Blocks:
    """All metadata blocks of one file, in file order.

    Attributes:
        exif: TIFF structures, without the "Exif" prefix.
        xmp: XMP packets, joined where they were split.
        iptc: IPTC-IIM records.
        texts: texts with their keywords.
        segments: other application segments.
        tail: offset and length of bytes after the image's end; None when there are none.
        notes: what was left out or damaged, in words.
    """

    exif: tuple[bytes, ...] = ()
    xmp: tuple[bytes, ...] = ()
    iptc: tuple[bytes, ...] = ()
    texts: tuple[TextBlock, ...] = ()
    segments: tuple[Segment, ...] = ()
    tail: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()


class Collector:
    """Gathers blocks while a file is walked, and stops taking at the limits."""

    def __init__(self) -> None:
        self._exif: list[bytes] = []
        self._xmp: list[bytes] = []
        self._iptc: list[bytes] = []
        self._texts: list[TextBlock] = []
        self._segments: list[Segment] = []
        self._notes: list[str] = []
        self._taken = 0
        self._count = 0
        self.tail: tuple[int, int] | None = None

    def exif(self, block: bytes) -> None:
        """Take an EXIF block, with or without its "Exif" prefix."""
        if block[:4] == b"Exif" and block[4:6] in (b"\0\0", b"\0\xff"):
            block = block[6:]
        if self._room(len(block), "an EXIF block"):
            self._exif.append(block)

    def exif_file(self, data: bytes) -> None:
        """Take a whole TIFF file as an EXIF block; nothing is copied, so its size is free."""
        self._exif.append(data)

    def xmp(self, packet: bytes) -> None:
        """Take an XMP packet."""
        if self._room(len(packet), "an XMP packet"):
            self._xmp.append(packet)

    def iptc(self, record: bytes) -> None:
        """Take an IPTC-IIM record."""
        if self._room(len(record), "an IPTC record"):
            self._iptc.append(record)

    def text(self, where: str, key: str, value: str) -> None:
        """Take a text with its keyword."""
        if self._room(len(value), f"a text in {where}"):
            self._texts.append(TextBlock(where, key, value))

    def segment(self, where: str, data: bytes) -> None:
        """Take a segment of unknown meaning."""
        if self._room(len(data), f"a segment in {where}"):
            self._segments.append(Segment(where, data))

    def note(self, words: str) -> None:
        """Remember what a reader should know."""
        if len(self._notes) < 20 and words not in self._notes:
            self._notes.append(words)

    def fits(self, length: int, what: str) -> bool:
        """Whether a part of that length would be taken; ask before it is copied."""
        if length > MAX_BLOCK:
            self.note(f"{what} was left out: it has {length:,} bytes")
            return False
        if self._count >= MAX_BLOCKS or self._taken + length > MAX_TOTAL:
            self.note(f"{what} was left out: there are too many")
            return False
        return True

    def inflate(self, raw: bytes, what: str, *, wbits: int = zlib.MAX_WBITS) -> bytes:
        """The decompressed bytes; b"" when they are damaged or more than `MAX_BLOCK`."""
        if not self.fits(0, what):
            return b""
        try:
            unpacked, more = inflate(raw, MAX_BLOCK, wbits=wbits)
        except zlib.error:
            self.note(f"{what} is damaged")
            return b""
        if more:
            # What a bomb cost counts, or a thousand of them would each cost that much.
            self._taken += MAX_BLOCK
            self.note(f"{what} was left out: it unpacks to more than {MAX_BLOCK:,} bytes")
            return b""
        return unpacked

    def blocks(self) -> Blocks:
        """All that was taken."""
        return Blocks(
            exif=tuple(self._exif),
            xmp=tuple(self._xmp),
            iptc=tuple(self._iptc),
            texts=tuple(self._texts),
            segments=tuple(self._segments),
            tail=self.tail,
            notes=tuple(self._notes),
        )

    def _room(self, length: int, what: str) -> bool:
        if not length or not self.fits(length, what):
            return False
        self._count += 1
        self._taken += length
        return True


def inflate(raw: bytes, limit: int, *, wbits: int = zlib.MAX_WBITS) -> tuple[bytes, bool]:
    """At most `limit` bytes of a zlib or gzip stream, and whether there would be more.

    A stream that ends too early gives what it has. Raises `zlib.error` for damaged data.
    """
    machine = zlib.decompressobj(wbits)
    unpacked = machine.decompress(raw, limit + 1)
    return unpacked[:limit], len(unpacked) > limit


def looks_like_xmp(raw: bytes) -> bool:
    """Whether a block without a name is an XMP packet."""
    return _XMP_IN_RAW.search(raw[:2048]) is not None
