"""The metrics agree with their definitions, with scikit-learn, and with themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from detector import metrics

scores_and_labels = st.lists(
    st.tuples(st.integers(-6, 6), st.booleans()), min_size=2, max_size=60
).map(lambda rows: ([float(y) for _, y in rows], [s / 2 for s, _ in rows]))


def both_classes(labels: list[float]) -> None:
    assume(0 < sum(labels) < len(labels))


def by_pairs(labels: list[float], scores: list[float]) -> float:
    generated = [s for s, y in zip(scores, labels, strict=True) if y]
    real = [s for s, y in zip(scores, labels, strict=True) if not y]
    wins = sum((g > r) + 0.5 * (g == r) for g in generated for r in real)
    return wins / (len(generated) * len(real))


@given(scores_and_labels)
@settings(deadline=None)
def test_auc_is_the_mann_whitney_share_of_pairs(data: tuple[list[float], list[float]]) -> None:
    labels, scores = data
    both_classes(labels)
    value = metrics.auc(labels, scores)
    assert value == pytest.approx(by_pairs(labels, scores))
    assert value == pytest.approx(reference.roc_auc_score(labels, scores))


@given(scores_and_labels)
@settings(deadline=None)
def test_auc_ignores_rising_maps_and_mirrors_falling_ones(
    data: tuple[list[float], list[float]],
) -> None:
    labels, scores = data
    both_classes(labels)
    value = metrics.auc(labels, scores)
    assert metrics.auc(labels, np.exp(scores)) == pytest.approx(value)
    assert metrics.auc(labels, 3 * np.array(scores) - 7) == pytest.approx(value)
    assert metrics.auc(labels, -np.array(scores)) == pytest.approx(1 - value)
    assert metrics.auc(1 - np.array(labels), scores) == pytest.approx(1 - value)


@given(scores_and_labels, st.lists(st.integers(0, 3), min_size=60, max_size=60))
@settings(deadline=None)
def test_whole_weights_mean_repeated_images(
    data: tuple[list[float], list[float]], repeats: list[int]
) -> None:
    labels, scores = data
    times = repeats[: len(labels)]
    long_labels, long_scores = np.repeat(labels, times), np.repeat(scores, times)
    both_classes(long_labels.tolist())
    for statistic in (
        metrics.auc,
        lambda y, s, w=None: metrics.tpr_at_fpr(y, s, 0.2, w),
        lambda y, s, w=None: metrics.balanced_accuracy(y, s, 0.5, w),
        metrics.cllr,
        metrics.cllr_min,
    ):
        assert statistic(labels, scores, times) == pytest.approx(
            statistic(long_labels, long_scores)
        )


@given(scores_and_labels, st.sampled_from([0.01, 0.05, 0.2, 0.5, 1.0]))
@settings(deadline=None)
def test_tpr_at_fpr_is_the_best_that_a_threshold_reaches(
    data: tuple[list[float], list[float]], fpr: float
) -> None:
    labels, scores = data
    both_classes(labels)
    allowed = []
    for threshold in [*scores, math.inf]:
        false_positives, true_positives = metrics.rates_at(labels, scores, threshold)
        if false_positives <= fpr:
            allowed.append(true_positives)
    assert metrics.tpr_at_fpr(labels, scores, fpr) == pytest.approx(max(allowed))


def test_tpr_at_fpr_does_not_interpolate_below_one_real_image() -> None:
    labels, scores = [0, 0, 1, 1], [0.0, 2.0, 1.0, 3.0]
    assert metrics.tpr_at_fpr(labels, scores, 0.01) == 0.5
    assert metrics.tpr_at_fpr(labels, scores, 0.49) == 0.5
    assert metrics.tpr_at_fpr(labels, scores, 0.5) == 1.0


@given(scores_and_labels)
@settings(deadline=None)
def test_the_roc_rises_from_nothing_to_everything(data: tuple[list[float], list[float]]) -> None:
    labels, scores = data
    both_classes(labels)
    roc = metrics.roc_curve(labels, scores)
    fpr, tpr, thresholds = reference.roc_curve(labels, scores, drop_intermediate=False)
    assert roc.thresholds[0] == np.inf
    assert roc.fpr == pytest.approx(fpr)
    assert roc.tpr == pytest.approx(tpr)
    assert roc.thresholds == pytest.approx(thresholds)
    assert (np.diff(roc.fpr) >= 0).all()
    assert (np.diff(roc.tpr) >= 0).all()


@given(scores_and_labels, st.integers(-6, 6))
@settings(deadline=None)
def test_balanced_accuracy_agrees_with_scikit_learn(
    data: tuple[list[float], list[float]], threshold: int
) -> None:
    labels, scores = data
    both_classes(labels)
    expected = reference.balanced_accuracy_score(labels, np.array(scores) >= threshold)
    assert metrics.balanced_accuracy(labels, scores, threshold) == pytest.approx(expected)


@given(scores_and_labels)
@settings(deadline=None)
def test_the_cost_of_a_ratio_is_bounded_below_by_its_best_calibration(
    data: tuple[list[float], list[float]],
) -> None:
    labels, scores = data
    both_classes(labels)
    best = metrics.cllr_min(labels, scores)
    assert -1e-9 <= best <= 1 + 1e-9
    assert best <= metrics.cllr(labels, scores) + 1e-9
    assert metrics.cllr_min(labels, np.exp(scores)) == pytest.approx(best, abs=1e-9)


def test_ratios_of_one_cost_one_bit_and_certain_right_ones_nothing() -> None:
    assert metrics.cllr([0, 1, 1], [0.0, 0.0, 0.0]) == pytest.approx(1.0)
    assert metrics.cllr([0, 1], [-np.inf, np.inf]) == 0
    assert metrics.cllr([0, 1], [np.inf, -np.inf]) == np.inf
    assert metrics.cllr_min([0, 0, 1, 1], [1, 2, 3, 4]) == pytest.approx(0)


def test_cllr_does_not_depend_on_how_common_a_class_is() -> None:
    once = metrics.cllr([0, 1], [0.3, 0.9])
    assert metrics.cllr([0] * 9 + [1], [0.3] * 9 + [0.9]) == pytest.approx(once)


@given(scores_and_labels)
@settings(deadline=None)
def test_pav_agrees_with_isotonic_regression(data: tuple[list[float], list[float]]) -> None:
    from sklearn.isotonic import IsotonicRegression

    labels, scores = data
    assert metrics.pav(labels, scores) == pytest.approx(
        IsotonicRegression().fit_transform(scores, labels), abs=1e-9
    )


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
@settings(deadline=None)
def test_calibration_errors_are_bounded_and_brier_agrees_with_its_definition(
    rows: list[tuple[float, bool]],
) -> None:
    probabilities, labels = [p for p, _ in rows], [float(y) for _, y in rows]
    assert 0 <= metrics.ece(labels, probabilities) <= 1
    expected = np.mean((np.array(probabilities) - np.array(labels)) ** 2)
    assert metrics.brier(labels, probabilities) == pytest.approx(expected)


def test_ece_is_zero_for_shares_that_come_true_and_the_gap_otherwise() -> None:
    labels = [1, 0, 0, 0] * 5
    assert metrics.ece(labels, [0.25] * 20) == pytest.approx(0)
    assert metrics.ece(labels, [0.75] * 20) == pytest.approx(0.5)
    assert metrics.ece(labels, [0.5] * 20, weights=metrics.prior_weights(labels)) == pytest.approx(
        0
    )


def test_figures_that_need_both_classes_are_nan_without_one() -> None:
    for labels in ([0, 0], [1, 1]):
        assert math.isnan(metrics.auc(labels, [1, 2]))
        assert math.isnan(metrics.tpr_at_fpr(labels, [1, 2], 0.05))
        assert math.isnan(metrics.cllr(labels, [1, 2]))
        assert math.isnan(metrics.cllr_min(labels, [1, 2]))


@pytest.mark.parametrize(
    ("labels", "scores", "weights"),
    [([0, 1], [0.0], None), ([0, 2], [0, 1], None), ([0, 1], [0, np.nan], None), ([0], [1], [-1])],
)
def test_wrong_input_is_refused(labels: list[int], scores: list[float], weights: object) -> None:
    with pytest.raises(ValueError, match=r"match|labels|NaN|weights"):
        metrics.auc(labels, scores, weights)  # type: ignore[arg-type]


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=40), st.integers(1, 8))
@settings(deadline=None)
def test_source_weights_give_every_full_source_the_same_say(groups: list[str], full: int) -> None:
    weights = metrics.source_weights(groups, full)
    for group in set(groups):
        say = sum(w for w, g in zip(weights, groups, strict=True) if g == group)
        assert say == pytest.approx(min(groups.count(group), full) / full)


def test_prior_weights_make_the_stated_share() -> None:
    labels = np.array([0, 0, 0, 1])
    weights = metrics.prior_weights(labels, 0.3)
    assert weights.sum() == pytest.approx(4)
    assert weights[labels == 1].sum() / weights.sum() == pytest.approx(0.3)


def sample(seed: int, sources: int = 12, each: int = 10) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(sources), each)
    labels = (groups % 2).astype(float)
    shift = rng.normal(0, 0.7, sources)[groups]
    return labels, labels + shift + rng.normal(0, 1, groups.size), groups


def test_the_interval_over_sources_holds_the_figure_and_is_repeatable() -> None:
    labels, scores, groups = sample(1)
    first, second = (
        metrics.bootstrap(metrics.auc, labels, scores, groups.tolist(), rounds=200, seed=3)
        for _ in range(2)
    )
    assert first == second
    assert 0 <= first.low <= first.value <= first.high <= 1


def test_resampling_sources_is_wider_than_resampling_images() -> None:
    labels, scores, groups = sample(2)
    over_sources = metrics.bootstrap(metrics.auc, labels, scores, groups.tolist(), rounds=300)
    images = list(range(labels.size))
    over_images = metrics.bootstrap(metrics.auc, labels, scores, images, rounds=300)
    assert over_sources.high - over_sources.low > over_images.high - over_images.low


def test_no_bootstrap_round_lacks_a_class() -> None:
    def never_nan(y: np.ndarray, s: np.ndarray, w: np.ndarray) -> float:
        value = metrics.auc(y, s, w)
        assert not math.isnan(value)
        return value

    metrics.bootstrap(never_nan, [0, 0, 1, 0, 1], [1, 2, 3, 4, 5], ["a", "a", "b", "c", "c"])


def test_rates_by_kind_count_images_sources_and_flags() -> None:
    kinds = ["photo"] * 6 + ["anime"] * 4
    scores = [0, 0, 0, 0, 0, 1, 1, 1, 0, 0]
    rates = metrics.rate_by(kinds, scores, 0.5, list("aabbccddee"))
    assert list(rates) == ["photo", "anime"]
    photo = rates["photo"]
    assert (photo.images, photo.sources, photo.flagged) == (6, 3, 1)
    assert photo.rate == pytest.approx(1 / 6)
    for rate in rates.values():
        assert 0 <= rate.low <= rate.rate <= rate.high <= 1


def test_a_rate_of_nothing_out_of_few_does_not_claim_certainty() -> None:
    rate = metrics.rate_by(["photo"] * 5, [0.0] * 5, 0.5, list("abcde"))["photo"]
    assert rate.rate == rate.low == 0
    assert rate.high > 0.3


@given(st.integers(0, 40), st.integers(0, 40))
@settings(deadline=None, max_examples=50)
def test_wilsons_interval_holds_the_share(hits: int, misses: int) -> None:
    low, high = metrics.wilson(hits, hits + misses)
    assert 0 <= low <= high <= 1
    if hits + misses:
        assert low - 1e-12 <= hits / (hits + misses) <= high + 1e-12
