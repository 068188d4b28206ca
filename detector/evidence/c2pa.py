"""C2PA Content Credentials: who signed what about this file, and whether it still holds.

Needs the extra "c2pa" (c2pa-python, which brings a native library). It is imported only when a
file carries a manifest or points at one; without it, the file's manifest is reported as not
checked. Nothing is ever fetched: a manifest that is only stored elsewhere is evidence by its
address. C2PA is not a sign of AI: cameras sign photographs too.

`trust` follows the library's state, with one exception: a manifest that it calls invalid only
for its certificate or its form, while signature and hashes hold, counts as valid. Most files of
OpenAI and Microsoft from 2024 and 2025 are of this kind; nothing in them was altered.

Checked with c2pa-python 0.38 on 2026-11-24.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from detector.evidence import c2pa_claims as claims
from detector.evidence import trust, xmp
from detector.evidence.base import EvidenceInput, Example
from detector.evidence.text import as_text, parse_json, plain
from detector.results import Asserts, Evidence, Trust

CHANNEL = "c2pa"
_MIME = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "HEIF": "image/heif",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
}
_REMOTE = "Remote:"
_TRUST = {"Trusted": Trust.TRUSTED, "Valid": Trust.VALID, "Invalid": Trust.INVALID}
_STRENGTH = (Trust.INVALID, Trust.VALID, Trust.TRUSTED)
_CAVEATS = {
    Trust.TRUSTED: (
        "A listed signer made this claim and the file is unchanged since; whether the claim is "
        "true rests on the signer, and a camera may sign a photograph of a screen."
    ),
    Trust.VALID: (
        "The file is unchanged since it was signed, but nobody vouches for the signer: anyone "
        "can make such a certificate in any name."
    ),
    Trust.INVALID: (
        "The signature does not hold for this file: it was changed after signing, or the claim "
        "was taken from another file, so nothing in it can be relied on."
    ),
}
_RULES_BROKEN = (
    "The file is unchanged since it was signed, but its manifest breaks a rule of C2PA, such as "
    "a certificate that has run out; nobody vouches for the signer."
)
_INGREDIENT = "An ingredient is what the image was made from; its claim is not the image's own."


def find(item: EvidenceInput) -> list[Evidence]:
    """The active manifest and its ingredients; see `detector.evidence.base.Channel`."""
    remote = _provenance(item)
    embedded = b"jumb" in item.data and b"c2pa" in item.data
    if item.kind not in _MIME or not (embedded or remote):
        return []
    try:
        import c2pa
    except ImportError:
        return [_not_checked(embedded, remote)]
    anchors = _anchors(item)
    settings = {
        "trust": {"trust_anchors": anchors.pem} if anchors else {},
        "verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
    }
    try:
        context = c2pa.Context.from_dict(settings)
        reader = c2pa.Reader.try_create(_MIME[item.kind], io.BytesIO(item.data), context=context)
        if reader is None:
            # The letters were there by chance, as they are in one of many large files.
            return []
        with reader:
            store, state = parse_json(reader.json()), as_text(reader.get_validation_state())
            url = as_text(reader.get_remote_url())
    except c2pa.C2paError as error:
        return [_unread(str(error), remote)]
    if not isinstance(store, dict):
        return [_unread("the manifest store is larger than is read", remote)]
    return _evidence(store, state, url, anchors)


def _evidence(
    store: dict[str, Any], state: str, url: str, anchors: trust.TrustList | None
) -> list[Evidence]:
    label = as_text(store.get("active_manifest"))
    manifests = store.get("manifests")
    active = manifests.get(label) if isinstance(manifests, dict) else None
    if not isinstance(active, dict):
        return [_unread("the store names no active manifest", url)]
    results = store.get("validation_results")
    level = _TRUST.get(state, Trust.INVALID)
    broken_rules = level is Trust.INVALID and claims.intact(results)
    if broken_rules:
        level = Trust.VALID
    parts = claims.ingredients(store, label)
    raw = {
        "validation_state": state,
        "failures": claims.failures(results),
        "trust_list": anchors.origin if anchors else "none",
        "claim_rests_on": claims.rests_on(store, label),
        **_described(active),
        "ingredients": len(parts),
        "remote_url": url,
    }
    found = [
        Evidence(
            kind="c2pa_manifest",
            channel=CHANNEL,
            asserts=claims.claim(store, label),
            issuer=_signer(active),
            trust=level,
            raw=_kept(raw),
            caveat=_RULES_BROKEN if broken_rules else _caveat(level, anchors),
        )
    ]
    return [*found, *(_ingredient(part, level) for part in parts)]


def _ingredient(part: claims.Ingredient, active: Trust) -> Evidence:
    """An ingredient is trusted no further than what holds it."""
    serious = [code for code in part.failures if not claims.harmless(code)]
    own = Trust.INVALID if serious else Trust.TRUSTED if part.trusted else Trust.VALID
    if not part.manifest:
        own = Trust.SELF_DECLARED
    level = own
    if own in _STRENGTH:
        level = min(own, active, key=_STRENGTH.index)
    elif active is Trust.INVALID:
        level = Trust.INVALID
    raw = {
        "relationship": part.relationship,
        "depth": part.depth,
        "title": part.title,
        "failures": list(part.failures),
        **_described(part.manifest),
    }
    return Evidence(
        kind="c2pa_ingredient",
        channel=CHANNEL,
        asserts=part.asserts,
        issuer=_signer(part.manifest),
        trust=level,
        raw=_kept(raw),
        caveat=_INGREDIENT,
    )


def _described(manifest: dict[str, Any]) -> dict[str, Any]:
    """The leads in one manifest."""
    steps = [
        {
            "action": as_text(action.get("action")),
            "source_type": as_text(action.get("digitalSourceType")).rsplit("/", 1)[-1],
            "when": as_text(action.get("when")),
            "description": as_text(action.get("description")),
        }
        for action in claims.actions(manifest)
    ]
    signature = manifest.get("signature_info")
    signature = signature if isinstance(signature, dict) else {}
    return {
        "generators": claims.generator_names(manifest),
        "claimed_title": as_text(manifest.get("title")),
        "source_types": claims.source_codes(manifest),
        "actions": [_kept(step) for step in steps],
        "soft_bindings": claims.soft_bindings(manifest),
        "signed_by": as_text(signature.get("common_name")),
        "signed_at": as_text(signature.get("time")),
        "algorithm": as_text(signature.get("alg")),
        "certificate": as_text(signature.get("cert_serial_number")),
    }


def _signer(manifest: dict[str, Any]) -> str:
    signature = manifest.get("signature_info")
    issuer = as_text(signature.get("issuer")) if isinstance(signature, dict) else ""
    return str(plain(issuer, text=200))


def _kept(raw: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in raw.items() if value not in ("", [], {})}
    bounded = plain(kept)
    assert isinstance(bounded, dict)
    return bounded


def _caveat(level: Trust, anchors: trust.TrustList | None) -> str:
    if level is Trust.VALID and anchors is None:
        return f"{_CAVEATS[level]} No trust list was at hand, so no signer could be trusted."
    return _CAVEATS[level]


def _anchors(item: EvidenceInput) -> trust.TrustList | None:
    if item.trust_list is not None:
        count = trust.count_certificates(item.trust_list)
        return trust.TrustList(item.trust_list, count, "given by the user")
    return trust.anchors()


def _provenance(item: EvidenceInput) -> str:
    """The address of a manifest that is stored elsewhere, as the XMP names it."""
    for packet in item.xmp:
        url = packet.first(xmp.DC_TERMS, "provenance")
        if "://" in url:
            return str(plain(url, text=2_000))
    return ""


def _unread(error: str, remote: str) -> Evidence:
    if error.startswith(_REMOTE):
        return Evidence(
            kind="c2pa_remote_manifest",
            channel=CHANNEL,
            asserts=Asserts.UNKNOWN,
            issuer="",
            trust=Trust.SELF_DECLARED,
            raw={"url": remote or str(plain(error, text=500))},
            caveat=(
                "The manifest is stored elsewhere and was not fetched; the address is plain text, "
                "and asking it would tell its owner that the file is being looked at."
            ),
        )
    return Evidence(
        kind="c2pa_unreadable",
        channel=CHANNEL,
        asserts=Asserts.UNKNOWN,
        issuer="",
        trust=Trust.INVALID,
        raw={"error": str(plain(error, text=500))},
        caveat="A manifest is there but damaged; transfer and editing can do that.",
    )


def _not_checked(embedded: bool, remote: str) -> Evidence:
    return Evidence(
        kind="c2pa_not_checked",
        channel=CHANNEL,
        asserts=Asserts.UNKNOWN,
        issuer="",
        trust=Trust.SELF_DECLARED,
        raw=_kept({"embedded": embedded, "url": remote, "needs": "aigi-detector[c2pa]"}),
        caveat="The file seems to carry Content Credentials; the extra 'c2pa' reads them.",
    )


def examples() -> Sequence[Example]:
    """Files without a whole manifest; signed ones are made by the tests, with keys of their own."""
    from detector.evidence import build

    elsewhere = build.xmp({"dcterms:provenance": "https://example.invalid/manifest.c2pa"})
    broken = b"JP\0\1\0\0\0\1\0\0\0\x30jumb\0\0\0\x28jumdc2pa" + bytes(24)
    return [
        Example(
            "manifest elsewhere",
            build.jpeg(build.xmp_segment(elsewhere)),
            frozenset({"c2pa_remote_manifest"}),
        ),
        Example("broken manifest", build.jpeg((0xEB, broken)), frozenset({"c2pa_unreadable"})),
        Example("plain", build.jpeg()),
        Example("the letters alone", build.jpeg((0xFE, b"c2pa and jumb are words"))),
        Example("not an image", b"c2pa jumb"),
    ]
