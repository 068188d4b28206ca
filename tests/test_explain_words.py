"""Stability, look-alikes and the words of an explanation say what was measured and no more."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import Asserts, Detector, Evidence, Finding, Status, Stratum, Trust, Verdict
from detector.calibration import Calibration, fit
from detector.explain import Stability, TreatedScore, explain, read, settle, stability
from detector.explain.reference import Alike, alike, at_threshold, measure, scopes
from detector.explain.stability import AS_IS, TREATMENTS, UNSTABLE
from detector.explain.wording import (
    alike_sentences,
    probability_sentence,
    ratio_sentences,
    scope_words,
)
from detector.explain.wording import share as share_words
from detector.verdict import decided
from detector.words import likelihood
from tests import files
from tests.bundles import untrained_bundle

YES, MAYBE, NO = Verdict.LIKELY_GENERATED, Verdict.INCONCLUSIVE, Verdict.NO_SIGN
JPEG = Stratum("jpeg", "medium", "light")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector.load(untrained_bundle(tmp_path_factory.mktemp("bundle") / "small_v1"))


def held(before: Verdict, *after: Verdict | None) -> Stability:
    rows = [TreatedScore(AS_IS, 1.0, before)]
    rows += [TreatedScore(f"way {i}", None if v is None else 0.0, v) for i, v in enumerate(after)]
    return Stability(tuple(rows))


def finding(verdict: Verdict = YES, **changes: Any) -> Finding:
    base = Finding("a.jpg", "0" * 64, Status.OK, "because", "m_v1", 2.0, 0.8, 4.0, verdict,
                   "score_above_threshold", stratum=JPEG)  # fmt: skip
    return replace(base, **changes)


# --- stability ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        (YES, (YES, YES, YES), "stable"),
        (YES, (YES, MAYBE, YES), "wavers"),
        (YES, (YES, YES, NO), "flips"),
        (YES, (MAYBE, MAYBE, MAYBE), "flips"),
        (NO, (NO, YES, NO), "flips"),
        (NO, (NO, MAYBE, NO), "wavers"),
        (MAYBE, (YES, NO, YES), "wavers"),
        (MAYBE, (MAYBE, MAYBE, MAYBE), "stable"),
        (YES, (YES, None, YES), "stable"),
    ],
)
def test_the_word_follows_the_verdicts(
    before: Verdict, after: tuple[Verdict, ...], word: str
) -> None:
    found = held(before, *after)
    assert found.word == word
    assert found.flips == (word == "flips")
    assert found.words.lower().startswith(word)


@pytest.mark.parametrize("verdict", [YES, NO])
def test_a_verdict_that_flips_becomes_inconclusive(verdict: Verdict) -> None:
    opposite = NO if verdict is YES else YES
    settled = settle(finding(verdict), held(verdict, verdict, opposite))
    assert settled.verdict is MAYBE
    assert settled.verdict_code == UNSTABLE
    assert "way 1" in settled.reason
    assert settled.score == finding().score


@given(st.sampled_from([YES, MAYBE, NO]), st.lists(st.sampled_from([YES, MAYBE, NO]), min_size=1))
@settings(deadline=None)
def test_settling_adds_a_word_alone_unless_it_flips_and_never_makes_a_verdict(
    before: Verdict, after: list[Verdict]
) -> None:
    found = held(before, *after)
    settled = settle(finding(before), found)
    if found.flips:
        assert settled.verdict is MAYBE
    else:
        assert settled == replace(finding(before), stability=found.word)
    assert settle(settled, found).verdict is settled.verdict


def test_a_trusted_signature_s_verdict_outlives_a_flip_and_the_flip_is_told() -> None:
    signed = Evidence("camera", "c2pa", Asserts.GENERATED, "Signer", Trust.TRUSTED)
    both = decided(finding(NO), [signed])
    assert both.verdict is YES
    settled = settle(both, held(NO, YES))
    assert settled.verdict is YES
    assert any("does not hold" in note for note in settled.notes)


def test_an_unstable_finding_meets_evidence_as_inconclusive() -> None:
    settled = settle(finding(YES), held(YES, NO))
    again = decided(settled, [])
    assert (again.verdict, again.verdict_code) == (MAYBE, UNSTABLE)


def test_a_file_that_was_not_scored_has_nothing_to_settle() -> None:
    bad = Finding("a", "", Status.EMPTY, "no bytes")
    assert settle(bad, held(YES, NO)) is bad


def test_every_treatment_is_scored_in_its_order_and_the_same_each_time(small: Detector) -> None:
    rgb = files.pixels(120, 120)
    first, second = stability(small, rgb), stability(small, rgb)
    assert first == second
    assert [row.treatment for row in first.rows] == [AS_IS, *TREATMENTS]
    assert first.rows[0].score == small.predict(rgb).score
    assert len({row.score for row in first.rows}) > 6


def test_a_treatment_that_leaves_too_little_is_told_and_not_counted(small: Detector) -> None:
    found = stability(small, files.pixels(40, 40))
    half = next(row for row in found.rows if row.treatment == "scaled to 50 %")
    assert half.verdict is None
    assert "20 × 20" in half.reason
    assert len(found.treated) < len(TREATMENTS)
    json.dumps(found.to_record())


# --- look-alikes ----------------------------------------------------------------------------


def scored(seed: int = 0) -> dict[str, Any]:
    """600 images in 12 sources of three kinds, each in two conditions of different strata."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(600) % 2, 2)
    return {
        "scores": rng.normal(2.0 * labels - 1, 1).round(3),
        "labels": labels,
        "strata": [JPEG, Stratum("jpeg", "medium", "heavy")] * 600,
        "kinds": [("photo", "painting", "meme")[i % 3] for i in range(600) for _ in "ab"],
        "sources": [f"s{i % 12}" for i in range(600) for _ in "ab"],
        "keys": [f"i{i}" for i in range(600) for _ in "ab"],
    }


def test_the_table_gives_back_the_shares_it_was_made_from() -> None:
    data = scored()
    table = json.loads(json.dumps(measure(**data, rounds=50)))
    for score in (-2.0, 0.0, 1.0, 1.5):
        for a in alike(table, score, JPEG):
            inside = (data["labels"] == a.label) & (np.array(data["strata"], dtype=object) == JPEG)
            if a.kind:
                inside &= np.array(data["kinds"]) == a.kind
            assert a.scope == str(JPEG)
            assert a.rate == pytest.approx((data["scores"][inside] >= score).mean(), abs=0.03)
            assert a.low <= a.rate <= a.high


def test_an_image_counts_once_however_often_it_was_scored() -> None:
    data = scored()
    for cell in measure(**data, rounds=10)["cells"]:
        if cell["scope"] == "*/*/*" and not cell["kind"]:
            assert cell["images"] == 300


def test_kinds_and_classes_stay_apart_and_come_in_order() -> None:
    found = alike(measure(**scored(), rounds=10), 0.0, JPEG)
    assert (found[0].label, found[0].kind) == (0, "")
    assert {a.kind for a in found if not a.label} == {"", "photo", "painting", "meme"}
    assert [a.kind for a in found if a.label] == [""]


def test_a_stratum_that_was_not_measured_takes_the_nearest_one() -> None:
    table = measure(**scored(), rounds=10)
    assert {a.scope for a in alike(table, 0.0, Stratum("jpeg", "small", "light"))} == {
        "jpeg/*/light"
    }
    assert {a.scope for a in alike(table, 0.0, "jpeg/small/medium")} == {"jpeg/*/*"}
    assert {a.scope for a in alike(table, 0.0, "webp/small/medium")} == {"*/*/*"}


def test_too_few_images_or_sources_give_no_cell() -> None:
    data = scored()
    few = {key: value[:40] for key, value in data.items()}
    assert measure(**few)["cells"] == []
    alone = data | {"sources": ["only"] * 1200}
    assert measure(**alone)["cells"] == []


@given(st.floats(-9, 9), st.floats(-9, 9))
@settings(deadline=None)
def test_a_higher_score_is_never_commoner(a: float, b: float) -> None:
    low, high = sorted((a, b))
    for first, second in zip(alike(TABLE, low, JPEG), alike(TABLE, high, JPEG), strict=True):
        assert first.rate >= second.rate - 1e-9
        assert 0 <= second.low <= second.rate <= second.high <= 1


TABLE = measure(**scored(), rounds=20)


def test_above_every_real_image_the_share_is_none_and_the_bound_is_not_zero() -> None:
    real = alike(TABLE, 99.0, JPEG)[0]
    assert real.rate == 0
    assert 0.005 < real.high < 0.05
    (sentence,) = alike_sentences([real], JPEG)
    assert sentence.startswith(f"None of {real.images} real images")
    assert "up to" in sentence


def test_mismatched_or_broken_input_is_refused() -> None:
    data = scored()
    with pytest.raises(ValueError, match="length"):
        measure(**(data | {"kinds": ["photo"]}))
    with pytest.raises(ValueError, match="finite"):
        measure(**(data | {"scores": np.full(1200, math.nan)}))


@pytest.mark.parametrize("table", [None, {}, {"version": 99, "cells": []}, "text"])
def test_a_bundle_without_the_table_says_what_it_has(table: Any) -> None:
    assert alike(table, 0.0, JPEG) == ()
    config = {
        "thresholds": {"likely_generated": 1.5},
        "evaluation": {
            "overall": {"sources": 9, "real": 400, "fpr": 0.01, "generated": 300, "tpr": 0.5},
            "strata": {str(JPEG): {"sources": 5, "real": 100, "fpr": 0.02, "generated": 8}},
        },
    }
    real, generated = at_threshold(config, JPEG)
    assert (real.scope, real.rate, real.at_threshold) == (str(JPEG), 0.02, True)
    assert (generated.scope, generated.rate) == ("*/*/*", 0.5)
    first, second = alike_sentences([real, generated], JPEG)
    assert "about 20 reach the threshold of +1.50" in first
    assert "of any format and size" in second
    assert at_threshold({"thresholds": {"likely_generated": 1.5}}, JPEG) == ()
    assert "was not measured" in alike_sentences((), JPEG)[0]


def test_look_alikes_are_worded_with_kind_stratum_and_interval() -> None:
    (sentence,) = alike_sentences(
        [Alike(0, "illustration", str(JPEG), 420, 12, 0.0119, 0.004, 0.031, 1.2)], JPEG
    )
    assert sentence == (
        "Of 1,000 real illustrations saved like this one, about 12 score this high (between 4 and "
        "31; measured on 420 from 12 sources)."
    )


@pytest.mark.parametrize("format_", ["jpeg", "webp", "lossless", "other"])
def test_every_scope_of_a_stratum_has_words(format_: str) -> None:
    for scope in scopes(f"{format_}/small/heavy"):
        assert "*" not in scope_words(scope)
        assert scope_words(scope)


# --- words ----------------------------------------------------------------------------------

SUPPORT = re.compile(r"\b(support|ratio)\b")
ICD203 = {likelihood(p / 100) for p in range(101)}


def test_likelihood_and_support_never_share_a_sentence(small: Detector) -> None:
    calibration = Calibration(1.0, 0.0, -3.0, 3.0)
    for score in np.linspace(-8, 8, 17):
        told = ratio_sentences(
            finding(score=float(score), lr=calibration.lr(float(score))), calibration
        )
        for prior in (0.01, 0.3, 0.5, 0.9):
            p = calibration.probability(float(score), None, prior)
            believed = probability_sentence(p, prior, True)
            assert not SUPPORT.search(believed)
            assert likelihood(p) in believed
        for sentence in told:
            assert not any(re.search(rf"\b{word}\b", sentence) for word in ICD203)


def test_no_sentence_speaks_of_confidence(small: Detector) -> None:
    text = json.dumps(explain(small, files.pixels(100, 100)).to_record()).lower()
    assert "confiden" not in text
    assert "fake" not in text


def test_a_ratio_at_its_bound_says_that_it_stops_there() -> None:
    calibration = Calibration(1.0, 0.0, -1.0, 1.0)
    inside = ratio_sentences(finding(score=0.5, lr=calibration.lr(0.5)), calibration)
    above = ratio_sentences(finding(score=9.0, lr=calibration.lr(9.0)), calibration)
    below = ratio_sentences(finding(score=-9.0, lr=calibration.lr(-9.0)), calibration)
    assert len(inside) == 1
    assert "the most that the validation images support" in above[1]
    assert "the least that the validation images support" in below[1]


def test_a_ratio_from_a_stratum_of_few_images_says_so() -> None:
    calibration = Calibration(1.0, 0.0, counts={str(JPEG): (12, 3)})
    told = ratio_sentences(finding(), calibration)
    assert any("12 real, 3 generated" in sentence for sentence in told)
    measured = replace(calibration, offsets={str(JPEG): 0.1})
    assert len(ratio_sentences(finding(), measured)) == 1


@pytest.mark.parametrize(
    ("prior", "words"),
    [(0.5, "half"), (0.1, "1 in 10"), (0.3, "3 in 10"), (0.01, "1 in 100"), (0.123, "123 in 1,000"),
     (1 / 3, "0.333 of all")],
)  # fmt: skip
def test_priors_are_said_as_people_say_them(prior: float, words: str) -> None:
    assert share_words(prior) == words


def test_the_probability_moves_with_the_prior_and_the_ratio_does_not(small: Detector) -> None:
    seen = small.predict(files.pixels(90, 90))
    rare, even = read(seen, small.bundle, 0.01), read(seen, small.bundle)
    assert rare.probability < even.probability
    assert rare.ratio_words == even.ratio_words
    assert "the prior given" in rare.probability_words
    assert "even odds" in even.probability_words


def test_a_bundle_with_the_table_is_read_with_it(tmp_path: Path) -> None:
    own = Detector.load(untrained_bundle(tmp_path / "own_v1", reference=TABLE))
    told = read(own.predict(files.jpeg(files.pixels(90, 90))), own.bundle)
    assert any("score this high" in sentence for sentence in told.alike_words)
    plain = Detector.load(untrained_bundle(tmp_path / "plain_v1"))
    # The same file, so that only the bundle differs.
    assert own.config_hash == plain.config_hash


# --- bounds per stratum ---------------------------------------------------------------------


def test_a_stratum_with_few_sources_is_bounded_more_tightly() -> None:
    calibration = Calibration(
        1.0, 0.0, -4.0, 4.0, offsets={str(JPEG): 0.0}, bounds={str(JPEG): (-1.0, 0.5)}
    )
    assert calibration.bounds_of(JPEG) == (-1.0, 0.5)
    assert calibration.bounds_of("webp/small/heavy") == (-4.0, 4.0)
    llr = calibration.log_lrs([9.0, 9.0, -9.0], [JPEG, None, JPEG])
    assert llr.tolist() == [0.5, 4.0, -1.0]
    assert Calibration.from_dict(json.loads(json.dumps(calibration.to_dict()))) == calibration


def test_a_fit_bounds_each_measured_stratum_by_its_own_sources() -> None:
    data = scored()
    strata = [JPEG if s in ("s0", "s1", "s2", "s3") else "webp/medium/light"
              for s in data["sources"]]  # fmt: skip
    found = fit(data["scores"], data["labels"], strata, data["sources"])
    assert set(found.bounds) == set(found.offsets) == {str(JPEG), "webp/medium/light"}
    for name, sources in ((str(JPEG), 2), ("webp/medium/light", 4)):
        low, high = found.bounds[name]
        assert -math.log(sources + 1) <= low <= 0 <= high <= math.log(sources + 1)
    assert found.lr(9.0, JPEG) <= found.lr(9.0, "png/small/none")
