"""Reads how a JPEG was written: tables, sampling, order of segments, and encoders' own notes.

Sources: ITU-T T.81 (segments), JFIF 1.02, Adobe TN 5116 (APP14), and for the two Photoshop notes
ExifTool's tag tables "Photoshop JPEG_Quality" and "Ducky", read in November 2026.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass, field

import numpy as np

from detector.images.containers.jpeg_tables import read_tables

_MAX_SEGMENTS = 2000
_MAX_LISTED = 60
_SOI, _EOI, _SOS, _DQT, _DHT, _DRI, _COM = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xFE
_FRAMES = {0xC0: "baseline", 0xC1: "extended sequential", 0xC2: "progressive"}
_NAMES = {_SOI: "SOI", _EOI: "EOI", _SOS: "SOS", _DQT: "DQT", _DHT: "DHT", _DRI: "DRI", _COM: "COM"}
_NAMES |= {0xC0 + i: f"SOF{i}" for i in range(16) if i not in (4, 8, 12)}
_IN_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")

# Digests of the four Huffman tables of ITU-T T.81 annex K.3 (16 counts, then the values).
_DEFAULT_HUFFMAN = {
    "00": "2f66814c875b5317",
    "01": "602f734c8c12c1d9",
    "10": "a6283a08f5d97906",
    "11": "13f90e3c9dc476c6",
}


@dataclass
class Structure:
    """What the segments say.

    Attributes:
        process: "baseline", "extended sequential" or "progressive"; "" when there is no frame.
        tables: quantisation tables by number, (64,) int64 in natural order.
        components: (identifier, horizontal, vertical sampling, table) of each.
        restart_interval: blocks between restart markers; 0 for none.
        scans: how many.
        huffman: digests by class and number, of the first table given for each.
        order: names of the segments in file order, as "APP1:Exif"; cut after 60.
        jfif, adobe_transform: version text and number, or None.
        comments: of at most 200 characters each, at most four.
        photoshop_quality: 0–12 as "Save As" shows it; None when not noted.
        web_quality: 0–100 as "Save for Web" notes it; None when not noted.
    """

    process: str = ""
    tables: dict[int, np.ndarray] = field(default_factory=dict)
    components: list[tuple[int, int, int, int]] = field(default_factory=list)
    restart_interval: int = 0
    scans: int = 0
    huffman: dict[str, str] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    jfif: str | None = None
    adobe_transform: int | None = None
    comments: list[str] = field(default_factory=list)
    photoshop_quality: int | None = None
    web_quality: int | None = None

    @property
    def luma_table(self) -> np.ndarray | None:
        """(64,) steps of the first component."""
        return self._table(0)

    @property
    def chroma_table(self) -> np.ndarray | None:
        """(64,) steps of the second component; None for greyscale."""
        return self._table(1)

    @property
    def stores_luma(self) -> bool:
        """Whether the first component is JFIF luminance: greyscale, or YCbCr by libjpeg's rule."""
        if len(self.components) == 1:
            return True
        if len(self.components) != 3:
            return False
        if self.jfif is None and self.adobe_transform is not None:
            return self.adobe_transform == 1
        named_rgb = [c[0] for c in self.components] == list(b"RGB")
        return self.jfif is not None or not named_rgb

    @property
    def subsampling(self) -> str:
        """As "4:2:0"; "greyscale", or the factors of each component where it has no name."""
        if len(self.components) == 1:
            return "greyscale"
        factors = [f"{h}x{v}" for _, h, v, _ in self.components]
        known = {"1x1": "4:4:4", "2x1": "4:2:2", "2x2": "4:2:0", "1x2": "4:4:0", "4x1": "4:1:1"}
        plain = len(factors) == 3 and factors[1:] == ["1x1", "1x1"]
        return known.get(factors[0], ",".join(factors)) if plain else ",".join(factors)

    @property
    def default_huffman(self) -> bool | None:
        """Whether all Huffman tables are the standard's; None when the file has none."""
        if not self.huffman:
            return None
        return all(_DEFAULT_HUFFMAN.get(key) == value for key, value in self.huffman.items())

    def _table(self, component: int) -> np.ndarray | None:
        if component >= len(self.components):
            return None
        return self.tables.get(self.components[component][3])


def read_structure(data: bytes) -> Structure | None:
    """The structure of a JPEG; what is damaged is left out, None when it is no JPEG."""
    if data[:2] != b"\xff\xd8":
        return None
    structure, at = Structure(order=["SOI"]), 2
    for _ in range(_MAX_SEGMENTS):
        at = data.find(b"\xff", at)
        if at < 0 or at + 2 > len(data):
            break
        marker = data[at + 1]
        if marker == _EOI:
            _note(structure, "EOI")
            break
        if marker in (0x00, 0x01, 0xFF, _SOI) or 0xD0 <= marker <= 0xD7:
            at += 1 if marker == 0xFF else 2
            continue
        if at + 4 > len(data):
            break
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : end]
        _note(structure, _name(marker, body))
        _segment(structure, marker, body)
        at = max(end, at + 4)
        if marker == _SOS:
            found = _IN_SCAN.search(data, at)
            at = found.start() if found else len(data)
    return structure


def _note(structure: Structure, name: str) -> None:
    if len(structure.order) < _MAX_LISTED:
        structure.order.append(name)


def _name(marker: int, body: bytes) -> str:
    if not 0xE0 <= marker <= 0xEF:
        return _NAMES.get(marker, f"0x{marker:02X}")
    label = re.match(rb"[A-Za-z0-9_:/. \-]{2,40}", body)
    text = label.group().decode("ascii").strip() if label else ""
    if text.startswith("http://ns.adobe.com/xap"):
        text = "XMP"
    return f"APP{marker - 0xE0}" + (f":{text[:20]}" if text else "")


def _segment(structure: Structure, marker: int, body: bytes) -> None:
    if marker in _FRAMES and not structure.components:
        _frame(structure, marker, body)
    elif marker == _SOS:
        structure.scans += 1
    elif marker == _DQT:
        _quantisation(structure, body)
    elif marker == _DHT:
        _huffman(structure, body)
    elif marker == _DRI and len(body) >= 2:
        structure.restart_interval = int.from_bytes(body[:2], "big")
    elif marker == _COM and len(structure.comments) < 4:
        text = "".join(c for c in body[:200].decode("latin-1") if c.isprintable())
        structure.comments.append(text)
    elif marker == 0xE0 and body[:5] == b"JFIF\0" and len(body) >= 7:
        structure.jfif = f"{body[5]}.{body[6]:02d}"
    elif marker == 0xEE and body[:5] == b"Adobe" and len(body) >= 12:
        structure.adobe_transform = body[11]
    elif marker == 0xEC and body[:5] == b"Ducky":
        structure.web_quality = _ducky(body)
    elif marker == 0xED and body[:14] == b"Photoshop 3.0\0":
        structure.photoshop_quality = _photoshop(body)


def _frame(structure: Structure, marker: int, body: bytes) -> None:
    count = body[5] if len(body) > 5 else 0
    if not 1 <= count <= 4 or len(body) < 6 + 3 * count:
        return
    structure.process = _FRAMES[marker]
    parts = (body[6 + 3 * i : 9 + 3 * i] for i in range(count))
    structure.components = [(p[0], p[1] >> 4, p[1] & 15, p[2]) for p in parts]


def _quantisation(structure: Structure, body: bytes) -> None:
    for number, table in read_tables(body)[0]:
        structure.tables.setdefault(number, np.maximum(table, 1))


def _huffman(structure: Structure, body: bytes) -> None:
    at = 0
    while at + 17 <= len(body):
        end = at + 17 + sum(body[at + 1 : at + 17])
        if end > len(body):
            return
        key = f"{body[at] >> 4:x}{body[at] & 15:x}"
        digest = hashlib.sha256(body[at + 1 : end]).hexdigest()[:16]
        structure.huffman.setdefault(key, digest)
        at = end


def _ducky(body: bytes) -> int | None:
    at = 5
    while at + 4 <= len(body):
        tag, length = struct.unpack_from(">HH", body, at)
        if tag == 0:
            break
        if tag == 1 and length == 4 and at + 8 <= len(body):
            return int(min(struct.unpack_from(">I", body, at + 4)[0], 100))
        at += 4 + length
    return None


def _photoshop(body: bytes) -> int | None:
    """The quality of image resource 1030: a signed number from −4 on, shown from 0 on."""
    at = 14
    while at + 12 <= len(body) and body[at : at + 4] == b"8BIM":
        resource = int.from_bytes(body[at + 4 : at + 6], "big")
        start = at + 6 + (body[at + 6] + 2) // 2 * 2
        if start + 4 > len(body):
            break
        length = int.from_bytes(body[start : start + 4], "big")
        if resource == 0x0406 and length >= 2 and start + 6 <= len(body):
            quality = int(struct.unpack_from(">h", body, start + 4)[0]) + 4
            return quality if 0 <= quality <= 12 else None
        at = start + 4 + (length + 1) // 2 * 2
    return None
