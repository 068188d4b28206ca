"""Content Credentials are read with their trust, their history and nothing fetched."""

from __future__ import annotations

import builtins
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import UsageError
from detector.evidence import build, c2pa_claims, settings_hash, trust
from detector.evidence import c2pa as channel
from detector.evidence.base import EvidenceInput
from detector.results import Asserts, Evidence, Trust

pytest.importorskip("c2pa")
pytest.importorskip("cryptography")

from tests import c2pa_made as made

PHOTO = build.jpeg(pixels=build.picture(160, 120))


def read(data: bytes, trust_list: str | None = None) -> list[Evidence]:
    return channel.find(EvidenceInput(data, trust_list=trust_list))


def first(data: bytes, trust_list: str | None = None) -> Evidence:
    return read(data, trust_list)[0]


@pytest.fixture(scope="module")
def generated() -> bytes:
    return made.sign(PHOTO, made.manifest(made.created("trainedAlgorithmicMedia")))


@pytest.fixture(scope="module")
def captured() -> bytes:
    return made.sign(PHOTO, made.manifest(made.created("digitalCapture"), generator="Camera"))


def test_an_intact_manifest_of_an_unknown_signer_is_valid_only(generated: bytes) -> None:
    evidence = first(generated)
    assert (evidence.kind, evidence.asserts) == ("c2pa_manifest", Asserts.GENERATED)
    assert evidence.trust is Trust.VALID
    assert evidence.issuer == "Example Test"
    assert evidence.raw["failures"] == ["signingCredential.untrusted"]
    assert evidence.raw["generators"] == ["Example Generator 1.0"]
    assert evidence.raw["source_types"] == ["trainedAlgorithmicMedia"]
    assert evidence.raw["trust_list"] == "none"
    assert "No trust list" in evidence.caveat


def test_a_signer_on_the_users_list_is_trusted(generated: bytes) -> None:
    evidence = first(generated, made.authority().root_pem)
    assert evidence.trust is Trust.TRUSTED
    assert "failures" not in evidence.raw
    assert evidence.raw["trust_list"] == "given by the user"


def test_a_signer_of_another_authority_is_not_trusted(generated: bytes) -> None:
    assert first(generated, made.Authority("Another").root_pem).trust is Trust.VALID


def test_a_changed_byte_breaks_the_signature(generated: bytes) -> None:
    changed = bytearray(generated)
    changed[-60] ^= 1
    evidence = first(bytes(changed), made.authority().root_pem)
    assert evidence.trust is Trust.INVALID
    assert evidence.asserts is Asserts.GENERATED, "what it claims stays readable"
    assert "assertion.dataHash.mismatch" in evidence.raw["failures"]


def test_a_manifest_on_another_image_does_not_hold(generated: bytes) -> None:
    other = build.jpeg(pixels=build.picture(160, 120)[::-1])
    at = generated.index(b"\xff\xeb")
    end = at
    while generated[end : end + 2] == b"\xff\xeb":
        end += 2 + int.from_bytes(generated[end + 2 : end + 4], "big")
    assert first(other[:2] + generated[at:end] + other[2:]).trust is Trust.INVALID


@pytest.mark.parametrize(
    ("suffix", "kind"), [("PNG", "image/png"), ("WEBP", "image/webp")], ids=["PNG", "WebP"]
)
def test_other_formats_are_read(suffix: str, kind: str) -> None:
    plain = build.png() if suffix == "PNG" else build.webp()
    signed = made.sign(plain, made.manifest(made.created("digitalCapture")), kind=kind)
    assert first(signed).asserts is Asserts.CAPTURED


def test_a_manifest_stored_elsewhere_is_told_and_not_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import socket

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    address = "https://example.invalid/manifest.c2pa"
    away = made.sign(PHOTO, made.manifest(made.created("digitalCapture")), remote=address)
    (evidence,) = read(away)
    assert (evidence.kind, evidence.asserts) == ("c2pa_remote_manifest", Asserts.UNKNOWN)
    assert evidence.raw["url"] == address


def test_resaving_leaves_nothing() -> None:
    assert read(PHOTO) == []


OPENED = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["part0"]}}
PLACED = {"action": "c2pa.placed", "parameters": {"ingredientIds": ["part1"]}}
INPAINTED = {
    "action": "c2pa.edited",
    "digitalSourceType": made.BASE + "compositeWithTrainedAlgorithmicMedia",
}


def test_a_retouched_generated_image_stays_generated(generated: bytes) -> None:
    edited = made.manifest(OPENED, {"action": "c2pa.color_adjustments"}, generator="Editor")
    signed = made.sign(PHOTO, edited, ingredients=[("parentOf", generated)])
    active, part = read(signed)
    assert active.asserts is Asserts.GENERATED
    assert (part.kind, part.asserts) == ("c2pa_ingredient", Asserts.GENERATED)
    assert (part.raw["relationship"], part.raw["depth"]) == ("parentOf", 1)


def test_a_photograph_edited_with_ai_says_so(captured: bytes) -> None:
    edited = made.manifest(OPENED, INPAINTED, generator="Editor")
    signed = made.sign(PHOTO, edited, ingredients=[("parentOf", captured)])
    active, part = read(signed, made.authority().root_pem)
    assert active.asserts is Asserts.EDITED_WITH_AI
    assert part.asserts is Asserts.CAPTURED
    assert active.trust is part.trust is Trust.TRUSTED


def test_a_generated_part_in_a_photograph_is_an_edit_with_ai(
    captured: bytes, generated: bytes
) -> None:
    parts = [("parentOf", captured), ("componentOf", generated)]
    signed = made.sign(PHOTO, made.manifest(OPENED, PLACED), ingredients=parts)
    active, *rest = read(signed)
    assert active.asserts is Asserts.EDITED_WITH_AI
    assert {part.asserts for part in rest} == {Asserts.CAPTURED, Asserts.GENERATED}


def test_an_opened_photograph_without_ai_stays_captured(captured: bytes) -> None:
    signed = made.sign(PHOTO, made.manifest(OPENED), ingredients=[("parentOf", captured)])
    assert first(signed).asserts is Asserts.CAPTURED


def test_ingredients_of_ingredients_are_walked(captured: bytes) -> None:
    data = captured
    for _ in range(3):
        data = made.sign(PHOTO, made.manifest(OPENED), ingredients=[("parentOf", data)])
    evidence = read(data)
    assert [e.raw["depth"] for e in evidence[1:]] == [1, 2, 3]
    assert {e.asserts for e in evidence} == {Asserts.CAPTURED}


def test_a_claim_says_what_it_rests_on(generated: bytes, captured: bytes) -> None:
    ours = made.authority().root_pem
    stranger = made.Authority("Stranger")
    theirs = made.sign(PHOTO, made.manifest(made.created("trainedAlgorithmicMedia")), by=stranger)

    def opened(inner: bytes, *more: dict[str, Any]) -> bytes:
        return made.sign(PHOTO, made.manifest(OPENED, *more), ingredients=[("parentOf", inner)])

    def rests(data: bytes, anchors: str | None = ours) -> str:
        return str(first(data, anchors).raw.get("claim_rests_on", ""))

    assert rests(generated) == "created_action"
    assert rests(opened(generated)) == rests(opened(opened(generated))) == "trusted_ingredient"
    assert rests(opened(generated), None) == "ingredient"
    assert rests(opened(captured, INPAINTED)) == "other"
    assert rests(made.sign(PHOTO, made.manifest(made.created("algorithmicMedia")))) == ""
    # Opening a stranger's file in a trusted editor does not make the stranger trusted.
    for laundered in (opened(theirs), opened(opened(theirs))):
        evidence = first(laundered, ours)
        assert (evidence.asserts, evidence.trust) == (Asserts.GENERATED, Trust.TRUSTED)
        assert evidence.raw["claim_rests_on"] == "ingredient"
    both = ours + stranger.root_pem
    assert rests(opened(theirs), both) == "trusted_ingredient"


def test_the_environment_names_the_list(
    generated: bytes, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "list.pem"
    file.write_text(made.authority().root_pem)
    without = settings_hash()
    monkeypatch.setenv(trust.VARIABLE, str(file))
    assert first(generated).trust is Trust.TRUSTED
    assert settings_hash() == settings_hash(made.authority().root_pem) != without
    other = made.Authority("Other").root_pem
    assert first(generated, other).trust is Trust.VALID, "what is named for one call goes first"
    monkeypatch.setenv(trust.VARIABLE, str(tmp_path / "none.pem"))
    with pytest.raises(UsageError, match="cannot be read"):
        trust.anchors()


def test_without_the_extra_a_manifest_is_reported_as_not_checked(
    generated: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "c2pa":
            raise ImportError(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    (evidence,) = read(generated)
    assert (evidence.kind, evidence.raw["needs"]) == ("c2pa_not_checked", "aigi-detector[c2pa]")
    assert read(PHOTO) == []


def test_a_circle_of_manifests_ends() -> None:
    def one(other: str) -> dict[str, Any]:
        return {"ingredients": [{"relationship": "parentOf", "active_manifest": other}] * 200}

    store = {"active_manifest": "a", "manifests": {"a": one("b"), "b": one("a")}}
    assert c2pa_claims.claim(store, "a") is Asserts.UNKNOWN
    assert len(c2pa_claims.ingredients(store, "a")) == c2pa_claims.MAX_INGREDIENTS


def test_a_wide_and_deep_store_costs_little() -> None:
    names = [f"m{i}" for i in range(40)]
    manifests = {
        name: {
            "ingredients": [{"relationship": "componentOf", "active_manifest": n} for n in names]
        }
        for name in names
    }
    store = {"manifests": manifests}
    assert c2pa_claims.claim(store, "m0") is Asserts.UNKNOWN


@pytest.mark.parametrize(
    ("code", "claim"),
    [
        ("trainedAlgorithmicMedia", Asserts.GENERATED),
        ("compositeWithTrainedAlgorithmicMedia", Asserts.EDITED_WITH_AI),
        ("compositeSynthetic", Asserts.COMPOSITE),
        ("digitalCapture", Asserts.CAPTURED),
        ("digitalCreation", Asserts.HUMAN_MADE),
        ("algorithmicMedia", Asserts.UNKNOWN),
    ],
)
def test_a_source_type_in_the_metadata_counts_where_no_action_has_one(
    code: str, claim: Asserts
) -> None:
    data = {"Iptc4xmpExt:DigitalSourceType": made.BASE + code}
    store = {"manifests": {"a": {"assertions": [{"label": "cawg.metadata", "data": data}]}}}
    assert c2pa_claims.claim(store, "a") is claim


KEYS = [
    *("active_manifest", "manifests", "a", "ingredients", "assertions", "label", "data"),
    *("actions", "action", "digitalSourceType", "validation_results", "ingredientDeltas"),
    *("failure", "url", "alg"),
]
keys = st.sampled_from(KEYS)
leaves = st.none() | st.integers(-1, 1) | st.sampled_from(["a", "c2pa.actions", "c2pa.created"])


def results(
    *failed: str, held: tuple[str, ...] = ("claimSignature.validated", "x.dataHash.match")
) -> Any:
    return {
        "activeManifest": {
            "success": [{"code": code} for code in held],
            "failure": [{"code": code} for code in failed],
        }
    }


@pytest.mark.parametrize(
    ("failed", "trust_level"),
    [
        (("signingCredential.expired",), Trust.VALID),
        (("signingCredential.untrusted", "signingCredential.invalid"), Trust.VALID),
        (("claim.malformed", "assertion.action.malformed"), Trust.VALID),
        (("signingCredential.revoked",), Trust.INVALID),
        (("assertion.dataHash.mismatch",), Trust.INVALID),
        (("signingCredential.expired", "claimSignature.mismatch"), Trust.INVALID),
        (("something.new",), Trust.INVALID),
    ],
)
def test_a_certificate_that_ran_out_is_no_alteration(
    failed: tuple[str, ...], trust_level: Trust
) -> None:
    manifests = {"a": {"signature_info": {"issuer": "Example"}}}
    store = {
        "active_manifest": "a",
        "manifests": manifests,
        "validation_results": results(*failed),
    }
    (evidence,) = channel._evidence(store, "Invalid", "", None)
    assert evidence.trust is trust_level
    assert evidence.raw["failures"] == list(failed)
    assert evidence.raw["validation_state"] == "Invalid"


def test_without_a_bound_hash_nothing_is_intact() -> None:
    assert not c2pa_claims.intact(results(held=("claimSignature.validated",)))
    assert not c2pa_claims.intact(results(held=("assertion.dataHash.match",)))
    assert not c2pa_claims.intact(None)


def test_older_manifests_of_large_services_are_understood() -> None:
    made_by_ai = {"actions": [{"action": "c2pa.created", "description": "AI Generated Image"}]}
    worded = {"assertions": [{"label": "c2pa.actions.v2", "data": made_by_ai}]}
    oldest = {"assertions": [{"label": "actions", "data": made_by_ai["actions"]}]}
    wrapper = {"ingredients": [{"relationship": "componentOf", "active_manifest": "worded"}]}
    store = {"manifests": {"worded": worded, "wrapper": wrapper, "oldest": oldest}}
    assert c2pa_claims.claim(store, "oldest") is Asserts.GENERATED
    assert c2pa_claims.claim(store, "worded") is Asserts.GENERATED
    assert c2pa_claims.claim(store, "wrapper") is Asserts.GENERATED


junk = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)


@settings(deadline=None, max_examples=150)
@given(store=st.dictionaries(keys, junk, max_size=4))
def test_any_store_is_walked_without_raising(store: dict[str, Any]) -> None:
    assert isinstance(c2pa_claims.claim(store, "a"), Asserts)
    c2pa_claims.ingredients(store, "a")
    for evidence in channel._evidence(store, "Valid", "", None):
        json.dumps(evidence.to_record(), allow_nan=False)


@settings(deadline=None, max_examples=60)
@given(at=st.integers(0, 12_000), value=st.integers(0, 255), cut=st.integers(0, 4_000))
def test_damaged_files_give_evidence_and_no_fault(at: int, value: int, cut: int) -> None:
    data = bytearray(_signed())
    data[at % len(data)] = value
    for evidence in read(bytes(data[: len(data) - cut])):
        assert evidence.kind.startswith("c2pa_")
        assert evidence.trust is not Trust.TRUSTED


_CACHE: dict[str, bytes] = {}


def _signed() -> bytes:
    if "signed" not in _CACHE:
        small = build.jpeg(pixels=build.picture(32, 32))
        _CACHE["signed"] = made.sign(small, made.manifest(made.created("digitalCapture")))
    return _CACHE["signed"]


def test_a_list_without_certificates_is_refused(tmp_path: Any) -> None:
    file = tmp_path / "list.pem"
    file.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(UsageError, match="holds no certificate"):
        trust.read_trust_list(file)
    with pytest.raises(UsageError, match="cannot be read"):
        trust.read_trust_list(tmp_path / "none.pem")
    file.write_text("a comment\n" + made.authority().root_pem)
    assert trust.read_trust_list(file).certificates == 1


def test_a_bundled_list_is_used_when_there_is_one(
    generated: bytes, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "C2PA-TRUST-LIST.pem").write_text(made.authority().root_pem)
    (tmp_path / "README.md").write_text("Copied on 2026-08-14, CC BY 4.0.")
    monkeypatch.setattr(trust, "BUNDLED", tmp_path / "C2PA-TRUST-LIST.pem")
    trust.bundled.cache_clear()
    try:
        evidence = first(generated)
    finally:
        monkeypatch.undo()
        trust.bundled.cache_clear()
    assert evidence.trust is Trust.TRUSTED
    assert evidence.raw["trust_list"] == "the C2PA trust list of 2026-08-14"
