"""What happens to an image on its way to the detector: format conditions and a robustness sweep.

Every treatment takes upright RGB pixels and gives the bytes of a file, so that the detector
meets it as it would meet any upload. Real and generated images get the same treatment. All
random choices are drawn from a hash of (seed, treatment, key of the image, what is drawn): the
same image is treated alike on every machine, in every order, and adding a choice moves no other.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Rgb = NDArray[np.uint8]


@dataclass(frozen=True)
class Draws:
    """Named random numbers that depend on nothing but the key, the treatment and the seed."""

    key: str
    treatment: str
    seed: int = 0

    def uniform(self, what: str, low: float = 0.0, high: float = 1.0) -> float:
        """A number in [low, high)."""
        text = f"{self.seed}|{self.treatment}|{self.key}|{what}"
        digest = hashlib.sha256(text.encode()).digest()
        # 53 bits fill the mantissa of a double, so that 1.0 is never reached by rounding.
        return low + (high - low) * (int.from_bytes(digest[:8], "big") >> 11) / 2**53

    def integer(self, what: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self.uniform(what) * (high - low + 1))

    def generator(self, what: str) -> np.random.Generator:
        """A generator for whole arrays of noise."""
        return np.random.default_rng(int(self.uniform(what) * 2**53))


Treatment = Callable[[Rgb, Draws], bytes]


# --- encoders -------------------------------------------------------------------------------


def to_jpeg(rgb: Rgb, quality: int) -> bytes:
    """A baseline JPEG of the IJG quality with 4:2:0 chroma, as most platforms save it."""
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, "JPEG", quality=quality, subsampling="4:2:0")
    return out.getvalue()


def to_webp(rgb: Rgb, quality: int) -> bytes:
    """A lossy WebP."""
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, "WEBP", quality=quality, method=2)
    return out.getvalue()


def to_png(rgb: Rgb) -> bytes:
    """A lossless PNG, quick rather than small."""
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, "PNG", compress_level=1)
    return out.getvalue()


def _decode(data: bytes) -> Rgb:
    # Only for files that this module has just written: nothing of a stranger's comes here.
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


# --- geometry -------------------------------------------------------------------------------


_KERNELS = (Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BOX)


def resize(rgb: Rgb, scale: float, kernel: Image.Resampling = Image.Resampling.BICUBIC) -> Rgb:
    """The image at `scale` times its sides, at least one pixel each."""
    height, width = rgb.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(rgb).resize(size, kernel))


def fit_long_side(rgb: Rgb, side: int, kernel: Image.Resampling) -> Rgb:
    """The image with its long side brought down to `side`; smaller images stay as they are."""
    long_side = max(rgb.shape[:2])
    return rgb if long_side <= side else resize(rgb, side / long_side, kernel)


_ASPECTS = ((1, 1), (4, 3), (3, 4), (3, 2), (2, 3), (16, 9), (4, 5))


def crop_alike(rgb: Rgb, draws: Draws, low: int, high: int) -> Rgb:
    """A window whose shape and size are drawn without a look at the image's own.

    The aspect is one of a fixed list, the long side between `low` and `high` pixels; a smaller
    image gives the largest window of that aspect. The place is drawn, too. So neither the
    sizes that generators emit nor those of cameras remain, except in images under `low`.
    """
    height, width = rgb.shape[:2]
    across, down = _ASPECTS[draws.integer("aspect", 0, len(_ASPECTS) - 1)]
    unit = draws.integer("side", low, high) / max(across, down)
    unit = min(unit, width / across, height / down)
    w, h = max(1, int(unit * across)), max(1, int(unit * down))
    x, y = draws.integer("x", 0, width - w), draws.integer("y", 0, height - h)
    return np.ascontiguousarray(rgb[y : y + h, x : x + w])


# --- format conditions ----------------------------------------------------------------------


def q96(rgb: Rgb, draws: Draws) -> bytes:
    """Saved again as a JPEG of quality 96."""
    return to_jpeg(rgb, 96)


def web(rgb: Rgb, draws: Draws) -> bytes:
    """As a platform serves it: brought down to 640–1024 pixels and compressed, half of them twice.

    The long side, the kernel, and for each pass the codec (three quarters JPEG, one quarter
    WebP) and the quality (40–90) are drawn for every image.
    """
    side = draws.integer("side", 640, 1024)
    small = fit_long_side(rgb, side, _KERNELS[draws.integer("kernel", 0, 2)])
    data = _platform_pass(small, draws, "first")
    if draws.uniform("twice") < 0.5:
        data = _platform_pass(_decode(data), draws, "second")
    return data


def _platform_pass(rgb: Rgb, draws: Draws, which: str) -> bytes:
    quality = draws.integer(f"{which} quality", 40, 90)
    encode = to_webp if draws.uniform(f"{which} codec") < 0.25 else to_jpeg
    return encode(rgb, quality)


def q96_cropped(rgb: Rgb, draws: Draws) -> bytes:
    """`q96` of a window of 256–640 pixels that is drawn alike for every image."""
    return q96(crop_alike(rgb, draws, 256, 640), draws)


def web_cropped(rgb: Rgb, draws: Draws) -> bytes:
    """`web` of a window of 384–1024 pixels that is drawn alike, brought down to 256–512."""
    window = crop_alike(rgb, draws, 384, 1024)
    side = draws.integer("served side", 256, 512)
    return web(fit_long_side(window, side, Image.Resampling.LANCZOS), draws)


PUBLISHED = "published"

CONDITIONS: dict[str, Treatment] = {
    "q96": q96,
    "web": web,
    "q96-cropped": q96_cropped,
    "web-cropped": web_cropped,
}
# Whole files as they come to an analyst; the others cut a window out of every image, so that size
# and format say nothing.
WHOLE_FILES = (PUBLISHED, "q96", "web")


# --- robustness sweep -----------------------------------------------------------------------


def _jpeg(quality: int) -> Treatment:
    return lambda rgb, draws: to_jpeg(rgb, quality)


def _webp(quality: int) -> Treatment:
    return lambda rgb, draws: to_webp(rgb, quality)


def _scaled(scale: float) -> Treatment:
    return lambda rgb, draws: to_png(resize(rgb, scale))


def _cropped(share: float) -> Treatment:
    def treat(rgb: Rgb, draws: Draws) -> bytes:
        height, width = rgb.shape[:2]
        h, w = max(1, round(height * share)), max(1, round(width * share))
        y, x = draws.integer("y", 0, height - h), draws.integer("x", 0, width - w)
        return to_png(np.ascontiguousarray(rgb[y : y + h, x : x + w]))

    return treat


def _blurred(sigma: float) -> Treatment:
    def treat(rgb: Rgb, draws: Draws) -> bytes:
        return to_png(np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma), dtype=np.uint8))

    return treat


def _noisy(sigma: float) -> Treatment:
    def treat(rgb: Rgb, draws: Draws) -> bytes:
        noise = draws.generator("noise").standard_normal(rgb.shape, dtype=np.float32) * sigma
        return to_png(np.clip(np.rint(rgb + noise), 0, 255).astype(np.uint8))

    return treat


def screenshot(rgb: Rgb, draws: Draws) -> bytes:
    """The image as a screen shows it: scaled to a display, framed by a plain page, saved as PNG.

    The long side becomes 480–1080 pixels (up or down, bilinear); the page is light or dark, with
    margins of 2–8 % and a bar above and below, as in a feed.
    """
    scale = draws.integer("side", 480, 1080) / max(rgb.shape[:2])
    shown = resize(rgb, scale, Image.Resampling.BILINEAR)
    height, width = shown.shape[:2]
    page, bar = (255, 240) if draws.uniform("theme") < 0.5 else (21, 32)
    margin = max(1, round(width * draws.uniform("margin", 0.02, 0.08)))
    above, below = (max(1, round(height * draws.uniform(b, 0.05, 0.12))) for b in ("top", "foot"))
    canvas = np.full((above + height + below, width + 2 * margin, 3), page, dtype=np.uint8)
    canvas[:above] = bar
    canvas[above : above + height, margin : margin + width] = shown
    return to_png(canvas)


SWEEP: dict[str, Treatment] = {
    **{f"jpeg {quality}": _jpeg(quality) for quality in (95, 85, 75, 65, 50, 40, 30)},
    **{f"webp {quality}": _webp(quality) for quality in (90, 75, 50)},
    **{f"resize ×{scale}": _scaled(scale) for scale in (0.25, 0.5, 0.75, 1.25, 1.5)},
    **{f"crop {share:.0%}": _cropped(share) for share in (0.75, 0.5, 0.25)},
    **{f"blur σ{sigma}": _blurred(sigma) for sigma in (0.5, 1.0, 2.0)},
    **{f"noise σ{sigma}": _noisy(sigma) for sigma in (2, 5, 10)},
    "screenshot": screenshot,
}


def treat(name: str, data: bytes, rgb: Rgb, key: str, seed: int = 0) -> bytes:
    """The bytes of one image under the named condition or step of the sweep.

    `data` is the file as published and `rgb` its upright (H, W, 3) uint8 pixels; `key` names
    the image, as its sha256 does. `PUBLISHED` returns `data`. Raises KeyError for other names.
    """
    if name == PUBLISHED:
        return data
    treatment = CONDITIONS.get(name) or SWEEP[name]
    return treatment(rgb, Draws(key, name, seed))
