"""Calibration: strata by fixed rules, honest ratios, bounds that the data support, thresholds."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import metrics, words
from detector.calibration import Calibration, empirical_bounds, fit, stratum_of
from detector.results import FileFacts, Stratum
from detector.thresholds import threshold_at_fpr


def facts(**changes: object) -> FileFacts:
    values: dict[str, object] = {
        "sha256": "0" * 64,
        "bytes": 100_000,
        "format": "JPEG",
        "width": 800,
        "height": 600,
    }
    return FileFacts(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"jpeg_quality": 95}, "jpeg/medium/light"),
        ({"jpeg_quality": 90}, "jpeg/medium/light"),
        ({"jpeg_quality": 89}, "jpeg/medium/medium"),
        ({"jpeg_quality": 70}, "jpeg/medium/medium"),
        ({"jpeg_quality": 69}, "jpeg/medium/heavy"),
        ({"jpeg_quality": 69, "width": 400, "height": 499}, "jpeg/small/heavy"),
        ({"jpeg_quality": 69, "width": 400, "height": 500}, "jpeg/medium/heavy"),
        ({"jpeg_quality": 69, "width": 1200, "height": 1000}, "jpeg/medium/heavy"),
        ({"jpeg_quality": 69, "width": 1201, "height": 1000}, "jpeg/large/heavy"),
        ({"format": "PNG", "lossless": True}, "lossless/medium/none"),
        ({"format": "WEBP", "lossless": True}, "lossless/medium/none"),
        ({"format": "PIXELS"}, "lossless/medium/none"),
        ({"format": "WEBP", "bytes": 96_000}, "webp/medium/light"),
        ({"format": "WEBP", "bytes": 95_999}, "webp/medium/medium"),
        ({"format": "WEBP", "bytes": 47_999}, "webp/medium/heavy"),
        ({"format": "AVIF", "bytes": 47_999}, "other/medium/heavy"),
        ({"format": "JPEG", "bytes": 47_999}, "jpeg/medium/heavy"),
    ],
)
def test_the_stratum_follows_the_written_rules(changes: dict[str, object], expected: str) -> None:
    assert str(stratum_of(facts(**changes))) == expected


@given(st.integers(1, 10**5), st.integers(1, 10**5), st.integers(0, 10**9), st.booleans())
@settings(deadline=None)
def test_every_file_has_a_stratum(width: int, height: int, size: int, lossless: bool) -> None:
    stratum = stratum_of(facts(width=width, height=height, bytes=size, lossless=lossless))
    assert (stratum.compression == "none") == (stratum.format == "lossless")


JPEG, WEBP = Stratum("jpeg", "medium", "light"), Stratum("webp", "medium", "heavy")


def gaussian(
    sources: int = 200, each: int = 10, shift: float = 0.0, share: float = 0.5, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Scores N(±1, 1) + shift, whose true log LR is 2 (score - shift)."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(sources), each)
    labels = (groups < sources * share).astype(float)
    return rng.normal(2 * labels - 1 + shift, 1), labels, groups.tolist()


def test_the_fit_finds_the_true_ratio_of_two_gaussians() -> None:
    scores, labels, groups = gaussian()
    found = fit(scores, labels, [JPEG] * scores.size, groups, per_stratum=False)
    assert found.slope == pytest.approx(2, rel=0.15)
    assert found.intercept == pytest.approx(0, abs=0.2)
    assert found.lr(0.5) == pytest.approx(math.e, rel=0.25)
    assert found.sources == (100, 100)


def test_the_share_of_generated_images_does_not_move_the_ratio() -> None:
    scores, labels, groups = gaussian(sources=400, share=0.1)
    found = fit(scores, labels, [JPEG] * scores.size, groups, per_stratum=False)
    assert found.intercept == pytest.approx(0, abs=0.3)


def test_a_source_of_thousands_weighs_no_more_than_one_of_ten() -> None:
    scores, labels, groups = gaussian(sources=40)
    rng = np.random.default_rng(5)
    flood = rng.normal(3, 1, 5000)  # one real source full of high scores
    all_scores = np.append(scores, flood)
    all_labels = np.append(labels, np.zeros(5000))
    plain = fit(scores, labels, [None] * 400, groups)
    flooded = fit(all_scores, all_labels, [None] * 5400, groups + [99] * 5000)
    assert abs(flooded.intercept - plain.intercept) < 1
    assert flooded.slope > 0.5 * plain.slope


def test_a_stratum_gets_an_offset_and_a_thin_one_does_not() -> None:
    a, b = gaussian(seed=1), gaussian(shift=1.0, seed=2)
    scores, labels = np.append(a[0], b[0]), np.append(a[1], b[1])
    strata = [JPEG] * a[0].size + [WEBP] * b[0].size
    strata[0] = Stratum("other", "small", "heavy")
    groups = [("a", g) for g in a[2]] + [("b", g) for g in b[2]]
    found = fit(scores, labels, strata, groups)
    assert set(found.offsets) == {str(JPEG), str(WEBP)}
    assert found.counts[str(strata[0])] in ((0, 1), (1, 0))
    assert found.lr(0.5, JPEG) > 1.5 * found.lr(0.5, WEBP)
    assert found.lr(0.5, Stratum("other", "large", "light")) == found.lr(0.5)
    assert found.measured(JPEG)
    assert not found.measured(strata[0])


def test_an_offset_shrinks_with_the_number_of_images() -> None:
    def webp_offset(sources: int) -> float:
        a, b = gaussian(400, seed=1), gaussian(sources, shift=1.0, seed=2)
        strata = [JPEG] * a[0].size + [WEBP] * b[0].size
        groups = [("a", g) for g in a[2]] + [("b", g) for g in b[2]]
        found = fit(np.append(a[0], b[0]), np.append(a[1], b[1]), strata, groups)
        return found.offsets[str(WEBP)]

    assert -webp_offset(4) < 0.6 * -webp_offset(200)


def test_scores_that_point_the_wrong_way_give_ratios_of_one() -> None:
    scores, labels, groups = gaussian(sources=40)
    found = fit(-scores, labels, [JPEG] * scores.size, groups)
    assert (found.slope, found.log_lr_min, found.log_lr_max) == (0, 0, 0)
    assert found.lr(9.0, JPEG) == 1
    assert found.lr(math.inf, JPEG) == 1


def test_separable_classes_give_a_finite_map_and_ratios_within_the_number_of_sources() -> None:
    labels = np.repeat([0.0, 1.0], 50)
    scores = labels * 10 - 5
    found = fit(scores, labels, [None] * 100, list(range(100)))
    assert math.isfinite(found.slope)
    assert found.lr(1000) <= 51
    assert found.lr(-1000) >= 1 / 51
    assert found.lr(1000) > 20


@given(
    st.lists(
        st.tuples(st.floats(-20, 20), st.booleans(), st.integers(0, 9)), min_size=4, max_size=60
    ),
    st.integers(1, 10),
)
@settings(deadline=None)
def test_bounds_hold_one_and_never_exceed_the_number_of_sources(
    rows: list[tuple[float, bool, int]], full_at: int
) -> None:
    rows = [(0.0, False, 0), (0.0, True, 1), *rows]
    llr, labels, groups = (list(column) for column in zip(*rows, strict=True))
    low, high = empirical_bounds(llr, labels, groups, full_at=full_at)
    real = len({g for _, y, g in rows if not y})
    generated = len({g for _, y, g in rows if y})
    assert -math.log(generated + 1) <= low <= 0 <= high <= math.log(real + 1)
    assert low >= min([*llr, 0.0])
    assert high <= max([*llr, 0.0])


def test_bounds_agree_with_the_expected_cost_of_vergeer_et_al() -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat([0.0, 1.0], 300)
    llr = rng.normal(3 * labels - 1.5, 2)
    low, high = empirical_bounds(llr, labels, list(range(600)))

    def costs_less(t: float) -> bool:
        real = np.append(llr[labels == 0], np.inf) >= t
        generated = np.append(llr[labels == 1], -np.inf) < t
        return bool(generated.mean() + np.exp(t) * real.mean() <= min(1, np.exp(t)))

    steps = np.arange(0.0, 8, 0.001)
    assert high == pytest.approx(next(t for t in steps if not costs_less(t)), abs=0.002)
    assert low == pytest.approx(next(-t for t in steps if not costs_less(-t)), abs=0.002)


@given(
    st.floats(-50, 50),
    st.floats(-50, 50),
    st.floats(0.01, 3),
    st.floats(-3, 3),
    st.floats(0.001, 0.999),
)
@settings(deadline=None)
def test_ratio_and_probability_rise_with_the_score_and_stay_in_bounds(
    a: float, b: float, slope: float, intercept: float, prior: float
) -> None:
    calibration = Calibration(slope, intercept, -3.0, 4.0)
    low, high = sorted((a, b))
    assert calibration.lr(low) <= calibration.lr(high)
    assert math.exp(-3) * 0.999 <= calibration.lr(a) <= math.exp(4) * 1.001
    p = calibration.probability(a, None, prior)
    assert 0 < p < 1
    assert p / (1 - p) == pytest.approx(calibration.lr(a) * prior / (1 - prior), rel=1e-6)


def test_a_calibration_survives_json() -> None:
    scores, labels, groups = gaussian(sources=40)
    strata = [JPEG, WEBP] * (scores.size // 2)
    for calibration in (fit(scores, labels, strata, groups), Calibration(1.0, 0.0)):
        text = json.dumps(calibration.to_dict(), allow_nan=False)
        assert Calibration.from_dict(json.loads(text)) == calibration


def test_wrong_input_is_refused() -> None:
    for scores, labels in (([1.0], [1]), ([1.0, math.nan], [0, 1]), ([1.0, 2.0], [0])):
        with pytest.raises(ValueError, match=r"labels|finite|match"):
            fit(scores, labels, [None] * len(scores), ["a"] * len(scores))
    with pytest.raises(ValueError, match="prior"):
        Calibration(1, 0).probability(0.0, prior=1.0)
    with pytest.raises(ValueError, match="NaN"):
        Calibration(1, 0).lr(math.nan)


def test_fitted_ratios_are_calibrated_on_fresh_images() -> None:
    scores, labels, groups = gaussian(seed=1)
    found = fit(scores, labels, [JPEG] * scores.size, groups)
    fresh, truth, _ = gaussian(seed=7)
    llr = found.log_lrs(fresh, [JPEG] * fresh.size)
    assert metrics.cllr(truth, llr) - metrics.cllr_min(truth, fresh) < 0.03
    assert metrics.ece(truth, found.probabilities(fresh, [JPEG] * fresh.size)) < 0.05


# --- thresholds -----------------------------------------------------------------------------


def test_the_threshold_keeps_the_nominal_rate_and_no_lower_one_would() -> None:
    scores, labels, groups = gaussian()
    choice = threshold_at_fpr(scores, labels, ["photo"] * scores.size, groups, 0.05)
    real = scores[labels == 0]
    assert choice.fpr == pytest.approx((real >= choice.threshold).mean())
    assert choice.fpr <= 0.05
    below = real[real < choice.threshold].max()
    assert (real >= below).mean() > 0.05
    assert choice.raised_for == choice.above_guard == ()


@given(
    st.lists(
        st.tuples(st.integers(-5, 5), st.booleans(), st.integers(0, 5)), min_size=1, max_size=50
    ),
    st.sampled_from([0.01, 0.05, 0.2, 0.5]),
)
@settings(deadline=None)
def test_the_nominal_rate_is_never_exceeded(rows: list[tuple[int, bool, int]], fpr: float) -> None:
    rows = [(0, False, 0), *rows]
    scores, labels, groups = (list(column) for column in zip(*rows, strict=True))
    choice = threshold_at_fpr(scores, labels, ["photo"] * len(rows), groups, fpr)
    assert choice.fpr <= fpr + 1e-9
    assert math.isfinite(choice.threshold)


def two_kinds(bias: float, posters: int = 100) -> tuple[np.ndarray, np.ndarray, list[str], list]:
    rng = np.random.default_rng(4)
    photos, drawn = rng.normal(-1, 1, 5000), rng.normal(-1 + bias, 1, posters)
    scores = np.concatenate([photos, drawn, rng.normal(3, 1, 1000)])
    labels = np.repeat([0.0, 0.0, 1.0], [5000, posters, 1000])
    kinds = ["photo"] * 5000 + ["poster"] * posters + ["photo"] * 1000
    groups = [f"p{i // 50}" for i in range(5000)] + ["posters"] * posters + ["gen"] * 1000
    return scores, labels, kinds, groups


def test_a_kind_accused_too_often_raises_the_threshold() -> None:
    choice = threshold_at_fpr(*two_kinds(bias=1.0), 0.05)
    assert choice.raised_for == ("poster",)
    assert choice.fpr_by_kind["poster"] <= 0.15
    assert choice.fpr < 0.05


def test_a_guard_that_would_cost_too_much_recall_is_named_instead() -> None:
    choice = threshold_at_fpr(*two_kinds(bias=5.0), 0.05)
    assert choice.above_guard == ("poster",)
    assert choice.fpr_by_kind["poster"] > 0.15
    assert choice.recall > 0.5


def test_a_kind_of_few_images_does_not_move_the_threshold() -> None:
    choice = threshold_at_fpr(*two_kinds(bias=5.0, posters=49), 0.05)
    assert choice.raised_for == choice.above_guard == ()
    json.dumps(choice.to_dict(), allow_nan=False)


# --- words ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lr", "expected"),
    [
        (1, "no support either way"),
        (1.9, "no support either way"),
        (0.51, "no support"),
        (2, "weak support that the image is generated"),
        (0.5, "weak support that it is not"),
        (10, "moderate support"),
        (100, "moderately strong"),
        (999, "moderately strong"),
        (1000, "strong support"),
        (1e4, "very strong"),
        (1e6, "extremely strong"),
        (0, "extremely strong support that it is not"),
        (math.inf, "extremely strong"),
    ],
)
def test_ratios_are_worded_by_the_enfsi_table(lr: float, expected: str) -> None:
    assert words.support(lr).startswith(expected)


@pytest.mark.parametrize(
    ("probability", "expected"),
    [
        (0, "almost no chance"),
        (0.04, "almost no chance"),
        (0.05, "very unlikely"),
        (0.2, "unlikely"),
        (0.45, "roughly even chance"),
        (0.55, "roughly even chance"),
        (0.56, "likely"),
        (0.8, "likely"),
        (0.9, "very likely"),
        (0.95, "very likely"),
        (0.96, "almost certain"),
        (1, "almost certain"),
    ],
)
def test_probabilities_are_worded_by_icd_203(probability: float, expected: str) -> None:
    assert words.likelihood(probability) == expected


@given(st.floats(0, 1))
@settings(deadline=None)
def test_the_words_are_symmetric_about_even_chance(p: float) -> None:
    mirror = {
        "almost no chance": "almost certain",
        "very unlikely": "very likely",
        "unlikely": "likely",
        "roughly even chance": "roughly even chance",
    }
    mirror |= {v: k for k, v in mirror.items()}
    word = words.likelihood(p)
    if min(abs(p - b) for b in (0.05, 0.2, 0.45, 0.55, 0.8, 0.95)) > 1e-9:
        assert words.likelihood(1 - p) == mirror[word]


def test_numbers_that_are_no_ratio_or_probability_are_refused() -> None:
    for value in (-1.0, math.nan):
        with pytest.raises(ValueError, match="ratio"):
            words.support(value)
    for value in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="probability"):
            words.likelihood(value)


def test_nothing_here_loads_torch() -> None:
    code = (
        "import sys, detector.calibration, detector.thresholds, detector.words;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
