"""Aligned reconstruction pairs and enlarged real images, with made-up networks."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from detector.corpus.negatives import upscaled_real
from detector.corpus.pairs import aligned_crops, autoencoder_of, reconstruct
from detector.errors import CorpusError


def _picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def _blocky(pixels: torch.Tensor) -> torch.Tensor:
    """Loses detail on a grid of 8 pixels, as a decoder does."""
    return functional.interpolate(functional.avg_pool2d(pixels, 8), scale_factor=8.0)


@pytest.mark.parametrize("size", [(64, 64), (50, 33), (1, 1)])
def test_an_autoencoder_that_changes_nothing_gives_the_image_back(size: tuple[int, int]) -> None:
    rgb = _picture(*size)
    assert np.array_equal(reconstruct(rgb, lambda x: x), rgb)


def test_halves_are_given_pixels_in_their_own_range() -> None:
    seen: list[float] = []

    def encode(pixels: torch.Tensor) -> torch.Tensor:
        seen.extend((float(pixels.min()), float(pixels.max())))
        return pixels

    rgb = np.array([[[0, 128, 255]]], np.uint8)
    made = reconstruct(rgb, autoencoder_of(encode, lambda x: x, -1.0, 1.0))
    assert seen == [-1.0, 1.0]
    assert np.array_equal(made, rgb)


def test_values_out_of_range_are_clipped() -> None:
    rgb = np.full((4, 4, 3), 200, np.uint8)
    assert (reconstruct(rgb, lambda x: x * 2) == 255).all()
    assert (reconstruct(rgb, lambda x: x - 1) == 0).all()


def test_both_halves_of_a_pair_show_the_same_place() -> None:
    rgb = cv2.GaussianBlur(_picture(200, 300), (0, 0), 9)
    for seed in range(5):
        real, made = aligned_crops(rgb, _blocky, 96, np.random.default_rng(seed))
        assert real.shape == made.shape == (96, 96, 3)
        assert not np.array_equal(real, made)
        assert np.abs(real.astype(int) - made).mean() < 4


def test_a_crop_has_the_traces_that_the_whole_reconstruction_has_there() -> None:
    rgb = _picture(200, 300)
    whole = reconstruct(rgb, _blocky)
    real, made = aligned_crops(rgb, _blocky, 96, np.random.default_rng(1))
    places = [
        (y, x)
        for y in range(200 - 96 + 1)
        for x in range(300 - 96 + 1)
        if np.array_equal(rgb[y : y + 96, x : x + 96], real)
    ]
    ((y, x),) = places
    assert np.array_equal(whole[y : y + 96, x : x + 96], made)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(CorpusError, match="takes"):
        reconstruct(np.zeros((4, 4), np.uint8), lambda x: x)
    with pytest.raises(CorpusError, match="gave"):
        reconstruct(_picture(16, 16), lambda x: x[..., :8])
    with pytest.raises(CorpusError, match="no crop of 64"):
        aligned_crops(_picture(63, 100), _blocky, 64, np.random.default_rng(0))


def test_an_enlarged_image_has_the_network_size_and_label_of_its_original() -> None:
    rgb = _picture(101, 130)
    large = upscaled_real(rgb, lambda small: np.repeat(np.repeat(small, 4, 0), 4, 1))
    assert large.shape == (100, 128, 3)
    assert large[0, 0, 0] == round(float(rgb[:4, :4, 0].mean()))
    with pytest.raises(CorpusError, match="gave"):
        upscaled_real(rgb, lambda small: small)
    with pytest.raises(CorpusError, match="cannot be shrunk"):
        upscaled_real(_picture(20, 20), lambda small: small)


def test_corpora_are_used_without_torch() -> None:
    code = (
        "import sys, detector.corpus, detector.corpus.build, detector.corpus.pairs, "
        "detector.corpus.check, detector.corpus.stats, detector.corpus.negatives; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
