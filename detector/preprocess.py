"""Upright RGB pixels to the views that a CNN looks at, as the bundle's config says.

Pixel traces live at the scale of single pixels, so native views are cut and never resized; the
one resized view shows the CNN the whole picture; detail views lie between the two. Everything
here is numpy and OpenCV: worker processes prepare images without loading torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
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
# The kinds of views: the whole picture, crops as they are, crops of a moderately reduced copy.
VIEWS = ("whole", "native", "detail")
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
        detail: how many crops at most of the image shrunk to `detail_side`.
        detail_side: short side in pixels to which an image is shrunk, never enlarged, before
            its detail crops are cut.
    """

    size: int = 224
    native: int = 2
    whole: bool = True
    candidates: int = 64
    detail: int = 0
    detail_side: int = 448

    def __post_init__(self) -> None:
        most = max(1, self.native, self.detail)
        if self.size < 32 or min(self.native, self.detail) < 0 or self.candidates < most:
            raise BundleError(f"impossible preprocessing: {self}")
        if self.detail and self.detail_side < self.size:
            raise BundleError(f"detail crops of {self.size} do not fit into {self.detail_side}")
        if not (self.native or self.detail or self.whole):
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

    def kinds(self) -> tuple[str, ...]:
        """The kinds of views that are cut, in the order of `VIEWS`."""
        wanted = {"whole": self.whole, "native": self.native > 0, "detail": self.detail > 0}
        return tuple(view for view in VIEWS if wanted[view])


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
        detail: (K', S, S, 3) uint8 RGB, crops of the shrunk image, most textured first; None
            when the bundle has none.
        detail_boxes: what each of them shows, as boxes in the upright image.
    """

    native: Pixels
    whole: Pixels | None
    boxes: tuple[Box, ...]
    whole_box: Box | None
    texture: float
    notes: tuple[str, ...] = ()
    detail: Pixels | None = None
    detail_boxes: tuple[Box, ...] = ()

    def crops(self) -> Iterator[tuple[str, Box, Pixels]]:
        """Every view with the name of its kind and its box: whole, native, detail."""
        if self.whole is not None and self.whole_box is not None:
            yield "whole", self.whole_box, self.whole
        for box, view in zip(self.boxes, self.native, strict=True):
            yield "native", box, view
        detail = () if self.detail is None else self.detail
        for box, view in zip(self.detail_boxes, detail, strict=True):
            yield "detail", box, view


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
    # Edges of 255 and more are cut off at 255 before they are at 48, which changes nothing.
    edges = cv2.convertScaleAbs(cv2.Laplacian(grey, cv2.CV_16S))
    capped = cv2.threshold(edges, 48, 0, cv2.THRESH_TRUNC)[1]
    return float(cv2.sumElems(capped)[0] / capped.size)


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


def shrunk(rgb: Pixels, short_side: int) -> Pixels:
    """The image with its short side brought down to `short_side` pixels; smaller ones as they are.

    Between the whole view, which is too small for brushwork, hair or lettering, and native crops,
    which show a thousandth of a large picture and lose their traces when a platform scales it.
    """
    height, width = rgb.shape[:2]
    if min(height, width) <= short_side:
        return rgb
    scale = short_side / min(height, width)
    size = (max(short_side, round(width * scale)), max(short_side, round(height * scale)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def detail_crops(rgb: Pixels, config: PreprocessConfig) -> tuple[Pixels, tuple[Box, ...]]:
    """(K, S, S, 3) uint8 crops of the shrunk image, and their boxes in the image itself."""
    size = config.size
    small = shrunk(rgb, config.detail_side)
    padded = pad_to(small, size)
    found = crop_boxes(padded, size, config.detail, config.candidates)
    boxes = tuple(box_in(box, small.shape, rgb.shape) for box in found)
    return np.stack([padded[y : y + h, x : x + w] for x, y, w, h in found]), boxes


def box_in(box: Box, small: Sequence[int], large: Sequence[int]) -> Box:
    """A box of a reduced image as a box of the image itself, without what lies outside.

    Args:
        box: (x, y, width, height) in the reduced image.
        small, large: shapes (H, W, …) of the two.
    """
    down, across = large[0] / small[0], large[1] / small[1]
    x, y, w, h = box
    x0, y0 = round(x * across), round(y * down)
    x1, y1 = min(large[1], round((x + w) * across)), min(large[0], round((y + h) * down))
    return x0, y0, x1 - x0, y1 - y0


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
    detail, detail_boxes = detail_crops(rgb, config) if config.detail else (None, ())
    seen = [*native, *(() if detail is None else detail), *(() if whole is None else (whole,))]
    texture = max(texture_of(view) for view in seen)
    return Views(
        native, whole, tuple(boxes), whole_box, texture, tuple(notes), detail, detail_boxes
    )


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
