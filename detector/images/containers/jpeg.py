"""Walks the segments of a JPEG (ITU-T T.81) and estimates its quality setting."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from detector.errors import ImageError
from detector.images.containers import ifd, jpeg_tables
from detector.images.containers.base import Container, damaged, reading, truncated, unsupported

# Every scan of a progressive file makes the decoder visit every block again. Encoders write
# about ten; thousands of them are a way to stop a service.
MAX_SCANS = 100
_MAX_SEGMENTS = 10_000

_SOI, _EOI, _SOS, _DQT, _DNL = 0xD8, 0xD9, 0xDA, 0xDB, 0xDC
_APP1, _APP2 = 0xE1, 0xE2
_FRAMES = {0xC0, 0xC1, 0xC2}
_OTHER_FRAMES = {
    0xC3: "a lossless JPEG",
    0xC5: "a hierarchical JPEG",
    0xC6: "a hierarchical JPEG",
    0xC7: "a hierarchical JPEG",
    0xC9: "an arithmetic-coded JPEG",
    0xCA: "an arithmetic-coded JPEG",
    0xCB: "a lossless JPEG",
    0xCD: "a hierarchical JPEG",
    0xCE: "a hierarchical JPEG",
    0xCF: "a hierarchical JPEG",
    0xF7: "a JPEG-LS image",
}
# APP0 (JFIF) and APP14 (Adobe) tell the decoder the colour space; the rest is for people.
_DROPPED = set(range(0xE1, 0xF0)) - {0xEE} | {0xFE}

# After a scan, the next marker that is neither stuffing, restart nor fill.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_NOT_FILL = re.compile(rb"[^\xff]")


@dataclass
class _Walk:
    """What has been met on the way from SOI to EOI."""

    width: int = 0
    height: int = 0
    first_table: int = -1
    progressive: bool = False
    tables: dict[int, np.ndarray] = field(default_factory=dict)
    exif: bytes | None = None
    mpf: bytes | None = None
    parts: list[bytes | memoryview] = field(default_factory=list)
    scans: int = 0
    coded: int = 0  # bytes of image data in all scans
    # (component, coefficient) -> lowest bit that was sent, for progressive files.
    sent: dict[tuple[int, int], int] = field(default_factory=dict)
    components: tuple[int, ...] = ()


def parse(data: bytes) -> Container:
    """Read a JPEG's facts; raises `ImageError`, also when the end marker is missing."""
    walk = _Walk(parts=[b"\xff\xd8"])
    with reading("a JPEG segment"):
        _to_end(data, walk)
    if not walk.width:
        raise damaged("the JPEG has no frame header")
    if walk.progressive:
        _require_all_bits(walk)
    return Container(
        kind="JPEG",
        width=walk.width,
        height=walk.height,
        parts=(*walk.parts, b"\xff\xd9"),
        frames=_pictures(walk.mpf),
        orientation=ifd.orientation(walk.exif),
        jpeg_quality=_quality(walk.tables.get(walk.first_table)),
        coded=walk.coded,
    )


def require_enough(container: Container) -> None:
    """Raise when the image data are far too few for the size: a bomb, or a torn file."""
    # A block takes one bit at the very least, in the component that has most blocks; that one
    # has at least a quarter of the full number.
    blocks = -(-container.width // 8) * -(-container.height // 8)
    if container.coded * 8 * 4 < blocks:
        raise truncated(
            f"{container.coded} bytes cannot hold {container.width} × {container.height} pixels"
        )


def with_tail(parts: tuple[bytes | memoryview, ...], tail: bytes) -> bytes:
    """The file with `tail` added to the last scan, before the end marker.

    A decoder that had all its data ignores the addition; one that ran dry decodes it.
    """
    return b"".join((*parts[:-1], tail, parts[-1]))


def _to_end(data: bytes, walk: _Walk) -> None:
    view, at = memoryview(data), 2
    for _ in range(_MAX_SEGMENTS):
        at = data.find(b"\xff", at)
        if at < 0:
            raise truncated("it ends before the JPEG's end marker")
        at = _after_fill(data, at)
        marker = data[at + 1]
        if marker == _EOI:
            if not walk.scans:
                raise damaged("the JPEG has no image data")
            return
        if marker in (0x00, 0x01, _SOI) or 0xD0 <= marker <= 0xD7:
            at += 2
            continue
        end = at + 2 + (data[at + 2] << 8 | data[at + 3])
        if end > len(data):
            raise truncated("it ends inside a JPEG segment")
        if end < at + 4:
            raise damaged("a JPEG segment has no room for its length")
        try:
            _segment(walk, marker, data[at + 4 : end])
        except IndexError as fault:
            raise damaged("a JPEG segment is shorter than its content") from fault
        if marker == _SOS:
            start, end = end, _scan_end(data, end)
            walk.coded += end - start
        if marker not in _DROPPED and marker != _DNL:
            walk.parts.append(view[at:end])
        at = end
    raise damaged(f"the JPEG has more than {_MAX_SEGMENTS} segments")


def _after_fill(data: bytes, at: int) -> int:
    """The last 0xFF of a run of them: any number may precede a marker."""
    found = _NOT_FILL.search(data, at)
    if found is None:
        raise IndexError
    return found.start() - 1


def _scan_end(data: bytes, start: int) -> int:
    found = _MARKER.search(data, start)
    if found is None:
        raise truncated("it ends inside the JPEG's image data")
    return found.start()


def _segment(walk: _Walk, marker: int, body: bytes) -> None:
    if marker in _OTHER_FRAMES:
        raise unsupported(_OTHER_FRAMES[marker])
    if marker in _FRAMES:
        _frame_header(walk, marker, body)
    elif marker == _SOS:
        _scan_header(walk, body)
    elif marker == _DQT:
        _quantisation(walk, body)
    elif marker == _APP1 and walk.exif is None and body[:6] == b"Exif\0\0":
        walk.exif = body
    elif marker == _APP2 and walk.mpf is None and body[:4] == b"MPF\0":
        walk.mpf = body[4:]


def _frame_header(walk: _Walk, marker: int, body: bytes) -> None:
    if walk.width:
        raise damaged("the JPEG has two frame headers")
    if body[0] != 8:
        raise unsupported(f"a JPEG of {body[0]} bits per sample")
    walk.height, walk.width = body[1] << 8 | body[2], body[3] << 8 | body[4]
    if not walk.width:
        raise damaged("the JPEG declares a width of 0")
    if not walk.height:
        raise unsupported("a JPEG that declares its height after its pixels")
    walk.components = tuple(body[6 + 3 * i] for i in range(body[5]))
    walk.first_table = body[8]
    walk.progressive = marker == 0xC2


def _scan_header(walk: _Walk, body: bytes) -> None:
    walk.scans += 1
    if walk.scans > MAX_SCANS:
        raise damaged(f"the JPEG has more than {MAX_SCANS} scans")
    if not walk.progressive:
        return
    count = body[0]
    first, last, bits = body[1 + 2 * count], body[2 + 2 * count], body[3 + 2 * count]
    for component in body[1 : 1 + 2 * count : 2]:
        for coefficient in range(first, min(last, 63) + 1):
            walk.sent[component, coefficient] = bits & 15


def _require_all_bits(walk: _Walk) -> None:
    """A progressive file that stops after a scan looks whole, only blurred: refuse it."""
    for component in walk.components:
        # Luminance may be judged alone: some encoders leave zero chroma bands out.
        wanted = 64 if component == walk.components[0] else 1
        if any(walk.sent.get((component, i), 99) for i in range(wanted)):
            raise truncated("the last scans of the progressive JPEG are missing")


def _quantisation(walk: _Walk, body: bytes) -> None:
    tables, complete = jpeg_tables.read_tables(body)
    for number, table in tables:
        walk.tables.setdefault(number, table)
    if not complete:
        raise damaged("a JPEG quantisation table is incomplete")


def _quality(table: np.ndarray | None) -> int | None:
    """The IJG quality (1–100) whose luminance table is nearest in L1; the higher of a tie."""
    if table is None:
        return None
    return jpeg_tables.nearest(table, jpeg_tables.ijg_luminance())[0]


def _pictures(index: bytes | None) -> int:
    """Number of pictures that a CIPA DC-007 multi-picture index declares; at least 1."""
    if index is None:
        return 1
    try:
        form = ifd.layout(index)
        entries, _ = ifd.read_directory(index, form, form.first)
        count = int(ifd.numbers(index, form, entries[0xB001])[0])
    except (ImageError, KeyError, IndexError):
        return 1
    return max(1, count)
