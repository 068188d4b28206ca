"""Makes the pictures that the measured channels' examples and tests use; nothing is read."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np


def picture(height: int, width: int, seed: int = 7) -> np.ndarray:
    """(H, W, 3) uint8: coloured clouds of all sizes with grain, like a photograph in the large.

    Amplitudes fall with frequency as in photographs, and nothing in it is interpolated,
    periodic or compressed.
    """
    rng = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    falling = 1 / np.maximum(np.hypot(fy, fx), 1 / max(height, width)) ** 1.3
    noise = _alike(rng, height, width)
    planes = [np.fft.irfft2(np.fft.rfft2(n) * falling, (height, width)) for n in noise]
    clouds = np.dstack([plane / plane.std() * 45 for plane in planes])
    return np.asarray(np.clip(128 + clouds + rng.normal(0, 2, clouds.shape), 2, 253), np.uint8)


def _alike(rng: np.random.Generator, height: int, width: int) -> list[np.ndarray]:
    """Three planes of white noise that are alike, as colours of a scene are."""
    shared = rng.normal(0, 1, (height, width))
    return [shared + rng.normal(0, 0.5, shared.shape) for _ in range(3)]


def encode(rgb: np.ndarray, suffix: str, *options: int) -> bytes:
    """The picture as a file; `options` as OpenCV's `imwrite` takes them."""
    done, data = cv2.imencode(suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), list(options))
    if not done:
        raise ValueError(f"OpenCV cannot write {suffix}")
    return bytes(data)


def jpeg(rgb: np.ndarray, quality: int, *options: int) -> bytes:
    """The picture as a JPEG of the given quality."""
    return encode(rgb, ".jpg", cv2.IMWRITE_JPEG_QUALITY, quality, *options)


def decode(data: bytes) -> np.ndarray:
    """(H, W, 3) uint8 RGB."""
    bgr = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    return np.ascontiguousarray(bgr[:, :, ::-1])


def enlarged(rgb: np.ndarray, scale: float) -> np.ndarray:
    """The picture scaled up by bicubic interpolation."""
    return np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC))


def striped(rgb: np.ndarray) -> np.ndarray:
    """The picture under weak oblique stripes that repeat every five pixels."""
    y, x = np.indices(rgb.shape[:2])
    wave = 4 * np.sin(2 * np.pi * (0.12 * x + 0.16 * y))
    return np.asarray(np.clip(rgb + wave[:, :, None], 0, 255), dtype=np.uint8)


def latticed(rgb: np.ndarray) -> np.ndarray:
    """The picture with the faint lattice of period 4 that transposed convolutions can leave."""
    y, x = np.indices(rgb.shape[:2])
    weave = 2.0 * ((x % 4 == 0).astype(np.float32) + (y % 4 == 0))
    return np.asarray(np.clip(rgb + weave[:, :, None], 0, 255), dtype=np.uint8)


def mark(rgb: np.ndarray, bits: Sequence[int], numbers: str = "uint8") -> np.ndarray:
    """The picture with a dwtDct mark, written after the method's description.

    See `detector.evidence.watermark`; `numbers` is the arithmetic that the encoder works in,
    "uint8" (neutral colour at 128) or "float" (at 0.5).
    """
    height, width = rgb.shape[0] // 8 * 8, rgb.shape[1] // 8 * 8
    image = rgb[:height, :width].astype(np.float64)
    luma = image @ np.array([0.299, 0.587, 0.114])
    neutral = 128.0 if numbers == "uint8" else 0.5
    blue = 0.492 * (image[:, :, 2] - luma) + neutral
    haar = blue.reshape(height // 2, 2, width // 2, 2).sum(axis=(1, 3)) / 2
    blocks = haar.reshape(height // 8, 4, width // 8, 4).swapaxes(1, 2).reshape(-1, 16)
    moved = _moved(blocks, np.resize(np.array(bits), len(blocks)))
    change = (moved - blocks).reshape(height // 8, width // 8, 4, 4).swapaxes(1, 2)
    # One unit of the approximation is half a unit of each of its four pixels.
    blue += np.kron(change.reshape(haar.shape), np.ones((2, 2))) / 2 - neutral
    red = 0.877 * (image[:, :, 0] - luma)
    out = rgb.copy()
    r, b = luma + red / 0.877, luma + blue / 0.492
    g = (luma - 0.299 * r - 0.114 * b) / 0.587
    out[:height, :width] = np.clip(np.rint(np.dstack([r, g, b])), 0, 255).astype(np.uint8)
    return np.asarray(out)


def _moved(blocks: np.ndarray, bits: np.ndarray) -> np.ndarray:
    moved, row = blocks.copy(), np.arange(len(blocks))
    at = np.abs(blocks[:, 1:]).argmax(axis=1) + 1
    value = blocks[row, at]
    size = (np.abs(value) // 36 + 0.25 + 0.5 * bits) * 36
    moved[row, at] = np.where(value >= 0, size, -size)
    return np.asarray(moved)
