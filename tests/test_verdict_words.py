"""Sentences on evidence read as English, whichever kinds of evidence they are about."""

from __future__ import annotations

import re

import pytest

from detector.evidence import CHANNELS, channel
from detector.evidence.metadata.rules import RULES
from detector.results import Asserts, Evidence, Trust, Verdict
from detector.verdict.conflicts import against_pixels, between_claims
from detector.verdict.wording import KINDS, THAT, subject

KNOWN = sorted(KINDS)
ALL = [*KNOWN, "a_plugins_findings"]


def piece(kind: str, asserts: Asserts, trust: Trust = Trust.SELF_DECLARED) -> Evidence:
    return Evidence(kind, "metadata", asserts, "", trust)


def is_plural(noun: str) -> bool:
    """What a reader takes a phrase for: by its head, the word before "of", "in", "that" …"""
    head = re.split(r" (?:of|in|on|after|with|that|stored) | \(", noun)[0].split()[-1]
    return head.endswith(("metadata", "parameters", "fields", "bytes", "lines"))


def sentences(kind: str) -> list[str]:
    """Every sentence that a kind can stand in, in every role."""
    if kind == "c2pa_ingredient":  # is not the image, and so part of no sentence
        return []
    said: list[str] = []
    camera, graph = (
        piece("camera_exif", Asserts.CAPTURED),
        piece("comfyui_graph", Asserts.GENERATED),
    )
    for trust in Trust:
        for asserts in THAT:
            own = piece(kind, asserts, trust)
            said += between_claims([own])
            said += between_claims([own, graph if asserts is not Asserts.GENERATED else camera])
            for verdict in Verdict:
                said += against_pixels(verdict, [own])
    return [sentence for sentence in said if subject(kind)[4:] in sentence]


def test_every_kind_that_a_channel_gives_has_words() -> None:
    given = {kind for name in CHANNELS for e in channel(name).examples() for kind in e.finds}
    assert (given | set(RULES)) <= set(KINDS)


@pytest.mark.parametrize("kind", ALL)
def test_verbs_agree_with_what_they_are_about(kind: str) -> None:
    own = subject(kind)
    singular, plural = ("says", "is", "its"), ("say", "are", "their")
    good, bad = (plural, singular) if is_plural(own) else (singular, plural)
    found = sentences(kind)
    assert found or kind == "c2pa_ingredient"
    for sentence in found:
        assert f"{own} {good[0]} that" in f"{own[0].lower()}{sentence[1:]}"
        assert not re.search(rf"{re.escape(own[4:])} (?:{'|'.join(bad)})\b", sentence)
        if "signature does not hold" in sentence:
            assert f"{good[2]} signature does not hold" in sentence


@pytest.mark.parametrize("kind", ALL)
def test_sentences_are_whole(kind: str) -> None:
    for sentence in sentences(kind):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
        assert "  " not in sentence
        assert "_" not in sentence
        assert not re.search(r"\bthe the\b|\ba a\b|says? (?!that)", sentence, re.IGNORECASE)
        assert ") (" not in sentence


def test_a_few_sentences_in_full() -> None:
    camera = piece("camera_exif", Asserts.CAPTURED)
    parameters = piece("a1111_parameters", Asserts.GENERATED)
    assert between_claims([parameters, camera]) == [
        "The web UI parameters say that the image was generated, while the camera EXIF says that "
        "it was captured by a camera: both cannot be right, and either may have been copied."
    ]
    signed = piece("c2pa_manifest", Asserts.CAPTURED, Trust.TRUSTED)
    assert against_pixels(Verdict.LIKELY_GENERATED, [signed]) == [
        "The C2PA manifest says that the image was captured by a camera and is signed by a "
        "trusted signer, while the pixels look generated: the CNN may be wrong, or a camera may "
        "have photographed a generated picture."
    ]
    broken = piece("swarmui_parameters", Asserts.GENERATED, Trust.INVALID)
    unknown = piece("c2pa_manifest", Asserts.UNKNOWN, Trust.INVALID)
    assert between_claims([broken, unknown]) == [
        "The SwarmUI parameters say that the image was generated, but their signature does not "
        "hold.",
        "The C2PA manifest is signed, but its signature does not hold.",
    ]
    others = [piece(kind, Asserts.GENERATED) for kind in ("midjourney_job", "grok_signature")]
    assert between_claims([parameters, *others]) == [
        "The file names more than one generator: web UI parameters, Midjourney job and Grok "
        "signature fields; one may have edited the other's image."
    ]
