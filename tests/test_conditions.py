"""The treatments: what they promise about size, codec, repeatability and equal handling."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from detector import conditions
from detector.conditions import CONDITIONS, PUBLISHED, SWEEP, Draws, treat


def picture(height: int = 300, width: int = 400, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("name", [*CONDITIONS, *SWEEP])
def test_every_treatment_gives_a_file_that_opens_and_the_same_one_twice(name: str) -> None:
    rgb = picture()
    first, second = (treat(name, b"", rgb, "some key") for _ in range(2))
    assert first == second
    assert opened(first).mode == "RGB"


def test_as_published_means_the_very_bytes() -> None:
    assert treat(PUBLISHED, b"the file", picture(), "key") == b"the file"


def test_an_unknown_treatment_is_an_error() -> None:
    with pytest.raises(KeyError):
        treat("fax", b"", picture(), "key")


def test_a_treatment_leaves_its_input_alone() -> None:
    rgb = picture()
    before = rgb.copy()
    for name in (*CONDITIONS, *SWEEP):
        treat(name, b"", rgb, "key")
    assert np.array_equal(rgb, before)


def test_web_brings_the_long_side_into_its_range_and_never_enlarges() -> None:
    large, small = picture(1500, 2100), picture(200, 320)
    sides = {max(opened(treat("web", b"", large, str(key))).size) for key in range(12)}
    assert all(640 <= side <= 1024 for side in sides)
    assert len(sides) > 4
    assert opened(treat("web", b"", small, "key")).size == (320, 200)


def test_web_draws_codec_and_second_pass_in_the_stated_shares() -> None:
    draws = [Draws(str(key), "web") for key in range(2000)]
    webp = np.mean([d.uniform("first codec") < 0.25 for d in draws])
    twice = np.mean([d.uniform("twice") < 0.5 for d in draws])
    assert webp == pytest.approx(0.25, abs=0.03)
    assert twice == pytest.approx(0.5, abs=0.04)
    formats = {opened(treat("web", b"", picture(64, 64), str(key))).format for key in range(30)}
    assert formats == {"JPEG", "WEBP"}


def test_the_seed_and_the_key_change_the_draw() -> None:
    rgb = picture(1200, 1600)
    assert treat("web", b"", rgb, "a") != treat("web", b"", rgb, "b")
    assert treat("web", b"", rgb, "a", seed=0) != treat("web", b"", rgb, "a", seed=1)


@given(height=st.integers(32, 900), width=st.integers(32, 900), key=st.text(min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_a_drawn_window_fits_the_image_and_is_large_only_by_the_draw(
    height: int, width: int, key: str
) -> None:
    rgb = np.zeros((height, width, 3), np.uint8)
    window = conditions.crop_alike(rgb, Draws(key, "t"), 256, 640)
    assert 1 <= window.shape[0] <= height
    assert 1 <= window.shape[1] <= width
    assert max(window.shape[:2]) <= 640


def test_windows_of_large_images_have_sizes_that_do_not_depend_on_the_image() -> None:
    square, wide = np.zeros((2000, 2000, 3), np.uint8), np.zeros((1900, 3000, 3), np.uint8)
    for key in "abcdefgh":
        shapes = {
            conditions.crop_alike(rgb, Draws(key, "q96-cropped"), 256, 640).shape
            for rgb in (square, wide)
        }
        assert len(shapes) == 1


@given(st.text(max_size=20), st.integers(0, 5), st.integers(-3, 3), st.integers(0, 9))
@settings(deadline=None)
def test_draws_stay_in_range(key: str, seed: int, low: int, span: int) -> None:
    draws = Draws(key, "t", seed)
    assert 0 <= draws.uniform("u") < 1
    assert low <= draws.integer("i", low, low + span) <= low + span


def test_the_sweep_covers_what_the_protocol_names() -> None:
    for word in ("jpeg 95", "jpeg 30", "webp", "×0.25", "×1.5", "crop", "blur", "noise"):
        assert any(word in name for name in SWEEP), word
    assert "screenshot" in SWEEP


def test_resize_and_crop_change_the_size_by_the_stated_share() -> None:
    rgb = picture(200, 300)
    assert opened(treat("resize ×0.5", b"", rgb, "k")).size == (150, 100)
    assert opened(treat("resize ×1.5", b"", rgb, "k")).size == (450, 300)
    assert opened(treat("crop 50%", b"", rgb, "k")).size == (150, 100)


def test_noise_has_the_stated_strength() -> None:
    grey = np.full((128, 128, 3), 128, np.uint8)
    noisy = np.asarray(opened(treat("noise σ5", b"", grey, "k")), dtype=float)
    assert noisy.std() == pytest.approx(5, rel=0.05)


def test_the_module_loads_no_torch() -> None:
    code = "import sys, detector.conditions; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
