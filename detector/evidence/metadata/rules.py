"""The rule table of the metadata channel: what each kind claims, and where that is from.

Every rule names its source and the day on which it was last checked. `READ` means that the
writing program's source, or the standard, was read; `SEEN` that the form is known from accounts
of real files and was met in real files here; `REPORTED` that it is known from such accounts
only; `KNOWN` that it is common knowledge without a source at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from detector.evidence.text import plain
from detector.results import Asserts, Evidence, Trust

CHANNEL = "metadata"
READ, SEEN, REPORTED, KNOWN = "read", "seen", "reported", "known"

_COPIED = (
    "Plain text that anyone can write, copy onto another image or strip; some tools also "
    "carry it over when a photograph is edited or enlarged."
)


@dataclass(frozen=True)
class Rule:
    """What a kind of evidence claims.

    Attributes:
        asserts: the claim, unless the file's own details narrow it.
        issuer: the program or service that writes this.
        source: where the format is defined or described.
        basis: `READ`, `SEEN`, `REPORTED` or `KNOWN`, see the module's text.
        checked: the day, as an ISO date.
        caveat: one sentence on innocent explanations.
    """

    asserts: Asserts
    issuer: str
    source: str
    basis: str
    checked: str
    caveat: str = _COPIED


_G, _E, _C, _U = Asserts.GENERATED, Asserts.EDITED_WITH_AI, Asserts.CAPTURED, Asserts.UNKNOWN
_DAY = "2026-11-24"

RULES: dict[str, Rule] = {
    "a1111_parameters": Rule(
        _G,
        "Stable Diffusion web UI",
        "AUTOMATIC1111/stable-diffusion-webui, modules/infotext_utils.py",
        READ,
        _DAY,
    ),
    "a1111_postprocessing": Rule(
        _U,
        "Stable Diffusion web UI",
        "AUTOMATIC1111/stable-diffusion-webui, modules/postprocessing.py",
        KNOWN,
        _DAY,
        "The tool enlarged or retouched an image that may come from anywhere.",
    ),
    "comfyui_graph": Rule(
        _G,
        "ComfyUI",
        "comfyanonymous/ComfyUI, comfy_api/latest/_ui.py (PNG, APNG, WebP)",
        READ,
        _DAY,
        "The graph is stored with whatever the editor saved, may be copied, and may end in a "
        "step that only loads or enlarges a picture.",
    ),
    "invokeai_metadata": Rule(
        _G,
        "InvokeAI",
        "invoke-ai/InvokeAI, app/services/image_files and app/invocations/metadata.py; the older "
        "forms by receyuki/stable-diffusion-prompt-reader",
        READ,
        _DAY,
    ),
    "novelai_metadata": Rule(
        _G,
        "NovelAI",
        "NovelAI/novelai-image-metadata, nai_meta.py and nai_sig.py",
        READ,
        _DAY,
        "Plain text that can be copied. NovelAI signs its images in 'signed_hash', which is not "
        "verified here.",
    ),
    "fooocus_parameters": Rule(
        _G,
        "Fooocus",
        "lllyasviel/Fooocus, modules/meta_parser.py and private_logger.py",
        READ,
        _DAY,
    ),
    "swarmui_parameters": Rule(
        _G, "SwarmUI", "mcmonkeyprojects/SwarmUI, docs/Image Metadata Format.md", READ, _DAY
    ),
    "easy_diffusion_metadata": Rule(
        _G,
        "Easy Diffusion",
        "easydiffusion/easydiffusion, ui/easydiffusion/utils/save_utils.py",
        READ,
        _DAY,
    ),
    "draw_things_metadata": Rule(
        _G,
        "Draw Things",
        "drawthingsai/draw-things-community, Libraries/LocalImageGenerator ImageConverter.swift",
        READ,
        _DAY,
    ),
    "stealth_payload": Rule(
        _U,
        "",
        "ashen-sensored/sd_webui_stealth_pnginfo, scripts/stealth_pnginfo.py",
        READ,
        _DAY,
        "A text hidden in the lowest bits that no known generator's form explains.",
    ),
    "midjourney_job": Rule(
        _G,
        "Midjourney",
        "accounts of files by several readers (Description with --v and Job ID, Author, XMP "
        "DigImageGUID)",
        SEEN,
        _DAY,
    ),
    "ideogram_make": Rule(
        _G,
        "Ideogram",
        "wiltodelta/remove-ai-watermarks, docs/watermarking-landscape.md (a download of 2026-05)",
        SEEN,
        _DAY,
    ),
    "grok_signature": Rule(
        _G,
        "xAI (Grok)",
        "wiltodelta/remove-ai-watermarks, docs/watermarking-landscape.md (three downloads)",
        REPORTED,
        _DAY,
        "Two text fields that anyone can copy; the signature cannot be verified without xAI.",
    ),
    "google_credit": Rule(
        _G,
        "Google",
        "accounts of files by several readers (photoshop:Credit)",
        SEEN,
        _DAY,
        "A credit line that anyone can write; Google also writes it after an edit with AI.",
    ),
    "apple_clean_up": Rule(
        _E,
        "Apple Photos",
        "wiltodelta/remove-ai-watermarks, identify.py",
        SEEN,
        _DAY,
        "A credit line that anyone can write; it is about objects removed from a photograph.",
    ),
    "bytedance_export": Rule(
        _U,
        "ByteDance",
        "wiltodelta/remove-ai-watermarks, metadata.py",
        REPORTED,
        _DAY,
        "An app's own export note: it names the app, which also exports photographs.",
    ),
    "samsung_genai": Rule(
        _U,
        "Samsung",
        "wiltodelta/remove-ai-watermarks, metadata.py (PhotoEditor_Re_Edit_Data, genAIType)",
        REPORTED,
        _DAY,
        "An undocumented mark in bytes appended to the file; anyone can append bytes.",
    ),
    "hosted_job": Rule(
        _U,
        "Hugging Face",
        "wiltodelta/remove-ai-watermarks, docs/watermarking-landscape.md (hf-job-id)",
        REPORTED,
        _DAY,
        "It marks the service that ran a job, not what the job did.",
    ),
    "iptc_digital_source_type": Rule(
        _U,
        "",
        "IPTC NewsCodes, Digital Source Type (2024-10-23)",
        READ,
        _DAY,
        "A tag that anyone can write; cameras, editors and platforms set it by their own rules.",
    ),
    "iptc_ai_disclosure": Rule(
        _G,
        "",
        "IPTC Photo Metadata Standard 2025.1 (AISystemUsed and three more)",
        READ,
        _DAY,
        "Fields that anyone can write.",
    ),
    "generator_named": Rule(
        _G,
        "",
        "the program's own name in a field for the creating software",
        KNOWN,
        _DAY,
        "A name that anyone can write; the program may have been used on a photograph.",
    ),
    "editor_named": Rule(
        _U,
        "",
        "the program's own name in a field for the creating software",
        KNOWN,
        _DAY,
        "Nearly every published photograph has passed through an editor.",
    ),
    "camera_exif": Rule(
        _C,
        "",
        "CIPA DC-008 (EXIF 2.32)",
        READ,
        _DAY,
        "Camera fields can be copied onto any image with one command.",
    ),
    "appended_data": Rule(
        _U,
        "",
        "the container's own end mark",
        READ,
        _DAY,
        "Phones and cameras append motion clips, depth and edit data; services append nothing "
        "that proves an origin.",
    ),
    "metadata_unreadable": Rule(
        _U,
        "",
        "the limits of this reader",
        READ,
        _DAY,
        "Damage happens in transfer; what could not be read is not judged.",
    ),
}


def evidence(
    kind: str, raw: dict[str, Any], *, asserts: Asserts | None = None, issuer: str = ""
) -> Evidence:
    """A piece of evidence of this channel, with the rule's source and a bounded copy of `raw`."""
    rule = RULES[kind]
    kept = {key: value for key, value in raw.items() if value not in (None, "", [], {})}
    origin = {"source": rule.source, "basis": rule.basis, "checked": rule.checked}
    return Evidence(
        kind=kind,
        channel=CHANNEL,
        asserts=rule.asserts if asserts is None else asserts,
        issuer=str(plain(issuer, text=200)) or rule.issuer,
        trust=Trust.SELF_DECLARED,
        raw={**plain(kept), "rule": origin},
        caveat=rule.caveat,
    )
