"""The half of others' preprocessing that moves pixels; runs in worker processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from detector.errors import BundleError, MissingExtraError
from detector.preprocess import Box, Pixels, Views, texture_of


@dataclass(frozen=True)
class ProcessorCutter:
    """The half of a checkpoint's own image processor that resizes and cuts.

    Attributes:
        folder: of the checkpoint.
    """

    folder: str

    def cut(self, rgb: Pixels) -> Views:
        """One view, uint8, as large as the network wants it."""
        processor = processor_of(self.folder)
        values = run_half(processor, [rgb.copy()], geometry=True)[0]  # it must be writable
        whole = np.ascontiguousarray(np.asarray(values).transpose(1, 2, 0))
        if not np.array_equal(whole, np.clip(np.rint(whole), 0, 255)):
            raise BundleError(f"{self.folder}: its image processor does more than resize and cut")
        height, width = rgb.shape[:2]
        return _one_view(whole.astype(np.uint8), (0, 0, width, height))


@dataclass(frozen=True)
class SquareCutter:
    """Shorter side to `resize` (bilinear, antialiased), centre square of `crop` pixels."""

    resize: int
    crop: int

    def cut(self, rgb: Pixels) -> Views:
        """One view, uint8, `crop` pixels square."""
        height, width = rgb.shape[:2]
        short = min(height, width)
        size = (int(self.resize * width / short), int(self.resize * height / short))
        small = np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR))
        top, left = (round((side - self.crop) / 2.0) for side in small.shape[:2])
        side = round(self.crop / self.resize * short)
        box = ((width - side) // 2, (height - side) // 2, side, side)
        return _one_view(small[top : top + self.crop, left : left + self.crop].copy(), box)


def _one_view(whole: Pixels, box: Box) -> Views:
    none = np.empty((0, *whole.shape), np.uint8)
    return Views(none, whole, (), box, texture_of(whole))


@lru_cache(maxsize=4)
def processor_of(folder: str) -> Any:
    """The image processor that a checkpoint's folder describes."""
    try:
        from transformers import AutoImageProcessor
    except ImportError as error:
        raise MissingExtraError("A Hugging Face model", "hub") from error
    load: Any = AutoImageProcessor.from_pretrained
    return load(folder, local_files_only=True)


def run_half(processor: Any, images: Sequence[Pixels], geometry: bool | None) -> Any:
    """One half of an image processor, or with None the whole: (N, 3, H, W)."""
    numeric = ("do_rescale", "do_normalize")
    switches = {key for key in processor.to_dict() if key.startswith("do_")}
    off = {key: False for key in switches if geometry is not None and (key in numeric) is geometry}
    kind = "np" if geometry else "pt"
    return processor(images=list(images), return_tensors=kind, **off)["pixel_values"]
