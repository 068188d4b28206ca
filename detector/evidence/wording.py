"""Words for evidence, and for where pieces of it contradict each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from detector.results import Asserts, Evidence, Trust

NOTHING_MEANS_NOTHING = (
    "Nothing found means nothing: metadata, signatures and marks are lost whenever a file is "
    "re-saved, screenshot or passed through a platform."
)
CLAIMS: dict[Asserts, str] = {
    Asserts.GENERATED: "generated",
    Asserts.EDITED_WITH_AI: "edited with AI",
    Asserts.COMPOSITE: "composite",
    Asserts.CAPTURED: "captured by a camera",
    Asserts.HUMAN_MADE: "made by a person",
    Asserts.UNKNOWN: "no claim",
}
TRUSTS: dict[Trust, str] = {
    Trust.TRUSTED: "signed, intact, and the signer is on the trust list",
    Trust.VALID: "signed and intact, by a signer that nobody vouches for",
    Trust.INVALID: "signed, but the signature does not hold",
    Trust.SELF_DECLARED: "plain metadata: anyone can write or copy it",
    Trust.INFERRED: "measured from the file",
}
KINDS: dict[str, str] = {
    "a1111_parameters": "web UI parameters",
    "a1111_postprocessing": "web UI post-processing",
    "aigc_label": "Chinese AIGC label (GB 45438)",
    "aigc_label_incomplete": "incomplete AIGC label",
    "appended_data": "bytes after the image",
    "apple_clean_up": "Apple Clean Up credit",
    "bytedance_export": "ByteDance export note",
    "c2pa_ingredient": "C2PA ingredient",
    "c2pa_manifest": "C2PA manifest",
    "c2pa_not_checked": "C2PA manifest, not checked",
    "c2pa_remote_manifest": "C2PA manifest stored elsewhere",
    "c2pa_unreadable": "C2PA manifest, unreadable",
    "camera_exif": "camera EXIF",
    "channel_failed": "channel failed",
    "comfyui_graph": "ComfyUI graph",
    "google_credit": "Google credit line",
    "grok_signature": "Grok signature fields",
    "iptc_ai_disclosure": "IPTC fields on AI",
    "iptc_digital_source_type": "IPTC digital source type",
}
_REAL = (Asserts.CAPTURED, Asserts.HUMAN_MADE)
_WRITERS = {
    "a1111_parameters",
    "comfyui_graph",
    "draw_things_metadata",
    "easy_diffusion_metadata",
    "fooocus_parameters",
    "grok_signature",
    "ideogram_make",
    "invokeai_metadata",
    "midjourney_job",
    "novelai_metadata",
    "swarmui_parameters",
}
_SAME_PICTURE = 0.5
_MAX_SENTENCES = 6


def kind_words(kind: str) -> str:
    """A kind as people read it."""
    return KINDS.get(kind, kind.replace("_", " "))


def summary(evidence: Iterable[Evidence]) -> str:
    """One line: which claims there are and which channels make them; broken ones are named."""
    claims: dict[str, list[str]] = {}
    for e in evidence:
        if e.asserts is Asserts.UNKNOWN or e.kind == "c2pa_ingredient":
            continue
        broken = " (signature does not hold)" if e.trust is Trust.INVALID else ""
        claims.setdefault(f"{CLAIMS[e.asserts]}{broken}", []).append(e.channel)
    if not claims:
        return "No claim about the image's origin was found."
    parts = [f"{claim}: {', '.join(dict.fromkeys(by))}" for claim, by in claims.items()]
    return f"Claims found — {'; '.join(parts)}."


def conflicts(evidence: Iterable[Evidence]) -> list[str]:
    """Sentences on pieces of evidence that cannot all be right, or do not fit together.

    An edit with AI beside a camera is no conflict: photographs are edited. A claim under a
    broken signature is named as broken and then left out. Ingredients are not the image.
    """
    listed = [e for e in evidence if e.kind != "c2pa_ingredient"]
    sentences = [
        f"The {kind_words(e.kind)} says {CLAIMS[e.asserts]}, but its signature does not hold."
        for e in listed
        if e.trust is Trust.INVALID and e.asserts is not Asserts.UNKNOWN
    ]
    sound = [e for e in listed if e.trust is not Trust.INVALID]
    made = [e for e in sound if e.asserts is Asserts.GENERATED]
    real = [e for e in sound if e.asserts in _REAL]
    sentences += [_against(g, r) for g in made[:3] for r in real[:3]]
    sentences += _two_generators(made)
    sentences += _other_thumbnail(sound)
    return list(dict.fromkeys(sentences))[:_MAX_SENTENCES]


def _against(made: Evidence, real: Evidence) -> str:
    sentence = (
        f"The {kind_words(made.kind)} ({made.channel}) says generated, while the "
        f"{kind_words(real.kind)} ({real.channel}) says {CLAIMS[real.asserts]}: both cannot be "
        "right"
    )
    signed = [e for e in (made, real) if e.trust is Trust.TRUSTED]
    if len(signed) == 1:
        return f"{sentence}; only the {kind_words(signed[0].kind)} is signed by a trusted signer."
    return f"{sentence}, and either may have been copied."


def _two_generators(made: Sequence[Evidence]) -> list[str]:
    names = list(dict.fromkeys(e.kind for e in made if e.kind in _WRITERS))
    if len(names) < 2:
        return []
    words = " and ".join(kind_words(name) for name in names[:4])
    return [f"The file names more than one generator: {words}; one may have edited the other's."]


def _other_thumbnail(sound: Sequence[Evidence]) -> list[str]:
    for e in sound:
        thumbnail = e.raw.get("thumbnail") if e.kind == "camera_exif" else None
        agreement = thumbnail.get("correlation") if isinstance(thumbnail, dict) else None
        if isinstance(agreement, float) and agreement < _SAME_PICTURE:
            return [
                "The camera's embedded thumbnail does not show this image (correlation "
                f"{agreement:.2f}): the image was replaced, cropped or heavily edited after it."
            ]
    return []
