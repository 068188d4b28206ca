"""Hands the first frame's data to the one decoder that its type needs.

Pillow's plug-ins are called by class, not through `Image.open`: no registry, no global pixel
limit and no lenient mode has a say, and no other plug-in ever parses the data.
"""

from __future__ import annotations

import hashlib
import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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

from detector.errors import ImageError, MissingExtraError
from detector.images import pixels
from detector.images.containers import Container
from detector.images.containers.base import damaged, truncated, unsupported
from detector.images.containers.ifd import ORIENTATION
from detector.images.containers.jpeg import require_enough, with_tail
from detector.results import FileFacts, Status

_PLUGINS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
}
# Plug-ins whose decoder is fed piece by piece, so that one can see whether it ran dry.
_FED = {"JPEG", "PNG", "GIF", "BMP", "TIFF"}

_FRAME_NOTES = {
    "TIFF": "multi-page: the first of {} pages was scored",
    "JPEG": "multi-picture JPEG: the first of {} pictures was scored",
    "HEIF": "the primary of {} pictures was scored",
}
_ANIMATED = "animated: the first of {} frames was scored"

_CUT = re.compile(r"truncated|end of file|not enough (image )?data|premature", re.IGNORECASE)
_UNKNOWN = re.compile(r"unknown pixel mode|unknown data org|unsupported|cannot handle", re.I)

# What a JPEG decoder that ran dry would take for blocks: no run of zero bits. The 0 keeps a 0xFF
# before it from making a marker; the restart markers serve a decoder that waits for one.
_JUNK = bytes(range(1, 255))
_TAIL = b"\0" + _JUNK + b"".join(b"\xff" + bytes([0xD0 + i]) + _JUNK for i in range(8))


@dataclass(frozen=True)
class Opened:
    """A file whose header was read and whose pixels were not."""

    container: Container
    image: ImageFile.ImageFile | _Heif
    facts: FileFacts

    def notes(self) -> tuple[str, ...]:
        """What a reader should know about the container."""
        frames = self.facts.frames
        if frames < 2:
            return self.container.notes
        note = _FRAME_NOTES.get(self.facts.format, _ANIMATED).format(f"{frames:,}")
        return (note, *self.container.notes)

    def decode(self) -> tuple[np.ndarray, tuple[str, ...]]:
        """(H, W, 3) uint8 RGB as stored, and notes; raises `ImageError`."""
        with translated(self.facts.width, self.facts.height):
            if isinstance(self.image, _Heif):
                return pixels.to_rgb(self.image.loaded())
            if self.container.depth > 8 and not _is_premultiplied(self.image):
                return _decode_deep(self.container, self.image)
            _load(self.image)
            if self.container.kind == "JPEG":
                _require_all_blocks(self.container, self.image)
            return pixels.to_rgb(self.image)


def open_container(container: Container, data: bytes) -> Opened:
    """Let the decoder read its header; raises `ImageError`."""
    if container.kind == "JPEG":
        require_enough(container)
    with translated(container.width, container.height):
        image = _Heif(container) if container.kind == "HEIF" else _open(container)
        frames, orientation = container.frames, container.orientation
        if container.kind == "AVIF":
            frames, orientation = _from_avif(image)
        elif isinstance(image, _Heif):
            frames = image.frames
        width, height = image.size
        mode = image.mode
    if container.depth > 8 and not mode.startswith("I;16"):
        mode = f"{'LA' if _is_grey_alpha(image) else mode};{container.depth}"
    if orientation >= 5:
        width, height = height, width
    facts = FileFacts(
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        format=container.kind,
        width=width,
        height=height,
        mode=mode,
        frames=frames,
        orientation=orientation,
        jpeg_quality=container.jpeg_quality,
        lossless=container.lossless,
    )
    return Opened(container, image, facts)


@contextmanager
def translated(width: int, height: int) -> Iterator[None]:
    """Turn whatever parsing or decoding raises, while inside, into an `ImageError`."""
    try:
        yield
    except (ImageError, MissingExtraError):
        raise
    except MemoryError as fault:
        what = f"{width} × {height} pixels" if width else "its header"
        raise ImageError(Status.FAILED, f"There was not enough memory for {what}.") from fault
    except Image.DecompressionBombError as fault:
        raise ImageError(
            Status.TOO_LARGE, f"The decoder refuses {width} × {height} pixels."
        ) from fault
    except Exception as fault:
        # Decoders raise nearly anything on hostile data: SyntaxError, struct.error, KeyError …
        text = f"{fault}".strip().rstrip(".") or type(fault).__name__
        if _CUT.search(text):
            raise truncated(text) from fault
        if _UNKNOWN.search(text):
            raise unsupported(f"a variant that the decoder does not know ({text})") from fault
        raise damaged(text) from fault


def _open(container: Container) -> ImageFile.ImageFile:
    return _PLUGINS[container.kind](io.BytesIO(container.pixel_file()))


def _load(image: ImageFile.ImageFile) -> None:
    """Decode; raises `truncated` when the decoder asks for more than there is.

    Pillow raises by itself, unless some other code of the process made it lenient.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # Ready memory spares the plug-in its own limit, which warns and is global.
        image.im = Image.new(image.mode, image.size, None).im
    if image.format not in _FED or image.fp is None:
        image.load()
        return
    # Only the PNG plug-in has to find the next piece by itself.
    read = image.load_read if isinstance(image, PngImagePlugin.PngImageFile) else image.fp.read
    ran_dry = False

    def watched(size: int) -> bytes:
        nonlocal ran_dry
        piece: bytes = read(size)
        ran_dry = ran_dry or not piece
        return piece

    vars(image)["load_read"] = watched  # ImageFile.load() asks whether there is one
    try:
        image.load()
    finally:
        # `watched` holds the image: a cycle that would keep its pixels until garbage collection.
        vars(image).pop("load_read", None)
    if ran_dry:
        raise truncated("its image data are incomplete")


def _require_all_blocks(container: Container, image: Image.Image) -> None:
    """Raise when a JPEG's last blocks are missing although its end marker is there.

    libjpeg fills them with mid-grey and goes on. So where the last pixel is mid-grey, decode
    again with bytes added to the scan: they change the pixels only if blocks were missing.
    Not noticed: a cut inside the very last block, or inside the last scan of a progressive
    file, where only the finest details of some blocks are missing.
    """
    last = image.getpixel((image.width - 1, image.height - 1))
    if not set(last if isinstance(last, tuple) else (last,)) <= {127, 128}:
        return
    again = JpegImagePlugin.JpegImageFile(io.BytesIO(with_tail(container.parts, _TAIL)))
    again.load()
    if not np.array_equal(np.asarray(again), np.asarray(image)):
        raise truncated("the last rows of the JPEG are missing")


def _is_premultiplied(image: ImageFile.ImageFile) -> bool:
    return bool(image.tile) and _raw_mode(image.tile[0]).startswith("RGBa")


def _is_grey_alpha(image: ImageFile.ImageFile | _Heif) -> bool:
    # Pillow opens such PNGs as RGBA.
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else []
    return bool(tiles) and _raw_mode(tiles[0]).startswith("LA;16")


def _raw_mode(tile: ImageFile._Tile) -> str:
    args = tile.args[0] if isinstance(tile.args, tuple) else tile.args
    return args if isinstance(args, str) else ""


def _decode_deep(
    container: Container, image: ImageFile.ImageFile
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Pixels of 9 to 16 bits per sample, rounded to 8 bits."""
    mode = image.mode
    samples = _deep_samples(container, image)
    eight = pixels.to_eight_bits(samples, container.depth)
    if container.inverted:
        eight = 255 - eight
    if container.clear is not None:
        opaque = (samples != np.array(container.clear, dtype=np.uint16)).any(axis=2)
        grey = [eight] * (3 // eight.shape[2])
        eight = np.dstack((*grey, opaque.astype(np.uint8) * np.uint8(255)))
    if mode == "CMYK":
        rgb, notes = pixels.to_rgb(Image.frombytes("CMYK", image.size, eight.tobytes()))
    else:
        rgb, notes = pixels.from_array(eight)
    return rgb, (pixels.note_depth(container.depth), *notes)


def _deep_samples(container: Container, image: ImageFile.ImageFile) -> np.ndarray:
    """(H, W, C) uint16 samples.

    Pillow keeps 16 bits of greyscale only; of colour it keeps the byte that its raw mode takes
    for the high one. Decoding again with the byte order swapped gives the other byte.
    """
    if image.mode.startswith("I;16"):
        _load(image)
        return np.asarray(image).astype(np.uint16)[:, :, None]
    if _is_grey_alpha(image):
        # This raw mode cannot be swapped, but plain RGBA has as many bytes a pixel.
        image.tile = [tile._replace(args="RGBA") for tile in image.tile]
        _load(image)
        pairs = np.asarray(image).astype(np.uint16)
        return np.asarray(pairs[:, :, 0::2] << 8 | pairs[:, :, 1::2], dtype=np.uint16)
    other = _open(container)
    other.tile = [_swapped(tile) for tile in other.tile]
    _load(image)
    _load(other)
    high, low = np.asarray(image), np.asarray(other)
    return np.asarray(high.astype(np.uint16) << 8 | low, dtype=np.uint16)


def _swapped(tile: ImageFile._Tile) -> ImageFile._Tile:
    name, order = _raw_mode(tile)[:-1], _raw_mode(tile)[-1:]
    native = {"little": "L", "big": "B"}[sys.byteorder]
    if not name.endswith(";16") or order not in "BLN":
        raise unsupported(f"an image of 16-bit samples in an unusual order ({name}{order})")
    raw = name + ("B" if (native if order == "N" else order) == "L" else "L")
    return tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw)


def _from_avif(image: ImageFile.ImageFile | _Heif) -> tuple[int, int]:
    """Frames and orientation, which the decoder takes from the format's own properties."""
    orientation = 1
    if isinstance(image, Image.Image):
        orientation = image.getexif().get(ORIENTATION, 1)
    return int(getattr(image, "n_frames", 1)), orientation


class _Heif:
    """The primary picture of a HEIF, by pillow-heif's own interface.

    Its plug-in for Pillow is not registered: that would change `Image.open` for everybody.
    libheif turns the picture upright by itself.
    """

    def __init__(self, container: Container) -> None:
        try:
            import pillow_heif
        except ImportError as fault:
            missing = MissingExtraError("Reading HEIC and HEIF images", "heic")
            raise ImageError(Status.UNSUPPORTED, f"{missing}.") from fault
        file = pillow_heif.open_heif(container.pixel_file())
        self._picture = file[file.primary_index]
        self.frames = len(file)
        self.size: tuple[int, int] = self._picture.size
        self.mode: str = self._picture.mode

    def loaded(self) -> Image.Image:
        """The decoded picture."""
        picture = np.ascontiguousarray(np.asarray(self._picture))
        return Image.frombytes(self.mode, self.size, picture.tobytes())
