"""Words for evidence: its claims, its trust and its kinds, and one line that sums claims up."""

from __future__ import annotations

from collections.abc import Iterable

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
# What a sentence says a claim is.
THAT: dict[Asserts, str] = {
    Asserts.GENERATED: "was generated",
    Asserts.EDITED_WITH_AI: "was edited with AI",
    Asserts.COMPOSITE: "is a composite",
    Asserts.CAPTURED: "was captured by a camera",
    Asserts.HUMAN_MADE: "was made by a person",
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
    "cropped_jpeg": "JPEG grid of a cropped image",
    "double_compression": "double compression",
    "draw_things_metadata": "Draw Things metadata",
    "dwtdct_watermark": "invisible watermark (dwtDct)",
    "earlier_jpeg": "trace of an earlier JPEG",
    "easy_diffusion_metadata": "Easy Diffusion metadata",
    "editor_named": "editor's name in the metadata",
    "fooocus_parameters": "Fooocus parameters",
    "generator_named": "generator's name in the metadata",
    "generator_size": "size that generators often give",
    "google_credit": "Google credit line",
    "grok_signature": "Grok signature fields",
    "hosted_job": "job number of a hosting service",
    "ideogram_make": "Ideogram as camera maker",
    "invokeai_metadata": "InvokeAI metadata",
    "iptc_ai_disclosure": "IPTC fields on AI",
    "iptc_digital_source_type": "IPTC digital source type",
    "jpeg_encoding": "JPEG encoding",
    "metadata_unreadable": "metadata, unreadable",
    "midjourney_job": "Midjourney job",
    "novelai_metadata": "NovelAI metadata",
    "radial_spectrum": "radial spectrum",
    "resampling": "trace of scaling",
    "samsung_genai": "Samsung note on generative editing",
    "spectral_lines": "lines in the spectrum",
    "stealth_payload": "hidden payload in the pixels",
    "swarmui_parameters": "SwarmUI parameters",
}
# Where a label does not stand well after "the", what a sentence is about instead.
_SUBJECTS: dict[str, str] = {
    "a1111_postprocessing": "web UI post-processing note",
    "c2pa_not_checked": "unchecked C2PA manifest",
    "c2pa_unreadable": "unreadable C2PA manifest",
    "channel_failed": "channel that failed",
    "double_compression": "trace of double compression",
    "ideogram_make": "camera maker's field with Ideogram's name",
    "metadata_unreadable": "unreadable metadata",
    "midjourney_job": "Midjourney job number",
}
_PLURAL = frozenset(
    {
        "a1111_parameters",
        "appended_data",
        "draw_things_metadata",
        "easy_diffusion_metadata",
        "fooocus_parameters",
        "grok_signature",
        "invokeai_metadata",
        "iptc_ai_disclosure",
        "metadata_unreadable",
        "novelai_metadata",
        "spectral_lines",
        "swarmui_parameters",
    }
)


def kind_words(kind: str) -> str:
    """A kind as people read it."""
    return KINDS.get(kind, kind.replace("_", " "))


def subject(kind: str) -> str:
    """A kind as what a sentence is about, with its article: "the web UI parameters".

    A plug-in's kind, whose grammar nobody knows, is quoted: it is always one piece of evidence.
    """
    if kind not in KINDS:
        return f"the evidence “{kind_words(kind)}”"
    return f"the {_SUBJECTS.get(kind, KINDS[kind])}"


def verb(kind: str, singular: str, plural: str) -> str:
    """The form of a verb, or another word, that fits `subject(kind)`."""
    return plural if kind in _PLURAL else singular


def claim_words(kind: str, asserts: Asserts, what: str = "the image") -> str:
    """A claim as a clause: "the camera EXIF says that the image was captured by a camera".

    `asserts` is any claim but `Asserts.UNKNOWN`; `what` is "it" where the image was just named.
    """
    return f"{subject(kind)} {verb(kind, 'says', 'say')} that {what} {THAT[asserts]}"


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
