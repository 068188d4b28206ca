"""Train-only degradations: what platforms and people do to an image before it is collected.

Both classes get the same draws, so that neither size nor format can tell them apart. The
mixture follows what the literature found to generalise (blur, alternating JPEG encoders and
qualities, WebP, rescaling, noise), at parameters that travel in the bundle's config.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

JPEG_SUBSAMPLING = (
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
)


@dataclass(frozen=True)
class Degradations:
    """How often and how strongly views are degraded in training.

    Attributes:
        recompress: chance of one re-save; `again` is the chance of a second after it.
        quality: lowest and highest quality of a re-save, of 100.
        webp: share of the re-saves that are WebP; the others are JPEG.
        rescale: chance of shrinking by a factor down to `least_scale` and back up.
        blur: chance of a Gaussian blur with a sigma of up to `most_blur` pixels.
        noise: chance of Gaussian noise with a deviation of up to `most_noise` grey levels.
        light: chance of changed brightness, contrast and saturation, each by up to a fifth.
    """

    recompress: float = 0.85
    again: float = 0.3
    quality: tuple[int, int] = (40, 98)
    webp: float = 0.2
    rescale: float = 0.15
    least_scale: float = 0.5
    blur: float = 0.1
    most_blur: float = 1.5
    noise: float = 0.1
    most_noise: float = 6.0
    light: float = 0.2

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def flip_and_cut(view: Pixels, size: int, rng: random.Random) -> Pixels:
    """A random window of `size` pixels, mirrored left to right half of the time.

    Args:
        view: (H, W, 3) uint8 with both sides at least `size`.
    """
    y = rng.randint(0, view.shape[0] - size)
    x = rng.randint(0, view.shape[1] - size)
    window = view[y : y + size, x : x + size]
    return window[:, ::-1] if rng.random() < 0.5 else window


def resave(view: Pixels, quality: int, webp: bool, sampling: int) -> Pixels:
    """Encode and decode once, as JPEG or WebP.

    Args:
        view: (H, W, 3) uint8 RGB.
        quality: 1–100 on the encoder's scale.
        webp: WebP instead of JPEG.
        sampling: OpenCV's constant for the chroma sampling of a JPEG.
    """
    bgr = np.ascontiguousarray(view[..., ::-1])
    if webp:
        _, data = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, quality])
    else:
        options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
        _, data = cv2.imencode(".jpg", bgr, options)
    back = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert back is not None
    return back[..., ::-1]  # type: ignore[return-value]


def degrade(view: Pixels, how: Degradations, strength: float, rng: random.Random) -> Pixels:
    """One view after a random chain of degradations.

    Args:
        view: (S, S, 3) uint8 RGB.
        how: chances and ranges.
        strength: factor in [0, 1] on every chance, so that training can begin gently.
        rng: the only source of chance.

    Returns:
        (S, S, 3) uint8 RGB, C-contiguous.
    """
    size = view.shape[0]
    if rng.random() < how.light * strength:
        view = _relight(view, rng)
    if rng.random() < how.blur * strength:
        view = cv2.GaussianBlur(view, (0, 0), rng.uniform(0.3, how.most_blur))  # type: ignore[assignment]
    if rng.random() < how.rescale * strength:
        small = max(16, round(size * rng.uniform(how.least_scale, 1.0)))
        down = cv2.resize(view, (small, small), interpolation=cv2.INTER_AREA)
        method = rng.choice((cv2.INTER_LINEAR, cv2.INTER_CUBIC))
        view = cv2.resize(down, (size, size), interpolation=method)  # type: ignore[assignment]
    if rng.random() < how.noise * strength:
        noise = np.random.default_rng(rng.getrandbits(32)).normal(
            0, rng.uniform(1.0, how.most_noise), view.shape
        )
        view = np.clip(view + noise, 0, 255).astype(np.uint8)
    if rng.random() < how.recompress * strength:
        for _ in range(2 if rng.random() < how.again else 1):
            quality = rng.randint(*how.quality)
            webp = rng.random() < how.webp
            view = resave(view, quality, webp, rng.choice(JPEG_SUBSAMPLING))
    return np.ascontiguousarray(view)


def _relight(view: Pixels, rng: random.Random) -> Pixels:
    x = view.astype(np.float32)
    grey = x.mean(axis=2, keepdims=True)
    x = grey + (x - grey) * rng.uniform(0.8, 1.2)
    x = (x - 128.0) * rng.uniform(0.8, 1.2) + 128.0 * rng.uniform(0.8, 1.2)
    relit: Pixels = np.clip(x, 0, 255).astype(np.uint8)
    return relit
