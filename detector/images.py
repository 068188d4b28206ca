"""Turns the bytes of an image file into upright 8-bit RGB pixels, or into a clear refusal."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from detector.errors import ImageError
from detector.results import FileFacts, Status


@dataclass(frozen=True)
class Limits:
    """What is refused before any pixel is decoded.

    Attributes:
        max_bytes: largest file, in bytes.
        max_pixels: largest width × height.
        min_side: smallest width and smallest height, in pixels.
    """

    max_bytes: int = 256 * 2**20
    max_pixels: int = 200_000_000
    min_side: int = 32


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class DecodedImage:
    """An image ready to be looked at.

    Attributes:
        rgb: (H, W, 3) uint8 RGB, C-contiguous, upright.
        facts: what the container said.
        notes: what a reader should know about the conversion.
    """

    rgb: np.ndarray
    facts: FileFacts
    notes: tuple[str, ...] = ()


_PLUGINS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
}


def sniff(data: bytes) -> str | None:
    """The image type that the bytes begin like, or None when it is not one that is read."""
    if data[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if data[:2] == b"BM":
        return "BMP"
    if data[4:8] == b"ftyp":
        brands = data[8 : int.from_bytes(data[:4], "big")]
        if b"avif" in brands or b"avis" in brands:
            return "AVIF"
        if any(b in brands for b in (b"heic", b"heix", b"hevc", b"mif1", b"msf1")):
            return "HEIF"
    return None


def read_image(data: bytes, limits: Limits = DEFAULT_LIMITS) -> DecodedImage:
    """Decode one file; raises `ImageError` and nothing else."""
    image, facts = _open(data, limits)
    try:
        image.load()
        rgb, notes = _to_rgb(image)
    except Exception as fault:
        raise _fault(fault) from fault
    return DecodedImage(np.ascontiguousarray(rgb), facts, notes)


def read_header(data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileFacts:
    """The container's facts, without decoding a pixel; raises `ImageError`."""
    return _open(data, limits)[1]


def _open(data: bytes, limits: Limits) -> tuple[Image.Image, FileFacts]:
    if not data:
        raise ImageError(Status.EMPTY, "the file has no bytes")
    if len(data) > limits.max_bytes:
        raise ImageError(Status.TOO_LARGE, f"{len(data)} bytes; the limit is {limits.max_bytes}")
    kind = sniff(data)
    if kind is None or kind not in _PLUGINS:
        raise ImageError(Status.UNSUPPORTED, "not an image of a format that is read")
    try:
        image = _PLUGINS[kind](io.BytesIO(data))
        orientation = int(image.getexif().get(0x0112, 1))
    except Exception as fault:
        raise _fault(fault) from fault
    width, height = image.size
    if width * height > limits.max_pixels:
        raise ImageError(Status.TOO_LARGE, f"{width} × {height} pixels")
    if min(width, height) < limits.min_side:
        raise ImageError(Status.TOO_SMALL, f"{width} × {height} pixels")
    if orientation >= 5 and kind != "TIFF":
        width, height = height, width
    digest = hashlib.sha256(data).hexdigest()
    return image, FileFacts(digest, len(data), kind, width, height, image.mode)


def _fault(fault: Exception) -> ImageError:
    text = str(fault)
    if "truncated" in text.lower():
        return ImageError(Status.TRUNCATED, f"the data end too early ({text})")
    return ImageError(Status.UNREADABLE, f"the data are damaged ({text})")


def _to_rgb(image: Image.Image) -> tuple[np.ndarray, tuple[str, ...]]:
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        rgba = upright.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return np.asarray(Image.alpha_composite(white, rgba).convert("RGB")), ()
    return np.asarray(upright.convert("RGB")), ()


def decoded_from_pixels(image: Image.Image | np.ndarray) -> DecodedImage:
    """Wrap pixels that came without a file."""
    if isinstance(image, Image.Image):
        rgb, notes = _to_rgb(image)
    else:
        rgb, notes = image, ()
    rgb = np.ascontiguousarray(rgb)
    digest = hashlib.sha256(rgb.tobytes()).hexdigest()
    height, width = rgb.shape[:2]
    facts = FileFacts(digest, rgb.nbytes, "PIXELS", width, height, lossless=True)
    return DecodedImage(rgb, facts, notes)


def thumbnail(rgb: np.ndarray, side: int = 256, quality: int = 80) -> bytes:
    """WebP bytes of the image reduced to fit a square of `side` pixels; never enlarged."""
    height, width = rgb.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
    _, encoded = cv2.imencode(
        ".webp", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, quality]
    )
    return bytes(encoded)


def read_bytes(path_or_url: str) -> bytes:
    """The bytes of a local file or an fsspec URL; raises `ImageError`."""
    if "://" in path_or_url:
        import fsspec

        with fsspec.open(path_or_url, "rb") as stream:
            return bytes(stream.read())
    try:
        mode = os.stat(path_or_url).st_mode
        if not stat.S_ISREG(mode):
            raise ImageError(Status.UNSUPPORTED, "not a regular file")
        with open(path_or_url, "rb") as stream:
            data = stream.read()
    except (OSError, ValueError) as fault:
        raise ImageError(Status.MISSING, f"cannot be read: {fault}") from fault
    if not data:
        raise ImageError(Status.EMPTY, "the file has no bytes")
    return data
