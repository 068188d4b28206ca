"""The verdict is a named rule over pixels and evidence; nothing unsigned decides it alone."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.results import Asserts, Evidence, Finding, Status, Trust, Verdict
from detector.verdict import (
    CREATED_ACTION,
    RULES,
    TRUSTED_INGREDIENT,
    PixelJudgement,
    decide,
    decided,
)

LIKELY = PixelJudgement(Verdict.LIKELY_GENERATED, "score_above_threshold", "Score +3.00.")
BETWEEN = PixelJudgement(Verdict.INCONCLUSIVE, "score_between_thresholds", "Score +1.00.")
FLAT = PixelJudgement(Verdict.INCONCLUSIVE, "too_flat", "Nothing to judge.")
CLEAN = PixelJudgement(Verdict.NO_SIGN, "score_below_threshold", "Score -3.00.")
PIXELS = (LIKELY, BETWEEN, FLAT, CLEAN)


def piece(
    kind: str,
    asserts: Asserts,
    trust: Trust = Trust.SELF_DECLARED,
    channel: str = "metadata",
    **raw: object,
) -> Evidence:
    return Evidence(kind, channel, asserts, "", trust, raw, "")


def manifest(asserts: Asserts, trust: Trust, rests: str = CREATED_ACTION, **raw: object):
    return piece("c2pa_manifest", asserts, trust, "c2pa", claim_rests_on=rests, **raw)


SIGNED = manifest(Asserts.GENERATED, Trust.TRUSTED)
CAMERA_SIGNED = manifest(Asserts.CAPTURED, Trust.TRUSTED)
COMFYUI = piece("comfyui_graph", Asserts.GENERATED)
LABEL = piece("aigc_label", Asserts.GENERATED, channel="aigc_label", label="1")
SUSPECTED = piece("aigc_label", Asserts.UNKNOWN, channel="aigc_label", label="3")
MARK = piece("dwtdct_watermark", Asserts.GENERATED, Trust.INFERRED, "watermark")
CAMERA = piece("camera_exif", Asserts.CAPTURED)
EDITED = piece("apple_clean_up", Asserts.EDITED_WITH_AI)

pieces = st.builds(
    piece,
    st.sampled_from(["c2pa_manifest", "c2pa_ingredient", "aigc_label", "camera_exif", "other"]),
    st.sampled_from(Asserts),
    st.sampled_from(Trust),
    st.sampled_from(["c2pa", "aigc_label", "metadata", "watermark", "a_plugin"]),
    claim_rests_on=st.sampled_from([CREATED_ACTION, TRUSTED_INGREDIENT, "ingredient", ""]),
    label=st.sampled_from(["1", "2", "3", ""]),
    ingredients=st.integers(0, 1),
)
judgements = st.sampled_from(PIXELS)


@pytest.mark.parametrize("pixel", PIXELS)
def test_without_evidence_the_pixels_decide(pixel: PixelJudgement) -> None:
    decision = decide(pixel, [])
    assert (decision.verdict, decision.code) == (pixel.verdict, pixel.code)
    assert decision.reason == pixel.reason
    assert decision.conflicts == ()


TABLE = [
    (CLEAN, [SIGNED], Verdict.LIKELY_GENERATED, "signed_generated"),
    (LIKELY, [SIGNED], Verdict.LIKELY_GENERATED, "signed_generated"),
    (
        CLEAN,
        [manifest(Asserts.GENERATED, Trust.TRUSTED, TRUSTED_INGREDIENT)],
        Verdict.LIKELY_GENERATED,
        "signed_generated",
    ),
    (
        CLEAN,
        [manifest(Asserts.GENERATED, Trust.TRUSTED, "ingredient")],
        Verdict.INCONCLUSIVE,
        "signature_says_generated",
    ),
    (
        CLEAN,
        [manifest(Asserts.GENERATED, Trust.VALID)],
        Verdict.INCONCLUSIVE,
        "signature_says_generated",
    ),
    (FLAT, [CAMERA_SIGNED], Verdict.NO_SIGN, "signed_captured"),
    (LIKELY, [CAMERA_SIGNED], Verdict.INCONCLUSIVE, "signed_captured_disputed"),
    (CLEAN, [CAMERA_SIGNED, COMFYUI], Verdict.INCONCLUSIVE, "signed_captured_disputed"),
    (
        BETWEEN,
        [manifest(Asserts.CAPTURED, Trust.TRUSTED, ingredients=1)],
        Verdict.INCONCLUSIVE,
        "score_between_thresholds",
    ),
    (BETWEEN, [manifest(Asserts.CAPTURED, Trust.VALID)], BETWEEN.verdict, BETWEEN.code),
    (BETWEEN, [manifest(Asserts.HUMAN_MADE, Trust.TRUSTED)], BETWEEN.verdict, BETWEEN.code),
    (
        CLEAN,
        [manifest(Asserts.EDITED_WITH_AI, Trust.TRUSTED)],
        Verdict.INCONCLUSIVE,
        "signed_edited_with_ai",
    ),
    (CLEAN, [LABEL, COMFYUI], Verdict.INCONCLUSIVE, "aigc_label_says_generated"),
    (CLEAN, [COMFYUI], Verdict.INCONCLUSIVE, "metadata_says_generated"),
    (BETWEEN, [COMFYUI], Verdict.INCONCLUSIVE, "metadata_says_generated"),
    (LIKELY, [COMFYUI], Verdict.LIKELY_GENERATED, "score_above_threshold"),
    (CLEAN, [MARK], Verdict.INCONCLUSIVE, "watermark_says_generated"),
    (CLEAN, [EDITED, CAMERA], Verdict.INCONCLUSIVE, "says_edited_with_ai"),
    (CLEAN, [SUSPECTED], Verdict.INCONCLUSIVE, "aigc_label_suspects"),
    (LIKELY, [CAMERA], Verdict.LIKELY_GENERATED, "score_above_threshold"),
    (CLEAN, [CAMERA], Verdict.NO_SIGN, "score_below_threshold"),
]


@pytest.mark.parametrize(("pixel", "evidence", "verdict", "code"), TABLE)
def test_the_table(
    pixel: PixelJudgement, evidence: list[Evidence], verdict: Verdict, code: str
) -> None:
    decision = decide(pixel, evidence)
    assert (decision.verdict, decision.code) == (verdict, code)
    assert pixel.reason in decision.reason


def test_every_rule_is_reached_by_the_table_above() -> None:
    assert {rule.code for rule in RULES if rule.verdict is not None} <= {row[3] for row in TABLE}
    assert len({rule.code for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.when.endswith(".")


@settings(deadline=None)
@given(judgements, st.lists(pieces, max_size=6))
def test_only_pixels_or_a_trusted_signature_make_it_likely(pixel, evidence) -> None:
    trusted = any(e.trust is Trust.TRUSTED and e.asserts is Asserts.GENERATED for e in evidence)
    if decide(pixel, evidence).verdict is Verdict.LIKELY_GENERATED:
        assert trusted or pixel.verdict is Verdict.LIKELY_GENERATED


@settings(deadline=None)
@given(judgements, st.lists(pieces, max_size=6))
def test_only_pixels_or_a_trusted_signature_clear_an_image(pixel, evidence) -> None:
    trusted = any(e.trust is Trust.TRUSTED and e.asserts is Asserts.CAPTURED for e in evidence)
    if decide(pixel, evidence).verdict is Verdict.NO_SIGN:
        assert trusted or pixel.verdict is Verdict.NO_SIGN


@settings(deadline=None)
@given(judgements, st.lists(pieces, max_size=5), pieces)
def test_a_broken_signature_changes_no_verdict(pixel, evidence, extra) -> None:
    broken = replace(extra, trust=Trust.INVALID)
    with_it, without = decide(pixel, [broken, *evidence]), decide(pixel, evidence)
    assert (with_it.verdict, with_it.code, with_it.reason) == (
        without.verdict, without.code, without.reason,
    )  # fmt: skip


@settings(deadline=None)
@given(judgements, st.lists(pieces, max_size=5))
def test_camera_metadata_changes_no_verdict(pixel, evidence) -> None:
    before, after = decide(pixel, evidence), decide(pixel, [*evidence, CAMERA])
    assert (before.verdict, before.code) == (after.verdict, after.code)


@settings(deadline=None)
@given(judgements, st.lists(pieces, max_size=6), st.randoms())
def test_the_order_of_evidence_does_not_decide(pixel, evidence, order: random.Random) -> None:
    shuffled = list(evidence)
    order.shuffle(shuffled)
    one, other = decide(pixel, evidence), decide(pixel, shuffled)
    assert (one.verdict, one.code) == (other.verdict, other.code)


def test_what_the_pixels_contradict_is_said() -> None:
    (flagged,) = decide(LIKELY, [CAMERA]).conflicts
    assert "captured by a camera" in flagged
    assert "clears nothing" in flagged
    (unseen,) = decide(CLEAN, [COMFYUI]).conflicts
    assert unseen.startswith("The ComfyUI graph says that the image was generated, while the CNN")
    assert decide(BETWEEN, [COMFYUI]).conflicts == ()


def test_a_tampered_manifest_is_reported_and_not_used() -> None:
    for asserts in (Asserts.CAPTURED, Asserts.UNKNOWN):
        decision = decide(LIKELY, [manifest(asserts, Trust.INVALID)])
        assert decision.code == LIKELY.code
        (sentence,) = decision.conflicts
        assert "its signature does not hold" in sentence


def test_claims_that_agree_with_the_pixels_are_named() -> None:
    assert decide(LIKELY, [COMFYUI, MARK]).reason == (
        "Score +3.00. The file itself says generated too (ComfyUI graph, invisible watermark "
        "(dwtDct))."
    )


def test_a_finding_is_decided_from_its_pixels_however_often() -> None:
    scored = Finding(
        "a.png",
        "0" * 64,
        Status.OK,
        CLEAN.reason,
        "m_v1",
        -3.0,
        0.1,
        0.1,
        CLEAN.verdict,
        CLEAN.code,
    )
    once = decided(scored, [COMFYUI, CAMERA])
    assert once.verdict is Verdict.INCONCLUSIVE
    assert (once.pixel_verdict, once.pixel_code, once.pixel_reason) == (
        Verdict.NO_SIGN, CLEAN.code, CLEAN.reason,
    )  # fmt: skip
    assert once.evidence_kinds == ("comfyui_graph", "camera_exif")
    assert decided(once, [COMFYUI, CAMERA]) == once
    again = decided(once, [])
    assert (again.verdict, again.verdict_code, again.reason) == (
        CLEAN.verdict, CLEAN.code, CLEAN.reason,
    )  # fmt: skip


def test_a_file_that_was_not_scored_gets_no_verdict_from_evidence() -> None:
    failed = Finding("a.png", "0" * 64, Status.TOO_SMALL, "too small", "m_v1")
    found = decided(failed, [SIGNED, manifest(Asserts.CAPTURED, Trust.INVALID)])
    assert found.verdict is None
    assert found.evidence_kinds == ("c2pa_manifest",)
    assert len(found.conflicts) == 1


def test_a_finding_shows_itself_in_a_notebook() -> None:
    scored = Finding("<b>.png", "0" * 64, Status.OK, "why", "m_v1", 1.0, verdict=Verdict.NO_SIGN)
    page = decided(scored, [COMFYUI])._repr_html_()
    assert "&lt;b&gt;.png" in page
    assert "Disagreement" in page
