"""Aligned pairs: a real image and its reconstruction by a generator's autoencoder.

Latent diffusion models end in a decoder, and it leaves its traces in every pixel. A real image
sent through encoder and decoder keeps its content and gains these traces, so that a model trained
on the pair can learn nothing from content, size or format ("Aligned Datasets Improve Detection of
Latent Diffusion-Generated Images", arXiv 2410.11835). Both halves of a pair must get the same
crop, the same draw of degradations and the same compression. Pairs supplement generated images;
they do not replace them. PyTorch is imported only when something is reconstructed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from detector.errors import CorpusError

if TYPE_CHECKING:
    from torch import Tensor

    # (1, 3, H, W) float32 RGB in [0, 1] to the same; H and W are multiples of `multiple`.
    Autoencoder = Callable[[Tensor], Tensor]

Pixels = NDArray[np.uint8]


def autoencoder_of(
    encode: Callable[[Tensor], Tensor],
    decode: Callable[[Tensor], Tensor],
    low: float = 0.0,
    high: float = 1.0,
) -> Autoencoder:
    """An autoencoder of two halves whose pixels run from `low` to `high` (often −1 to 1).

    Args:
        encode: (1, 3, H, W) pixels to latents. A variational encoder must give the mean: a
            random draw would make a pair that nobody can make again.
        decode: latents to pixels.
    """

    def run(pixels: Tensor) -> Tensor:
        return (decode(encode(pixels * (high - low) + low)) - low) / (high - low)

    return run


def reconstruct(
    rgb: Pixels, autoencoder: Autoencoder, *, multiple: int = 16, device: str = "cpu"
) -> Pixels:
    """Sends an image through an autoencoder; (H, W, 3) uint8 RGB in and out, same size.

    The image is extended by reflection to multiples of `multiple` on the right and below, and
    cut back afterwards, so that pixels stay where they were.

    Raises:
        CorpusError: the array is no RGB image, or the autoencoder gives another size back.
    """
    import torch

    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
        raise CorpusError(f"reconstruct takes (H, W, 3) uint8, not {rgb.shape} {rgb.dtype}")
    height, width = rgb.shape[:2]
    extra = ((0, -height % multiple), (0, -width % multiple), (0, 0))
    padded = np.pad(rgb, extra, mode="symmetric")
    pixels = torch.from_numpy(padded).to(device).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        result = autoencoder(pixels)
    if result.shape != pixels.shape:
        raise CorpusError(
            f"the autoencoder gave {tuple(result.shape)} back for {tuple(pixels.shape)}"
        )
    levels = (result[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return np.ascontiguousarray(levels[:height, :width])


def aligned_crops(
    rgb: Pixels,
    autoencoder: Autoencoder,
    side: int,
    rng: np.random.Generator,
    *,
    margin: int = 32,
    multiple: int = 16,
) -> tuple[Pixels, Pixels]:
    """One crop of a real image and the same crop of its reconstruction, both (side, side, 3).

    Only the crop's surroundings are reconstructed, with `margin` pixels of context where the
    image has them, at a position on the autoencoder's grid.

    Raises:
        CorpusError: the image is smaller than the crop.
    """
    height, width = rgb.shape[:2]
    if min(height, width) < side:
        raise CorpusError(f"no crop of {side} pixels in an image of {width}×{height}")
    top, left = (int(rng.integers(0, length - side + 1)) for length in (height, width))
    # The traces lie on the decoder's grid, so the window may only begin on it.
    start_y, start_x = (max(0, edge - margin) // multiple * multiple for edge in (top, left))
    window = rgb[start_y : top + side + margin, start_x : left + side + margin]
    made = reconstruct(np.ascontiguousarray(window), autoencoder, multiple=multiple)
    inside = (
        slice(top - start_y, top - start_y + side),
        slice(left - start_x, left - start_x + side),
    )
    return np.ascontiguousarray(window[inside]), np.ascontiguousarray(made[inside])
