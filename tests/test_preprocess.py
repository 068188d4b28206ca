"""Views are cut as the config says, and depend on nothing but the pixels."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import BundleError
from detector.preprocess import (
    PreprocessConfig,
    crop_boxes,
    grid,
    make_views,
    pad_to,
    prepare,
    texture_of,
    whole_view,
)
from detector.results import Status
from tests import files


@given(length=st.integers(1, 5000), size=st.integers(32, 512), most=st.integers(1, 60))
def test_a_grid_stays_inside_and_reaches_both_ends(length: int, size: int, most: int) -> None:
    offsets = grid(length, size, most)
    assert 1 <= len(offsets) <= most
    assert offsets == sorted(set(offsets))
    if length <= size:
        assert offsets == [0]
    else:
        assert all(0 <= o <= length - size for o in offsets)
        if len(offsets) > 1:
            assert offsets[0] == 0
            assert offsets[-1] == length - size


@settings(deadline=None, max_examples=60)
@given(height=st.integers(1, 300), width=st.integers(1, 300))
def test_any_shape_gives_views_of_the_bundles_size(height: int, width: int) -> None:
    config = PreprocessConfig(size=64, native=3)
    views = make_views(files.pixels(height, width), config)
    assert views.native.shape[1:] == (64, 64, 3)
    assert 1 <= len(views.native) == len(views.boxes) <= 3
    assert views.whole is not None
    assert views.whole.shape == (64, 64, 3)
    for x, y, w, h in (*views.boxes, views.whole_box or (0, 0, 1, 1)):
        assert 0 <= x < x + w <= width
        assert 0 <= y < y + h <= height


def test_native_crops_are_the_images_own_pixels() -> None:
    rgb = files.pixels(300, 400)
    views = make_views(rgb, PreprocessConfig(size=64, native=4))
    for crop, (x, y, w, h) in zip(views.native, views.boxes, strict=True):
        np.testing.assert_array_equal(crop, rgb[y : y + h, x : x + w])


def test_small_images_are_padded_by_reflection_and_say_so() -> None:
    rgb = files.pixels(40, 50)
    padded = pad_to(rgb, 64)
    assert padded.shape == (64, 64, 3)
    np.testing.assert_array_equal(padded[:40, :50], rgb)
    np.testing.assert_array_equal(padded[40:64, :50], rgb[38:14:-1])
    views = make_views(rgb, PreprocessConfig(size=64))
    assert any("padded by reflection" in note for note in views.notes)


def test_crops_go_where_the_texture_is() -> None:
    rgb = np.full((256, 256, 3), 200, np.uint8)
    rgb[128:192, 64:128] = files.pixels(64, 64)
    assert crop_boxes(rgb, 64, 1) == [(64, 128, 64, 64)]


def test_texture_is_zero_on_one_colour_and_bounded_on_noise() -> None:
    assert texture_of(np.full((64, 64, 3), 90, np.uint8)) == 0
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert 10 < texture_of(noise) <= 48


def test_detail_crops_come_from_a_moderately_reduced_copy() -> None:
    rgb = np.full((600, 900, 3), 200, np.uint8)
    rgb[300:600, 300:600] = files.pixels(300, 300)
    config = PreprocessConfig(size=64, native=1, detail=3, detail_side=128)
    views = make_views(rgb, config)
    assert config.kinds() == ("whole", "native", "detail")
    assert views.detail is not None
    assert views.detail.shape == (3, 64, 64, 3)
    assert views.detail_boxes[0] == (300, 300, 300, 300)  # where the texture is
    assert [view for view, _, _ in views.crops()] == ["whole", "native", *["detail"] * 3]
    for x, y, w, h in views.detail_boxes:
        assert 0 <= x < x + w <= 900
        assert 0 <= y < y + h <= 600


def test_small_images_give_detail_crops_of_themselves() -> None:
    rgb = files.pixels(100, 80)
    views = make_views(rgb, PreprocessConfig(size=64, native=0, detail=1, detail_side=128))
    assert views.detail is not None
    (x, y, w, h) = views.detail_boxes[0]
    np.testing.assert_array_equal(views.detail[0], rgb[y : y + h, x : x + w])


def test_the_whole_view_is_the_central_square() -> None:
    rgb = np.zeros((100, 300, 3), np.uint8)
    rgb[:, 100:200] = 255
    view, box = whole_view(rgb, 50)
    assert box == (100, 0, 100, 100)
    assert view.min() == 255


def test_huge_images_compare_a_bounded_number_of_places() -> None:
    rgb = np.zeros((64, 64 * 500, 3), np.uint8)
    assert len(crop_boxes(rgb, 64, 1000, candidates=16)) <= 16


def test_unknown_and_impossible_options_are_refused() -> None:
    with pytest.raises(BundleError, match="resize_mode"):
        PreprocessConfig.from_dict({"resize_mode": "bilinear"})
    with pytest.raises(BundleError, match="without any view"):
        PreprocessConfig(native=0, whole=False)
    with pytest.raises(BundleError, match="do not fit"):
        PreprocessConfig(detail=1, detail_side=200)
    config = PreprocessConfig(size=96, native=5, detail=2)
    assert PreprocessConfig.from_dict(config.to_dict()) == config


def test_a_bad_file_becomes_a_status_and_never_an_error() -> None:
    config = PreprocessConfig(size=64)
    assert prepare("a.png", b"", config).status is Status.EMPTY
    assert prepare("a.txt", b"hello" * 50, config).status is Status.UNSUPPORTED
    assert prepare("nowhere.png", None, config).status is Status.MISSING


def test_a_prepared_file_can_be_sent_between_processes() -> None:
    item = prepare("a.png", files.png(), PreprocessConfig(size=64), thumbnail_side=32)
    back = pickle.loads(pickle.dumps(item))
    assert back.sha256 == item.sha256
    assert back.thumbnail
    np.testing.assert_array_equal(back.views.native, item.views.native)


def test_preparing_loads_no_torch() -> None:
    code = "import detector.preprocess, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
