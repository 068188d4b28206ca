"""Makes small image files with chosen metadata, for the channels' examples and for tests."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 2, 3, 4, 5, 7
_EXIF_POINTER, _THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 0x8769, 0x0201, 0x0202

# A tag's value: text, raw bytes, or numbers with their TIFF type.
Value = str | bytes | tuple[int, Sequence[int]]


def picture(width: int = 64, height: int = 48, channels: int = 3) -> np.ndarray:
    """(H, W, channels) uint8: two slow gradients, the same every time; alpha is opaque."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [x * 255 // max(1, width - 1), y * 255 // max(1, height - 1), (x + y) % 256]
    planes += [np.full_like(x, 255)] * (channels - 3)
    return np.stack(planes[:channels], axis=2).astype(np.uint8)


def png(*chunks: tuple[bytes, bytes], pixels: np.ndarray | None = None, tail: bytes = b"") -> bytes:
    """A PNG of (H, W, 3 or 4) uint8 pixels with `chunks` (type, body) before its image data."""
    pixels = picture() if pixels is None else pixels
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 6, 0, 0, 0)
    rows = np.concatenate(
        [np.zeros((height, 1), np.uint8), pixels.reshape(height, width * channels)], axis=1
    )
    parts = [
        (b"IHDR", header),
        *chunks,
        (b"IDAT", zlib.compress(rows.tobytes(), 6)),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(content)) + kind + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + body + tail


def text(key: str, value: str) -> tuple[bytes, bytes]:
    """A tEXt chunk, or an iTXt chunk when the value is not Latin-1."""
    try:
        return b"tEXt", key.encode("latin-1") + b"\0" + value.encode("latin-1")
    except UnicodeEncodeError:
        return international(key, value)


def compressed(key: str, value: bytes) -> tuple[bytes, bytes]:
    """A zTXt chunk."""
    return b"zTXt", key.encode("latin-1") + b"\0\0" + zlib.compress(value, 9)


def international(key: str, value: str, *, deflate: bool = False) -> tuple[bytes, bytes]:
    """An iTXt chunk."""
    body = value.encode()
    head = key.encode("latin-1") + (b"\0\1\0\0\0" if deflate else b"\0\0\0\0\0")
    return b"iTXt", head + (zlib.compress(body, 9) if deflate else body)


def xmp_chunk(packet: str) -> tuple[bytes, bytes]:
    """The iTXt chunk that holds XMP."""
    return international("XML:com.adobe.xmp", packet)


def jpeg(
    *segments: tuple[int, bytes], pixels: np.ndarray | None = None, tail: bytes = b""
) -> bytes:
    """A JPEG of (H, W, 3) uint8 pixels with `segments` (marker, body) after its start marker."""
    stream = io.BytesIO()
    Image.fromarray(picture() if pixels is None else pixels).save(stream, "JPEG", quality=90)
    plain = stream.getvalue()
    added = b"".join(
        bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body for marker, body in segments
    )
    return plain[:2] + added + plain[2:] + tail


def exif_segment(block: bytes) -> tuple[int, bytes]:
    """The APP1 segment that holds EXIF."""
    return 0xE1, b"Exif\0\0" + block


def xmp_segment(packet: str) -> tuple[int, bytes]:
    """The APP1 segment that holds XMP."""
    return 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet.encode()


def iptc_segment(records: Mapping[int, str]) -> tuple[int, bytes]:
    """The APP13 segment that holds IPTC-IIM records of the application record (2)."""
    body = b"\x1c\x01\x5a\x00\x03\x1b%G" + b"".join(
        struct.pack(">BBBH", 0x1C, 2, number, len(value.encode())) + value.encode()
        for number, value in records.items()
    )
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(body)) + body + b"\0" * (len(body) % 2)
    return 0xED, b"Photoshop 3.0\0" + resource


def webp(*chunks: tuple[bytes, bytes], pixels: np.ndarray | None = None) -> bytes:
    """A lossless WebP with `chunks` ("EXIF" or "XMP ", body) after its image data."""
    stream = io.BytesIO()
    image = Image.fromarray(picture() if pixels is None else pixels)
    image.save(stream, "WEBP", lossless=True, exact=True)
    body = stream.getvalue()[12:]
    if body[:4] != b"VP8X":
        size = (image.width - 1).to_bytes(3, "little") + (image.height - 1).to_bytes(3, "little")
        body = b"VP8X" + struct.pack("<I", 10) + b"\x2c\0\0\0" + size + body
    for kind, content in chunks:
        body += kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def exif(
    main: Mapping[int, Value] | None = None,
    camera: Mapping[int, Value] | None = None,
    thumbnail: bytes = b"",
) -> bytes:
    """A little-endian EXIF block: the main directory, the camera's, and a thumbnail."""
    tags: dict[int, Value] = dict(main or {})
    block = bytearray(b"II*\0\x08\0\0\0")
    if camera:
        tags[_EXIF_POINTER] = (LONG, [8 + _size_of(tags | {_EXIF_POINTER: (LONG, [0])})])
    block += _directory(tags, 8)
    if camera:
        block += _directory(camera, len(block))
    if thumbnail:
        start = len(block) + 2 + 2 * 12 + 4
        struct.pack_into("<I", block, _next_pointer(tags), len(block))
        small: dict[int, Value] = {
            _THUMBNAIL_OFFSET: (LONG, [start]),
            _THUMBNAIL_LENGTH: (LONG, [len(thumbnail)]),
        }
        block += _directory(small, len(block)) + thumbnail
    return bytes(block)


def xmp(attributes: Mapping[str, str] | None = None, inner: str = "") -> str:
    """An XMP packet: attributes of one description, as "prefix:name", and inner XML."""
    spaces = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in PREFIXES.items())
    values = "".join(f' {name}="{_escaped(value)}"' for name, value in (attributes or {}).items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about=""{spaces}{values}>{inner}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


PREFIXES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "dcterms": "http://purl.org/dc/terms/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "TC260": "http://www.tc260.org.cn/ns/AIGC/1.0/",
}


def _escaped(value: str) -> str:
    for mark, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        value = value.replace(mark, name)
    return value


def _packed(value: Value) -> tuple[int, int, bytes]:
    """TIFF type, count and bytes of a value."""
    if isinstance(value, str):
        body = value.encode() + b"\0"
        return ASCII, len(body), body
    if isinstance(value, bytes):
        return UNDEFINED, len(value), value
    kind, numbers = value
    count = len(numbers) // 2 if kind == RATIONAL else len(numbers)
    return kind, count, struct.pack(f"<{len(numbers)}{'H' if kind == SHORT else 'I'}", *numbers)


def _size_of(tags: Mapping[int, Value]) -> int:
    bodies = [_packed(value)[2] for value in tags.values()]
    return 2 + 12 * len(tags) + 4 + sum(len(b) + len(b) % 2 for b in bodies if len(b) > 4)


def _next_pointer(tags: Mapping[int, Value]) -> int:
    return 8 + 2 + 12 * len(tags)


def _directory(tags: Mapping[int, Value], at: int) -> bytes:
    place = at + 2 + 12 * len(tags) + 4
    entries, values = b"", b""
    for tag, value in sorted(tags.items()):
        kind, count, body = _packed(value)
        if len(body) <= 4:
            field = body.ljust(4, b"\0")
        else:
            field = struct.pack("<I", place + len(values))
            values += body + b"\0" * (len(body) % 2)
        entries += struct.pack("<HHI", tag, kind, count) + field
    return struct.pack("<H", len(tags)) + entries + bytes(4) + values
