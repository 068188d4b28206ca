"""A map has one scale for all images, hatches what says nothing, and every run gives the same."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import Detector, Status, Verdict
from detector.errors import ImageError, UsageError
from detector.explain import Heatmap, Layer, explain, heatmap, look, stability
from detector.explain.colours import SCALE, colours, painted
from detector.explain.looking import contributions, grid_boxes
from detector.explain.maps import covered_share
from detector.explain.sheet import legend_strip, sheet
from detector.explain.texture import COMPRESSED, FLAT, SMALL, nothing_to_see
from tests import files
from tests.bundles import untrained_bundle


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector.load(untrained_bundle(tmp_path_factory.mktemp("bundle") / "small_v1"))


def half_flat(height: int = 192, width: int = 192) -> np.ndarray:
    """One flat colour above, texture below."""
    rgb = files.pixels(height, width)
    rgb[: height // 2] = (120, 160, 200)
    return rgb


def made(values: list[list[float]], reasons: list[str] | None = None, size: int = 40) -> Heatmap:
    """A map of square pieces that touch, 20 pixels each."""
    grid = np.array(values, dtype=np.float32)
    rows, cols = grid.shape
    boxes = tuple((20 * x, 20 * y, 20, 20) for y in range(rows) for x in range(cols))
    layer = Layer("native", "as made", grid, grid, boxes, tuple(reasons or [""] * grid.size))
    return Heatmap("made_v1", "crops", (20 * cols, 20 * rows), (layer,))


# --- the scale ------------------------------------------------------------------------------


def test_the_same_value_has_the_same_colour_beside_any_other_value() -> None:
    ground = np.full((40, 40, 3), 128, np.uint8)
    quiet, loud = made([[0.5, 0.1], [0, 0]]), made([[0.5, 2.2], [-2.2, 1.9]])
    assert (quiet.overlay(ground)[5, 5] == loud.overlay(ground)[5, 5]).all()
    assert quiet.scale == loud.scale == SCALE


def test_a_map_is_never_stretched_to_its_own_range() -> None:
    ground = np.full((40, 40, 3), 128, np.uint8)
    weak, strong = made([[0.05, 0.04], [0, 0]]), made([[2.0, 0.04], [0, 0]])
    assert np.abs(weak.overlay(ground).astype(int) - 128).max() < 20
    assert np.abs(strong.overlay(ground).astype(int) - 128).max() > 80


def test_beyond_the_ends_the_colour_stays() -> None:
    assert (colours(SCALE[1]) == colours(50.0)).all()
    assert (colours(SCALE[0]) == colours(-50.0)).all()


@given(st.floats(0, 3), st.floats(0, 3), st.sampled_from([-1, 1]))
@settings(deadline=None)
def test_stronger_values_are_darker_and_never_change_their_side(
    a: float, b: float, side: int
) -> None:
    weak, strong = (colours(side * v).astype(int) for v in sorted((a, b)))
    assert strong.sum() <= weak.sum() + 1
    for colour in (weak, strong):
        assert (colour[0] - colour[2]) * side >= 0


# Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB.
_DEFICIENCIES = {
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


@pytest.mark.parametrize("name", _DEFICIENCIES)
def test_both_sides_differ_for_colour_blind_readers(name: str) -> None:
    matrix = np.array(_DEFICIENCIES[name])
    for size in (0.3, 0.7, 1.5, 2.3):
        pair = np.stack([colours(size), colours(-size)]) / 255.0
        seen = np.clip((pair**2.2) @ matrix.T, 0, 1) ** (1 / 2.2)
        assert np.linalg.norm(seen[0] - seen[1]) > 0.25, (name, size)


# --- nothing to see -------------------------------------------------------------------------


def test_flat_areas_are_hatched_and_textured_ones_are_not(small: Detector) -> None:
    shown = heatmap(small, half_flat())
    assert shown.blank[0].all()
    assert not shown.blank[-1].any()
    assert FLAT in shown.layers[0].reasons
    assert any("nothing to see" in note for note in shown.notes)


def test_hatching_shows_lines_in_place_of_colour() -> None:
    ground = np.full((40, 80, 3), 128, np.uint8)
    plain = made([[2.0, 0.0]]).overlay(ground[:20, :40])
    hatched = made([[2.0, 0.0]], [FLAT, ""]).overlay(ground[:20, :40])
    assert plain[10, 5, 0] > plain[10, 5, 2]
    left = hatched[:, :20].astype(int)
    assert (left[..., 0] == left[..., 2]).all()
    assert left.std() > 10


def test_what_was_not_looked_at_differs_from_what_says_nothing() -> None:
    grey = np.full((10, 10, 3), 100, np.uint8)
    none = np.zeros((10, 10), bool)
    nothing = painted(grey, np.zeros((10, 10), np.float32), none)
    unseen = painted(grey, np.full((10, 10), np.nan, np.float32), none)
    assert abs(int(nothing[5, 5, 0]) - 100) <= 1
    assert unseen[5, 5, 0] > 150


def test_each_reason_for_nothing_to_see() -> None:
    textured = files.pixels(64, 64)
    assert nothing_to_see(textured) == ""
    assert nothing_to_see(textured, seen=0.3) == SMALL
    assert nothing_to_see(np.full((64, 64, 3), 90, np.uint8)) == FLAT
    blocks = np.random.default_rng(0).integers(0, 255, (4, 4, 3)).repeat(24, 0).repeat(24, 1)
    assert nothing_to_see(blocks.astype(np.uint8)) == COMPRESSED


# --- what is measured -----------------------------------------------------------------------


def test_a_map_is_the_same_on_every_run(small: Detector) -> None:
    data = files.jpeg(files.pixels(200, 150))
    first, second = (json.dumps(heatmap(small, data).to_record()) for _ in range(2))
    assert first == second


def test_the_native_layer_holds_the_head_s_own_scores(small: Detector) -> None:
    rgb = files.pixels(64, 64)
    shown, finding = heatmap(small, rgb), small.predict(rgb)
    native = next(crop for crop in finding.crops if crop.view == "native")
    layer = shown.layer("native")
    assert layer is not None
    assert layer.scores[0, 0] == pytest.approx(native.score, abs=1e-3)
    factor = small.bundle.fusion.native * small.bundle.calibration.slope
    assert layer.values[0, 0] == pytest.approx(factor * native.score, abs=1e-3)


def test_the_views_contributions_add_up_to_the_score(small: Detector) -> None:
    finding = small.predict(files.pixels(150, 150))
    parts = contributions(finding, small.bundle)
    total = small.bundle.fusion.bias + sum(part.score for part in parts)
    assert total == pytest.approx(finding.score, abs=1e-4)
    assert sum(part.share for part in parts) == pytest.approx(1)


def test_hiding_a_piece_that_is_flat_already_changes_the_whole_view_little(
    small: Detector,
) -> None:
    layer = heatmap(small, half_flat(128, 128)).layer("whole")
    assert layer is not None
    change = np.abs(layer.scores)
    assert change[0].max() < 0.5 * change[-1].max()


@pytest.mark.parametrize("budget", [1, 4, 9, 36])
def test_the_budget_bounds_the_pieces_of_each_view(small: Detector, budget: int) -> None:
    shown = heatmap(small, files.pixels(300, 500), grid=budget)
    assert all(layer.values.size <= budget for layer in shown.layers)
    assert all(len(layer.boxes) == layer.values.size for layer in shown.layers)


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 60))
@settings(deadline=None)
def test_any_grid_stays_inside_and_within_its_budget(h: int, w: int, most: int) -> None:
    height, width = max(h, 64), max(w, 64)
    ys, xs = grid_boxes(height, width, 64, most)
    assert len(ys) * len(xs) <= most
    assert min(*ys, *xs) >= 0
    assert max(ys) <= height - 64
    assert max(xs) <= width - 64
    assert len(set(ys)) == len(ys)
    assert len(set(xs)) == len(xs)


def test_a_large_image_says_how_much_was_looked_at(small: Detector) -> None:
    shown = heatmap(small, files.pixels(640, 640), grid=4)
    assert shown.covered == pytest.approx(4 * 64 * 64 / 640**2)
    assert any("looked at" in note for note in shown.notes)


def test_overlapping_boxes_are_covered_once() -> None:
    assert covered_share([(0, 0, 10, 10), (5, 0, 10, 10)], (20, 10)) == pytest.approx(0.75)
    assert covered_share([], (20, 10)) == 0.0


@pytest.mark.parametrize("side", [32, 40, 65])
def test_a_tiny_image_has_a_map_that_says_so(small: Detector, side: int) -> None:
    rgb = files.pixels(side, side)
    shown = heatmap(small, rgb)
    assert shown.values.shape == ((1, 1) if side <= 64 else (2, 2))
    assert shown.overlay(rgb).shape == rgb.shape
    if side == 32:
        assert shown.layers[0].reasons == (SMALL,)


def test_grad_cam_is_an_option_on_the_same_scale(small: Detector) -> None:
    rgb = files.pixels(128, 128)
    shown = heatmap(small, rgb, method="gradcam")
    assert shown.method == "gradcam"
    assert shown.scale == SCALE
    assert np.ptp(shown.values) > 0
    assert np.isfinite(shown.values).all()


def test_wrong_requests_are_named(small: Detector) -> None:
    with pytest.raises(UsageError, match="no heatmap method"):
        heatmap(small, files.pixels(), method="magic")
    with pytest.raises(UsageError, match="at least one crop"):
        heatmap(small, files.pixels(), grid=0)
    with pytest.raises(ImageError) as told:
        heatmap(small, b"no image")
    assert told.value.status is Status.UNSUPPORTED
    with pytest.raises(ImageError):
        stability(small, b"")


# --- what people get ------------------------------------------------------------------------


def test_an_overlay_fits_a_reduced_copy_too(small: Detector) -> None:
    rgb = half_flat()
    shown = heatmap(small, rgb)
    assert shown.overlay(rgb).shape == rgb.shape
    assert shown.overlay(rgb[::4, ::4]).shape == (48, 48, 3)
    assert shown.overlay(rgb, "whole").dtype == np.uint8
    with pytest.raises(ValueError, match="no far layer"):
        shown.overlay(rgb, "far")


def test_a_record_is_plain_json_with_everything_needed_to_draw_it(small: Detector) -> None:
    record = json.loads(json.dumps(heatmap(small, files.pixels(150, 150)).to_record()))
    assert record["scale"] == [pytest.approx(-math.log(10), abs=1e-4),
                               pytest.approx(math.log(10), abs=1e-4)]  # fmt: skip
    for layer in record["layers"]:
        count = len(layer["boxes"])
        assert count == sum(len(row) for row in layer["values"]) == len(layer["reasons"])
        assert np.array(layer["blank"]).shape == np.array(layer["values"]).shape


def test_the_sheet_holds_image_maps_and_legend(small: Detector) -> None:
    rgb = half_flat()
    picture = sheet(heatmap(small, rgb), rgb, ["A sentence."])
    assert picture.dtype == np.uint8
    assert picture.shape[1] > 3 * 300
    legend = legend_strip()
    assert np.ptp(legend[10, 30:400, 0].astype(int)) > 100


def test_an_explanation_of_a_bad_file_is_a_value(small: Detector, tmp_path: Path) -> None:
    told = explain(small, tmp_path / "nothing.jpg")
    assert told.finding.status is Status.MISSING
    assert told.heatmap is None
    assert told.stability is None
    json.dumps(told.to_record())


def test_looking_once_serves_every_part(small: Detector) -> None:
    data = files.png(files.pixels(100, 100))
    seen = look(small, data)
    assert seen.finding.score == small.predict(data).score
    assert heatmap(small, seen).to_record() == heatmap(small, data).to_record()


def test_explaining_gives_all_parts(small: Detector) -> None:
    told = explain(small, files.jpeg(files.pixels(120, 120)), prior=0.1)
    record = json.loads(json.dumps(told.to_record()))
    assert set(record["explanation"]) == {
        "verdict_before", "reading", "stability", "heatmap", "notes",
    }  # fmt: skip
    assert record["explanation"]["reading"]["prior"] == 0.1
    assert told.finding.verdict in Verdict


@pytest.mark.parametrize("prior", [0.0, 1.0, -0.1, 7.0])
def test_a_prior_that_is_none_is_refused(small: Detector, prior: float) -> None:
    with pytest.raises(UsageError, match="prior"):
        explain(small, files.pixels(), prior=prior)


def test_maps_are_drawn_without_torch() -> None:
    code = (
        "import sys, numpy as np; from detector.explain.maps import Heatmap, Layer;"
        "v = np.ones((1, 1), np.float32);"
        "layer = Layer('native', '', v, v, ((0, 0, 8, 8),), ('',));"
        "Heatmap('m', 'crops', (8, 8), (layer,)).overlay(np.zeros((8, 8, 3), np.uint8));"
        "import detector.explain.sheet;"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
