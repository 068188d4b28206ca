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
    "draw_things_metadata": "Draw Things metadata",
    "dwtdct_watermark": "invisible watermark (dwtDct)",
    "earlier_jpeg": "trace of an earlier JPEG",
    "fooocus_parameters": "Fooocus parameters",
    "google_credit": "Google credit line",
    "grok_signature": "Grok signature fields",
    "ideogram_make": "Ideogram as camera maker",
    "invokeai_metadata": "InvokeAI metadata",
    "iptc_ai_disclosure": "IPTC fields on AI",
    "iptc_digital_source_type": "IPTC digital source type",
    "jpeg_encoding": "JPEG encoding",
    "midjourney_job": "Midjourney job",
    "novelai_metadata": "NovelAI metadata",
    "swarmui_parameters": "SwarmUI parameters",
}


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
