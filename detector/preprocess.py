"""Upright RGB pixels to the views that a CNN looks at, as the bundle's config says.

Pixel traces live at the scale of single pixels, so native views are cut and never resized; the
one resized view shows the CNN the whole picture. Everything here is numpy and OpenCV: worker
processes prepare images without loading torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.errors import BundleError, ImageError
from detector.images import (
    DEFAULT_LIMITS,
    DecodedImage,
    Limits,
    read_bytes,
    read_image,
    thumbnail,
)
from detector.results import Evidence, FileFacts, Status

Box = tuple[int, int, int, int]
Pixels = NDArray[np.uint8]
# What a file says of its origin, from its bytes and its pixels; None for one that has none.
Look = Callable[[bytes, DecodedImage | None], Sequence[Evidence]]


@dataclass(frozen=True)
class PreprocessConfig:
    """Which views an image is turned into; part of a bundle's config, never of the code.

    Attributes:
        size: side of every view in pixels.
        native: how many native-resolution crops at most.
        whole: whether the resized view of the central square is added.
        candidates: how many grid places at most are compared for texture before the native
            crops are chosen; bounds the time on huge images.
    """

    size: int = 224
    native: int = 2
    whole: bool = True
    candidates: int = 64

    def __post_init__(self) -> None:
        if self.size < 32 or self.native < 0 or self.candidates < max(1, self.native):
            raise BundleError(f"impossible preprocessing: {self}")
        if self.native == 0 and not self.whole:
            raise BundleError("preprocessing without any view: set native above 0 or whole to true")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PreprocessConfig:
        """Read a config; unknown keys are an error, since they would change what is seen."""
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise BundleError(
                f"preprocessing options {unknown} are unknown to this version: upgrade the package"
            )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, `from_dict` reads them back."""
        return asdict(self)

    def cut(self, rgb: Pixels) -> Views:
        """The views of an upright (H, W, 3) uint8 RGB image, see `make_views`."""
        return make_views(rgb, self)


class Cutter(Protocol):
    """What turns an image into a model's views; picklable, and used in worker processes.

    `PreprocessConfig` is the one of the package's own bundles; a model plug-in brings another.
    """

    def cut(self, rgb: Pixels) -> Views:
        """The views of an upright (H, W, 3) uint8 RGB image; may raise `ImageError`."""


@dataclass(frozen=True)
class Views:
    """The views of one image.

    Attributes:
        native: (K, S, S, 3) uint8 RGB, crops at the image's own resolution, most textured first.
        whole: (S, S, 3) uint8 RGB, the central square resized; None when the bundle has none.
        boxes: K boxes (x, y, width, height) of the native crops in the upright image.
        whole_box: the box of the central square; None when there is no whole view.
        texture: of the most textured view, see `texture_of`; near 0 for one flat colour.
        notes: what a reader should know, such as padding.
    """

    native: Pixels
    whole: Pixels | None
    boxes: tuple[Box, ...]
    whole_box: Box | None
    texture: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """One file, read and cut into views, or the reason why not. Made without torch; picklable.

    `evidence` is None when none was looked for.
    """

    path: str
    sha256: str
    status: Status
    reason: str = ""
    facts: FileFacts | None = None
    views: Views | None = None
    notes: tuple[str, ...] = ()
    thumbnail: bytes | None = None
    evidence: tuple[Evidence, ...] | None = None


def pad_to(rgb: Pixels, size: int) -> Pixels:
    """Reflect an image about its right and lower edges until both sides reach `size` pixels.

    Args:
        rgb: (H, W, 3) uint8, both sides at least 1.
        size: least side wanted, in pixels.
    """
    while rgb.shape[0] < size or rgb.shape[1] < size:
        height, width = rgb.shape[:2]
        # One reflection can at most double a side, hence the loop.
        down = min(size - height, height - 1) if height < size else 0
        right = min(size - width, width - 1) if width < size else 0
        if (height < size and height == 1) or (width < size and width == 1):
            down = size - height if height == 1 else down
            right = size - width if width == 1 else right
            rgb = cv2.copyMakeBorder(rgb, 0, down, 0, right, cv2.BORDER_REPLICATE)  # type: ignore[assignment]
        else:
            rgb = cv2.copyMakeBorder(rgb, 0, down, 0, right, cv2.BORDER_REFLECT_101)  # type: ignore[assignment]
    return rgb


def grid(length: int, size: int, most: int) -> list[int]:
    """Offsets of evenly spread windows of `size` over `length`, the ends included.

    Windows touch without overlap where they fit exactly; there are at most `most` of them.
    """
    if length <= size:
        return [0]
    count = max(1, min(most, -(-length // size)))
    if count == 1:
        return [(length - size) // 2]
    return [round(i * (length - size) / (count - 1)) for i in range(count)]


def texture_of(rgb: Pixels) -> float:
    """Mean size of the Laplacian of an (H, W, 3) image, in grey levels, each capped at 48.

    The cap keeps lettering and other hard edges from winning over everything.
    """
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return float(np.minimum(np.abs(cv2.Laplacian(grey, cv2.CV_16S)), 48).mean())


def crop_boxes(rgb: Pixels, size: int, count: int, candidates: int = 64) -> list[Box]:
    """Choose `count` windows of `size` pixels for the native crops, most textured first.

    Generators leave their traces in texture; sky and flat walls say little. Ties go to the
    window nearer the top left, so the choice depends on the pixels alone.

    Args:
        rgb: (H, W, 3) uint8, both sides at least `size`.
        size: side of a window in pixels.
        count: how many windows to return at most.
        candidates: how many windows are compared at most.
    """
    height, width = rgb.shape[:2]
    rows = max(1, int(np.sqrt(candidates * height / width)))
    ys = grid(height, size, rows)
    xs = grid(width, size, max(1, candidates // len(ys)))
    scored: list[tuple[float, int, int]] = []
    for y in ys:
        for x in xs:
            texture = texture_of(rgb[y : y + size, x : x + size])
            scored.append((-round(texture, 3), y, x))
    scored.sort()
    return [(x, y, size, size) for _, y, x in scored[:count]]


def whole_view(rgb: Pixels, size: int) -> tuple[Pixels, Box]:
    """The central square of an image, resized to `size`; the square's box comes with it.

    A square keeps the aspect ratio, which differs between generators and cameras, out of sight.
    """
    height, width = rgb.shape[:2]
    side = min(height, width)
    y, x = (height - side) // 2, (width - side) // 2
    square = rgb[y : y + side, x : x + side]
    method = cv2.INTER_AREA if side >= size else cv2.INTER_CUBIC
    return cv2.resize(square, (size, size), interpolation=method), (x, y, side, side)  # type: ignore[return-value]


def make_views(rgb: Pixels, config: PreprocessConfig) -> Views:
    """Cut an upright image into the views that a bundle's CNN looks at.

    Args:
        rgb: (H, W, 3) uint8 RGB, upright.
        config: from the bundle.
    """
    height, width = rgb.shape[:2]
    size = config.size
    notes: list[str] = []
    whole, whole_box = whole_view(rgb, size) if config.whole else (None, None)
    boxes: list[Box] = []
    native = np.empty((0, size, size, 3), np.uint8)
    if config.native:
        padded = pad_to(rgb, size)
        if padded is not rgb:
            notes.append(f"smaller than {size} pixels on a side: padded by reflection")
        boxes = crop_boxes(padded, size, config.native, config.candidates)
        native = np.stack([padded[y : y + h, x : x + w] for x, y, w, h in boxes])
        boxes = [(x, y, min(w, width - x), min(h, height - y)) for x, y, w, h in boxes]
    seen = [*native] if whole is None else [whole, *native]
    texture = max(texture_of(view) for view in seen)
    return Views(native, whole, tuple(boxes), whole_box, texture, tuple(notes))


def prepare(
    path: str,
    data: bytes | None,
    config: Cutter,
    *,
    limits: Limits = DEFAULT_LIMITS,
    thumbnail_side: int | None = None,
    look: Look | None = None,
    read: Callable[[str], bytes] = read_bytes,
) -> Prepared:
    """Read, decode and cut one file; a bad file gives a status and a reason, never an error.

    Args:
        path: path or URL; only a name when `data` is given.
        data: the file's bytes, or None to read them from `path`.
        config: which views to make.
        limits: bounds on bytes and pixels, checked before decoding.
        thumbnail_side: longest side of a WebP thumbnail to make too; None for none.
        look: gathers evidence from the same bytes and pixels, as `detector.evidence.look`.
        read: how `path` is turned into bytes.
    """
    try:
        if data is None:
            data = read(path)
        image = read_image(data, limits)
        views = config.cut(image.rgb)
        small = thumbnail(image.rgb, thumbnail_side) if thumbnail_side else None
    except ImageError as error:
        return _refused(path, data, error.status, error.reason, look)
    except MemoryError:
        reason = "not enough memory to decode this file"
        return _refused(path, data, Status.FAILED, reason, look)
    # The reader has hashed the bytes already; only a file that failed is hashed here.
    return Prepared(
        path,
        image.facts.sha256,
        Status.OK,
        "",
        image.facts,
        views,
        image.notes + views.notes,
        small,
        None if look is None else tuple(look(data, image)),
    )


def _refused(
    path: str, data: bytes | None, status: Status, reason: str, look: Look | None
) -> Prepared:
    if data is None:
        return Prepared(path, "", status, reason)
    evidence = None if look is None else tuple(look(data, None))
    return Prepared(path, hashlib.sha256(data).hexdigest(), status, reason, evidence=evidence)
