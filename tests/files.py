"""Makes image files, sound and hostile, as bytes; nothing is read from disk or network."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from detector.results import Status

HEIGHT, WIDTH = 48, 64


def pixels(
    height: int = HEIGHT, width: int = WIDTH, channels: int = 3, seed: int = 0
) -> np.ndarray:
    """(H, W, C) uint8: smooth shapes with some noise, like a photograph in small."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(2, height // 8), max(2, width // 8), channels))
    smooth = cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    noisy = smooth.reshape(height, width, channels) + rng.normal(0, 6, (height, width, channels))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def deep(channels: int = 3, seed: int = 0) -> np.ndarray:
    """(H, W, C) uint16 whose low bytes matter."""
    high = pixels(channels=channels, seed=seed).astype(np.uint16)
    return high << 8 | np.random.default_rng(seed).integers(0, 256, high.shape).astype(np.uint16)


def image(mode: str = "RGB", array: np.ndarray | None = None) -> Image.Image:
    """A Pillow image of any 8-bit or 1-bit mode, with varied alpha where there is any."""
    rgb = Image.fromarray(pixels() if array is None else array)
    if mode in ("RGBA", "LA"):
        rgb.putalpha(Image.fromarray(pixels(rgb.height, rgb.width, 1, seed=9)[:, :, 0]))
    return rgb if rgb.mode == mode else rgb.convert(mode)


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """The picture as a file of Pillow's format `kind`."""
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def exif(orientation: int) -> bytes:
    """An EXIF block that holds the orientation."""
    block = Image.Exif()
    block[0x0112] = orientation
    return block.tobytes()


def stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """How a camera stores the pixels so that `orientation` turns them upright."""
    turns = {1: 0, 2: 0, 3: 2, 4: 2, 5: 3, 6: 1, 7: 1, 8: 3}
    turned = np.rot90(upright, turns[orientation])
    return np.ascontiguousarray(turned[:, ::-1] if orientation in (2, 4, 5, 7) else turned)


def jpeg(array: np.ndarray | None = None, quality: int = 90, **options: Any) -> bytes:
    """A JPEG; options as Pillow's (`progressive`, `subsampling`, `exif`, …)."""
    return encoded(image(array=array), "JPEG", quality=quality, **options)


def cmyk_jpeg() -> bytes:
    """A JPEG as Photoshop writes CMYK: with an Adobe marker and inverted values."""
    return encoded(image("CMYK"), "JPEG", quality=95)


def png(array: np.ndarray | None = None, **options: Any) -> bytes:
    """An 8-bit RGB PNG."""
    return encoded(image(array=array), "PNG", **options)


def webp(array: np.ndarray | None = None, **options: Any) -> bytes:
    """A WebP; `lossless=True` or `quality=…`."""
    return encoded(image(array=array), "WEBP", **options)


def avif(array: np.ndarray | None = None, **options: Any) -> bytes:
    """An AVIF."""
    return encoded(image(array=array), "AVIF", **{"speed": 10, **options})


def gif(array: np.ndarray | None = None, **options: Any) -> bytes:
    """A GIF of one frame."""
    return encoded(image(array=array).quantize(64), "GIF", **options)


def tiff(array: np.ndarray | None = None, **options: Any) -> bytes:
    """An 8-bit RGB TIFF; `compression=…` as Pillow's."""
    return encoded(image(array=array), "TIFF", **options)


def bmp(array: np.ndarray | None = None, mode: str = "RGB") -> bytes:
    """A BMP."""
    return encoded(image(mode, array=array), "BMP")


def heic(array: np.ndarray | None = None, mode: str = "RGB") -> bytes:
    """A HEIC; skips the test where pillow-heif is not installed."""
    import pytest

    pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra 'heic'")
    stream = io.BytesIO()
    pillow_heif.from_pillow(image(mode, array=array)).save(stream, quality=90)
    return stream.getvalue()


# One sound file of each type that is read, without the extra.
SOUND: dict[str, Any] = {
    "JPEG": jpeg,
    "PNG": png,
    "WEBP": webp,
    "AVIF": avif,
    "GIF": gif,
    "TIFF": tiff,
    "BMP": bmp,
}


def animation(kind: str, frames: int = 3, **options: Any) -> bytes:
    """An animated GIF, WEBP, PNG or AVIF, a TIFF of several pages, or an MPO."""
    pictures = [image(array=pixels(seed=number)) for number in range(frames)]
    if kind == "AVIF":
        options = {"speed": 10, **options}
    return encoded(pictures[0], kind, save_all=True, append_images=pictures[1:], **options)


def chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def raw_png(
    width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes, **later: bytes
) -> bytes:
    """A PNG of unfiltered rows, each with its filter byte 0; `extra` chunks come before IDAT."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    data = chunk(b"IDAT", later.get("idat", zlib.compress(rows)))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + data + chunk(b"IEND", b"")


def png16(channels: int = 3, *extra: bytes, array: np.ndarray | None = None) -> bytes:
    """A PNG of 16 bits per sample: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA."""
    samples = deep(channels) if array is None else array
    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    return raw_png(width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], rows, *extra)


def raw_tiff(samples: np.ndarray, order: str = "<", big: bool = False, **tags: Any) -> bytes:
    """An uncompressed TIFF of (H, W, C) samples of any dtype; `t262=1` sets tag 262."""
    height, width, channels = samples.shape
    data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    start = 16 if big else 8
    values: dict[int, tuple[int, list[int]]] = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [samples.dtype.itemsize * 8] * channels),
        259: (3, [1]),
        262: (3, [{1: 1, 2: 1, 3: 2, 4: 2}[channels]]),
        273: (4, [start]),
        277: (3, [channels]),
        278: (4, [height]),
        279: (4, [len(data)]),
    }
    if channels in (2, 4):
        values[338] = (3, [2])
    for name, value in tags.items():
        values[int(name[1:])] = (4 if max(value, default=0) > 65535 else 3, list(value))
    room, number = (8, "Q") if big else (4, "I")
    directory, outside, at = b"", b"", start + len(data)
    for tag, (kind, items) in sorted(values.items()):
        raw = struct.pack(f"{order}{len(items)}{'H' if kind == 3 else 'I'}", *items)
        if len(raw) > room:
            field, outside = struct.pack(order + number, at + len(outside)), outside + raw
        else:
            field = raw.ljust(room, b"\0")
        directory += struct.pack(f"{order}HH{number}", tag, kind, len(items)) + field
    count = struct.pack(order + ("Q" if big else "H"), len(values))
    first = struct.pack(order + number, at + len(outside))
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    head += struct.pack(order + "HH", 8, 0) if big else b""
    return head + first + data + outside + count + directory + bytes(room)


def bomb_png(width: int = 60_000, height: int = 60_000) -> bytes:
    """A PNG of a few bytes that declares a huge image."""
    return raw_png(width, height, 8, 2, bytes(4096))


def text_bomb_png(megabytes: int = 64) -> bytes:
    """A small PNG whose compressed text and colour profile unpack to many megabytes."""
    zeros = zlib.compress(bytes(megabytes * 2**20), 9)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels())
    text = [chunk(b"zTXt", b"note%d\0\0" % number + zeros) for number in range(3)]
    return raw_png(WIDTH, HEIGHT, 8, 2, rows, chunk(b"iCCP", b"profile\0\0" + zeros), *text)


def frame_bomb_gif(frames: int = 20_000) -> bytes:
    """A GIF whose first frame is sound and that goes on with thousands of tiny ones."""
    first = gif().removesuffix(b";")
    tiny = b"!\xf9\x04\0\0\0\0\0" + b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0"
    return first + tiny * (frames - 1) + b";"


def truncated(data: bytes, keep: float = 0.5) -> bytes:
    """The first part of a file."""
    return data[: int(len(data) * keep)]


def flipped(data: bytes, at: int, bits: int = 0xFF) -> bytes:
    """The file with one byte changed."""
    return data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]


SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>'
HTML = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n"
MP4 = b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(64)


def _ordinary() -> dict[str, tuple[bytes, Status]]:
    return {
        "photo.jpg": (jpeg(), Status.OK),
        "progressive.jpg": (jpeg(progressive=True), Status.OK),
        "turned.jpg": (jpeg(stored(pixels(), 6), exif=exif(6)), Status.OK),
        "print.jpg": (cmyk_jpeg(), Status.OK),
        "grey.jpg": (encoded(image("L"), "JPEG"), Status.OK),
        "phone.mpo": (animation("MPO", 2), Status.OK),
        "drawing.png": (png(), Status.OK),
        "see-through.png": (encoded(image("RGBA"), "PNG"), Status.OK),
        "palette.png": (encoded(image().quantize(16), "PNG"), Status.OK),
        "scan16.png": (png16(1), Status.OK),
        "colour16.png": (png16(3), Status.OK),
        "fax.tif": (encoded(image("1"), "TIFF", compression="group4"), Status.OK),
        "picture.webp": (webp(quality=80), Status.OK),
        "exact.webp": (webp(lossless=True), Status.OK),
        "picture.avif": (avif(), Status.OK),
        "picture.gif": (gif(), Status.OK),
        "picture.tif": (tiff(), Status.OK),
        "deep.tif": (raw_tiff(deep(3)), Status.OK),
        "picture.bmp": (bmp(), Status.OK),
        "dance.gif": (animation("GIF"), Status.OK),
        "dance.webp": (animation("WEBP"), Status.OK),
        "dance.png": (animation("PNG"), Status.OK),
        "pages.tif": (animation("TIFF"), Status.OK),
    }


def _odd() -> dict[str, tuple[bytes, Status]]:
    return {
        "misnamed.png": (jpeg(seed_pixels(1)), Status.OK),
        "misnamed.jpg": (webp(seed_pixels(2)), Status.OK),
        "no-extension": (png(seed_pixels(3)), Status.OK),
        "UPPER.JPG": (jpeg(seed_pixels(4)), Status.OK),
        "text-bomb.png": (text_bomb_png(8), Status.OK),
        "many-frames.gif": (frame_bomb_gif(2_000), Status.OK),
        "empty.jpg": (b"", Status.EMPTY),
        "tiny.png": (png(pixels(8, 8)), Status.TOO_SMALL),
        "thin.png": (png(pixels(8, 400)), Status.TOO_SMALL),
        "bomb.png": (bomb_png(), Status.TOO_LARGE),
        "cut.jpg": (truncated(jpeg()), Status.TRUNCATED),
        "cut-progressive.jpg": (truncated(jpeg(progressive=True)), Status.TRUNCATED),
        "cut-and-closed.jpg": (truncated(jpeg()) + b"\xff\xd9", Status.TRUNCATED),
        "padded-with-zeros.jpg": (truncated(jpeg()) + bytes(4096), Status.TRUNCATED),
        "cut.png": (truncated(png()), Status.TRUNCATED),
        "cut.webp": (truncated(webp()), Status.TRUNCATED),
        "cut.avif": (truncated(avif(), 0.8), Status.TRUNCATED),
        "cut.gif": (truncated(gif()), Status.TRUNCATED),
        "cut.tif": (truncated(tiff()), Status.TRUNCATED),
        "cut.bmp": (truncated(bmp()), Status.TRUNCATED),
        "damaged.png": (flipped(png(), len(png()) // 2), Status.UNREADABLE),
        "page.jpg": (HTML, Status.UNSUPPORTED),
        "drawing.svg": (SVG, Status.UNSUPPORTED),
        "paper.jpg": (PDF, Status.UNSUPPORTED),
        "clip.mp4": (MP4, Status.UNSUPPORTED),
        "zeros.jpg": (bytes(5000), Status.UNSUPPORTED),
        "noise.jpg": (np.random.default_rng(5).bytes(5000), Status.UNSUPPORTED),
        "float.tif": (raw_tiff(np.ones((48, 64, 1), np.float32), t339=[3]), Status.UNSUPPORTED),
    }


def seed_pixels(seed: int) -> np.ndarray:
    """Pixels of another picture, so that files differ."""
    return pixels(seed=100 + seed)


ODD_NAMES = (
    "new\nline.jpg",
    "tab\tquote\"'.jpg",
    "émoji 🦊.jpg",
    "-dash.jpg",
    "--store=x.jpg",
    "<script>alert(1)<.jpg",
    "[a-z]*?.jpg",
    "100%25.jpg",
    " spaces .jpg",
    "name;$(touch x)`.jpg",
    "\u202egpj.exe.jpg",
    "a,b;c.jpg",
    "=1+1.jpg",
    "not-utf8-\udcff\udcfe.jpg",
)


def hostile_folder(folder: Path) -> dict[str, Status]:
    """Write many odd files below `folder`; returns each relative name's expected status.

    Names that the file system does not take (such as bytes that are no UTF-8 on macOS) are
    left out. All files are regular ones; see `special_files` for the rest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    expected: dict[str, Status] = {}
    for name, (data, status) in {**_ordinary(), **_odd()}.items():
        (folder / name).write_bytes(data)
        expected[name] = status
    for number, name in enumerate(ODD_NAMES):
        try:
            (folder / name).write_bytes(jpeg(seed_pixels(50 + number)))
        except (OSError, ValueError):
            continue
        expected[name] = Status.OK
    nested = folder / "sub folder" / "deeper"
    nested.mkdir(parents=True, exist_ok=True)
    (nested / "photo.jpg").write_bytes(jpeg())  # the same bytes as photo.jpg above
    expected["sub folder/deeper/photo.jpg"] = Status.OK
    return expected


def special_files(folder: Path) -> dict[str, Status]:
    """Write a named pipe, a broken link and a circle of links, where the system has them."""
    folder.mkdir(parents=True, exist_ok=True)
    expected: dict[str, Status] = {}
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.jpg")
        expected["pipe.jpg"] = Status.UNSUPPORTED
    try:
        (folder / "broken-link.jpg").symlink_to(folder / "nowhere.jpg")
        (folder / "circle-a.jpg").symlink_to(folder / "circle-b.jpg")
        (folder / "circle-b.jpg").symlink_to(folder / "circle-a.jpg")
    except (OSError, NotImplementedError):
        return expected
    links = ("broken-link.jpg", "circle-a.jpg", "circle-b.jpg")
    return {**expected, **dict.fromkeys(links, Status.MISSING)}
