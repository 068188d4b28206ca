"""The spectrum channel finds lines and their periods, keeps to its bounds, and never accuses."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.evidence import _examples, _radial, spectrum
from detector.evidence.base import EvidenceInput
from detector.results import Asserts, Evidence, FileFacts, Trust

PICTURE = _examples.picture(600, 700)


def facts_for(rgb: np.ndarray, **other: Any) -> FileFacts:
    height, width = rgb.shape[:2]
    plain: dict[str, Any] = {"format": "PNG", "lossless": True, **other}
    return FileFacts("", rgb.nbytes, width=width, height=height, **plain)


def found(rgb: np.ndarray, **facts: Any) -> dict[str, Evidence]:
    item = EvidenceInput(b"", facts_for(rgb, **facts), rgb)
    return {e.kind: e for e in spectrum.find(item)}


def wave(fx: float, fy: float, height: float = 6.0) -> np.ndarray:
    y, x = np.indices(PICTURE.shape[:2])
    pattern = height * np.sin(2 * np.pi * (fx * x + fy * y))
    return np.clip(PICTURE + pattern[:, :, None], 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("fx", "fy"), [(0.25, 0.0), (0.0, 0.2), (0.125, 0.125), (0.3, 0.11), (-0.2, 0.3)]
)
def test_a_wave_is_found_with_its_direction_and_period(fx: float, fy: float) -> None:
    line = found(wave(fx, fy))["spectral_lines"].raw["lines"][0]
    assert line["fx"] == pytest.approx(fx, abs=1 / 256)
    assert line["fy"] == pytest.approx(fy, abs=1 / 256)
    assert line["period_px"] == pytest.approx(1 / np.hypot(fx, fy), rel=0.03)


def test_a_picture_without_a_pattern_has_no_lines() -> None:
    assert set(found(PICTURE)) == {"radial_spectrum"}


def test_an_edge_is_not_taken_for_a_line() -> None:
    edged = PICTURE.copy()
    edged[:, 300:340] = 250
    edged[200:203] = 5
    assert "spectral_lines" not in found(edged)


@pytest.mark.parametrize("period", [2, 4, 8])
def test_a_lattice_of_a_power_of_two_is_named_as_up_sampling_in_exact_pixels(period: int) -> None:
    x = np.arange(PICTURE.shape[1])
    woven = np.clip(PICTURE + 4 * (x % period == 0)[None, :, None], 0, 255).astype(np.uint8)
    raw = found(woven)["spectral_lines"].raw
    assert {line["origin"] for line in raw["lines"]} == {"power_of_two"}
    assert "up-sampling" in raw["possible_origins"]["power_of_two"]


def test_the_same_lattice_in_a_jpeg_is_named_as_its_blocks() -> None:
    woven = wave(0.125, 0.0)
    raw = found(woven, format="JPEG", lossless=False, jpeg_quality=80)["spectral_lines"].raw
    assert raw["lines"][0]["origin"] == "block_grid"


def test_blocks_of_an_earlier_jpeg_are_named_in_a_png_too() -> None:
    blocky = _examples.decode(_examples.jpeg(wave(0.125, 0.0), 70))
    raw = found(blocky)["spectral_lines"].raw
    assert {line["origin"] for line in raw["lines"] if line["fx"] == 0.125} == {"block_grid"}


def test_other_periods_are_other() -> None:
    raw = found(wave(0.3, 0.0))["spectral_lines"].raw
    assert raw["lines"][0]["origin"] == "other"


def test_blur_lowers_the_high_frequencies_of_the_profile() -> None:
    sharp = found(PICTURE)["radial_spectrum"].raw["profile_db"]
    soft = found(cv2.GaussianBlur(PICTURE, (0, 0), 1.5))["radial_spectrum"].raw["profile_db"]
    assert len(sharp) == _radial.BINS
    assert soft[50] < sharp[50] - 3


def test_the_profile_does_not_depend_on_contrast_or_brightness() -> None:
    half = (PICTURE // 2 + 60).astype(np.uint8)
    full = np.array(found(PICTURE)["radial_spectrum"].raw["profile_db"])
    dim = np.array(found(half)["radial_spectrum"].raw["profile_db"])
    assert np.abs(full - dim)[:30].max() < 1.5


def test_the_level_band_is_zero_decibels() -> None:
    measured = _radial.measure(PICTURE)
    assert measured is not None
    low, high = _radial._LEVEL
    level = (_radial.frequencies() >= low) & (_radial.frequencies() <= high)
    assert measured.profile[level].mean() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({}, "lossless/small"),
        ({"format": "PIXELS", "lossless": False}, "lossless/small"),
        ({"format": "JPEG", "lossless": False, "jpeg_quality": 90}, "jpeg-light/small"),
        ({"format": "JPEG", "lossless": False, "jpeg_quality": 70}, "jpeg-medium/small"),
        ({"format": "JPEG", "lossless": False, "jpeg_quality": 69}, "jpeg-heavy/small"),
        ({"format": "JPEG", "lossless": False}, "lossy/small"),
        ({"format": "WEBP", "lossless": False}, "lossy/small"),
    ],
)
def test_a_file_belongs_to_one_stratum(facts: dict[str, Any], name: str) -> None:
    assert spectrum.stratum(facts_for(PICTURE, **facts)) == name


def test_large_images_have_a_stratum_of_their_own() -> None:
    large = FileFacts("", 1, "PNG", 4000, 3000, lossless=True)
    assert spectrum.stratum(large) == "lossless/large"


def test_the_shipped_band_is_small_and_in_order() -> None:
    path = resources.files("detector.evidence").joinpath("data/spectrum_band.json")
    text = path.read_text(encoding="utf-8")
    assert len(text) <= 50_000
    strata = json.loads(text)["strata"]
    assert {"lossless/small", "jpeg-light/small", "jpeg-medium/small"} <= set(strata)
    for name in strata:
        band = spectrum.band(name)
        assert band is not None
        low, middle, high = (np.array(band[key]) for key in ("low", "middle", "high"))
        assert low.shape == (_radial.BINS,)
        assert (low <= middle).all()
        assert (middle <= high).all()
        shares = [band["outside"][key] for key in ("50", "75", "90", "95", "99")]
        assert shares == sorted(shares)
        assert band["images"] >= 60


def test_a_stratum_without_a_band_is_said_so() -> None:
    assert spectrum.band("no/such") is None
    spectrum._bands.cache_clear()
    raw = found(PICTURE, format="AVIF", lossless=False)["radial_spectrum"].raw
    assert raw["stratum"] == "lossy/small"
    assert raw["reading"]


def test_white_noise_lies_outside_the_band_and_says_how_far() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (600, 700, 3), dtype=np.uint8)
    raw = found(noise)["radial_spectrum"].raw
    assert raw["outside_share"] > 0.5
    assert raw["largest_excess_db"] > 3
    assert raw["outside_more_than_percent_of_reference"] >= 75
    assert raw["reading"].startswith("outside the band more than")


def test_the_deviation_counts_bins_above_and_below() -> None:
    low, high = np.full(64, -1.0), np.full(64, 1.0)
    profile = np.zeros(64)
    assert spectrum.outside(profile, low, high) == (0.0, 0.0)
    profile[40], profile[50] = 3.0, -5.0
    share, worst = spectrum.outside(profile, low, high)
    assert share == pytest.approx(2 / (_radial.frequencies() >= 0.05).sum())
    assert worst == -4.0


def test_nothing_in_this_channel_accuses() -> None:
    for example in spectrum.examples():
        for evidence in spectrum.find(EvidenceInput(example.data)):
            assert evidence.asserts is Asserts.UNKNOWN
            assert evidence.trust is Trust.INFERRED
            assert evidence.caveat


def test_flat_and_small_pictures_give_nothing() -> None:
    assert found(np.full((400, 400, 3), 77, np.uint8)) == {}
    assert found(PICTURE[:63]) == {}


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**16))
def test_no_size_makes_the_measurement_raise(height: int, width: int, seed: int) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    kinds = found(rgb)
    assert ("radial_spectrum" in kinds) == (min(height, width) >= 64)
    json.dumps([e.to_record() for e in kinds.values()], allow_nan=False)
