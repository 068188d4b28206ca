"""Hiding takes a place away without a trace of its own, and the test of the map counts honestly."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from detector import Detector
from detector.explain.hide import FILLINGS, soft_mask, without
from detector.explain.hiding import (
    Hidden,
    cell_heat,
    cells,
    hide_by,
    hide_tenths,
    hiding_test,
    sign_test,
    summarise,
)
from detector.explain.maps import Heatmap, Layer
from tests import files
from tests.bundles import untrained_bundle


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector.load(untrained_bundle(tmp_path_factory.mktemp("bundle") / "small_v1"))


@pytest.mark.parametrize("filling", FILLINGS)
def test_hiding_changes_the_place_and_nothing_else(filling: str) -> None:
    rgb = files.pixels(120, 160)
    mask = soft_mask((120, 160), [(40, 40, 30, 30)])
    done = without(rgb, mask, filling)
    assert done.shape == rgb.shape
    assert done.dtype == np.uint8
    assert (done[mask == 0] == rgb[mask == 0]).all()
    inside = (slice(48, 62), slice(48, 62))
    assert done[inside].std() < rgb[inside].std()


def test_a_mask_has_soft_edges_and_stays_in_range() -> None:
    mask = soft_mask((60, 60), [(20, 20, 20, 20)])
    assert mask[30, 30] == pytest.approx(1, abs=0.01)
    assert mask[2, 2] == pytest.approx(0, abs=0.01)
    assert 0.2 < mask[20, 30] < 0.8
    assert soft_mask((10, 10), []).max() == 0


def test_a_hundred_cells_tile_the_image() -> None:
    rgb = np.zeros((123, 77, 3), np.uint8)
    count = np.zeros((123, 77), int)
    for x, y, w, h in cells(rgb, range(100)):
        count[y : y + h, x : x + w] += 1
    assert (count == 1).all()


def test_blank_cells_are_never_the_coolest() -> None:
    values = np.array([[1.0, -9.0]], dtype=np.float32)
    layer = Layer("native", "", values, values, ((0, 0, 50, 100), (50, 0, 50, 100)), ("", "flat"))
    heat, usable = cell_heat(Heatmap("m", "crops", (100, 100), (layer,)))
    assert usable[:, :5].all()
    assert not usable[:, 5:].any()
    assert heat[:, :5] == pytest.approx(1.0)


def brightness_score(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the score be the mean brightness, so that the hottest places are known."""
    seen = detector.predict(files.pixels(64, 64))

    def score_prepared(prepared, batch_size=16):
        return [replace(seen, score=float(p.views.whole.mean())) for p in prepared]

    monkeypatch.setattr(detector, "score_prepared", score_prepared)


def test_the_drops_are_those_of_the_places_that_the_heat_names(
    small: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    rgb = np.full((100, 100, 3), 60, np.uint8)
    rgb[:10] = 250
    heat = np.zeros((10, 10), np.float32)
    heat[0], heat[9] = 1, -1
    brightness_score(small, monkeypatch)
    found = hide_by(small, rgb, heat, np.ones((10, 10), bool), "mean")
    assert found is not None
    assert found.hot_drop > 5
    assert found.cool_drop < 0
    assert found.agrees
    upside_down = hide_by(small, rgb, -heat, np.ones((10, 10), bool), "mean")
    assert upside_down is not None
    assert not upside_down.agrees


def test_an_image_that_is_almost_blank_is_skipped_and_counted(small: Detector) -> None:
    flat = np.full((128, 128, 3), 77, np.uint8)
    assert hide_tenths(small, flat) is None
    result = hiding_test(small, [flat, b"no image", files.pixels(128, 128)], grid=4)
    assert (result.images, result.skipped) == (1, 2)


def test_hiding_is_the_same_on_every_run(small: Detector) -> None:
    rgb = files.pixels(128, 128)
    assert hide_tenths(small, rgb, grid=4) == hide_tenths(small, rgb, grid=4)


def test_the_summary_counts_wins_means_and_chance() -> None:
    wins = [Hidden(1.0, 0.5, 0.1, 0.2)] * 9
    loss = [Hidden(1.0, 0.0, 0.4, 0.2)]
    result = summarise([*wins, *loss, None])
    assert (result.images, result.skipped, result.agree) == (10, 1, 0.9)
    assert result.hot_drop == pytest.approx(0.45)
    assert result.over_random == 0.9
    assert result.p == pytest.approx(11 / 1024)


def test_without_images_there_is_no_figure() -> None:
    result = summarise([None])
    assert math.isnan(result.agree)
    assert result.to_record()["agree"] is None


@pytest.mark.parametrize(("wins", "trials", "p"), [(0, 0, 1), (5, 5, 1 / 32), (0, 5, 1)])
def test_the_sign_test(wins: int, trials: int, p: float) -> None:
    assert sign_test(wins, trials) == pytest.approx(p)
