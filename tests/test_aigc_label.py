"""China's AIGC label is read in every form, its provider parsed, its weaker values kept apart."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.evidence import aigc_label, build
from detector.evidence.aigc_examples import CREDIT_CODE, LABEL, PROVIDER, SERVICE, element
from detector.evidence.base import EvidenceInput
from detector.evidence.credit_code import (
    ALPHABET,
    check_character,
    read_credit_code,
    read_provider,
)
from detector.results import Asserts, Evidence, Trust


def find(data: bytes) -> list[Evidence]:
    return aigc_label.find(EvidenceInput(data))


def in_png(value: Any, key: str = "AIGC") -> list[Evidence]:
    return find(build.png(build.text(key, json.dumps(value))))


def test_a_label_is_read_with_its_provider() -> None:
    (evidence,) = in_png(LABEL)
    assert (evidence.kind, evidence.asserts) == ("aigc_label", Asserts.GENERATED)
    assert evidence.trust is Trust.SELF_DECLARED
    assert evidence.issuer == PROVIDER
    assert evidence.raw["found_in"] == ["PNG tEXt AIGC"]
    assert evidence.raw["producer"]["service"] == "makes content"
    assert evidence.raw["producer"]["credit_code"]["valid"] is True
    assert "synthesised" in evidence.caveat


@pytest.mark.parametrize(
    ("label", "claim"),
    [
        ("1", Asserts.GENERATED),
        (1, Asserts.GENERATED),
        ("2", Asserts.UNKNOWN),
        ("3", Asserts.UNKNOWN),
        ("0", Asserts.UNKNOWN),
        ("value1", Asserts.UNKNOWN),
        (None, Asserts.UNKNOWN),
        ([1], Asserts.UNKNOWN),
    ],
)
def test_only_label_1_claims_generated(label: Any, claim: Asserts) -> None:
    (evidence,) = in_png(LABEL | {"Label": label})
    assert evidence.asserts is claim


def test_the_meaning_of_each_value_is_told() -> None:
    meanings = {n: in_png(LABEL | {"Label": n})[0].raw["meaning"] for n in ("1", "2", "3", "7")}
    assert "declared" in meanings["2"]
    assert "suspected" in meanings["3"]
    assert meanings["7"] == "not a value of the standard"


def test_one_label_in_two_places_is_one_piece_of_evidence() -> None:
    text = json.dumps(LABEL)
    (evidence,) = find(build.png(build.text("AIGC", text), build.xmp_chunk(element(text))))
    assert evidence.raw["found_in"] == ["XMP TC260:AIGC", "PNG tEXt AIGC"]


def test_two_different_labels_are_two() -> None:
    other = LABEL | {"ContentProducer": "another"}
    both = find(
        build.png(build.text("AIGC", json.dumps(LABEL)), build.text("AIGC", json.dumps(other)))
    )
    assert [e.issuer for e in both] == [PROVIDER, "another"]


def test_a_quoted_word_before_a_bare_label_hides_nothing() -> None:
    body = b'"AIGC" is a word. AIGC' + json.dumps(LABEL).encode()
    (evidence,) = find(build.jpeg((0xE9, body)))
    assert evidence.raw["found_in"] == ["JPEG APP9"]


def test_a_producer_without_a_code_is_a_name() -> None:
    (evidence,) = in_png(LABEL | {"ContentProducer": "doubao"})
    assert evidence.raw["producer"] == {"value": "doubao", "form": "name or another code"}


def test_the_service_providers_form_needs_its_wrapper_to_claim() -> None:
    wrapped = build.exif({0x010E: json.dumps({"AIGC": SERVICE})})
    loose = build.exif({0x010E: json.dumps(SERVICE)})
    (named,) = find(build.jpeg(build.exif_segment(wrapped)))
    (alone,) = find(build.jpeg(build.exif_segment(loose)))
    assert named.asserts is Asserts.GENERATED
    assert named.issuer == "Example Cloud"
    assert alone.asserts is Asserts.UNKNOWN


def test_security_data_are_told_and_not_believed() -> None:
    signed = LABEL | {"ReservedCode1": json.dumps({"SecurityData": {"Type": "DS"}})}
    (evidence,) = in_png(signed)
    assert evidence.raw["has_security_data"] is True
    assert evidence.trust is Trust.SELF_DECLARED


@pytest.mark.parametrize(
    "value",
    [
        {"Label": "1"},
        {"ServiceProvider": "x"},
        {"AIGC": {"Model": "x"}},
        {"AIGC": "text"},
        {"AIGC": None},
        {"text": "AIGC"},
    ],
)
def test_other_objects_are_no_labels(value: dict[str, Any]) -> None:
    assert in_png(value, key="Comment") == []


def test_labels_in_bytes_after_the_image_do_not_count() -> None:
    assert find(build.jpeg(tail=b"AIGC" + json.dumps(LABEL).encode())) == []


# ---- credit codes


def test_the_parts_of_a_credit_code_are_told() -> None:
    body = "91110000" + "000000000"
    code = read_credit_code(body + check_character(body))
    assert code is not None
    assert (code.kind, code.province, code.region) == ("enterprise", "Beijing", "110000")
    assert code.authority.startswith("market regulation")
    assert code.valid
    assert code.organisation_valid


codes = st.tuples(
    st.text(alphabet=ALPHABET, min_size=2, max_size=2),
    st.text(alphabet="0123456789", min_size=6, max_size=6),
    st.text(alphabet=ALPHABET, min_size=9, max_size=9),
).map("".join)


@given(codes)
def test_the_right_check_character_is_accepted(body: str) -> None:
    code = read_credit_code(body + check_character(body))
    assert code is not None
    assert code.valid


@given(codes, st.integers(0, 16), st.sampled_from(ALPHABET))
def test_every_single_wrong_character_is_noticed(body: str, at: int, other: str) -> None:
    check = check_character(body)
    changed = body[:at] + other + body[at + 1 :]
    code = read_credit_code(changed + check)
    if code is not None and other != body[at]:
        assert not code.valid


@pytest.mark.parametrize("text", ["", "9" * 17, CREDIT_CODE.lower(), CREDIT_CODE[:-1] + "O"])
def test_other_shapes_are_no_credit_codes(text: str) -> None:
    assert read_credit_code(text) is None
    assert read_provider(text)["form"] == "name or another code"


def test_a_bare_credit_code_and_other_subjects_are_told_apart() -> None:
    assert read_provider(CREDIT_CODE)["form"] == "credit code"
    person = "0021" + "0" * 18 + "00000"
    assert read_provider(person) == {
        "value": person,
        "form": "provider code",
        "subject": "2",
        "binding": "1",
    }


@given(st.text(max_size=40))
def test_any_text_is_a_provider_of_some_form(text: str) -> None:
    assert read_provider(text)["value"] == text.strip()


# ---- noise

noise = st.recursive(
    st.none() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["AIGC", "Label", "ContentProducer", "x"]), inner)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(noise)
def test_any_json_is_read_without_raising(value: Any) -> None:
    text = json.dumps(value)
    for data in (
        build.png(build.text("AIGC", text)),
        build.jpeg((0xE9, b"AIGC" + text.encode())),
        build.jpeg(build.xmp_segment(element(text))),
    ):
        for evidence in find(data):
            json.dumps(evidence.to_record(), allow_nan=False)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_segment_is_read_without_raising(body: bytes) -> None:
    find(build.jpeg((0xE9, b"AIGC{" + body), (0xEA, b"TC260:AIGC>" + body)))
