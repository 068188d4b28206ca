"""Walks the chunks of a WebP (RFC 9649) and keeps those of the first frame."""

from __future__ import annotations

import struct

from detector.images.containers import ifd
from detector.images.containers.base import MAX_PARTS, Container, damaged, take, truncated

_ANIMATION, _ALPHA = 0x02, 0x10
_FRAME_HEADER = 16


def parse(data: bytes) -> Container:
    """Read a WebP's facts; raises `ImageError`, also when the file is shorter than it says."""
    size = int.from_bytes(take(data, 4, 4, "the WebP header"), "little") + 8
    if size > len(data):
        raise truncated(f"{size - len(data)} bytes of the WebP are missing")
    chunks = _chunks(data, 12, size)
    flags = 0
    if b"VP8X" in chunks:
        flags = take(data, chunks[b"VP8X"][0], 10, "the WebP's header")[0]
    if flags & _ANIMATION:
        return _animated(data, chunks, flags)
    return _still(data, chunks)


class _Chunks(dict[bytes, tuple[int, int]]):
    """First chunk of each kind as (start, end) of its payload; `frames` counts ANMF."""

    frames = 0


def _chunks(data: bytes, at: int, end: int) -> _Chunks:
    found = _Chunks()
    for _ in range(MAX_PARTS):
        if at + 8 > end:
            break
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + length > end:
            raise truncated("it ends inside a WebP chunk")
        found.setdefault(kind, (at + 8, at + 8 + length))
        found.frames += kind == b"ANMF"
        at += 8 + length + length % 2
    return found


def _still(data: bytes, chunks: _Chunks) -> Container:
    width, height, lossless, kind = _bitstream(data, chunks)
    payload = _chunk(kind, data, chunks[kind])
    if kind == b"VP8 " and b"ALPH" in chunks:
        canvas = _canvas(_ALPHA, width, height)
        parts = _riff(canvas, *_chunk(b"ALPH", data, chunks[b"ALPH"]), *payload)
    else:
        parts = _riff(*payload)
    return Container(
        kind="WEBP",
        width=width,
        height=height,
        parts=parts,
        orientation=_orientation(data, chunks),
        lossless=lossless,
    )


def _animated(data: bytes, chunks: _Chunks, flags: int) -> Container:
    if b"ANMF" not in chunks:
        raise damaged("the animated WebP has no frame")
    start, end = chunks[b"ANMF"]
    take(data, start, _FRAME_HEADER, "a WebP frame")
    _, _, lossless, _ = _bitstream(data, _chunks(data, start + _FRAME_HEADER, end))
    head = data[chunks[b"VP8X"][0] :][:10]
    width = int.from_bytes(head[4:7], "little") + 1
    height = int.from_bytes(head[7:10], "little") + 1
    canvas = _canvas(flags & (_ALPHA | _ANIMATION), width, height)
    loop = b"ANIM" + struct.pack("<IIH", 6, 0, 1)
    return Container(
        kind="WEBP",
        width=width,
        height=height,
        parts=_riff(canvas, loop, *_chunk(b"ANMF", data, (start, end))),
        frames=chunks.frames,
        orientation=_orientation(data, chunks),
        lossless=lossless,
    )


def _bitstream(data: bytes, chunks: _Chunks) -> tuple[int, int, bool, bytes]:
    """Width, height, whether lossless, and the chunk's kind."""
    if b"VP8L" in chunks:
        head = take(data, chunks[b"VP8L"][0], 5, "the WebP's image data")
        bits = int.from_bytes(head[1:], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, True, b"VP8L"
    if b"VP8 " in chunks:
        head = take(data, chunks[b"VP8 "][0], 10, "the WebP's image data")
        width, height = (side & 0x3FFF for side in struct.unpack("<HH", head[6:]))
        if not width or not height:
            raise damaged(f"the WebP declares {width} × {height} pixels")
        return width, height, False, b"VP8 "
    raise damaged("the WebP has no image data")


def _orientation(data: bytes, chunks: _Chunks) -> int:
    start, end = chunks.get(b"EXIF", (0, 0))
    return ifd.orientation(data[start:end])


def _canvas(flags: int, width: int, height: int) -> bytes:
    body = struct.pack("<I", flags)
    body += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X" + struct.pack("<I", len(body)) + body


def _chunk(kind: bytes, data: bytes, span: tuple[int, int]) -> tuple[bytes | memoryview, ...]:
    start, end = span
    length = end - start
    return kind + struct.pack("<I", length), memoryview(data)[start:end], b"\0" * (length % 2)


def _riff(*parts: bytes | memoryview) -> tuple[bytes | memoryview, ...]:
    size = 4 + sum(len(part) for part in parts)
    return (b"RIFF" + struct.pack("<I", size) + b"WEBP", *parts)
